package vault

import (
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// step is what happens to a breaker at a time: a call that is let through and
// comes to an outcome, or one that is kept away.
func TestBreaker(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	type call struct {
		after   time.Duration // since the last one
		kept    bool
		outcome outcome
	}
	for _, c := range []struct {
		title string
		calls []call
	}{
		{"two failures are no outage", []call{{0, false, failed}, {0, false, failed}, {0, false, answered}, {0, false, failed}, {0, false, failed}, {0, false, answered}}},
		{"the third opens it", []call{{0, false, failed}, {0, false, failed}, {0, false, failed}, {0, true, 0}, {100 * time.Millisecond, true, 0}}},
		{"a probe that is answered closes it", []call{
			{0, false, failed}, {0, false, failed}, {0, false, failed}, {time.Second, false, answered}, {0, false, failed}, {0, false, failed}, {0, false, answered},
		}},
		{"a probe that fails waits longer", []call{
			{0, false, failed}, {0, false, failed}, {0, false, failed}, {350 * time.Millisecond, false, failed}, {350 * time.Millisecond, true, 0}, {350 * time.Millisecond, false, failed},
		}},
		{"a probe whose caller went away leaves it to the next", []call{
			{0, false, failed}, {0, false, failed}, {0, false, failed}, {time.Second, false, unknown}, {0, false, answered}, {0, false, answered},
		}},
		{"callers who go away are no outage", []call{{0, false, unknown}, {0, false, unknown}, {0, false, unknown}, {0, false, unknown}}},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			now := start
			b := &breaker{now: func() time.Time { return now }}
			for i, call := range c.calls {
				now = now.Add(call.after)
				err := b.admit()
				if (err != nil) != call.kept || err != nil && problem.CodeOf(err) != problem.VaultUnavailable {
					t.Fatalf("call %d: %v", i, err)
				}
				if !call.kept {
					b.report(call.outcome)
				}
			}
		})
	}
}

func TestBreakerPausesAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	b := &breaker{now: func() time.Time { return now }}
	for range 50 {
		now = now.Add(2 * longestProbe)
		if err := b.admit(); err != nil {
			t.Fatal(err)
		}
		b.report(failed)
	}
	if now = now.Add(longestProbe * 6 / 5); b.admit() != nil {
		t.Error("a server that is back is not found")
	}
}

// Of many callers one probes; the others fail at once.
func TestBreakerLetsOneProbeThrough(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := &breaker{now: func() time.Time { return now }}
	for range breakAfter {
		b.report(failed)
	}
	now = now.Add(time.Minute)
	var through atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if b.admit() == nil {
				through.Add(1)
			}
		})
	}
	all.Wait()
	if through.Load() != 1 {
		t.Errorf("%d probes", through.Load())
	}
}

func TestHungServerIsNotAskedByEachCaller(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	c := f.open(t, func(cfg *Config) { cfg.Timeout = 200 * time.Millisecond })
	f.on(decryptCall, hang)
	for range 50 {
		if _, err := unwrap(t.Context(), c); err == nil || problem.CodeOf(err) != problem.VaultUnavailable {
			t.Fatal(err)
		}
	}
	if n := f.count(decryptCall); n > breakAfter+2 {
		t.Errorf("asked %d times", n)
	}
	// A refusal is an answer: it keeps nobody away.
	f.on(decryptCall, answer(403, ""))
	deadline := time.Now().Add(20 * time.Second)
	for _, err := unwrap(t.Context(), c); !errors.Is(err, ErrDenied); _, err = unwrap(t.Context(), c) {
		if time.Now().After(deadline) {
			t.Fatalf("not found again: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	for range 10 {
		if _, err := unwrap(t.Context(), c); !errors.Is(err, ErrDenied) {
			t.Fatal(err)
		}
	}
}

// A sealed node is left for the next one, in the same call; a refusal is not.
func TestOtherNodesAreAsked(t *testing.T) {
	t.Parallel()
	first, second := newFakeServer(t), newFakeServer(t)
	c := first.open(t, func(cfg *Config) { cfg.Standby = []string{second.URL} })
	first.on(decryptCall, answer(403, ""))
	if _, err := unwrap(t.Context(), c); !errors.Is(err, ErrDenied) || second.count(decryptCall) != 0 {
		t.Errorf("a refusal went on to the other node: %v", err)
	}
	for _, h := range []http.HandlerFunc{answer(503, errorBody("Vault is sealed")), answer(473, ""), answer(500, errorBody("no active node"))} {
		first.on(decryptCall, h)
		second.on(decryptCall, answer(400, errorBody("no such key")))
		if _, err := unwrap(t.Context(), c); !errors.Is(err, ErrNotFound) {
			t.Errorf("the other node was not asked: %v", err)
		}
		if err := c.api.SetAddress(first.URL); err != nil {
			t.Fatal(err)
		}
	}
	first.Close()
	if _, err := unwrap(t.Context(), c); !errors.Is(err, ErrNotFound) {
		t.Errorf("dead, and the other node was not asked: %v", err)
	}
	if c.api.Address() != second.URL {
		t.Error("later calls begin at the dead node")
	}
	second.on(decryptCall, answer(503, ""))
	if _, err := unwrap(t.Context(), c); err == nil || problem.CodeOf(err) != problem.VaultUnavailable {
		t.Errorf("no node left: %v", err)
	}
}
