//go:build e2e

package connectors_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/csvfile"
	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/jsonfile"
	"github.com/chuanyu-exchange/hub/connectors/xlsxfile"
	"github.com/chuanyu-exchange/hub/connectors/xmlfile"
	"github.com/chuanyu-exchange/hub/internal/embedded"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/internal/sample"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// A connector takes as much memory for a long file as for a short one, of each
// kind, although every row has a key of its own. Peak resident memory of a
// process of its own, from 10,000 rows to as many as HUB_MEMORY_ROWS says
// (2000000 by `make test-faults`), with the broker in another.
func TestMemoryIsFlat(t *testing.T) {
	long := 150_000
	if n, err := strconv.Atoi(os.Getenv("HUB_MEMORY_ROWS")); err == nil {
		long = n
	}
	for _, format := range []sample.Format{sample.FormatCSV, sample.FormatJSON, sample.FormatXLSX, sample.FormatXML} {
		t.Run(string(format), func(t *testing.T) {
			few, many := peakOf(t, format, 10_000), peakOf(t, format, long)
			t.Logf("%s: %d MB for 10000 rows, %d MB for %d", format, few>>20, many>>20, long)
			if many > few+few/2+16<<20 { // what the garbage collector lets lie, and the keys that lie in memory
				t.Errorf("memory grows: from %d MB to %d MB", few>>20, many>>20)
			}
		})
	}
}

// peakOf carries a file in a process of its own and returns its peak memory in
// bytes.
func peakOf(t *testing.T, format sample.Format, rows int) int {
	t.Helper()
	dir := t.TempDir()
	drop := filepath.Join(dir, "drop")
	file, err := os.Create(filepath.Join(dir, "rows."+string(format)))
	if err == nil {
		_, err = sample.Write(file, format, "price_quote", sample.Options{Region: "500000", Rows: rows, Seed: 1})
	}
	if err := errors.Join(err, file.Close(), os.Mkdir(drop, 0o700), os.Rename(file.Name(), filepath.Join(drop, filepath.Base(file.Name())))); err != nil {
		t.Fatal(err)
	}
	broker, address := startChild(t, "broker", filepath.Join(dir, "kafka"))
	carrier, peak := startChild(t, "connector", dir, address, string(format), strconv.Itoa(rows))
	for _, c := range []*child{carrier, broker} {
		if err := c.end(); err != nil {
			t.Fatal(err)
		}
	}
	n, err := strconv.Atoi(peak)
	if err != nil {
		t.Fatalf("the connector said %q", peak)
	}
	return n
}

// child is this test binary in another role, until its standard input ends.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// startChild starts it and returns its answer: one line.
func startChild(t *testing.T, role string, args ...string) (*child, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMemoryChild$", "-test.timeout=60m")
	cmd.Env = append(os.Environ(), "HUB_MEMORY_CHILD="+strings.Join(append([]string{role}, args...), "\n"))
	cmd.Stderr = os.Stderr
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if answer, ok := strings.CutPrefix(lines.Text(), "ANSWER "); ok {
			return &child{cmd, stdin}, answer
		}
	}
	t.Fatalf("%s: no answer, %v", role, cmd.Wait())
	return nil, ""
}

func (c *child) end() error { return errors.Join(c.stdin.Close(), c.cmd.Wait()) }

// TestMemoryChild is the other roles; started by itself it does nothing.
func TestMemoryChild(t *testing.T) {
	role := strings.Split(os.Getenv("HUB_MEMORY_CHILD"), "\n")
	var answer string
	switch role[0] {
	case "broker":
		broker, err := embedded.StartKafka(embedded.KafkaOptions{DataDir: role[1]})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = broker.Close() }()
		answer = broker.Address()
	case "connector":
		rows, err := strconv.Atoi(role[4])
		if err != nil {
			t.Fatal(err)
		}
		carryAll(t, role[1], role[2], sample.Format(role[3]), int64(rows))
		answer = strconv.Itoa(peakMemory(t))
	default:
		t.Skip("not a child")
	}
	fmt.Println("ANSWER " + answer)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// peakMemory is the most that was resident, as Linux counts it.
func peakMemory(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("only Linux tells the peak")
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kb, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// carryAll runs a pipeline until the file was carried.
func carryAll(t *testing.T, dir, broker string, format sample.Format, rows int64) {
	t.Helper()
	set, err := schemas.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalogue.Load(catalogue.Shipped(), set.Sensitivities, catalogue.WithCodes(set.Codes))
	if err != nil {
		t.Fatal(err)
	}
	product, _ := cat.Product("price_quote")
	schema, _ := set.Schema(product.Schema)
	kafka, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: []string{broker}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kafka.Close() }()
	if err := kafka.CreateTopics(t.Context(), kafkalog.Topic{Name: record.Topic("500000", product.ID, product.Major), Partitions: 6},
		kafkalog.Topic{Name: record.PositionTopic("500000"), Partitions: 1}, kafkalog.Topic{Name: record.ManifestTopic("500000"), Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last connectors.Position
	c := connectors.Config{
		Region: "500000", Provider: "cq-commerce", Product: product, Schema: schema, Mapping: mapping(t, product.ID),
		Kafka: kafka, ProductKey: []byte("a product's secret of 32 bytes!!"), DataKey: dataKey, Unwrap: unwrap, Sign: func([]byte) (string, error) { return "unsigned", nil },
		QuarantineDir: filepath.Join(dir, "quarantine"), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Progress: func(p connectors.Position) {
			if last = p; p.Complete {
				cancel()
			}
		},
		Refused: func(p *problem.Problem) { t.Error(p) },
	}
	if c.Source, err = openFormat(dir, format, c.Mapping.Columns()); err != nil {
		t.Fatal(err)
	}
	p, err := connectors.NewPipeline(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if last.Totals.Published != rows {
		t.Fatalf("%+v, want %d published", last.Totals, rows)
	}
}

func openFormat(dir string, format sample.Format, columns []string) (connectors.Source, error) {
	d := dropdir.Config{Dir: filepath.Join(dir, "drop"), Settle: time.Millisecond, Poll: 5 * time.Millisecond, Now: time.Now}
	switch format {
	case sample.FormatJSON:
		return jsonfile.Config{Config: d}.Open(columns)
	case sample.FormatXLSX:
		return xlsxfile.Config{Config: d}.Open(columns)
	case sample.FormatXML:
		return xmlfile.Config{Config: d, Row: sample.XMLRow}.Open(columns)
	}
	return csvfile.Config{Config: d}.Open(columns)
}
