package quota

import (
	"math"
	"time"
)

// Decision is what a limit says of one wish. The zero value refuses.
type Decision struct {
	Allowed bool
	// Granted is what was spent: all that was asked with Spend, that or less
	// with Take, 0 if refused.
	Granted int64
	// Remaining is what could be spent at this instant, after this decision.
	Remaining int64
	// RetryAfter is how long to wait until the same wish would be granted if
	// nobody else spent; 0 if it was granted, or if waiting cannot help.
	RetryAfter time.Duration
	// Never says that waiting cannot help: the limit is zero or cannot be kept,
	// or more was asked at once than its burst.
	Never bool
}

// Spend decides on n units at once, all or none. Pure.
//
// tat is the key's theoretical arrival time, the zero time for a key never
// seen; newTAT MUST be kept in its place, also after a refusal.
//
// What is defined at the edges:
//   - n below 1, a zero limit, one that [Limit.Check] refuses: never;
//   - n above the burst: never, and nothing is spent;
//   - [Unlimited]: always, tat stays;
//   - a tat further ahead than an empty bucket (the clock went back, or the
//     limit was lowered) is cut to an empty bucket: nobody gains units by it,
//     and nobody is shut out for longer than one filling.
func Spend(limit Limit, tat, now time.Time, n int64) (newTAT time.Time, d Decision) {
	return move(limit, tat, now, n, n)
}

// Take decides on up to most units: what is there, if it is at least one.
// Otherwise as [Spend].
func Take(limit Limit, tat, now time.Time, most int64) (newTAT time.Time, d Decision) {
	return move(limit, tat, now, 1, most)
}

// Refund gives n units back, up to a full bucket. Pure. n below 1 and limits
// that allow nothing or everything change nothing.
func Refund(limit Limit, tat, now time.Time, n int64) (newTAT time.Time) {
	interval := limit.Interval()
	if interval == 0 || n < 1 {
		return tat
	}
	ahead := cut(tat.Sub(now), interval*time.Duration(limit.Burst))
	return now.Add(max(0, ahead-interval*time.Duration(min(n, limit.Burst))))
}

func move(limit Limit, tat, now time.Time, least, most int64) (time.Time, Decision) {
	if least < 1 || most < least {
		return tat, Decision{Never: true}
	}
	if limit.IsUnlimited() {
		return tat, Decision{Allowed: true, Granted: most, Remaining: math.MaxInt64}
	}
	interval := limit.Interval()
	if interval == 0 {
		return tat, Decision{Never: true}
	}
	window := interval * time.Duration(limit.Burst)
	ahead := cut(tat.Sub(now), window)
	have := int64((window - ahead) / interval)
	switch {
	case least > limit.Burst:
		return now.Add(ahead), Decision{Remaining: have, Never: true}
	case have < least:
		wait := interval*time.Duration(least) - (window - ahead)
		return now.Add(ahead), Decision{Remaining: have, RetryAfter: wait}
	}
	granted := min(most, have)
	ahead += interval * time.Duration(granted)
	return now.Add(ahead), Decision{Allowed: true, Granted: granted, Remaining: have - granted}
}

func cut(ahead, window time.Duration) time.Duration { return min(max(ahead, 0), window) }
