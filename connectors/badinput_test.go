package connectors_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/csvfile"
	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/jsonfile"
	"github.com/chuanyu-exchange/hub/connectors/xlsxfile"
	"github.com/chuanyu-exchange/hub/connectors/xmlfile"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

const priceHeader = "品名,最低价,平均价,最高价,规格,单位,发布日期\n"

const goodRow = "梨,1.00,1.50,2.00,普通,斤,2026-01-02\n"

// badInput is one thing that an integrator may drop by mistake, and what it
// must be told.
type badInput struct {
	title   string
	file    string // extension
	content func() []byte
	drop    func(r *rig) // instead of content

	refused     problem.Code // of the file as a whole
	quarantined problem.Code // of one row
	says        []string     // in the answer: where, and what to compare
	published   int64        // rows that stand all the same
}

func text(s string) func() []byte { return func() []byte { return []byte(s) } }

func badInputs() []badInput {
	return []badInput{
		{title: "an empty file", file: ".csv", content: text(""), refused: problem.FileEmpty, says: []string{"a.csv"}},
		{title: "a file in another encoding", file: ".csv", content: text("\xc6\xb7\xc3\xfb,\xd7\xee\xb5\xcd\xbc\xdb\n"), refused: problem.FileEncoding, says: []string{"a.csv", "utf-8", "gb18030"}},
		{title: "a missing column", file: ".csv", content: text("品名,最低价,最高价,规格,单位,发布日期\n"), refused: problem.ColumnMissing, says: []string{"a.csv", "missing: 平均价", "最高价"}},
		{title: "an endless line", file: ".csv", content: func() []byte {
			return append([]byte(priceHeader+goodRow), bytes.Repeat([]byte("x"), 40<<20)...)
		}, refused: problem.RowTooLong, says: []string{"a.csv", "row 2"}, published: 1},
		{title: "a wrong type", file: ".csv", content: text(priceHeader + goodRow + "桃,一元,1.50,2.00,普通,斤,2026-01-02\n"), quarantined: problem.NumberUnreadable, says: []string{"a.csv", "row 2", "line 3", "low_price", "最低价"}, published: 1},
		{title: "an unknown code", file: ".csv", content: text(priceHeader + goodRow + "桃,1.00,1.50,2.00,普通,担,2026-01-02\n"), quarantined: problem.UnitUnknown, says: []string{"row 2", "line 3", "low_price", "最低价"}, published: 1},
		{title: "a date in the future", file: ".csv", content: text(priceHeader + goodRow + "桃,1.00,1.50,2.00,普通,斤,2126-01-02\n"), quarantined: problem.DateInFuture, says: []string{"row 2", "line 3", "collect_date"}, published: 1},
		{title: "JSON that breaks off", file: ".json", content: text(`[{"品名":"梨","最低价":1,"平均价":1.5,"最高价":2,"单位":"斤","发布日期":"2026-01-02"},{"品名":"桃","最低`), refused: problem.FileTruncated, says: []string{"a.json", "item 1"}, published: 1},
		{title: "XML with entities", file: ".xml", content: text("<!DOCTYPE l [<!ENTITY a \"x\">]>\n<l><r><品名>&a;</品名></r></l>"), refused: problem.FileMalformed, says: []string{"a.xml", "line 1", "document type declaration"}},
		{title: "CSV named as a workbook", file: ".xlsx", content: text(priceHeader + goodRow), refused: problem.FileMalformed, says: []string{"a.xlsx", "no workbook"}},
		{title: "a file that vanishes while it is read", drop: func(r *rig) {
			file, _ := r.samples(2000, 0)
			r.put("a.csv", file)
			progress := r.config.Progress
			var once atomic.Bool
			r.config.Progress = func(p connectors.Position) {
				progress(p)
				if !once.Swap(true) {
					_ = os.Remove(filepath.Join(r.drop, "a.csv"))
				}
			}
		}, refused: problem.FileVanished, says: []string{"a.csv"}, published: 200},
		{title: "a directory that cannot be read", drop: func(r *rig) {
			_ = os.RemoveAll(r.drop)
			_ = os.WriteFile(r.drop, nil, 0o600)
		}, refused: problem.DirectoryUnreadable, says: []string{"drop", "not a directory"}},
	}
}

// Ten kinds of bad input and more, each with the answer that an integrator needs: the
// code, both languages, where it is and what to do; what was good stands, the
// connector goes on, and memory stays small.
func TestBadInputs(t *testing.T) {
	for _, c := range badInputs() {
		t.Run(c.title, func(t *testing.T) {
			r := newRig(t, "price_quote")
			r.useSource(c.file)
			if c.drop != nil {
				c.drop(r)
			} else {
				r.put("a"+c.file, c.content())
			}
			peak := watchHeap(t)
			_ = r.run(func(p connectors.Position) bool {
				return len(r.refused) > 0 || c.refused == "" && p.Complete
			})
			if grown := peak(); grown > 48<<20 {
				t.Errorf("the heap grew by %d MiB", grown>>20)
			}
			answer := r.answer(t, &c)
			e := max(c.refused, c.quarantined).Entry()
			for _, want := range append(c.says, string(e.Code), e.EN, e.ZH, e.FixEN, e.FixZH) {
				if !strings.Contains(answer, want) {
					t.Errorf("not told: %q in\n%s", want, answer)
				}
			}
			if got := r.position.Totals.Published; got != c.published {
				t.Errorf("%d rows stand, want %d", got, c.published)
			}
		})
	}
}

// useSource opens the kind of source of an extension, declared as UTF-8.
func (r *rig) useSource(extension string) {
	r.t.Helper()
	c := dropdir.Config{Dir: r.drop, Settle: time.Millisecond, Poll: 5 * time.Millisecond, Now: time.Now}
	var err error
	columns := r.config.Mapping.Columns()
	switch extension {
	case ".json":
		r.config.Source, err = jsonfile.Config{Config: c, Encoding: dropdir.UTF8}.Open(columns)
	case ".xml":
		r.config.Source, err = xmlfile.Config{Config: c, Row: "/l/r"}.Open(columns)
	case ".xlsx":
		r.config.Source, err = xlsxfile.Config{Config: c}.Open(columns)
	default:
		r.config.Source, err = csvfile.Config{Config: c, Encoding: dropdir.UTF8}.Open(columns)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// answer is what the integrator reads of the refused file or quarantined row.
func (r *rig) answer(t *testing.T, c *badInput) string {
	t.Helper()
	if c.refused != "" {
		if len(r.refused) == 0 || r.refused[0].Code != c.refused {
			t.Fatalf("refused: %v", r.refused)
		}
		return r.refused[0].Terminal()
	}
	entries, err := connectors.ReadQuarantine(r.config.QuarantineDir, "price_quote")
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	var b strings.Builder
	for _, f := range entries[0].Faults {
		e := f.Code.Entry()
		fmt.Fprintf(&b, "%s row %d line %d %s %s %s %s %s %s %s %s\n", entries[0].File, entries[0].Row, entries[0].Line, f.Field, f.Column, f.Code, e.EN, e.ZH, f.Detail, e.FixEN, e.FixZH)
	}
	return b.String()
}

// watchHeap samples the heap until its result is asked for: how much it grew
// at the most.
func watchHeap(t *testing.T) func() uint64 {
	t.Helper()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	runtime.GC()
	before := heap()
	var most atomic.Uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			most.Store(max(most.Load(), heap()))
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-done
		return max(most.Load(), before) - before
	}
}
