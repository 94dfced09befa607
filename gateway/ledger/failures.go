package ledger

import (
	"context"
	"sync"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Appender is where counted failures go: a Ledger.
type Appender interface {
	Append(ctx context.Context, e *receipt.Entry) error
}

// maxFailures bounds how many addresses and reasons are counted apart within a
// minute; what comes beyond is counted under the address "other".
const maxFailures = 4096

// otherAddress stands for the addresses beyond maxFailures.
const otherAddress = "other"

// Failures counts refusals that must not fill the ledger one by one: of callers
// who could not be identified, by address, and of callers who were turned away
// by rate, by consumer; each by reason and minute, and one entry for each.
type Failures struct {
	ledger Appender
	region string
	newID  func(time.Time) (string, error)

	mu     sync.Mutex
	counts map[failure]int64
}

type failure struct {
	consumer string // "" if unknown; then address says who
	address  string
	code     problem.Code
	minute   time.Time
}

// NewFailures returns an empty count.
func NewFailures(l Appender, region string, newID func(time.Time) (string, error)) *Failures {
	return &Failures{ledger: l, region: region, newID: newID, counts: map[failure]int64{}}
}

// Note counts one refusal, of a consumer or, if that is "", of an address. It
// never waits.
func (a *Failures) Note(consumer, address string, code problem.Code, now time.Time) {
	f := failure{consumer: consumer, code: code, minute: now.UTC().Truncate(time.Minute)}
	if consumer == "" {
		f.address = address
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.counts[f]; !known && len(a.counts) >= maxFailures {
		f.consumer, f.address = "", otherAddress
	}
	a.counts[f]++
}

// Flush writes the counts of the minutes before now, or all of them if now is
// zero. What cannot be written stays counted.
func (a *Failures) Flush(ctx context.Context, now time.Time) error {
	due := a.take(now)
	for f, n := range due {
		if err := a.write(ctx, f, n); err != nil {
			a.putBack(due)
			return err
		}
		delete(due, f)
	}
	return nil
}

func (a *Failures) putBack(counts map[failure]int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for f, n := range counts {
		a.counts[f] += n
	}
}

func (a *Failures) take(now time.Time) map[failure]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := map[failure]int64{}
	for f, n := range a.counts {
		if now.IsZero() || f.minute.Before(now.UTC().Truncate(time.Minute)) {
			due[f] = n
			delete(a.counts, f)
		}
	}
	return due
}

func (a *Failures) write(ctx context.Context, f failure, n int64) error {
	id, err := a.newID(f.minute)
	if err != nil {
		return err
	}
	kind := receipt.AuthFailures
	if f.consumer != "" {
		kind = receipt.Refusal
	}
	return a.ledger.Append(ctx, &receipt.Entry{
		ID: id, Kind: kind, Region: a.region, At: f.minute, Consumer: f.consumer, Address: f.address, Code: f.code, Count: n,
	})
}
