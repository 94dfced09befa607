package redis_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/quota/quotatest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/redis"
)

// patient is for stores of the suite: a crowded machine is no failure there.
const patient = 20 * time.Second

func open(t *testing.T, cfg redis.Config) *redis.Client {
	t.Helper()
	c, err := redis.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestQuotaStore(t *testing.T) {
	t.Parallel()
	quotatest.Run(t, func(t *testing.T) (quota.Store, quotatest.Clock) {
		t.Helper()
		m := miniredis.RunT(t)
		c := open(t, redis.Config{URL: "redis://" + m.Addr(), Timeout: patient})
		return c.QuotaStore(), quotatest.NewFakeClock(m.SetTime)
	})
}

func TestSubjectStore(t *testing.T) {
	t.Parallel()
	quotatest.RunSubjects(t, func(t *testing.T) (quota.SubjectStore, quotatest.Clock) {
		t.Helper()
		m := miniredis.RunT(t)
		c := open(t, redis.Config{URL: "redis://" + m.Addr(), Timeout: patient})
		return c.SubjectStore(), quotatest.NewFakeClock(m.SetTime)
	})
}

// Replicas have no say in what time it is: their own clocks pass here, the
// server's stands still, and nothing comes back.
func TestOnlyTheServersClockCounts(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	clock := quotatest.NewFakeClock(m.SetTime)
	limit := quota.Limit{Rate: 1000, Period: time.Second, Burst: 1}
	replicas := []*redis.QuotaStore{
		open(t, redis.Config{URL: "redis://" + m.Addr()}).QuotaStore(),
		open(t, redis.Config{URL: "redis://" + m.Addr()}).QuotaStore(),
	}
	spend := func(replica int) quota.Decision {
		t.Helper()
		d, err := replicas[replica].Spend(t.Context(), "k", limit, 1)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if d := spend(0); !d.Allowed {
		t.Fatal(d)
	}
	time.Sleep(5 * time.Millisecond)
	for replica := range replicas {
		if d := spend(replica); d.Allowed {
			t.Errorf("replica %d let through what the server's clock does not", replica)
		}
	}
	clock.Advance(time.Millisecond)
	if d := spend(1); !d.Allowed {
		t.Errorf("the other replica, a millisecond later by the server: %+v", d)
	}
}

func TestKeysArePrefixedAndVanish(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	clock := quotatest.NewFakeClock(m.SetTime)
	limit := quota.PerMinute(60)
	for prefix, want := range map[string]string{"": "hub:quota/k", "500000:": "500000:quota/k"} {
		s := open(t, redis.Config{URL: "redis://" + m.Addr(), Prefix: prefix}).QuotaStore()
		if _, err := s.Spend(t.Context(), "k", limit, 7); err != nil {
			t.Fatal(err)
		}
		if ttl := m.TTL(want); ttl != 7*time.Second {
			t.Errorf("key %s lives for %v, want 7s; keys: %v", want, ttl, m.Keys())
		}
		if err := s.Refund(t.Context(), "k", limit, 2); err != nil {
			t.Fatal(err)
		}
		if ttl := m.TTL(want); ttl != 5*time.Second {
			t.Errorf("after a refund key %s lives for %v, want 5s", want, ttl)
		}
	}
	clock.Advance(4999 * time.Millisecond)
	m.FastForward(4999 * time.Millisecond)
	if len(m.Keys()) != 2 {
		t.Errorf("a busy key vanished: %v", m.Keys())
	}
	clock.Advance(time.Millisecond)
	m.FastForward(time.Millisecond)
	if len(m.Keys()) != 0 {
		t.Errorf("idle keys stay: %v", m.Keys())
	}
}

func TestARefundToFullDeletesTheKey(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	s := open(t, redis.Config{URL: "redis://" + m.Addr()}).QuotaStore()
	if _, err := s.Spend(t.Context(), "k", quota.PerDay(10), 3); err != nil {
		t.Fatal(err)
	}
	if err := s.Refund(t.Context(), "k", quota.PerDay(10), 3); err != nil {
		t.Fatal(err)
	}
	if len(m.Keys()) != 0 {
		t.Errorf("a full bucket is kept: %v", m.Keys())
	}
}

// The limits at the edge of what can be kept, where a number that is not whole
// would show.
func TestTheScriptIsExactAtTheEdge(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	clock := quotatest.NewFakeClock(m.SetTime)
	s := open(t, redis.Config{URL: "redis://" + m.Addr(), Timeout: patient}).QuotaStore()
	year := 366 * 24 * time.Hour
	for name, limit := range map[string]quota.Limit{
		"longest":  {Rate: 1, Period: year, Burst: 1},
		"fastest":  {Rate: year.Microseconds(), Period: year, Burst: year.Microseconds()},
		"nearest":  {Rate: year.Microseconds() - 1, Period: year, Burst: year.Microseconds() / 2},
		"crooked":  {Rate: 86_399_999_999, Period: 24 * time.Hour, Burst: 86_399_999_999},
		"shortest": {Rate: 1, Period: time.Microsecond, Burst: 1},
	} {
		if limit.Interval() == 0 {
			t.Fatalf("%s: %v", name, limit.Check())
		}
		if d, err := s.Spend(t.Context(), name, limit, limit.Burst); err != nil || d.Granted != limit.Burst {
			t.Errorf("%s: the burst: %+v, %v", name, d, err)
		}
		clock.Advance(limit.Interval() - time.Microsecond)
		if d, err := s.Spend(t.Context(), name, limit, 1); err != nil || d.Allowed || d.RetryAfter != time.Microsecond {
			t.Errorf("%s: a microsecond too early: %+v, %v", name, d, err)
		}
		clock.Advance(time.Microsecond)
		if d, err := s.Take(t.Context(), name, limit, limit.Burst); err != nil || d.Granted != 1 {
			t.Errorf("%s: one unit came back: %+v, %v", name, d, err)
		}
	}
}

func TestTheScriptIsLoadedAgain(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	s := open(t, redis.Config{URL: "redis://" + m.Addr()}).QuotaStore()
	for left := int64(2); left >= 0; left-- {
		if d, err := s.Spend(t.Context(), "k", quota.PerDay(3), 1); err != nil || d.Remaining != left {
			t.Fatalf("%+v, %v", d, err)
		}
		flushScripts(t, m.Addr())
	}
}

// flushScripts speaks to the server as anyone could.
func flushScripts(t *testing.T, addr string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("*2\r\n$6\r\nSCRIPT\r\n$5\r\nFLUSH\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	if err != nil || !strings.HasPrefix(string(answer[:n]), "+OK") {
		t.Fatalf("SCRIPT FLUSH: %q, %v", answer[:n], err)
	}
}

func wantUnavailable(t *testing.T, what string, d quota.Decision, err error) {
	t.Helper()
	if problem.CodeOf(err) != problem.QuotaUnavailable || d != (quota.Decision{}) {
		t.Errorf("%s: %+v, %v", what, d, err)
	}
}

func TestServerGoneAndBack(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	c := open(t, redis.Config{URL: "redis://" + m.Addr()})
	s := c.QuotaStore()
	spend := func() (quota.Decision, error) { return s.Spend(t.Context(), "k", quota.PerDay(5), 1) }
	if _, err := spend(); err != nil {
		t.Fatal(err)
	}
	m.Close()
	for range 3 {
		d, err := spend()
		wantUnavailable(t, "gone", d, err)
	}
	d, err := s.Take(t.Context(), "k", quota.PerDay(5), 1)
	wantUnavailable(t, "take", d, err)
	wantUnavailable(t, "refund", quota.Decision{}, s.Refund(t.Context(), "k", quota.PerDay(5), 1))
	wantUnavailable(t, "ping", quota.Decision{}, c.Ping(t.Context()))
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	if d, err := spend(); err != nil || d.Remaining != 3 {
		t.Errorf("back: %+v, %v", d, err)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestServerAnswersNonsense(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	s := open(t, redis.Config{URL: "redis://" + m.Addr()}).QuotaStore()
	if err := m.Set("hub:quota/word", "tomorrow"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Lpush("hub:quota/list", "1"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"word", "list"} {
		d, err := s.Spend(t.Context(), key, quota.PerDay(5), 1)
		wantUnavailable(t, key, d, err)
	}
	m.SetError("LOADING Redis is loading the dataset in memory")
	d, err := s.Spend(t.Context(), "k", quota.PerDay(5), 1)
	wantUnavailable(t, "loading", d, err)
}

// A server that takes connections and never says a word.
func TestServerHangs(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	const timeout = 50 * time.Millisecond
	begun := time.Now()
	s := open(t, redis.Config{URL: "redis://" + l.Addr().String(), Timeout: timeout}).QuotaStore()
	d, err := s.Spend(t.Context(), "k", quota.PerDay(5), 1)
	wantUnavailable(t, "hanging", d, err)
	wantUnavailable(t, "refund", quota.Decision{}, s.Refund(t.Context(), "k", quota.PerDay(5), 1))
	// Three calls of 50 ms; generous, but far below any default of go-redis (5 s).
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("three calls with a timeout of %v took %v", timeout, took)
	}
}

// The caller's deadline counts too, if it is the earlier one.
func TestTheCallersDeadlineCounts(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	c := open(t, redis.Config{URL: "redis://" + m.Addr(), Timeout: patient})
	answer := make(chan struct{})
	t.Cleanup(func() { close(answer) })
	m.Server().SetPreHook(func(*server.Peer, string, ...string) bool {
		<-answer
		return false
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	d, err := c.QuotaStore().Take(ctx, "k", quota.PerDay(5), 1)
	wantUnavailable(t, "late", d, err)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("not told as a deadline: %v", problem.From(err).LogText())
	}
	if took := time.Since(begun); took > patient/4 {
		t.Errorf("a call with 50ms to go took %v", took)
	}
}

// Whatever answers in the script's place is not believed.
func TestAnotherArithmeticIsAnError(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	s := open(t, redis.Config{URL: "redis://" + m.Addr()}).QuotaStore()
	for name, numbers := range map[string][]int{
		"too much":        {5, 0, 1_700_000_000_000_000},
		"too little":      {0, 0, 1_700_000_000_000_000},
		"from an empty":   {1, 1_700_000_000_000_000 + 5*24*3600*1_000_000, 1_700_000_000_000_000},
		"too few numbers": {1, 0},
		"none":            {},
	} {
		m.Server().SetPreHook(func(p *server.Peer, cmd string, _ ...string) bool {
			if cmd != "EVALSHA" {
				return false
			}
			p.WriteLen(len(numbers))
			for _, n := range numbers {
				p.WriteInt(n)
			}
			return true
		})
		d, err := s.Spend(t.Context(), "k", quota.PerDay(5), 1)
		wantUnavailable(t, name, d, err)
	}
}

func BenchmarkQuotaStore(b *testing.B) {
	m := miniredis.RunT(b)
	c, err := redis.Open(b.Context(), redis.Config{URL: "redis://" + m.Addr(), Timeout: patient})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	s := c.QuotaStore()
	for b.Loop() {
		if _, err := s.Spend(b.Context(), "k", quota.PerMinute(1e6), 1); err != nil {
			b.Fatal(err)
		}
	}
}
