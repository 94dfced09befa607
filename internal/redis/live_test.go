//go:build live

package redis_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/quota/quotatest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/redis"
)

// liveServer is a real redis-server, started by the test and ended by its pid.
type liveServer struct {
	addr string
	dir  string
	cmd  *exec.Cmd
}

func startServer(t *testing.T) *liveServer {
	t.Helper()
	s := &liveServer{addr: freeAddr(t), dir: t.TempDir()}
	s.start(t)
	t.Cleanup(func() { s.stop(t) })
	return s
}

func (s *liveServer) start(t *testing.T) {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("redis-server is not in PATH: apt-get install redis-server (%v)", err)
	}
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(s.dir, "redis.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.CommandContext(context.Background(), binary, "--port", port, "--bind", host,
		"--dir", s.dir, "--save", "", "--appendonly", "no", "--requirepass", secret)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := open(t, redis.Config{URL: s.url(), Timeout: time.Second})
	for deadline := time.Now().Add(15 * time.Second); c.Ping(t.Context()) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("redis-server does not answer on %s; its log:\n%s", s.addr, text)
		}
	}
}

func (s *liveServer) stop(t *testing.T) {
	t.Helper()
	if s.cmd == nil {
		return
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Errorf("ending redis-server %d: %v", s.cmd.Process.Pid, err)
	}
	_ = s.cmd.Wait() // says that it was killed, which it was
	s.cmd = nil
}

func (s *liveServer) url() string { return fmt.Sprintf("redis://:%s@%s", secret, s.addr) }

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestLiveQuotaStore(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var part atomic.Int64 // each with keys of its own on the one server
	quotatest.Run(t, func(t *testing.T) (quota.Store, quotatest.Clock) {
		t.Helper()
		c := open(t, redis.Config{URL: s.url(), Timeout: 5 * time.Second, Prefix: fmt.Sprint(part.Add(1), ":")})
		return c.QuotaStore(), quotatest.WallClock{}
	})
}

func TestLiveSubjectStore(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var part atomic.Int64
	quotatest.RunSubjects(t, func(t *testing.T) (quota.SubjectStore, quotatest.Clock) {
		t.Helper()
		c := open(t, redis.Config{URL: s.url(), Timeout: 5 * time.Second, Prefix: fmt.Sprint(part.Add(1), ":")})
		return c.SubjectStore(), quotatest.WallClock{}
	})
}

// What was used is remembered by a real server for as long as it was asked to,
// for every client, and not for ever.
func TestLiveReplayStore(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	one := open(t, redis.Config{URL: s.url(), Timeout: 5 * time.Second}).ReplayStore()
	two := open(t, redis.Config{URL: s.url(), Timeout: 5 * time.Second}).ReplayStore()
	for i, c := range []struct {
		store *redis.ReplayStore
		key   string
		keep  time.Duration
		want  bool
	}{{one, "long", time.Minute, true}, {two, "long", time.Minute, false}, {two, "short", time.Second, true}} {
		if got, err := c.store.First(t.Context(), c.key, c.keep); err != nil || got != c.want {
			t.Errorf("%d: %v, %v", i, got, err)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		again, err := one.First(t.Context(), "short", time.Second)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("it is never forgotten: %v", err)
		}
		if again {
			break
		}
	}
	s.stop(t)
	if ok, err := one.First(t.Context(), "new", time.Minute); ok || problem.CodeOf(err) != problem.ReplayUnavailable {
		t.Errorf("the server is gone: %v, %v", ok, err)
	}
}

// The script in the real server's Lua decides as the one in the stand-in: the
// store itself compares each decision with the pure function's, so it is
// enough that none of many is an error, and that the key has a life of its own.
func TestLiveScriptAndExpiry(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	store := open(t, redis.Config{URL: s.url(), Timeout: 5 * time.Second}).QuotaStore()
	for i := range int64(5000) {
		limit := quota.Limit{Rate: 1 + i%997, Period: time.Duration(1+i%13) * time.Second, Burst: 1 + i%50}
		key := fmt.Sprint("k", i%7)
		if _, err := store.Spend(t.Context(), key, limit, 1+i%60); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Take(t.Context(), key, limit, 1+i%70); err != nil {
			t.Fatal(err)
		}
		if err := store.Refund(t.Context(), key, limit, i%20); err != nil {
			t.Fatal(err)
		}
	}
	limit := quota.Limit{Rate: 5, Period: time.Second, Burst: 2}
	if d, err := store.Spend(t.Context(), "expires", limit, 2); err != nil || !d.Allowed {
		t.Fatalf("%+v, %v", d, err)
	}
	time.Sleep(500 * time.Millisecond)
	if d, err := store.Spend(t.Context(), "expires", limit, 2); err != nil || d.Remaining != 0 || !d.Allowed {
		t.Errorf("after it expired: %+v, %v", d, err)
	}
}

// Lua's own way to write a number keeps 14 digits of the 16.
func TestLiveArrivalTimesAreWhole(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	store := open(t, redis.Config{URL: s.url(), Timeout: 5 * time.Second}).QuotaStore()
	opt, err := goredis.ParseURL(s.url())
	if err != nil {
		t.Fatal(err)
	}
	raw := goredis.NewClient(opt)
	defer func() { _ = raw.Close() }()
	if _, err := store.Spend(t.Context(), "k", quota.PerDay(10), 1); err != nil {
		t.Fatal(err)
	}
	value, err := raw.Get(t.Context(), "hub:quota/k").Result()
	if err != nil || !regexp.MustCompile(`^\d{16}$`).MatchString(value) {
		t.Errorf("the arrival time is kept as %q, want 16 digits (%v)", value, err)
	}
}

// A server that is killed, with the gateway running, and started again.
func TestLiveServerKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := open(t, redis.Config{URL: s.url()})
	store := c.QuotaStore()
	if _, err := store.Spend(t.Context(), "k", quota.PerDay(2), 1); err != nil {
		t.Fatal(err)
	}
	s.stop(t)
	begun := time.Now()
	for range 5 {
		d, err := store.Spend(t.Context(), "k", quota.PerDay(2), 1)
		if problem.CodeOf(err) != problem.QuotaUnavailable || d.Allowed {
			t.Errorf("killed: %+v, %v", d, err)
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("five calls to a dead server took %v", took)
	}
	s.start(t)
	d, err := store.Spend(t.Context(), "k", quota.PerDay(2), 1)
	if err != nil || d.Remaining != 1 { // the counters were the server's memory
		t.Errorf("started again: %+v, %v", d, err)
	}
}
