package replaytest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/replay"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Run holds a store to what replay.Store says. open returns an empty store and
// what moves its clock on.
func Run(t *testing.T, open func(t *testing.T) (store replay.Store, pass func(time.Duration))) {
	t.Helper()
	t.Run("once", func(t *testing.T) {
		s, _ := open(t)
		first(t, s, "a", time.Minute, true)
		first(t, s, "a", time.Minute, false)
		first(t, s, "b", time.Minute, true)
		first(t, s, "a", time.Minute, false)
	})
	t.Run("until it ends", func(t *testing.T) {
		s, pass := open(t)
		first(t, s, "short", 10*time.Second, true)
		first(t, s, "long", 10*time.Minute, true)
		pass(9 * time.Second)
		first(t, s, "short", 10*time.Second, false) // not kept longer by being tried again
		pass(2 * time.Second)
		first(t, s, "short", time.Minute, true)
		first(t, s, "long", time.Minute, false)
		pass(30 * time.Second)
		first(t, s, "short", time.Minute, false)
	})
	t.Run("one of many at once", func(t *testing.T) {
		s, _ := open(t)
		for round := range 20 {
			oneOfMany(t, s, fmt.Sprint("race ", round))
		}
	})
	t.Run("what cannot be remembered", func(t *testing.T) {
		s, _ := open(t)
		refused(t.Context(), t, s, "", time.Minute)
		refused(t.Context(), t, s, strings.Repeat("x", replay.MaxKey+1), time.Minute)
		refused(t.Context(), t, s, "k", 0)
		refused(t.Context(), t, s, "k", replay.MaxKeep+time.Second)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		refused(ended, t, s, "k", time.Minute)
		first(t, s, "k", time.Minute, true) // nothing of that was remembered
		first(t, s, strings.Repeat("x", replay.MaxKey), replay.MaxKeep, true)
	})
}

func first(t *testing.T, s replay.Store, key string, keep time.Duration, want bool) {
	t.Helper()
	if got, err := s.First(t.Context(), key, keep); err != nil || got != want {
		t.Errorf("%.20s: %v, %v; want %v", key, got, err, want)
	}
}

func refused(ctx context.Context, t *testing.T, s replay.Store, key string, keep time.Duration) {
	t.Helper()
	if got, err := s.First(ctx, key, keep); got || problem.CodeOf(err) != problem.ReplayUnavailable {
		t.Errorf("%.20s for %s: %v, %v", key, keep, got, err)
	}
}

func oneOfMany(t *testing.T, s replay.Store, key string) {
	t.Helper()
	var all sync.WaitGroup
	var taken atomic.Int32
	for range 8 {
		all.Go(func() {
			got, err := s.First(t.Context(), key, time.Minute)
			if err != nil {
				t.Error(err)
			}
			if got {
				taken.Add(1)
			}
		})
	}
	all.Wait()
	if taken.Load() != 1 {
		t.Errorf("%s was used %d times", key, taken.Load())
	}
}
