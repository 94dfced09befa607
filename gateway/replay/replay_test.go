package replay_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/replay"
	"github.com/chuanyu-exchange/hub/gateway/replay/replaytest"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestMemory(t *testing.T) {
	t.Parallel()
	replaytest.Run(t, func(*testing.T) (replay.Store, func(time.Duration)) {
		c := &clock{now: time.Unix(0, 0)}
		return replay.NewMemory(1000, c.Now), c.pass
	})
}

// A full store refuses new keys and forgets none that is due; what ended makes
// room.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Unix(0, 0)}
	m := replay.NewMemory(10, c.Now)
	for i := range 10 {
		if ok, err := m.First(t.Context(), fmt.Sprint(i), time.Minute); !ok || err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if ok, err := m.First(t.Context(), "one more", time.Minute); ok || problem.CodeOf(err) != problem.ReplayUnavailable {
		t.Errorf("beyond its room: %v, %v", ok, err)
	}
	if ok, err := m.First(t.Context(), "0", time.Minute); ok || err != nil {
		t.Errorf("the first was forgotten: %v, %v", ok, err)
	}
	c.pass(time.Minute)
	if ok, err := m.First(t.Context(), "one more", time.Minute); !ok || err != nil {
		t.Errorf("after all ended: %v, %v", ok, err)
	}
}
