package record

import (
	"time"
)

// Order is the place of a record among those of its key (invariant 4): by
// decision time, then by version, then, where a source gave one version to two
// contents, by a tie that is the same everywhere. It never asks when a record
// arrived.
type Order struct {
	DecisionTime time.Time
	Version      uint32
	Tie          string // the event's id
}

// Order is the place of the record that the envelope belongs to.
func (e *Envelope) Order() Order {
	return Order{DecisionTime: e.DecisionTime, Version: e.Version, Tie: e.EventID}
}

// Supersedes says whether o takes effect over p.
func (o Order) Supersedes(p Order) bool {
	if !o.DecisionTime.Equal(p.DecisionTime) {
		return o.DecisionTime.After(p.DecisionTime)
	}
	if o.Version != p.Version {
		return o.Version > p.Version
	}
	return o.Tie > p.Tie
}

// Fold holds the current state of each key: what remains of all records that
// were applied, in whatever order they came and however often. A removal stays
// as a tombstone, so that an older version that is replayed later loses against
// it. The zero Fold is empty. It is not safe for concurrent use.
type Fold[K comparable, V any] struct {
	states map[K]state[V]
}

type state[V any] struct {
	order   Order
	removed bool
	value   V
}

// Apply enters a record and says whether it took effect: false for one that
// something newer, or the same, has superseded.
func (f *Fold[K, V]) Apply(key K, o Order, op Operation, value V) bool {
	last, known := f.states[key]
	if known && !o.Supersedes(last.order) {
		return false
	}
	if f.states == nil {
		f.states = map[K]state[V]{}
	}
	s := state[V]{order: o, removed: op == Removal, value: value}
	if s.removed {
		var zero V
		s.value = zero // a tombstone keeps nothing of what it removed
	}
	f.states[key] = s
	return true
}

// Get is the value that stands for a key; false if there is none or it was removed.
func (f *Fold[K, V]) Get(key K) (V, bool) {
	s, ok := f.states[key]
	return s.value, ok && !s.removed
}

// Removed says whether the key's last word is a removal.
func (f *Fold[K, V]) Removed(key K) bool { return f.states[key].removed }

// All yields what stands, in no order.
func (f *Fold[K, V]) All(yield func(K, V) bool) {
	for k, s := range f.states {
		if !s.removed && !yield(k, s.value) {
			return
		}
	}
}
