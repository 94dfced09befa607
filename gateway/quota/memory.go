package quota

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// ErrFull says that a [Memory] holds as many keys as it may, none of them idle.
// The new key is refused: to forget a busy one instead would hand its burst
// out again to whoever can make many keys.
var ErrFull = errors.New("no room for another quota key")

// sweep is how many idle keys one call forgets at most: more than one, so that
// a store that was crowded once shrinks.
const sweep = 4

// Memory is a [Store] in this process, for one replica: for admission, for
// development, and beneath [Degrade]. It never blocks on anything but itself.
type Memory struct {
	now     func() time.Time
	maxKeys int

	mu    sync.Mutex
	cells map[string]*cell
	queue cellHeap // the next to be idle first
}

type cell struct {
	key   string
	tat   time.Time
	place int // in the queue
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store of at most maxKeys busy keys, about 200
// bytes each. With time.Now as its clock it does not notice when the machine's
// clock is set.
func NewMemory(maxKeys int, now func() time.Time) *Memory {
	return &Memory{now: now, maxKeys: maxKeys, cells: map[string]*cell{}}
}

// Spend implements [Store].
func (m *Memory) Spend(ctx context.Context, key string, limit Limit, n int64) (Decision, error) {
	return m.decide(ctx, key, limit, n, Spend)
}

// Take implements [Store].
func (m *Memory) Take(ctx context.Context, key string, limit Limit, most int64) (Decision, error) {
	return m.decide(ctx, key, limit, most, Take)
}

// Refund implements [Store].
func (m *Memory) Refund(ctx context.Context, key string, limit Limit, n int64) error {
	if err := ready(ctx, key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// A key that is not there is full.
	if c, ok := m.cells[key]; ok {
		now := m.now()
		m.keep(key, c, Refund(limit, c.tat, now, n), now)
	}
	return nil
}

// Len is the number of keys held.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.cells)
}

type rule func(limit Limit, tat, now time.Time, n int64) (time.Time, Decision)

func (m *Memory) decide(ctx context.Context, key string, limit Limit, n int64, rule rule) (Decision, error) {
	if err := ready(ctx, key); err != nil {
		return Decision{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now() // inside the lock, so that time does not run back between two calls
	m.forgetIdle(now)
	c := m.cells[key]
	var tat time.Time
	if c != nil {
		tat = c.tat
	}
	newTAT, d := rule(limit, tat, now, n)
	if c == nil && newTAT.After(now) && len(m.cells) >= m.maxKeys {
		return Decision{}, problem.Wrap(problem.QuotaUnavailable, ErrFull,
			"more than %d callers at once", m.maxKeys)
	}
	m.keep(key, c, newTAT, now)
	return d, nil
}

// ready refuses a call that must not be made.
func ready(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return problem.Wrap(problem.QuotaUnavailable, err, "the request ended before its quota was counted")
	}
	return CheckKey(key)
}

// keep notes a key's new arrival time, or forgets the key if it is full.
func (m *Memory) keep(key string, c *cell, tat, now time.Time) {
	switch full := !tat.After(now); {
	case full && c != nil:
		heap.Remove(&m.queue, c.place)
		delete(m.cells, key)
	case full:
	case c != nil:
		c.tat = tat
		heap.Fix(&m.queue, c.place)
	default:
		c = &cell{key: key, tat: tat}
		m.cells[key] = c
		heap.Push(&m.queue, c)
	}
}

func (m *Memory) forgetIdle(now time.Time) {
	for range sweep {
		if len(m.queue) == 0 || m.queue[0].tat.After(now) {
			return
		}
		c := heap.Pop(&m.queue).(*cell)
		delete(m.cells, c.key)
	}
}

// cellHeap implements [heap.Interface]; each cell knows its place.
type cellHeap []*cell

func (h cellHeap) Len() int           { return len(h) }
func (h cellHeap) Less(i, j int) bool { return h[i].tat.Before(h[j].tat) }

func (h cellHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *cellHeap) Push(x any) {
	c := x.(*cell)
	c.place = len(*h)
	*h = append(*h, c)
}

func (h *cellHeap) Pop() any {
	old := *h
	c := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return c
}
