package vault

import (
	"sync"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const (
	breakAfter   = 3 // failures in a row
	firstProbe   = 250 * time.Millisecond
	longestProbe = 4 * time.Second // a server that is back is found within this
)

// breaker keeps calls away from a server that does not answer, so that each
// fails at once instead of waiting for its deadline. After breakAfter failures
// in a row it opens; from then on one call at a time is let through as a
// probe, after pauses that double up to longestProbe. One answer closes it.
//
// An answer is whatever the server said on purpose, a refusal included. It is
// safe for concurrent use.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int           // in a row
	pause    time.Duration // before the next probe
	next     time.Time     // when that is
	probing  bool          // one is under way
}

// admit says whether a call may be made now. One that was let through must be
// followed by report.
func (b *breaker) admit() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch now := b.now(); {
	case b.failures < breakAfter:
		return nil
	case b.probing || now.Before(b.next):
		return problem.New(problem.VaultUnavailable, "not asked: %d calls in a row failed; the next attempt is due in %s",
			b.failures, max(b.next.Sub(now), 0).Round(time.Millisecond))
	default:
		b.probing = true
		return nil
	}
}

// outcome is what a call says of the server.
type outcome uint8

const (
	unknown  outcome = iota // the caller went away before the answer
	answered                // it lives
	failed                  // it is sealed, dead, hung or talks nonsense
)

// report takes what came of a call that admit let through.
func (b *breaker) report(o outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	switch o {
	case answered:
		b.failures, b.pause = 0, 0
	case failed:
		b.failures++
		if b.failures >= breakAfter {
			b.pause = min(max(2*b.pause, firstProbe), longestProbe)
			b.next = b.now().Add(jitter(b.pause))
		}
	case unknown:
	}
}
