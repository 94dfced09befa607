package quotatest

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Run holds a store to the contract of quota.Store. newStore makes an empty
// one for each part of the suite; the parts run in parallel.
func Run(t *testing.T, newStore func(t *testing.T) (quota.Store, Clock)) {
	t.Helper()
	for _, part := range []struct {
		name string
		run  func(s *suite)
	}{
		{"burst, then refusal", burstThenRefusal},
		{"patience is rewarded", patience},
		{"what can never be is refused for ever", never},
		{"unlimited counts nothing", unlimited},
		{"take gives what is left", take},
		{"refund gives back, up to a full bucket", refund},
		{"keys are apart", keysApart},
		{"keys out of bounds", keysOutOfBounds},
		{"at the same time", concurrent},
		{"a request that has ended", ended},
		{"a lowered limit does not shut out", lowered},
		{"never more than burst and rate", bounded},
		{"as the pure functions", likeThePure},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			store, clock := newStore(t)
			part.run(&suite{T: t, store: store, clock: clock})
		})
	}
}

// slow gives a unit back only after longer than any test runs.
func slow(burst int64) quota.Limit {
	return quota.Limit{Rate: 1, Period: time.Hour, Burst: burst}
}

// quick gives a unit back soon enough to wait for it.
func quick(burst int64) quota.Limit {
	return quota.Limit{Rate: 5, Period: time.Second, Burst: burst}
}

type suite struct {
	*testing.T
	store quota.Store
	clock Clock
}

func (s *suite) spend(key string, limit quota.Limit, n int64) quota.Decision {
	s.Helper()
	d, err := s.store.Spend(s.Context(), key, limit, n)
	if err != nil {
		s.Fatalf("spend %d of %q: %v", n, key, err)
	}
	return s.sane(d)
}

func (s *suite) take(key string, limit quota.Limit, most int64) quota.Decision {
	s.Helper()
	d, err := s.store.Take(s.Context(), key, limit, most)
	if err != nil {
		s.Fatalf("take %d of %q: %v", most, key, err)
	}
	return s.sane(d)
}

func (s *suite) refund(key string, limit quota.Limit, n int64) {
	s.Helper()
	if err := s.store.Refund(s.Context(), key, limit, n); err != nil {
		s.Fatalf("refund %d of %q: %v", n, key, err)
	}
}

// sane checks what holds of every decision.
func (s *suite) sane(d quota.Decision) quota.Decision {
	s.Helper()
	switch {
	case d.Allowed != (d.Granted > 0),
		d.Allowed && (d.Never || d.RetryAfter != 0),
		!d.Allowed && d.Never && d.RetryAfter != 0,
		!d.Allowed && !d.Never && d.RetryAfter <= 0,
		d.Remaining < 0:
		s.Fatalf("a decision that contradicts itself: %+v", d)
	}
	return d
}

func (s *suite) granted(d quota.Decision, n, remaining int64) {
	s.Helper()
	if d.Granted != n || d.Remaining != remaining {
		s.Fatalf("granted %d with %d remaining, want %d with %d: %+v", d.Granted, d.Remaining, n, remaining, d)
	}
}

func burstThenRefusal(s *suite) {
	limit := slow(5)
	for left := int64(4); left >= 0; left-- {
		s.granted(s.spend("k", limit, 1), 1, left)
	}
	d := s.spend("k", limit, 1)
	s.granted(d, 0, 0)
	if d.Never || d.RetryAfter > time.Hour {
		s.Fatalf("one unit comes back within the hour: %+v", d)
	}
	// A refusal costs nothing: the wait does not grow.
	if again := s.spend("k", limit, 1); again.RetryAfter > d.RetryAfter {
		s.Fatalf("the wait grew from %v to %v by being refused", d.RetryAfter, again.RetryAfter)
	}
}

func patience(s *suite) {
	limit := quick(2)
	s.granted(s.spend("k", limit, 2), 2, 0)
	d := s.spend("k", limit, 2)
	if _, fake := s.clock.(*FakeClock); fake {
		if d.Allowed || d.RetryAfter != 400*time.Millisecond {
			s.Fatalf("two units at 5 per second: %+v", d)
		}
		s.clock.Advance(d.RetryAfter - time.Microsecond)
		if d = s.spend("k", limit, 2); d.Allowed || d.RetryAfter != time.Microsecond {
			s.Fatalf("a microsecond before it was told to come back: %+v", d)
		}
	}
	s.clock.Advance(d.RetryAfter)
	if d = s.spend("k", limit, 2); !d.Allowed {
		s.Fatalf("after exactly the wait that it was told: %+v", d)
	}
}

func never(s *suite) {
	limits := map[string]quota.Limit{
		"zero":            {},
		"no rate":         {Period: time.Minute, Burst: 1},
		"no burst":        {Rate: 1, Period: time.Minute},
		"no period":       {Rate: 1, Burst: 1},
		"negative rate":   {Rate: -2, Period: time.Minute, Burst: 1},
		"negative burst":  {Rate: 1, Period: time.Minute, Burst: -1},
		"negative period": {Rate: 1, Period: -time.Minute, Burst: 1},
		"huge rate":       {Rate: math.MaxInt64, Period: time.Minute, Burst: 1},
		"huge burst":      {Rate: 1, Period: time.Minute, Burst: math.MaxInt64},
		"huge period":     {Rate: 1, Period: math.MaxInt64, Burst: 1},
	}
	for name, limit := range limits {
		if d := s.spend("k", limit, 1); !d.Never {
			s.Errorf("%s: %+v", name, d)
		}
		if d := s.take("k", limit, 1); !d.Never {
			s.Errorf("%s: take: %+v", name, d)
		}
		s.refund("k", limit, 1)
	}
	for _, n := range []int64{math.MinInt64, -1, 0, 6, 1 << 53, math.MaxInt64} {
		if d := s.spend("k", slow(5), n); !d.Never {
			s.Errorf("spend %d of a burst of 5: %+v", n, d)
		}
		if d := s.take("k", slow(5), n); n < 1 && !d.Never {
			s.Errorf("take %d: %+v", n, d)
		} else if n > 0 {
			s.granted(d, 5, 0)
			s.refund("k", slow(5), 5)
		}
	}
	s.granted(s.spend("k", slow(5), 5), 5, 0) // none of that spent anything
}

func unlimited(s *suite) {
	limit := quota.Limit{Rate: quota.Unlimited}
	for range 3 {
		s.granted(s.spend("k", limit, math.MaxInt64), math.MaxInt64, math.MaxInt64)
		s.granted(s.take("k", limit, 7), 7, math.MaxInt64)
	}
	s.refund("k", limit, 1)
	if d := s.spend("k", limit, 0); d.Allowed {
		s.Errorf("nothing was asked for: %+v", d)
	}
	s.granted(s.spend("k", slow(5), 5), 5, 0)
}

func take(s *suite) {
	limit := slow(10)
	s.granted(s.take("k", limit, 4), 4, 6)
	s.granted(s.take("k", limit, 100), 6, 0)
	d := s.take("k", limit, 100)
	s.granted(d, 0, 0)
	if d.Never || d.RetryAfter > time.Hour {
		s.Fatalf("the wait is that for one unit: %+v", d)
	}
	s.refund("k", limit, 1)
	s.granted(s.take("k", limit, 100), 1, 0)
}

func refund(s *suite) {
	limit := slow(5)
	s.refund("k", limit, 3) // of a key never seen
	s.granted(s.spend("k", limit, 5), 5, 0)
	s.refund("k", limit, 2)
	s.refund("k", limit, 0)
	s.refund("k", limit, -2)
	s.granted(s.spend("k", limit, 2), 2, 0)
	s.refund("k", limit, math.MaxInt64)
	s.granted(s.spend("k", limit, 1), 1, 4)
	s.refund("k", limit, 3)
	s.granted(s.spend("k", limit, 5), 5, 0)
}

func keysApart(s *suite) {
	keys := []string{"a", "b", "A", "a ", "a\n", "a\x00", "a\x00b", "川", "\xff\xfe", "{a}", "a/b", strings.Repeat("k", quota.MaxKey)}
	for _, key := range keys {
		s.granted(s.spend(key, slow(2), 2), 2, 0)
	}
	for _, key := range keys {
		if d := s.spend(key, slow(2), 1); d.Allowed {
			s.Errorf("key %q was forgotten", key)
		}
	}
	s.refund(keys[0], slow(2), 2)
	for _, key := range keys[1:] {
		if d := s.spend(key, slow(2), 1); d.Allowed {
			s.Errorf("key %q got the refund of another", key)
		}
	}
}

func keysOutOfBounds(s *suite) {
	for _, key := range []string{"", strings.Repeat("k", quota.MaxKey+1)} {
		for _, limit := range []quota.Limit{slow(1), {}, {Rate: quota.Unlimited}} {
			d, err := s.store.Spend(s.Context(), key, limit, 1)
			if !errors.Is(err, quota.ErrKey) || d != (quota.Decision{}) {
				s.Errorf("spend with a key of %d bytes: %+v, %v", len(key), d, err)
			}
			if _, err := s.store.Take(s.Context(), key, limit, 1); !errors.Is(err, quota.ErrKey) {
				s.Errorf("take with a key of %d bytes: %v", len(key), err)
			}
			if err := s.store.Refund(s.Context(), key, limit, 1); !errors.Is(err, quota.ErrKey) {
				s.Errorf("refund with a key of %d bytes: %v", len(key), err)
			}
		}
	}
}

func concurrent(s *suite) {
	const burst, workers, each = 40, 8, 10
	var spent, taken atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				d, err := s.store.Spend(s.Context(), "spend", slow(burst), 1)
				if err != nil {
					s.Errorf("spend: %v", err)
				}
				spent.Add(d.Granted)
				if d, err = s.store.Take(s.Context(), "take", slow(burst), 3); err != nil {
					s.Errorf("take: %v", err)
				}
				taken.Add(d.Granted)
			}
		})
	}
	wg.Wait()
	if spent.Load() != burst || taken.Load() != burst {
		s.Errorf("of %d each, %d were spent and %d taken", burst, spent.Load(), taken.Load())
	}
}

func ended(s *suite) {
	gone, cancel := context.WithCancel(s.Context())
	cancel()
	late, cancelLate := context.WithDeadline(s.Context(), time.Unix(0, 0))
	defer cancelLate()
	s.granted(s.spend("k", slow(3), 1), 1, 2)
	for _, ctx := range []context.Context{gone, late} {
		for name, call := range map[string]func() (quota.Decision, error){
			"spend":  func() (quota.Decision, error) { return s.store.Spend(ctx, "k", slow(3), 1) },
			"take":   func() (quota.Decision, error) { return s.store.Take(ctx, "k", slow(3), 1) },
			"refund": func() (quota.Decision, error) { return quota.Decision{}, s.store.Refund(ctx, "k", slow(3), 1) },
		} {
			d, err := call()
			if !errors.Is(err, ctx.Err()) || problem.CodeOf(err) != problem.QuotaUnavailable || d != (quota.Decision{}) {
				s.Errorf("%s: %+v, %v", name, d, err)
			}
		}
	}
	s.granted(s.spend("k", slow(3), 2), 2, 0)
}

func lowered(s *suite) {
	s.granted(s.spend("k", slow(1000), 1000), 1000, 0)
	d := s.spend("k", quick(2), 1)
	if d.Allowed || d.RetryAfter > 200*time.Millisecond {
		s.Fatalf("an empty bucket of the new limit gives a unit in 200 ms: %+v", d)
	}
	s.clock.Advance(d.RetryAfter)
	if d = s.spend("k", quick(2), 1); !d.Allowed {
		s.Fatalf("after the wait: %+v", d)
	}
}
