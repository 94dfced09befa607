package quota_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/quota/quotatest"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	quotatest.Run(t, func(*testing.T) (quota.Store, quotatest.Clock) {
		clock := quotatest.NewFakeClock()
		return quota.NewMemory(100, clock.Now), clock
	})
}

func TestMemoryOnTheWallClock(t *testing.T) {
	t.Parallel()
	quotatest.Run(t, func(*testing.T) (quota.Store, quotatest.Clock) {
		return quota.NewMemory(100, time.Now), quotatest.WallClock{}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	clock := quotatest.NewFakeClock()
	m := quota.NewMemory(3, clock.Now)
	limit := quota.PerMinute(60) // one a second
	spend := func(key string, n int64) error {
		_, err := m.Spend(t.Context(), key, limit, n)
		return err
	}
	for i, key := range []string{"a", "b", "c"} {
		if err := spend(key, int64(10-i)); err != nil {
			t.Fatal(err)
		}
	}
	err := spend("d", 1)
	if !errors.Is(err, quota.ErrFull) || problem.CodeOf(err) != problem.QuotaUnavailable {
		t.Fatalf("a fourth busy key of three: %v", err)
	}
	if err := spend("a", 1); err != nil {
		t.Errorf("a key that is there: %v", err)
	}
	if _, err := m.Spend(t.Context(), "d", quota.Limit{Rate: quota.Unlimited}, 1); err != nil {
		t.Errorf("what is not counted needs no room: %v", err)
	}
	if d, err := m.Spend(t.Context(), "d", limit, 61); err != nil || !d.Never {
		t.Errorf("a refusal needs no room: %+v, %v", d, err)
	}
	// c is full after 8 seconds and makes room; a and b stay.
	clock.Advance(8 * time.Second)
	if err := spend("d", 1); err != nil {
		t.Errorf("c is idle: %v", err)
	}
	if m.Len() != 3 {
		t.Errorf("%d keys, want 3", m.Len())
	}
	if d, err := m.Spend(t.Context(), "a", limit, 60); err != nil || d.Allowed || d.Remaining != 57 {
		t.Errorf("a was forgotten while it was busy: %+v, %v", d, err)
	}
}

// The key that was the first to be idle spends again: another makes room.
func TestMemoryKeepsTheOrder(t *testing.T) {
	t.Parallel()
	clock := quotatest.NewFakeClock()
	m := quota.NewMemory(2, clock.Now)
	limit := quota.PerMinute(60)
	for _, s := range []struct {
		key string
		n   int64
	}{{"a", 1}, {"b", 2}, {"a", 10}} {
		if _, err := m.Spend(t.Context(), s.key, limit, s.n); err != nil {
			t.Fatal(err)
		}
	}
	clock.Advance(2 * time.Second)
	if _, err := m.Spend(t.Context(), "c", limit, 1); err != nil {
		t.Errorf("b is idle: %v", err)
	}
}

func TestMemoryForgetsTheIdle(t *testing.T) {
	t.Parallel()
	clock := quotatest.NewFakeClock()
	m := quota.NewMemory(10_000, clock.Now)
	limit := quota.PerMinute(60)
	for i := range 10_000 {
		if _, err := m.Spend(t.Context(), fmt.Sprint(i), limit, 1+int64(i)%60); err != nil {
			t.Fatal(err)
		}
	}
	clock.Advance(time.Minute)
	for range 3_334 {
		if _, err := m.Spend(t.Context(), "one", limit, 1); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
	}
	if m.Len() > 1 {
		t.Errorf("%d keys are kept, all but one are idle", m.Len())
	}
	if err := m.Refund(t.Context(), "one", limit, 60); err != nil || m.Len() != 0 {
		t.Errorf("a key that is full again is kept: %d, %v", m.Len(), err)
	}
}

func TestMemoryWithoutRoom(t *testing.T) {
	t.Parallel()
	m := quota.NewMemory(0, time.Now)
	if d, err := m.Spend(t.Context(), "a", quota.PerMinute(1), 1); !errors.Is(err, quota.ErrFull) || d.Allowed {
		t.Errorf("a store of no keys: %+v, %v", d, err)
	}
}

func BenchmarkMemory(b *testing.B) {
	m := quota.NewMemory(100_000, time.Now)
	keys := make([]string, 50_000)
	for i := range keys {
		keys[i] = fmt.Sprint("caller/", i)
	}
	limit := quota.PerMinute(600)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := m.Spend(b.Context(), keys[i%len(keys)], limit, 1); err != nil {
			b.Fatal(err)
		}
	}
}
