package connectortest

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Hostile is a file that was cut, damaged or made to do harm.
type Hostile struct {
	Title   string
	Content func() []byte
	Want    problem.Code // why it is put aside
	Says    string       // in the detail, for whoever must find the place
	Rows    int          // that stand all the same
	Slow    bool         // to make or to read under the race detector: not with -short
}

// hostile: such a file costs little memory and is put aside for what it is; the
// rows before the harm stand, and the next file is carried.
func (k Kind) hostile(t *testing.T) {
	if len(k.Hostile) == 0 {
		t.Skip("none are known of this kind")
	}
	for _, h := range k.Hostile {
		if h.Slow && testing.Short() {
			continue
		}
		t.Run(h.Title, func(t *testing.T) {
			b := k.bench(t)
			b.write("a"+k.Extension, h.Content())
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := b.drain()
			runtime.ReadMemStats(&after)
			if problem.CodeOf(err) != h.Want || !strings.Contains(err.Error(), h.Says) || got != h.Rows {
				t.Errorf("%d rows, %v; want %d, %s saying %q", got, err, h.Rows, h.Want, h.Says)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
				t.Errorf("%d MiB were allocated", grown>>20)
			}
			if !b.exists("rejected", "a"+k.Extension) {
				t.Error("the file was not put aside")
			}
			b.drop("b")
			if got := b.read(b.take()); !same(got, rows) {
				t.Errorf("the next file: %q", got)
			}
		})
	}
}

// drain carries one file as a pipeline does: how many rows stand, and why no
// more do.
func (b *bench) drain() (int, error) {
	batch, err := b.next()
	for n := 0; ; n++ {
		if err != nil {
			return n, err
		}
		if _, err = batch.Rows.Next(); errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			fault := problem.From(err)
			return n, errors.Join(err, batch.Rows.Close(), b.source.Ack(batch, fault))
		}
	}
}
