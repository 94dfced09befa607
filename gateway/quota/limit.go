package quota

import (
	"errors"
	"fmt"
	"time"
)

// Unlimited means, as a rate or in an [Allowance], that nothing is counted. It
// is a value of its own so that a forgotten number, 0, denies.
const Unlimited int64 = -1

// resolution is the grain of time in which limits are kept: what Redis's clock
// tells and its numbers hold exactly.
const resolution = time.Microsecond

// longest bounds a period, and the time in which an empty bucket fills. It
// keeps every sum of this package far from overflow.
const longest = 366 * 24 * time.Hour

// Limit is a rate with a burst: up to Burst units at once, then Rate units in
// each Period. The zero value allows nothing.
type Limit struct {
	Rate   int64         // units per Period; [Unlimited] for no limit
	Period time.Duration // at most 366 days
	Burst  int64         // units
}

// PerMinute allows n units at once and n per minute after that; [Unlimited]
// is passed on.
func PerMinute(n int64) Limit { return evenly(n, time.Minute) }

// PerDay allows n units at once and n per 24 hours after that; [Unlimited] is
// passed on.
func PerDay(n int64) Limit { return evenly(n, 24*time.Hour) }

func evenly(n int64, period time.Duration) Limit {
	if n == Unlimited {
		return Limit{Rate: Unlimited}
	}
	return Limit{Rate: n, Period: period, Burst: n}
}

// ErrLimit says that a limit cannot be kept. Such a limit allows nothing.
var ErrLimit = errors.New("this limit cannot be kept")

// Check says whether the limit means what it says, for whoever loads a
// configuration: nil for zero (nothing is allowed), for [Unlimited], and for
// rates of up to one unit per microsecond; else [ErrLimit] with the reason.
func (l Limit) Check() error {
	if l == (Limit{}) || l.IsUnlimited() || l.Rate == 0 && l.Burst == 0 {
		return nil
	}
	switch {
	case l.Rate < 1 || l.Burst < 1:
		return fmt.Errorf("%w: rate %d and burst %d: give both as 1 or more, or both as 0", ErrLimit, l.Rate, l.Burst)
	case l.Period < resolution || l.Period > longest:
		return fmt.Errorf("%w: period %v: use one between %v and %v", ErrLimit, l.Period, resolution, longest)
	case l.Rate > int64(l.Period/resolution):
		return fmt.Errorf("%w: %d in %v is more than one unit in %v: use %d for no limit",
			ErrLimit, l.Rate, l.Period, resolution, Unlimited)
	case l.Interval() == 0:
		return fmt.Errorf("%w: a burst of %d takes more than %v to fill: lower it or raise the rate",
			ErrLimit, l.Burst, longest)
	}
	return nil
}

// IsUnlimited says whether nothing is counted under this limit.
func (l Limit) IsUnlimited() bool { return l.Rate == Unlimited }

// Interval is the time in which one unit comes back, rounded up to whole
// microseconds; so a rate is kept to one percent up to 10 000 units per second,
// and never exceeded. It is 0 if the limit allows nothing or everything.
func (l Limit) Interval() time.Duration {
	if l.Rate < 1 || l.Burst < 1 || l.Period < resolution || l.Period > longest ||
		l.Rate > int64(l.Period/resolution) {
		return 0
	}
	// Rounded up twice: a period that is no whole number of microseconds must
	// not make units cheaper.
	micros := (int64(l.Period) + int64(resolution) - 1) / int64(resolution)
	interval := time.Duration((micros+l.Rate-1)/l.Rate) * resolution
	if l.Burst > int64(longest/interval) {
		return 0
	}
	return interval
}

// String is the limit as a refusal names it: "600 in 1m0s".
func (l Limit) String() string {
	if l.IsUnlimited() {
		return "unlimited"
	}
	return fmt.Sprintf("%d in %v", l.Rate, l.Period)
}
