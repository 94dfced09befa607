package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Kind is a kind of file source under test.
type Kind struct {
	Extension string // ".csv"
	// Open opens a source of this kind for the columns.
	Open func(c dropdir.Config, columns []string) (connectors.Source, error)
	// Encode writes rows under the columns as a file of this kind, in UTF-8.
	Encode func(columns []string, rows [][]string) []byte
	// Binary says that the kind has an encoding of its own.
	Binary bool
	// Hostile are files of this kind that must not be carried whole.
	Hostile []Hostile
	// Endless writes a file whose second row never ends, up to size bytes.
	Endless func(w io.Writer, size int) error
}

var columns = []string{"品名", "最低价", "备注"}

var rows = [][]string{
	{"红香酥梨", "1.50", ""},
	{"库尔勒香梨", "2.70", `含"引号"，和逗号,`},
	{"晚秋黄梨", "1.30", "第一行\n第二行"},
}

// Run runs the suite.
func Run(t *testing.T, k Kind) {
	t.Run("rows", k.rows)
	t.Run("order of columns", k.columnOrder)
	t.Run("encodings", k.encodings)
	t.Run("half-written files wait", k.halfWritten)
	t.Run("ids", k.ids)
	t.Run("ack", k.ack)
	t.Run("refused files", k.refused)
	t.Run("a file that changes or vanishes", k.unstable)
	t.Run("endless row", k.endless)
	t.Run("hostile files", k.hostile)
	t.Run("unreadable directory", k.unreadable)
}

// bench is a source on a directory of its own.
type bench struct {
	t      *testing.T
	dir    string
	kind   Kind
	source connectors.Source
}

func (k Kind) bench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: filepath.Join(t.TempDir(), "drop"), kind: k}
	b.reopen(columns)
	return b
}

func (b *bench) reopen(columns []string) {
	b.t.Helper()
	source, err := b.kind.Open(dropdir.Config{Dir: b.dir, Settle: 30 * time.Millisecond, Poll: 5 * time.Millisecond, Now: time.Now}, columns)
	if err != nil {
		b.t.Fatal(err)
	}
	b.source = source
}

func (b *bench) write(name string, content []byte) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func (b *bench) drop(name string) string {
	return b.write(name+b.kind.Extension, b.kind.Encode(columns, rows))
}

func (b *bench) next() (*source.Batch, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Second)
	defer cancel()
	return b.source.Next(ctx)
}

func (b *bench) take() *source.Batch {
	b.t.Helper()
	batch, err := b.next()
	if err != nil {
		b.t.Fatal(err)
	}
	return batch
}

// read returns all rows of a batch.
func (b *bench) read(batch *source.Batch) [][]string {
	b.t.Helper()
	var got [][]string
	for {
		row, err := batch.Rows.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil || row.Fault != nil {
			b.t.Fatalf("row %d: %v, %v", row.Number, err, row.Fault)
		}
		if row.Number != int64(len(got)+1) {
			b.t.Errorf("row %d has the number %d", len(got)+1, row.Number)
		}
		if len(batch.Rows.Raw()) == 0 {
			b.t.Errorf("row %d has no raw text", row.Number)
		}
		got = append(got, slices.Clone(row.Cells))
	}
}

func (b *bench) exists(parts ...string) bool {
	_, err := os.Stat(filepath.Join(append([]string{b.dir}, parts...)...))
	return err == nil
}

func same(a, b [][]string) bool { return slices.EqualFunc(a, b, slices.Equal) }

func (k Kind) rows(t *testing.T) {
	b := k.bench(t)
	b.drop("a")
	if got := b.read(b.take()); !same(got, rows) {
		t.Errorf("got %q", got)
	}
}

func (k Kind) columnOrder(t *testing.T) {
	b := k.bench(t)
	b.reopen([]string{"备注", "品名"})
	b.drop("a")
	got := b.read(b.take())
	if len(got) != 3 || !slices.Equal(got[1], []string{rows[1][2], rows[1][0]}) {
		t.Errorf("got %q", got)
	}
}

func (k Kind) encodings(t *testing.T) {
	if k.Binary {
		t.Skip("it has an encoding of its own")
	}
	text := k.Encode(columns, rows)
	gb, err := simplifiedchinese.GB18030.NewEncoder().Bytes(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"utf-8": text, "bom": append([]byte("\xef\xbb\xbf"), text...), "gb18030": gb} {
		b := k.bench(t)
		b.write("a"+k.Extension, content)
		if got := b.read(b.take()); !same(got, rows) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// halfWritten: names that are not final are passed over, a file is taken only
// once it has settled, and one that was renamed into place is.
func (k Kind) halfWritten(t *testing.T) {
	b := k.bench(t)
	whole := k.Encode(columns, rows)
	b.write(".hidden"+k.Extension, whole)
	part := b.write("b"+k.Extension+".part", whole)
	growing := b.write("a"+k.Extension, whole[:len(whole)/2])
	time.AfterFunc(15*time.Millisecond, func() { _ = os.WriteFile(growing, whole, 0o600) })
	batch := b.take()
	if got := b.read(batch); batch.Name != "a"+k.Extension || !same(got, rows) {
		t.Fatalf("%s: %q", batch.Name, got)
	}
	if err := b.source.Ack(batch, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(part, filepath.Join(b.dir, "b"+k.Extension)); err != nil {
		t.Fatal(err)
	}
	if batch := b.take(); batch.Name != "b"+k.Extension {
		t.Errorf("got %s", batch.Name)
	}
}

// ids: the same file has the same id after a restart, and another one another.
func (k Kind) ids(t *testing.T) {
	b := k.bench(t)
	path := b.drop("a")
	first := b.take().ID
	b.reopen(columns)
	if again := b.take().ID; again != first {
		t.Errorf("the id changed from %s to %s", first, again)
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.reopen(columns)
	if other := b.take().ID; other == first {
		t.Error("a file that was written again has the same id")
	}
}

func (k Kind) ack(t *testing.T) {
	b := k.bench(t)
	for range 2 { // the second of the same name must not overwrite the first
		b.drop("a")
		batch := b.take()
		b.read(batch)
		if err := b.source.Verify(batch); err != nil {
			t.Fatal(err)
		}
		if err := b.source.Ack(batch, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	done, err := os.ReadDir(filepath.Join(b.dir, "done"))
	if err != nil || len(done) != 2 || b.exists("a"+k.Extension) {
		t.Errorf("done holds %v, %v", done, err)
	}
	b.drop("b")
	if err := b.source.Ack(b.take(), problem.New(problem.FileTruncated, "line 3")); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(b.dir, "rejected", "b"+k.Extension+".reason.json"))
	var reason dropdir.Reason
	if err != nil || json.Unmarshal(raw, &reason) != nil || reason.Code != problem.FileTruncated || reason.ZH == "" || reason.Detail != "line 3" {
		t.Errorf("reason: %+v, %v", reason, err)
	}
	if !b.exists("rejected", "b"+k.Extension) {
		t.Error("the rejected file is not kept")
	}
}

// refused: a file that cannot be read as a whole is put aside with its reason,
// and the next one is taken.
func (k Kind) refused(t *testing.T) {
	b := k.bench(t)
	for name, want := range map[string]problem.Code{"": problem.FileEmpty, "\n \n": problem.FileEmpty, "\xef\xbb\xbf": problem.FileEmpty} {
		b.write("a"+k.Extension, []byte(name))
		_, err := b.next()
		if problem.CodeOf(err) != want || b.exists("a"+k.Extension) || !b.exists("rejected", "a"+k.Extension) {
			t.Errorf("%q: %v", name, err)
		}
		_ = os.RemoveAll(filepath.Join(b.dir, "rejected"))
	}
	b.drop("b")
	if got := b.read(b.take()); !same(got, rows) {
		t.Errorf("the next file: %q", got)
	}
}

func (k Kind) unstable(t *testing.T) {
	b := k.bench(t)
	path := b.drop("a")
	batch := b.take()
	if err := os.WriteFile(path, append(k.Encode(columns, rows), ' '), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.source.Verify(batch); problem.CodeOf(err) != problem.FileTruncated {
		t.Errorf("a file that was written to: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := b.source.Verify(batch); problem.CodeOf(err) != problem.FileVanished {
		t.Errorf("a file that vanished: %v", err)
	}
	if err := b.source.Ack(batch, problem.New(problem.FileVanished, "")); err != nil {
		t.Errorf("letting go of a file that vanished: %v", err)
	}
	b.drop("b")
	if batch := b.take(); batch.Name != "b"+k.Extension {
		t.Errorf("then came %s", batch.Name)
	}
}

// endless: a row that never ends is a fault of the file, and memory stays
// small.
func (k Kind) endless(t *testing.T) {
	b := k.bench(t)
	tmp := filepath.Join(b.dir, ".a")
	file, err := os.Create(tmp)
	if err != nil {
		t.Fatal(err)
	}
	size := 64 << 20
	if testing.Short() {
		size = 40 << 20
	}
	if err := errors.Join(k.Endless(file, size), file.Close(), os.Rename(tmp, filepath.Join(b.dir, "a"+k.Extension))); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	batch := b.take()
	for err == nil {
		_, err = batch.Rows.Next()
	}
	runtime.ReadMemStats(&after)
	if problem.CodeOf(err) != problem.RowTooLong {
		t.Errorf("got %v", err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(size)/2 {
		t.Errorf("%d MiB were allocated for a file of %d MiB", grown>>20, size>>20)
	}
}

func (k Kind) unreadable(t *testing.T) {
	b := k.bench(t)
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := b.next(); problem.CodeOf(err) != problem.DirectoryUnreadable {
		t.Errorf("a directory that is gone: %v", err)
	}
	if err := os.WriteFile(b.dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.next(); problem.CodeOf(err) != problem.DirectoryUnreadable {
		t.Errorf("a file in place of the directory: %v", err)
	}
	if err := errors.Join(os.Remove(b.dir), os.Mkdir(b.dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	b.drop("a")
	if got := b.read(b.take()); !same(got, rows) {
		t.Errorf("after it came back: %q", got)
	}
	if _, err := k.Open(dropdir.Config{Now: time.Now}, columns); problem.CodeOf(err) != problem.ConfigInvalid {
		t.Errorf("no directory: %v", err)
	}
	if _, err := k.Open(dropdir.Config{Dir: b.dir}, columns); problem.CodeOf(err) != problem.ConfigInvalid {
		t.Errorf("no clock: %v", err)
	}
}
