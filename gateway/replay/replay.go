package replay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Store remembers keys.
//
// Of every implementation:
//   - of all calls with one key, in this or any other process that shares the
//     store, exactly one MUST be told true while the key is remembered;
//   - a key MUST be remembered for at least as long as it was asked for, and
//     SHOULD be forgotten soon after;
//   - what cannot be remembered, because the store does not answer or has no
//     room, MUST be an error that carries problem.ReplayUnavailable, never
//     true (invariant 3); a call whose outcome is unknown MUST NOT be repeated;
//   - it MUST return by the deadline of ctx, and by one of its own if ctx has
//     none.
type Store interface {
	// First says whether nobody used the key before, and remembers it for that
	// long.
	First(ctx context.Context, key string, keep time.Duration) (bool, error)
}

// The bounds of a key and of how long it is kept.
const (
	MaxKey  = 256
	MaxKeep = time.Hour
)

// Check is for stores: a key or time outside the bounds is an error, for which
// nothing is remembered.
func Check(ctx context.Context, key string, keep time.Duration) error {
	if key == "" || len(key) > MaxKey || keep <= 0 || keep > MaxKeep {
		return problem.Wrap(problem.ReplayUnavailable, fmt.Errorf("a key of %d bytes for %s: 1 to %d bytes, up to %s", len(key), keep, MaxKey, MaxKeep), "")
	}
	if err := ctx.Err(); err != nil {
		return problem.Wrap(problem.ReplayUnavailable, err, "")
	}
	return nil
}

// Memory is a [Store] in this process. A second replica does not know what it
// remembers: with more than one, share a store.
type Memory struct {
	now     func() time.Time
	maxKeys int

	mu    sync.Mutex
	until map[string]time.Time
	queue []entry // in the order in which they came, forgotten from the front
}

type entry struct {
	key   string
	until time.Time
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store of at most maxKeys keys, about 150 bytes
// each.
func NewMemory(maxKeys int, now func() time.Time) *Memory {
	return &Memory{now: now, maxKeys: maxKeys, until: map[string]time.Time{}}
}

// First implements [Store]. A full store refuses: to forget a key that is still
// due would let it be used again.
func (m *Memory) First(ctx context.Context, key string, keep time.Duration) (bool, error) {
	if err := Check(ctx, key, keep); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if until, used := m.until[key]; used && now.Before(until) {
		return false, nil
	}
	if m.forget(now); len(m.queue) >= m.maxKeys {
		return false, problem.Wrap(problem.ReplayUnavailable, fmt.Errorf("%d keys are remembered, which is all there is room for", len(m.queue)), "")
	}
	e := entry{key, now.Add(keep)}
	m.until[key] = e.until
	m.queue = append(m.queue, e)
	return true, nil
}

// forget drops what ended, from the front. Behind one that is kept longer,
// others wait, at most for MaxKeep.
func (m *Memory) forget(now time.Time) {
	n := 0
	for n < len(m.queue) && !now.Before(m.queue[n].until) {
		if e := m.queue[n]; m.until[e.key].Equal(e.until) { // not used anew since
			delete(m.until, e.key)
		}
		n++
	}
	m.queue = m.queue[n:]
}
