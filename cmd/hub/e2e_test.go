//go:build e2e

package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/sample"
)

// hubBinary builds the hub once for all tests of this package. GOFLAGS is
// inherited, so that a build with an overlay tests what the overlay changed.
var hubBinary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hub-e2e-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "hub")
	out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := hubBinary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(bin))
	}
	os.Exit(code)
}

// command is the hub with arguments, in a directory where it finds its
// sources.
func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	bin, err := hubBinary()
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(t.Context(), bin, args...)
}

// buildHubctl builds hubctl into dir.
func buildHubctl(t *testing.T, dir string) string {
	t.Helper()
	bin := filepath.Join(dir, "hubctl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../hubctl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

func outputOf(cmd *exec.Cmd) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// once runs `hub dev --once --json` and returns its summary.
func once(t testing.TB, args ...string) summary {
	t.Helper()
	cmd := command(t, append([]string{"dev", "--once", "--json"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var s summary
	if jsonErr := json.Unmarshal(out.Bytes(), &s); jsonErr != nil {
		t.Fatalf("%v, %v\n%s\n%s", err, jsonErr, out.Bytes(), errs.Bytes())
	}
	if (err == nil) != s.OK {
		t.Errorf("exit %v, ok %v", err, s.OK)
	}
	return s
}

// writeSample writes a sample file and returns its rows without the header.
func writeSample(t testing.TB, path, product string, o sample.Options) [][]string {
	t.Helper()
	var b bytes.Buffer
	if _, err := sample.CSV(&b, product, o); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

// Every product of both provinces goes its road: what was read was published
// or quarantined for the reason that the sample declares, and what was
// published was released to the consumer that may have it whole.
func TestOnceWithSamples(t *testing.T) {
	s := once(t)
	if !s.OK || len(s.Regions) != 2 {
		t.Fatalf("%+v", s)
	}
	roads := 0
	for region, products := range s.Regions {
		for product, a := range products {
			roads++
			declared, err := sample.CSV(io.Discard, product, sample.Options{Region: region, Rows: 500, Seed: sampleSeed, FaultEvery: sampleFaultEvery})
			if err != nil {
				t.Fatal(err)
			}
			if a.Read != 500 || a.Published != 490 || a.Released != 490 || a.ReceiptsVerified == 0 || !maps.Equal(a.Quarantined, declared.Quarantined) {
				t.Errorf("%s/%s: %+v; declared were %v", region, product, a, declared)
			}
			quarantined := int64(0)
			for _, n := range a.Quarantined {
				quarantined += n
			}
			if a.Duplicates == 0 || a.Duplicates != declared.Duplicates || a.Read != a.Published+quarantined+a.Duplicates || a.Held+a.Superseded != 0 {
				t.Errorf("%s/%s: %d read is not %d published + %d quarantined + %d duplicates (%d declared), or %d are held",
					region, product, a.Read, a.Published, quarantined, a.Duplicates, declared.Duplicates, a.Held+a.Superseded)
			}
		}
	}
	if roads < 26 || len(s.Regions["500000"]) != len(s.Regions["510000"]) {
		t.Errorf("%d roads, %d and %d of a province", roads, len(s.Regions["500000"]), len(s.Regions["510000"]))
	}
}

// The main job, on rows as a market publishes them: those with prices out of
// order are quarantined, the rest is published, converted and released; the
// same file again publishes nothing.
func TestPricesOfAMarket(t *testing.T) {
	files := map[string][3]int64{} // file → read, quarantined, published
	generated := filepath.Join(t.TempDir(), "prices.csv")
	files[generated] = [3]int64{6000, 56, 5944}
	breakOrder(t, generated, 6000, 56)
	if found := filepath.Join("..", "..", "..", "shared", "data", "real", "market_prices.csv"); fileExists(found) {
		files[found] = [3]int64{6000, 56, 5944}
	} else {
		t.Log("the real price rows are not here: only generated ones are tested")
	}
	for file, want := range files {
		data := t.TempDir()
		a := once(t, "--data", data, "--drop", "500000/price_quote="+file).Regions["500000"]["price_quote"]
		if a.Read != want[0] || a.Quarantined[problem.PricesOutOfOrder] != want[1] || len(a.Quarantined) != 1 || a.Published != want[2] ||
			a.Released != want[2] || a.Duplicates != 0 || a.ReceiptsVerified == 0 {
			t.Errorf("%s: %+v", file, a)
		}
		again := once(t, "--data", data, "--drop", "500000/price_quote="+file).Regions["500000"]["price_quote"]
		if again.Read != want[0] || again.Published != 0 || again.Duplicates != want[2] || again.Released != 0 || again.Quarantined[problem.PricesOutOfOrder] != want[1] {
			t.Errorf("%s again: %+v", file, again)
		}
		comparePrices(t, data, file)
	}
}

func fileExists(path string) bool { _, err := os.Stat(path); return err == nil }

// breakOrder writes a sample of which n rows have prices out of order.
func breakOrder(t *testing.T, path string, rows, n int) {
	t.Helper()
	all := writeSample(t, path, "price_quote", sample.Options{Region: "500000", Rows: rows, Seed: 3})
	for i := range n {
		r := all[i*rows/n]
		r[1], r[3] = r[3], r[1]
	}
	var b bytes.Buffer
	b.WriteString("\xef\xbb\xbf")
	w := csv.NewWriter(&b)
	if err := errors.Join(w.Write([]string{"品名", "最低价", "平均价", "最高价", "规格", "单位", "发布日期"}), w.WriteAll(all), os.WriteFile(path, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// running is a hub dev that goes on until it is stopped.
type running struct {
	*exec.Cmd
	lines chan string
	done  chan error
}

// live starts hub dev and waits until it is ready.
func live(t testing.TB, args ...string) *running {
	t.Helper()
	r := &running{Cmd: command(t, append([]string{"dev"}, args...)...), lines: make(chan string, 4096), done: make(chan error, 1)}
	out, err := r.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Stderr = r.Stdout // one stream
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	go func() {
		scan := newLineReader(out)
		for line, ok := scan(); ok; line, ok = scan() {
			all.WriteString(line + "\n")
			select {
			case r.lines <- line:
			default:
			}
		}
		close(r.lines)
		r.done <- r.Wait()
	}()
	t.Cleanup(func() { _ = r.Process.Kill() })
	if _, ok := r.until(t, time.Minute, func(line string) bool { return strings.HasPrefix(line, "ready after") }); !ok {
		t.Fatalf("hub dev did not get ready:\n%s", all.String())
	}
	return r
}

func newLineReader(r io.Reader) func() (string, bool) {
	var rest []byte
	buf := make([]byte, 4096)
	return func() (string, bool) {
		for {
			if line, tail, ok := bytes.Cut(rest, []byte("\n")); ok {
				rest = tail
				return string(line), true
			}
			n, err := r.Read(buf)
			rest = append(rest, buf[:n]...)
			if err != nil && n == 0 {
				return "", false
			}
		}
	}
}

// until waits for a line.
func (r *running) until(t testing.TB, limit time.Duration, want func(line string) bool) (string, bool) {
	t.Helper()
	deadline := time.After(limit)
	for {
		select {
		case line, open := <-r.lines:
			if !open {
				return "", false
			}
			if want(line) {
				return line, true
			}
		case <-deadline:
			return "", false
		}
	}
}

// stop ends it as Ctrl-C does.
func (r *running) stop(t testing.TB) {
	t.Helper()
	if err := r.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for range r.lines {
	}
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it does not end")
	}
}

// pullAll pulls everything of a product as a participant of the data
// directory, from the oldest record.
func pullAll(t testing.TB, data, home, participant, region, product, purpose string) []client.Record {
	t.Helper()
	profile, err := client.LoadProfile(filepath.Join(data, home, "participants", participant, "profile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := profile.Client(region, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all []client.Record
	if err := c.Follow(t.Context(), client.Query{Product: product, Purpose: purpose, Limit: 5000}, 0, 10*time.Second, func(p *client.Page) error {
		all = append(all, p.Records...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// comparePrices computes from the file, without any code of the hub, what a
// consumer must have, and holds what it pulls against that: every row with
// prices in order exactly once, converted to 公斤, the raw values kept.
func comparePrices(t *testing.T, data string, files ...string) {
	t.Helper()
	want := map[string]int{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows[1:] {
			low, average, high := rat(r[1]), rat(r[2]), rat(r[3])
			if low.Cmp(average) > 0 || average.Cmp(high) > 0 {
				continue
			}
			factor := big.NewRat(1, 1)
			if r[5] == "斤" {
				factor.SetInt64(2)
			}
			per := func(x *big.Rat) string { return new(big.Rat).Mul(x, factor).FloatString(4) }
			want[strings.Join([]string{r[0], r[4], r[5], r[6], per(low), per(average), per(high), low.FloatString(4), average.FloatString(4), high.FloatString(4)}, "|")]++
		}
	}
	hub := live(t, "--data", data)
	defer hub.stop(t)
	got := map[string]int{}
	for _, r := range pullAll(t, data, "510000", "sc-commerce", "500000", "price_quote", "price_monitoring") {
		var q struct {
			Name, Spec, Unit, Low, Average, High, RawLow, RawAverage, RawHigh, Date, Normal string
		}
		var m map[string]any
		if err := json.Unmarshal(r.Record, &m); err != nil {
			t.Fatal(err)
		}
		text := func(name string) string { s, _ := m[name].(string); return s }
		q.Normal = text("unit")
		if q.Normal != "kilogram" {
			t.Fatalf("unit %q", q.Normal)
		}
		got[strings.Join([]string{
			text("commodity_name"), text("spec"), text("raw_unit"), text("collect_date"), text("low_price"), text("average_price"), text("high_price"),
			text("raw_low_price"), text("raw_average_price"), text("raw_high_price"),
		}, "|")]++
	}
	missing, doubled, invented := 0, 0, 0
	for row, n := range want {
		switch {
		case got[row] == 0:
			missing++
		case got[row] != n:
			doubled++
		}
	}
	for row := range got {
		if want[row] == 0 {
			invented++
		}
	}
	if missing+doubled+invented > 0 {
		t.Errorf("of %d rows %d are missing, %d took effect another number of times, %d were invented", len(want), missing, doubled, invented)
	}
}

func rat(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic("not a number: " + s)
	}
	return r
}

// The directory is its owner's alone, and so is everything secret in it.
func TestModes(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	once(t, "--data", data, "--rows", "20")
	info, err := os.Stat(data)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v, %v", info.Mode(), err)
	}
	_ = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		info, statErr := d.Info()
		if err != nil || statErr != nil {
			t.Fatal(err, statErr)
		}
		if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 && !strings.HasSuffix(path, ".pem") {
			if !strings.Contains(path, string(filepath.Separator)+"kafka"+string(filepath.Separator)) { // closed by the directory above
				t.Errorf("%s has mode %v", path, info.Mode())
			}
		}
		if strings.HasSuffix(path, "key.pem") && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
}

// A port in use is told and another is taken; nothing is left running.
func TestPortsInUse(t *testing.T) {
	var config net.ListenConfig
	for _, port := range []string{"8450", "8470", "8490"} {
		if l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:"+port); err == nil {
			defer func() { _ = l.Close() }()
		}
	}
	cmd := command(t, "dev", "--once", "--rows", "20")
	printed, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	for _, want := range []string{"port 8450 is in use: the gateway of", "port 8470 is in use: Kafka of"} {
		if !strings.Contains(string(printed), want) {
			t.Errorf("not told: %s\n%s", want, printed)
		}
	}
}

// The road is the same with a signing key that never leaves Vault.
func TestSignedByTransit(t *testing.T) {
	s := once(t, "--rows", "20", "--signer", "transit")
	if a := s.Regions["500000"]["price_quote"]; !s.OK || a.Released == 0 || a.ReceiptsVerified == 0 {
		t.Errorf("%v, %+v", s.Faults, a)
	}
}

// An external server in place of devvault.
func TestExternalVault(t *testing.T) {
	data := t.TempDir()
	hub := live(t, "--data", data, "--rows", "20")
	defer hub.stop(t)
	token, err := os.ReadFile(filepath.Join(data, "vault", "root.token"))
	if err != nil {
		found, _ := filepath.Glob(filepath.Join(data, "vault", "*"))
		t.Fatalf("%v; there is: %v", err, found)
	}
	var address string
	text, err := os.ReadFile(filepath.Join(data, "500000", "connector-price_quote.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "vault:") {
			address = strings.Split(line, `"`)[1]
		}
	}
	cmd := command(t, "dev", "--once", "--json", "--rows", "20")
	cmd.Env = append(os.Environ(), "VAULT_ADDR="+address, "VAULT_TOKEN="+strings.TrimSpace(string(token)))
	out, err := cmd.Output()
	var s summary
	if jsonErr := json.Unmarshal(out, &s); err != nil || jsonErr != nil || !s.OK {
		t.Errorf("%v, %v: %s", err, jsonErr, out)
	}
	bare := command(t, "dev", "--once")
	bare.Env = append(os.Environ(), "VAULT_ADDR="+address, "VAULT_TOKEN=")
	if printed, err := bare.CombinedOutput(); err == nil || !strings.Contains(string(printed), "VAULT_TOKEN") {
		t.Errorf("without a token: %v\n%s", err, printed)
	}
	gap := command(t, "dev", "--once")
	gap.Env = append(os.Environ(), "VAULT_ADDR="+address+",", "VAULT_TOKEN=any")
	if printed, err := gap.CombinedOutput(); err == nil || !strings.Contains(string(printed), "an address is missing") {
		t.Errorf("with a comma and nothing behind it: %v\n%s", err, printed)
	}
}

// A hub that is killed leaves no devvault behind.
func TestKilledHubLeavesNothing(t *testing.T) {
	data := t.TempDir()
	hub := live(t, "--data", data, "--rows", "20")
	if err := hub.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-hub.done; err == nil {
		t.Fatal("it had ended by itself")
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		left := processesWith(data)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still running: %s", left)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// processesWith are the command lines that name a path.
func processesWith(path string) []string {
	var out []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err == nil && bytes.Contains(line, []byte(path)) {
			out = append(out, string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
		}
	}
	return out
}

// A connector of its own process takes the product over: the demo's own is
// fenced and says so, rows go on through the other, and Ctrl-C ends it.
func TestConnectorTakesOver(t *testing.T) {
	data := t.TempDir()
	hub := live(t, "--data", data, "--rows", "20")
	defer hub.stop(t)
	bin := filepath.Join(t.TempDir(), "connector")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../connector").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	config := filepath.Join(data, "500000", "connector-price_quote.yaml")
	if out, err := exec.CommandContext(t.Context(), bin, "check", "-c", config).CombinedOutput(); err != nil {
		t.Errorf("check: %v\n%s", err, out)
	}
	if _, ok := hub.until(t, 20*time.Second, func(line string) bool { return strings.HasPrefix(line, "500000 price_quote read=20") }); !ok {
		t.Fatal("the demo's own connector did not carry its sample")
	}
	cmd := exec.CommandContext(t.Context(), bin, "run", "-c", config)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Whichever of the two is first carries a file whole; the demo's own notices
	// at the first that it takes up while the other is there.
	rows, fenced := int64(20), false
	for n := uint64(0); n < 40 && !fenced; n++ {
		writeSample(t, filepath.Join(data, "500000", "drop", "price_quote", fmt.Sprintf("more-%02d.csv", n)), "price_quote", sample.Options{Region: "500000", Rows: 100, Seed: 9 + n})
		rows += 100
		_, fenced = hub.until(t, 2*time.Second, func(line string) bool { return strings.Contains(line, "connector_fenced") })
	}
	if !fenced {
		t.Error("the demo's own connector does not say that it was fenced")
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		status, err := exec.CommandContext(t.Context(), bin, "status", "--json", "-c", config).Output()
		var p struct {
			Totals struct{ Read, Published int64 }
		}
		if jsonErr := json.Unmarshal(status, &p); err != nil || jsonErr != nil {
			t.Fatalf("status: %v, %v", err, jsonErr)
		}
		if p.Totals.Read == rows {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("read %d rows, want %d", p.Totals.Read, rows)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "committed") {
		t.Errorf("the connector ended with %v\n%s", err, out.String())
	}
}
