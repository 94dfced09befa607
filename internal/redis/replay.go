package redis

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/chuanyu-exchange/hub/gateway/replay"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// ReplayStore is a replay.Store that all replicas share: one SET NX PX a key,
// kept by the server's clock.
type ReplayStore struct {
	client *Client
}

var _ replay.Store = (*ReplayStore)(nil)

// ReplayStore returns the store of used keys on this server.
func (c *Client) ReplayStore() *ReplayStore { return &ReplayStore{c} }

// First implements replay.Store.
func (s *ReplayStore) First(ctx context.Context, key string, keep time.Duration) (bool, error) {
	if err := replay.Check(ctx, key, keep); err != nil {
		return false, err
	}
	callCtx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	// Whole milliseconds, rounded up: never shorter than was asked for.
	keep = (keep + time.Millisecond - 1).Truncate(time.Millisecond)
	err := s.client.redis.SetArgs(callCtx, s.client.prefix+"replay/"+key, "", goredis.SetArgs{Mode: "NX", TTL: keep}).Err()
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, goredis.Nil):
		return false, nil
	}
	return false, problem.Wrap(problem.ReplayUnavailable, errors.Join(ended(ctx), err), "")
}
