package quota_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"testing/quick"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/quota"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func TestLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit    quota.Limit
		interval time.Duration
		ok       bool // Check is nil
	}{
		"zero allows nothing":         {quota.Limit{}, 0, true},
		"zero per minute":             {quota.PerMinute(0), 0, true},
		"unlimited":                   {quota.PerDay(quota.Unlimited), 0, true},
		"60 per minute":               {quota.PerMinute(60), time.Second, true},
		"7 per minute, rounded up":    {quota.PerMinute(7), 8571429 * time.Microsecond, true},
		"a million per day":           {quota.PerDay(1e6), 86400 * time.Microsecond, true},
		"the fastest":                 {quota.PerMinute(60e6), time.Microsecond, true},
		"one more than the fastest":   {quota.PerMinute(60e6 + 1), 0, false},
		"broken microseconds":         {quota.Limit{Rate: 1, Period: 1500 * time.Nanosecond, Burst: 1}, 2 * time.Microsecond, true},
		"below a microsecond":         {quota.Limit{Rate: 1, Period: 999 * time.Nanosecond, Burst: 1}, 0, false},
		"one a year":                  {quota.Limit{Rate: 1, Period: 366 * 24 * time.Hour, Burst: 1}, 366 * 24 * time.Hour, true},
		"two at once, one a year":     {quota.Limit{Rate: 1, Period: 366 * 24 * time.Hour, Burst: 2}, 0, false},
		"longer than a year":          {quota.Limit{Rate: 1, Period: 366*24*time.Hour + 1, Burst: 1}, 0, false},
		"negative, but not unlimited": {quota.PerDay(-2), 0, false},
		"rate without burst":          {quota.Limit{Rate: 1, Period: time.Minute}, 0, false},
		"burst without rate":          {quota.Limit{Period: time.Minute, Burst: 1}, 0, false},
		"no period":                   {quota.Limit{Rate: 1, Burst: 1}, 0, false},
		"huge":                        {quota.PerDay(math.MaxInt64), 0, false},
		"huge burst":                  {quota.Limit{Rate: 60, Period: time.Minute, Burst: math.MaxInt64}, 0, false},
	} {
		if got := c.limit.Interval(); got != c.interval {
			t.Errorf("%s: interval %v, want %v", name, got, c.interval)
		}
		err := c.limit.Check()
		if (err == nil) != c.ok || err != nil && !errors.Is(err, quota.ErrLimit) {
			t.Errorf("%s: Check says %v", name, err)
		}
		// What cannot be kept allows nothing, and what is kept allows something.
		_, d := quota.Spend(c.limit, time.Time{}, start, 1)
		if want := c.interval > 0 || c.limit.IsUnlimited(); d.Allowed != want {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// Seven in a minute are seven in a minute, one by one or at once, although a
// seventh of a minute is no whole number of microseconds.
func TestTheBurstIsTheBurst(t *testing.T) {
	t.Parallel()
	for _, limit := range []quota.Limit{quota.PerMinute(7), quota.PerDay(86_399), quota.PerMinute(999_999)} {
		var tat time.Time
		var d quota.Decision
		for i := range limit.Burst {
			if tat, d = quota.Spend(limit, tat, start, 1); !d.Allowed || d.Remaining != limit.Burst-i-1 {
				t.Fatalf("%v: unit %d of %d: %+v", limit, i+1, limit.Burst, d)
			}
		}
		if _, d = quota.Spend(limit, tat, start, 1); d.Allowed {
			t.Errorf("%v: one more than the burst", limit)
		}
		if _, d = quota.Spend(limit, time.Time{}, start, limit.Burst); !d.Allowed {
			t.Errorf("%v: the burst at once: %+v", limit, d)
		}
	}
}

func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	limit := quota.PerMinute(60) // one a second
	tat, d := quota.Spend(limit, time.Time{}, start, 60)
	if !d.Allowed {
		t.Fatal(d)
	}
	for _, back := range []time.Duration{time.Nanosecond, time.Second, time.Hour, 100 * 365 * 24 * time.Hour} {
		now := start.Add(-back)
		newTAT, d := quota.Spend(limit, tat, now, 1)
		if d.Allowed || d.Remaining != 0 || d.RetryAfter != time.Second {
			t.Errorf("%v back: the bucket is empty and no emptier: %+v", back, d)
		}
		if _, d = quota.Spend(limit, newTAT, now.Add(time.Second), 1); !d.Allowed {
			t.Errorf("%v back: a second later: %+v", back, d)
		}
		if got := quota.Refund(limit, tat, now, 2); !got.Equal(now.Add(58 * time.Second)) {
			t.Errorf("%v back: after a refund of 2 the bucket is full %v ahead, want 58s", back, got.Sub(now))
		}
	}
	// Ahead and back again is one bucket more, not an hour of them.
	tat, d = quota.Spend(limit, tat, start.Add(time.Hour), 60)
	if !d.Allowed {
		t.Fatal(d)
	}
	if _, d = quota.Spend(limit, tat, start, 1); d.Allowed {
		t.Errorf("going back gave units: %+v", d)
	}
}

// In every window of every run, what passed is at most the burst plus the rate
// times the window; and a caller that waits as told always gets through.
func TestNeverMoreThanBurstAndRate(t *testing.T) {
	t.Parallel()
	type pass struct {
		at time.Time
		n  int64
	}
	check := func(seed uint64) bool {
		rng := rand.New(rand.NewPCG(seed, 0))
		limit := quota.Limit{
			Rate:   1 + rng.Int64N(1000),
			Period: time.Duration(1+rng.Int64N(100_000)) * time.Millisecond,
			Burst:  1 + rng.Int64N(50),
		}
		now, tat := start, time.Time{}
		var passed []pass
		for range 200 {
			n := 1 + rng.Int64N(limit.Burst+2)
			rule := quota.Spend
			if rng.IntN(2) == 0 {
				rule = quota.Take
			}
			var d quota.Decision
			tat, d = rule(limit, tat, now, n)
			if d.Allowed {
				passed = append(passed, pass{now, d.Granted})
			}
			if d.RetryAfter > 0 {
				if _, early := rule(limit, tat, now.Add(d.RetryAfter-1), n); early.Allowed {
					t.Errorf("seed %d: let in a nanosecond early", seed)
				}
				if _, onTime := rule(limit, tat, now.Add(d.RetryAfter), n); !onTime.Allowed {
					t.Errorf("seed %d: told to wait %v and refused after it", seed, d.RetryAfter)
				}
			}
			now = now.Add(time.Duration(rng.Int64N(int64(limit.Period)/limit.Rate*4 + 1)))
		}
		for i := range passed {
			var sum int64
			for _, p := range passed[i:] {
				sum += p.n
				window := p.at.Sub(passed[i].at)
				// sum ≤ burst + rate × window, without dividing.
				if (sum-limit.Burst)*int64(limit.Period) > limit.Rate*int64(window) {
					t.Errorf("seed %d: %d units of %+v in %v", seed, sum, limit, window)
					return false
				}
			}
		}
		return true
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 300}); err != nil {
		t.Error(err)
	}
}

// With refunds and a clock that jumps both ways, what was spent and not given
// back is at most the burst plus the rate times all forward movement.
func TestNoClockAndNoRefundGivesMore(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		limit := quota.Limit{Rate: 1, Period: time.Second, Burst: 1 + rng.Int64N(30)}
		now, tat := start, time.Time{}
		var net int64
		var forward time.Duration
		for range 300 {
			var d quota.Decision
			switch rng.IntN(3) {
			case 0:
				tat, d = quota.Spend(limit, tat, now, 1+rng.Int64N(limit.Burst))
			case 1:
				tat, d = quota.Take(limit, tat, now, 1+rng.Int64N(limit.Burst))
			default:
				n := min(net, 1+rng.Int64N(limit.Burst))
				tat = quota.Refund(limit, tat, now, n)
				net -= n
			}
			net += d.Granted
			if net > limit.Burst+int64(forward/time.Second) {
				t.Fatalf("seed %d: %d units out, burst %d, clock forward by %v", seed, net, limit.Burst, forward)
			}
			step := time.Duration(rng.Int64N(int64(4*time.Second))) - 2*time.Second
			now = now.Add(step)
			forward += max(0, step)
		}
	}
}

func FuzzSpend(f *testing.F) {
	f.Add(int64(60), int64(time.Minute), int64(60), int64(0), int64(1))
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MinInt64), int64(math.MaxInt64))
	f.Add(int64(-1), int64(-1), int64(-1), int64(math.MaxInt64), int64(-1))
	f.Fuzz(func(t *testing.T, rate, period, burst, ahead, n int64) {
		limit := quota.Limit{Rate: rate, Period: time.Duration(period), Burst: burst}
		tat := start.Add(time.Duration(ahead))
		for _, rule := range []func(quota.Limit, time.Time, time.Time, int64) (time.Time, quota.Decision){quota.Spend, quota.Take} {
			newTAT, d := rule(limit, tat, start, n)
			if d.Allowed != (d.Granted > 0) || d.Granted < 0 || d.Granted > max(n, 0) || d.Remaining < 0 || d.RetryAfter < 0 {
				t.Errorf("%+v of %d under %+v", d, n, limit)
			}
			if limit.IsUnlimited() || limit.Interval() == 0 {
				continue
			}
			if d.Granted > burst || d.Remaining+d.Granted > burst || newTAT.Before(start) && n > 0 ||
				newTAT.Sub(start) > limit.Interval()*time.Duration(burst) && n > 0 {
				t.Errorf("%+v, full in %v, of %d under %+v", d, newTAT.Sub(start), n, limit)
			}
			if back := quota.Refund(limit, newTAT, start, burst); !back.Equal(start) {
				t.Errorf("a refund of the burst is no full bucket: %v after %v", back, newTAT)
			}
		}
	})
}

func BenchmarkSpend(b *testing.B) {
	limit := quota.PerMinute(600)
	var tat time.Time
	now := start
	for b.Loop() {
		tat, _ = quota.Spend(limit, tat, now, 1)
		now = now.Add(time.Millisecond)
	}
}
