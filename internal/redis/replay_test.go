package redis_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/chuanyu-exchange/hub/gateway/replay"
	"github.com/chuanyu-exchange/hub/gateway/replay/replaytest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/redis"
)

func TestReplayStore(t *testing.T) {
	t.Parallel()
	replaytest.Run(t, func(t *testing.T) (replay.Store, func(time.Duration)) {
		t.Helper()
		m := miniredis.RunT(t)
		return open(t, redis.Config{URL: "redis://" + m.Addr(), Timeout: patient}).ReplayStore(), m.FastForward
	})
}

// Two replicas share what was used, and when the server is gone nothing passes.
func TestReplayStoreIsShared(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	one := open(t, redis.Config{URL: "redis://" + m.Addr(), Timeout: patient}).ReplayStore()
	two := open(t, redis.Config{URL: "redis://" + m.Addr(), Timeout: patient}).ReplayStore()
	if ok, err := one.First(t.Context(), "k", time.Minute); !ok || err != nil {
		t.Fatalf("%v, %v", ok, err)
	}
	if ok, err := two.First(t.Context(), "k", time.Minute); ok || err != nil {
		t.Errorf("the other replica: %v, %v", ok, err)
	}
	m.Close()
	if ok, err := one.First(t.Context(), "other", time.Minute); ok || problem.CodeOf(err) != problem.ReplayUnavailable {
		t.Errorf("the server is gone: %v, %v", ok, err)
	}
}
