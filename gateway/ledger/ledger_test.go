package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/chuanyu-exchange/hub/gateway/ledger"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/gateway/signing"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

func open(t *testing.T) *ledger.Ledger {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: cluster.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if err := client.CreateTopics(t.Context(), ledger.Topic("500000", 1)); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), client, "500000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.Background()) })
	return l
}

// An entry is found by its id alone, among others of its time, whatever the
// replicas' clocks say.
func TestFind(t *testing.T) {
	t.Parallel()
	l := open(t)
	base := time.Now().Add(-24 * time.Hour)
	var all sync.WaitGroup
	ids := make([]string, 400)
	if testing.Short() {
		ids = ids[:100]
	}
	for i := range ids {
		all.Go(func() {
			at := base.Add(time.Duration(i) * 3 * time.Second)
			id, err := signing.NewID(at)
			if err != nil {
				t.Error(err)
			}
			ids[i] = id
			if err := l.Append(t.Context(), &receipt.Entry{ID: id, Kind: receipt.Release, At: at, Receipt: fmt.Sprint("receipt ", i)}); err != nil {
				t.Error(err)
			}
		})
		if i%20 == 19 {
			all.Wait() // those of one group arrive in any order
		}
	}
	all.Wait()
	for i, id := range ids {
		e, err := l.Find(t.Context(), id)
		if err != nil || e.Receipt != fmt.Sprint("receipt ", i) {
			t.Fatalf("entry %d: %+v, %v", i, e, err)
		}
	}
	other, err := signing.NewID(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{other, "", "x", "00000000-0000-0000-0000-000000000000"} {
		if _, err := l.Find(t.Context(), id); problem.CodeOf(err) != problem.ReceiptUnknown {
			t.Errorf("%q: %v", id, err)
		}
	}
	n := 0
	if err := l.Scan(t.Context(), func(int64, *receipt.Entry) error { n++; return nil }); err != nil || n != len(ids) {
		t.Errorf("%d entries, %v", n, err)
	}
}

// book keeps entries, or fails.
type book struct {
	entries []receipt.Entry
	err     error
	after   int // entries that are taken before it fails
}

func (b *book) Append(_ context.Context, e *receipt.Entry) error {
	if b.err != nil && len(b.entries) >= b.after {
		return b.err
	}
	b.entries = append(b.entries, *e)
	return nil
}

func total(entries []receipt.Entry) (n int64) {
	for _, e := range entries {
		n += e.Count
	}
	return n
}

func TestFailuresAreCounted(t *testing.T) {
	t.Parallel()
	b := &book{}
	f := ledger.NewFailures(b, "500000", signing.NewID)
	now := time.Date(2026, 1, 1, 10, 0, 30, 0, time.UTC)
	for range 5 {
		f.Note("", "10.0.0.1", problem.TokenExpired, now)
	}
	f.Note("", "10.0.0.1", problem.TokenForged, now)
	f.Note("", "10.0.0.2", problem.TokenExpired, now)
	f.Note("sc-amr", "10.0.0.3", problem.RateLimited, now)
	f.Note("sc-amr", "10.0.0.4", problem.RateLimited, now)
	if err := f.Flush(t.Context(), now); err != nil || len(b.entries) != 0 {
		t.Errorf("the minute is not over: %v, %v", b.entries, err)
	}
	f.Note("", "10.0.0.1", problem.TokenExpired, now.Add(time.Minute))
	if err := f.Flush(t.Context(), now.Add(time.Minute)); err != nil || len(b.entries) != 4 || total(b.entries) != 9 {
		t.Errorf("one minute: %+v, %v", b.entries, err)
	}
	for _, e := range b.entries {
		if e.Consumer == "sc-amr" && (e.Kind != receipt.Refusal || e.Count != 2 || e.Address != "") || e.Consumer == "" && e.Kind != receipt.AuthFailures {
			t.Errorf("entry: %+v", e)
		}
	}
	if err := f.Flush(t.Context(), time.Time{}); err != nil || total(b.entries) != 10 {
		t.Errorf("at the end: %+v, %v", b.entries, err)
	}
}

// A flood of addresses costs a bounded number of entries, and no count is lost
// when the ledger fails half-way.
func TestFailuresAreBoundedAndKept(t *testing.T) {
	t.Parallel()
	b := &book{err: errors.New("down"), after: 100}
	f := ledger.NewFailures(b, "500000", signing.NewID)
	now := time.Now()
	for i := range 20_000 {
		f.Note("", fmt.Sprint("10.0.", i), problem.CertificateMissing, now)
	}
	if err := f.Flush(t.Context(), time.Time{}); err == nil {
		t.Fatal("the ledger is down and Flush says nothing")
	}
	b.err = nil
	if err := f.Flush(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if len(b.entries) > 5000 || total(b.entries) != 20_000 {
		t.Errorf("%d entries for %d failures", len(b.entries), total(b.entries))
	}
}
