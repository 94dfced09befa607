package quotatest

import (
	"sync"
	"time"
)

// Clock is how the suite lets the store's time pass.
type Clock interface {
	Now() time.Time
	Advance(d time.Duration)
}

// FakeClock stands still until it is advanced.
type FakeClock struct {
	mu    sync.Mutex
	now   time.Time
	onSet []func(time.Time)
}

// NewFakeClock returns a clock at a fixed instant. Each of onSet is told that
// instant and every later one, before Advance returns: the way to set the clock
// of a server.
func NewFakeClock(onSet ...func(time.Time)) *FakeClock {
	c := &FakeClock{now: time.Date(2026, 3, 1, 8, 0, 0, 123_456_000, time.UTC), onSet: onSet}
	c.Advance(0)
	return c
}

// Now is the clock's instant.
func (c *FakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock; back, if d is negative.
func (c *FakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for _, f := range c.onSet {
		f(c.now)
	}
}

// WallClock is the machine's clock; to advance it is to wait.
type WallClock struct{}

// Now is the time.
func (WallClock) Now() time.Time { return time.Now() }

// Advance waits for d.
func (WallClock) Advance(d time.Duration) { time.Sleep(d) }
