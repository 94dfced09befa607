package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/chuanyu-exchange/hub/gateway/quota"
)

//go:embed quota.lua
var quotaLua string

// QuotaStore is a quota.Store that all replicas share. Each call is one run of
// one script on the server: atomic, and by the server's clock, because replicas
// whose clocks differ would fill each other's buckets early.
type QuotaStore struct {
	client *Client
	script *goredis.Script
}

var _ quota.Store = (*QuotaStore)(nil)

// QuotaStore returns the store of quotas on this server.
func (c *Client) QuotaStore() *QuotaStore {
	return &QuotaStore{client: c, script: goredis.NewScript(quotaLua)}
}

// Spend implements quota.Store.
func (s *QuotaStore) Spend(ctx context.Context, key string, limit quota.Limit, n int64) (quota.Decision, error) {
	if done, err := noCall(ctx, key, limit, n); done {
		_, d := quota.Spend(limit, time.Time{}, time.Time{}, n)
		return decided(d, err)
	}
	r, err := s.run(ctx, key, limit, n, n, 0)
	if err != nil {
		return quota.Decision{}, err
	}
	_, d := quota.Spend(limit, r.before, r.now, n)
	return r.agreed(d)
}

// Take implements quota.Store.
func (s *QuotaStore) Take(ctx context.Context, key string, limit quota.Limit, most int64) (quota.Decision, error) {
	if done, err := noCall(ctx, key, limit, most); done {
		_, d := quota.Take(limit, time.Time{}, time.Time{}, most)
		return decided(d, err)
	}
	r, err := s.run(ctx, key, limit, 1, most, 0)
	if err != nil {
		return quota.Decision{}, err
	}
	_, d := quota.Take(limit, r.before, r.now, most)
	return r.agreed(d)
}

// Refund implements quota.Store.
func (s *QuotaStore) Refund(ctx context.Context, key string, limit quota.Limit, n int64) error {
	if done, err := noCall(ctx, key, limit, n); done {
		return err
	}
	_, err := s.run(ctx, key, limit, 0, 0, n)
	return err
}

// noCall says that the answer does not depend on what the server holds: the
// call is refused, or nothing is counted.
func noCall(ctx context.Context, key string, limit quota.Limit, n int64) (bool, error) {
	if err := ended(ctx); err != nil {
		return true, unavailable(err)
	}
	if err := quota.CheckKey(key); err != nil {
		return true, err
	}
	return n < 1 || limit.Interval() == 0, nil
}

func decided(d quota.Decision, err error) (quota.Decision, error) {
	if err != nil {
		return quota.Decision{}, err
	}
	return d, nil
}

// reply is what the script did and from what.
type reply struct {
	granted int64
	before  time.Time // the arrival time it found
	now     time.Time // the server's
}

// agreed returns the decision of the pure function over what the script found.
// The script has the same arithmetic; were it ever to differ, that is an error
// and not a second truth.
func (r reply) agreed(d quota.Decision) (quota.Decision, error) {
	if d.Granted != r.granted {
		return quota.Decision{}, unavailable(fmt.Errorf("the quota script granted %d where %d are due", r.granted, d.Granted))
	}
	return d, nil
}

// ended is ctx.Err, and does not miss a deadline that a socket noticed a moment
// before the context's own timer: go-redis then speaks of an I/O timeout only.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return nil
}

func (s *QuotaStore) run(ctx context.Context, key string, limit quota.Limit, least, most, back int64) (reply, error) {
	callCtx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	v, err := s.script.Run(callCtx, s.client.redis, []string{s.client.prefix + "quota/" + key},
		least, most, back, limit.Interval().Microseconds(), limit.Burst).Int64Slice()
	switch {
	case err != nil:
		return reply{}, unavailable(errors.Join(ended(ctx), err))
	case len(v) != 3:
		return reply{}, unavailable(fmt.Errorf("the quota script returned %d numbers, want 3", len(v)))
	}
	r := reply{granted: v[0], now: time.UnixMicro(v[2])}
	if v[1] != 0 {
		r.before = time.UnixMicro(v[1])
	}
	return r, nil
}
