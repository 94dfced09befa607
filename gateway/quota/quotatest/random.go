package quotatest

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/quota"
)

// bounded spends at random for a while of the store's own clock.
func bounded(s *suite) {
	limit := quota.Limit{Rate: 100, Period: time.Second, Burst: 8}
	rng := rand.New(rand.NewPCG(1, 2))
	_, fake := s.clock.(*FakeClock)
	begun := s.clock.Now()
	var granted int64
	for s.clock.Now().Sub(begun) < 400*time.Millisecond {
		n := 1 + rng.Int64N(4)
		if rng.IntN(2) == 0 {
			granted += s.spend("k", limit, n).Granted
		} else {
			granted += s.take("k", limit, n).Granted
		}
		if rng.IntN(4) == 0 {
			n = min(granted, n)
			s.refund("k", limit, n)
			granted -= n
		}
		if fake {
			s.clock.Advance(time.Duration(rng.Int64N(int64(10 * time.Millisecond))))
		}
	}
	passed := s.clock.Now().Sub(begun)
	most := limit.Burst + int64(passed/(10*time.Millisecond))
	if !fake {
		most++ // two clocks of one machine
	}
	if granted > most {
		s.Errorf("%d units in %v, at most %d may pass", granted, passed, most)
	}
	if granted < limit.Burst {
		s.Errorf("only %d units in %v: the burst alone is %d", granted, passed, limit.Burst)
	}
}

// likeThePure compares every answer with the pure functions', on a clock that
// also goes back.
func likeThePure(s *suite) {
	if _, fake := s.clock.(*FakeClock); !fake {
		s.Skip("only where the clock can be set")
	}
	limits := []quota.Limit{
		quota.PerMinute(7), quota.PerMinute(600), quota.PerDay(1_000_000), quota.PerDay(3),
		{Rate: 1_000_000, Period: time.Second, Burst: 50},
		{Rate: 3, Period: 7 * time.Microsecond, Burst: 9},
		{Rate: 1, Period: 24 * time.Hour, Burst: 366},
		quota.PerDay(quota.Unlimited),
		{},
	}
	b := beliefs{"a": {{}}, "b": {{}}, "c": {{}}}
	rng := rand.New(rand.NewPCG(3, 4))
	steps := 1500
	if testing.Short() {
		steps = 400
	}
	for step := range steps {
		limit, key := limits[rng.IntN(len(limits))], string("abc"[rng.IntN(3)])
		n := rng.Int64N(2*max(limit.Burst, 1)+2) - 1
		if rng.IntN(2) == 0 {
			n = 1
		}
		now := s.clock.Now()
		switch rng.IntN(4) {
		case 0, 1:
			b.seen(s, key, s.spend(key, limit, n), func(tat time.Time) (time.Time, quota.Decision) {
				return quota.Spend(limit, tat, now, n)
			})
		case 2:
			b.seen(s, key, s.take(key, limit, n), func(tat time.Time) (time.Time, quota.Decision) {
				return quota.Take(limit, tat, now, n)
			})
		default:
			s.refund(key, limit, n)
			b.seen(s, key, quota.Decision{}, func(tat time.Time) (time.Time, quota.Decision) {
				return quota.Refund(limit, tat, now, n), quota.Decision{}
			})
		}
		if s.Failed() {
			s.Fatalf("step %d, %d of %q under %+v", step, n, key, limit)
		}
		s.clock.Advance(drift(rng, limit))
		b.mayForget(s.clock.Now())
	}
}

// beliefs are the arrival times that a store may hold for each key: more than
// one only after a full key may have been forgotten and the clock went back.
type beliefs map[string][]time.Time

// seen keeps what agrees with the store's decision.
func (b beliefs) seen(s *suite, key string, got quota.Decision, pure func(tat time.Time) (time.Time, quota.Decision)) {
	s.Helper()
	var kept []time.Time
	var wants []quota.Decision
	for _, tat := range b[key] {
		newTAT, want := pure(tat)
		wants = append(wants, want)
		if want == got && !slices.ContainsFunc(kept, newTAT.Equal) {
			kept = append(kept, newTAT)
		}
	}
	if len(kept) == 0 {
		s.Errorf("decided %+v, the pure function %+v", got, wants)
	}
	b[key] = kept
	b.mayForget(s.clock.Now())
}

func (b beliefs) mayForget(now time.Time) {
	for key, tats := range b {
		full := slices.ContainsFunc(tats, func(tat time.Time) bool { return !tat.After(now) })
		if full && !slices.ContainsFunc(tats, time.Time.IsZero) {
			b[key] = append(tats, time.Time{})
		}
	}
}

// drift is mostly none or about a unit's worth, at times long, at times back.
func drift(rng *rand.Rand, limit quota.Limit) time.Duration {
	unit := max(limit.Interval(), time.Microsecond)
	var d time.Duration
	switch rng.IntN(8) {
	case 0, 1, 2:
		return 0
	case 3:
		d = unit
	case 4:
		d = time.Duration(rng.Int64N(int64(unit) * 3))
	case 5:
		d = time.Hour
	case 6:
		d = -time.Duration(rng.Int64N(int64(unit)*2 + 1))
	default:
		d = -time.Hour
	}
	return d.Truncate(time.Microsecond)
}
