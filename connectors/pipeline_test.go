package connectors_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/internal/sample"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

const manifestType = "hub-manifest+jws"

func TestPipelineCarries(t *testing.T) {
	t.Parallel()
	for _, product := range []string{"price_quote", "consumer_complaint"} {
		t.Run(product, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, product)
			file, declared := r.samples(500, 20)
			r.put("a.csv", file)
			if err := r.run(batches(1)); err != nil {
				t.Fatal(err)
			}
			c := r.position.Counts
			if c.Read != 500 || c.Published != 475 || c.Duplicates == 0 || c.Duplicates != declared.Duplicates || c.QuarantinedRows() != 25-declared.Duplicates {
				t.Errorf("counts: %+v", c)
			}
			for code, n := range declared.Quarantined {
				if c.Quarantined[code] != n {
					t.Errorf("%s: %d quarantined, %d declared", code, c.Quarantined[code], n)
				}
			}
			r.once(475)
			r.manifest(475)

			// The same rows again publish nothing.
			r.put("b.csv", file)
			if err := r.run(batches(2)); err != nil {
				t.Fatal(err)
			}
			if c := r.position.Counts; c.Read != 500 || c.Published != 0 || c.Duplicates != 475+declared.Duplicates || c.QuarantinedRows() != 25-declared.Duplicates {
				t.Errorf("a second drop: %+v", c)
			}
			r.once(475)
		})
	}
}

// manifest checks the last manifest against the topic.
func (r *rig) manifest(published int64) {
	r.t.Helper()
	var last string
	topic := record.ManifestTopic("500000")
	ends, err := r.kafka.Offsets(r.t.Context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.kafka.ReadRange(r.t.Context(), topic, 0, 0, ends[0].Stable, func(m kafkalog.FetchedRecord) error {
		last = string(m.Value)
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
	signed, err := jws.Parse(last, manifestType)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := signed.Verify(r.ca.Pool(), time.Now()); err != nil {
		r.t.Fatal(err)
	}
	var m record.Manifest
	if err := json.Unmarshal(signed.Unverified, &m); err != nil {
		r.t.Fatal(err)
	}
	if !m.Complete || m.Published != published || m.Batch == "" {
		r.t.Errorf("manifest: %+v", m)
	}
	for _, p := range m.Partitions {
		var digest []byte
		var n int64
		if err := r.kafka.ReadRange(r.t.Context(), r.topic(), p.Partition, p.First, p.Last+1, func(rec kafkalog.FetchedRecord) error {
			env, err := record.ParseEnvelope(headers(&rec))
			digest = record.Chain(digest, record.Digest(rec.Key), env.Content)
			n++
			return err
		}); err != nil {
			r.t.Fatal(err)
		}
		if n != p.Records || !bytes.Equal(digest, p.Digest) {
			r.t.Errorf("partition %d: %d records with digest %x, the manifest says %d, %x", p.Partition, n, digest, p.Records, p.Digest)
		}
	}
}

func TestChangedRowIsANewVersion(t *testing.T) {
	t.Parallel()
	r := newRig(t, "price_quote")
	header := "品名,最低价,平均价,最高价,规格,单位,发布日期\n"
	r.put("a.csv", []byte(header+"梨,1.00,1.50,2.00,普通,斤,2026-01-02\n梨,1.00,1.50,2.00,普通,斤,2026-01-02\n"))
	r.put("b.csv", []byte(header+"梨,1.00,1.60,2.00,普通,斤,2026-01-02\n"))
	r.put("c.csv", []byte(header+"梨,1.00,1.50,2.00,普通,斤,2026-01-02\n"))
	if err := r.run(batches(3)); err != nil {
		t.Fatal(err)
	}
	for _, versions := range r.records() {
		if len(versions) != 3 {
			t.Fatalf("%d versions", len(versions))
		}
		for i, v := range versions {
			if v.env.Version != uint32(i+1) {
				t.Errorf("record %d has version %d", i, v.env.Version)
			}
		}
		if versions[0].line != versions[2].line || versions[0].line == versions[1].line {
			t.Error("the content of the versions is wrong")
		}
		if versions[0].env.EventID == versions[2].env.EventID {
			t.Error("two events have one id")
		}
	}
	if c := r.position.Totals; c.Published != 3 || c.Duplicates != 1 {
		t.Errorf("totals: %+v", c)
	}
}

// Invariant 1: stopped at any point and started again, every row takes effect
// exactly once, and no row is counted twice.
func TestRestartAtAnyPoint(t *testing.T) {
	t.Parallel()
	r := newRig(t, "price_quote")
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	r.config.ChunkRows = 37
	for i := range 4 {
		file, _ := r.samples(1000, 0)
		lines := bytes.SplitAfter(file, []byte("\n"))
		part := append(bytes.Clone(lines[0]), bytes.Join(lines[1+i*250:1+(i+1)*250], nil)...)
		r.put(fmt.Sprintf("%d.csv", i), part)
	}
	for stops := 0; ; stops++ {
		commits, stopAt := 0, 1+rng.IntN(8)
		last := r.position.Totals.Read
		_ = r.run(func(p connectors.Position) bool {
			if p.Totals.Read != last {
				commits, last = commits+1, p.Totals.Read
			}
			return commits >= stopAt || p.Batches == 4 && p.Complete
		})
		r.config.Source = r.source() // as after a restart
		if r.position.Batches == 4 || stops > 2000 {
			t.Logf("stopped %d times", stops)
			break
		}
	}
	if c := r.position.Totals; c.Read != 1000 || c.Published != 1000 || c.Duplicates != 0 {
		t.Errorf("totals: %+v", c)
	}
	r.once(1000)
}

// Whatever the broker answers, and whether or not it did what it was asked,
// every row takes effect exactly once.
func TestBrokerFaults(t *testing.T) {
	t.Parallel()
	r := newRig(t, "price_quote")
	r.config.ChunkRows = 100
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	var mu sync.Mutex
	faults := 0
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.EndTxn, kmsg.AddPartitionsToTxn} {
		r.cluster.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
			r.cluster.KeepControl()
			mu.Lock()
			defer mu.Unlock()
			if faults < 40 && rng.IntN(6) == 0 {
				faults++
				return nil, errors.New("connection lost"), true
			}
			return nil, nil, false
		})
	}
	file, _ := r.samples(3000, 0)
	r.put("a.csv", file)
	if err := r.run(batches(1)); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%d faults", faults)
	if c := r.position.Totals; c.Read != 3000 || c.Published != 3000 || c.Duplicates != 0 || faults == 0 {
		t.Errorf("totals: %+v after %d faults", c, faults)
	}
	r.once(3000)
}

// A second connector of the same provider and product takes over; the first
// one stops and says why.
func TestSecondConnectorFences(t *testing.T) {
	t.Parallel()
	r := newRig(t, "price_quote")
	first, err := connectors.NewPipeline(r.config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- connectors.Supervise(ctx, first) }()
	file, _ := r.samples(300, 0)
	r.put("a.csv", file)
	for range 1000 {
		time.Sleep(2 * time.Millisecond)
		r.mu.Lock()
		ready := r.position.Batches == 1
		r.mu.Unlock()
		if ready {
			break
		}
	}
	if _, err := r.kafka.NewProducer(ctx, kafkalog.ProducerConfig{TransactionalID: record.TransactionalID(r.topic(), "cq-test")}); err != nil {
		t.Fatal(err)
	}
	more, _ := r.samples(600, 0)
	r.put("b.csv", more)
	if err := <-done; problem.CodeOf(err) != problem.ConnectorFenced {
		t.Errorf("the first connector: %v", err)
	}
	r.once(300)
}

// guardedSource fails the test when a batch is let go of before its last
// position is committed.
type guardedSource struct {
	connectors.Source
	r *rig
}

func (g guardedSource) Ack(b *source.Batch, fault *problem.Problem) error {
	p, err := connectors.ReadPosition(g.r.t.Context(), g.r.kafka, "500000", record.TransactionalID(g.r.topic(), "cq-test"))
	if err != nil || p.Batch != b.ID || !p.Complete {
		g.r.t.Errorf("invariant 1: %s was let go of at position %+v, %v", b.Name, p, err)
	}
	return g.Source.Ack(b, fault)
}

func TestAckAfterCommit(t *testing.T) {
	t.Parallel()
	r := newRig(t, "price_quote")
	r.config.Source = guardedSource{r.config.Source, r}
	file, _ := r.samples(450, 10)
	r.put("a.csv", file)
	r.put("b.csv", file)
	if err := r.run(batches(2)); err != nil {
		t.Fatal(err)
	}
}

func TestQuarantineIsSealed(t *testing.T) {
	t.Parallel()
	r := newRig(t, "consumer_complaint")
	var file bytes.Buffer
	const secret = "PLANTED-7f3a9c51e2"
	if _, err := sample.CSV(&file, "consumer_complaint", sample.Options{
		Region: "500000", Rows: 20, Seed: 1, FaultEvery: 2, Planted: map[string]string{"投诉人姓名": secret, "争议事实": secret},
	}); err != nil {
		t.Fatal(err)
	}
	r.put("a.csv", file.Bytes())
	if err := r.run(batches(1)); err != nil {
		t.Fatal(err)
	}
	entries, err := connectors.ReadQuarantine(r.config.QuarantineDir, "consumer_complaint")
	if err != nil || len(entries) != 9 { // and one duplicate
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	row, err := connectors.Unseal(t.Context(), &entries[0], "cq-test", sealed.NewOpener(unwrap, 2))
	if err != nil || !strings.Contains(string(row), secret) {
		t.Errorf("the provider reads %q, %v", row, err)
	}
	if entries[0].Row != 2 || entries[0].Line != 3 || entries[0].File != "a.csv" || entries[0].Faults[0].Code != problem.IdentifierInvalid ||
		entries[0].Faults[0].Field != "respondent.uscc" {
		t.Errorf("entry: %+v", entries[0])
	}
	if _, err := connectors.Unseal(t.Context(), &entries[0], "sc-other", sealed.NewOpener(unwrap, 2)); problem.CodeOf(err) != problem.RecordUnsealable {
		t.Errorf("another provider: %v", err)
	}
	err = filepath.WalkDir(r.config.QuarantineDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("%s holds a row in clear", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a file's fault leaves behind: rows before it stand, the file is put
// aside with its reason, the manifest says so, the next file is carried.
func TestBrokenFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, "price_quote")
	file, _ := r.samples(1000, 0)
	broken := append(bytes.Clone(file), `"`...)
	broken = append(broken, bytes.Repeat([]byte("x"), 2<<20)...)
	r.put("a.csv", broken)
	r.put("b.csv", []byte("甲,乙\n1,2\n"))
	r.put("c.csv", file)
	if err := r.run(batches(2)); err != nil {
		t.Fatal(err)
	}
	if c := r.position.Totals; c.Read != 2000 || c.Published != 1000 || c.Duplicates != 1000 {
		t.Errorf("totals: %+v", c)
	}
	var codes []problem.Code
	for _, p := range r.refused {
		codes = append(codes, p.Code)
	}
	if len(codes) != 2 || codes[0] != problem.RowTooLong || codes[1] != problem.ColumnMissing {
		t.Errorf("refused: %v", codes)
	}
	r.once(1000)
	if entries, _ := os.ReadDir(filepath.Join(r.drop, "rejected")); len(entries) != 4 {
		t.Errorf("rejected: %v", entries)
	}
}

// A file that vanishes while it is read loses nothing and doubles nothing.
func TestVanishingFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, "price_quote")
	r.config.ChunkRows = 50
	file, _ := r.samples(1000, 0)
	r.put("a.csv", file)
	removed := false
	progress := r.config.Progress
	r.config.Progress = func(p connectors.Position) {
		if p.Rows >= 300 && !removed {
			removed = true
			_ = os.Remove(filepath.Join(r.drop, "a.csv"))
			r.put("b.csv", file)
		}
		progress(p)
	}
	if err := r.run(batches(1)); err != nil {
		t.Fatal(err)
	}
	if len(r.refused) != 1 || r.refused[0].Code != problem.FileVanished {
		t.Errorf("refused: %v", r.refused)
	}
	if c := r.position.Counts; c.Read != 1000 || c.Published+c.Duplicates != 1000 || c.Duplicates < 300 {
		t.Errorf("counts: %+v", c)
	}
	r.once(1000)
}

// Whoever reads the log of a connector whose Kafka is away finds the code that
// says so, and rows wait where they lie.
func TestKafkaAwayIsNamed(t *testing.T) {
	t.Parallel()
	r := newRig(t, "price_quote")
	file, _ := r.samples(20, 0)
	r.put("a.csv", file)
	log := &lines{}
	r.config.Logger = slog.New(slog.NewTextHandler(log, nil))
	r.cluster.Close()
	if err := r.run(func(connectors.Position) bool { return log.contain("again_in=") }); err != nil {
		t.Fatal(err)
	}
	if !log.contain(string(problem.KafkaUnavailable)) || log.contain("problem=\""+string(problem.Internal)) {
		t.Errorf("the log: %s", log)
	}
	if !r.config.Source.(*dropdir.Source).Pending() {
		t.Error("the file was let go of")
	}
}

// lines are what a logger wrote, for readers beside it.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) contain(s string) bool { return strings.Contains(l.String(), s) }
