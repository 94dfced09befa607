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

//go:embed subjects.lua
var subjectsLua string

// SubjectStore is a quota.SubjectStore that all replicas share: one script, by
// the server's clock.
type SubjectStore struct {
	client *Client
	script *goredis.Script
}

var _ quota.SubjectStore = (*SubjectStore)(nil)

// SubjectStore returns the store of subjects on this server.
func (c *Client) SubjectStore() *SubjectStore {
	return &SubjectStore{client: c, script: goredis.NewScript(subjectsLua)}
}

// Admit implements quota.SubjectStore.
func (s *SubjectStore) Admit(ctx context.Context, key string, limit int64, subjects []quota.Subject) (quota.SubjectDecision, error) {
	if err := ended(ctx); err != nil {
		return quota.SubjectDecision{}, unavailable(err)
	}
	if err := quota.CheckKey(key); err != nil {
		return quota.SubjectDecision{}, err
	}
	args := []any{max(limit, 0), quota.Window.Microseconds()}
	for _, subject := range quota.Different(subjects) {
		args = append(args, string(subject[:]))
	}
	callCtx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	v, err := s.script.Run(callCtx, s.client.redis, []string{s.client.prefix + "quota/" + key}, args...).Int64Slice()
	switch {
	case err != nil:
		return quota.SubjectDecision{}, unavailable(errors.Join(ended(ctx), err))
	case len(v) != 3:
		return quota.SubjectDecision{}, unavailable(fmt.Errorf("the script of subjects returned %d numbers, want 3", len(v)))
	}
	return quota.DecideSubjects(limit, v[0], v[1], time.Duration(v[2])*time.Microsecond), nil
}
