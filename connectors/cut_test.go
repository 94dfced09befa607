package connectors_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/internal/record"
)

// scissors stop a connector at one of the requests with which it carries a
// file: before the broker does what it is asked or, with done, after that.
type scissors struct {
	mu   sync.Mutex
	at   int // which request; 0: none
	seen int
	done bool
	stop context.CancelFunc
}

func (s *scissors) attach(c *kfake.Cluster) {
	for _, key := range []kmsg.Key{kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.Produce, kmsg.EndTxn} {
		c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.seen++; s.seen != s.at {
				return nil, nil, false
			}
			s.stop()
			if s.done {
				return nil, nil, false
			}
			return nil, errors.New("connection lost"), true
		})
	}
}

func (s *scissors) set(at int, done bool, stop context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.seen, s.done, s.stop = at, 0, done, stop
}

// Invariant 1 at each of its seams: a connector is stopped at every request
// that it makes on the way of a file. Started again, it carries every row
// exactly once, and counts it once.
func TestCutAtEveryRequest(t *testing.T) {
	t.Parallel()
	const rows = 40 // of each file, in three transactions
	r := newRig(t, "price_quote")
	r.config.ChunkRows = 15
	cut := &scissors{}
	cut.attach(r.cluster)
	all, _ := r.samples(4000, 0)
	lines := bytes.SplitAfter(all, []byte("\n"))
	files, step := 0, 1
	if testing.Short() {
		step = 5 // at some of them; these are all kinds of request
	}
	for _, done := range []bool{false, true} {
		for at, missed := 1, false; !missed; at += step { // until a file needs no such request
			first := 1 + files*rows
			r.put(fmt.Sprintf("%03d.csv", files), bytes.Join(append([][]byte{lines[0]}, lines[first:first+rows]...), nil))
			files++
			r.config.Source = r.source()
			missed = r.cut(cut, at, done, int64(files))
			if missed && at < 10 {
				t.Errorf("only %d requests: these are not three transactions", at-1)
			}
			source := r.source()
			r.config.Source = source
			if err := r.run(func(connectors.Position) bool { return !source.Pending() }); err != nil {
				t.Fatal(err)
			}
			position, err := connectors.ReadPosition(t.Context(), r.kafka, "500000", record.TransactionalID(r.topic(), "cq-test"))
			if err != nil {
				t.Fatal(err)
			}
			if c, want := position.Totals, int64(files*rows); c.Read != want || c.Published != want || c.Duplicates != 0 {
				t.Fatalf("cut at request %d, done: %v; totals: %+v, want %d", at, done, c, want)
			}
		}
	}
	r.once(files * rows)
}

// cut runs a pipeline until it is cut, and leaves all as after a kill; missed
// says that it carried its files without making the request.
func (r *rig) cut(c *scissors, at int, done bool, files int64) (missed bool) {
	r.t.Helper()
	p, err := connectors.NewPipeline(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	c.set(at, done, cancel)
	ended := make(chan error, 1)
	go func() { ended <- connectors.Supervise(ctx, p) }()
	for !missed && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
		r.mu.Lock()
		missed = r.position.Batches >= files && r.position.Complete && ctx.Err() == nil
		r.mu.Unlock()
	}
	cancel()
	if err := <-ended; err != nil {
		r.t.Fatal(err)
	}
	c.set(0, false, nil)
	return missed
}
