package gateway

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Composer makes the snapshots of a replica: what it was started with, under
// what the operators ordered, with the keys of the hour. It is safe for concurrent use.
type Composer struct {
	// Region is the replica's own.
	Region string
	// Started is what does not change while the replica runs. Its Trust holds
	// the province's own authorities; those of the other come from bundles, and
	// so do authorities outside of the exchange.
	Started Snapshot
	// State is what the control log comes to; see control.Log.
	State func() (*control.State, error)
	// Open checks a province's bundle again, at a time.
	Open func(compact, region string, at time.Time) (*identity.Bundle, error)
	// CursorKeys are those of now: seal with the first, open with all. nil:
	// those of Started, for good.
	CursorKeys func() []receipt.CursorKey
	Now        func() time.Time
	Logger     *slog.Logger

	last atomic.Pointer[composed]

	admitting sync.Mutex
	admission *admission // of the last state
}

// composed is a snapshot and what it was made of.
type composed struct {
	state    *control.State
	until    time.Time // when a bundle ends
	snapshot *Snapshot
	err      error
}

// Snapshot is a SnapshotFunc. Between two changes it is one load and one
// comparison of key versions.
func (c *Composer) Snapshot() (*Snapshot, error) {
	state, err := c.State()
	if err != nil {
		return nil, err
	}
	now, keys := c.Now(), c.Started.CursorKeys
	if c.CursorKeys != nil {
		keys = c.CursorKeys()
	}
	last := c.last.Load()
	if last == nil || last.state != state || now.After(last.until) || !sameKeys(last.snapshot.CursorKeys, keys) {
		last = c.compose(state, keys, now)
		c.last.Store(last)
	}
	return last.snapshot, last.err
}

// sameKeys compares by version: a version never changes.
func sameKeys(a, b []receipt.CursorKey) bool {
	return slices.EqualFunc(a, b, func(a, b receipt.CursorKey) bool { return a.Version == b.Version })
}

// compose is pure but for the line of log about a bundle that ended.
func (c *Composer) compose(state *control.State, keys []receipt.CursorKey, now time.Time) *composed {
	snap := c.Started
	snap.CursorKeys = keys
	out := &composed{state: state, until: now.Add(time.Hour), snapshot: &snap}
	snap.Control = state
	for _, b := range state.Bundles() {
		trust, notAfter, err := c.trust(snap.Trust, b, now)
		if err != nil { // it ended: nobody of that province is believed any more
			c.Logger.WarnContext(context.Background(), "trust bundle", slog.String("region", b.Region), slog.String("problem", problem.From(err).LogText()))
			continue
		}
		snap.Trust = trust
		if notAfter.Before(out.until) {
			out.until = notAfter
		}
	}
	held := snap.Policies.Version()
	with := c.admitted(state)
	snap.Catalogue, snap.Policies = with.catalogue, with.policies
	snap.Trust = snap.Trust.Naming(c.Region, with.own(c.Region)...)
	if adopted := state.Policy().Policy; adopted != held {
		out.err = problem.New(problem.PolicyNotAdopted, "adopted is %q, this replica holds %s", adopted, held)
	}
	return out
}

// trust is t with what a bundle says. Of the replica's own province it changes
// the authorities outside of the exchange and the clients: the roots, which
// certify the gateways themselves, are what the replica was started with.
func (c *Composer) trust(t *identity.Trust, b control.Bundle, now time.Time) (*identity.Trust, time.Time, error) {
	opened, err := c.Open(b.Compact, b.Region, now)
	if err != nil {
		return nil, time.Time{}, err
	}
	authorities, err := opened.Authorities()
	if err != nil {
		return nil, time.Time{}, err
	}
	if b.Region == c.Region {
		return t.Extended(b.Region, authorities), opened.NotAfter, nil
	}
	return t.With(b.Region, authorities), opened.NotAfter, nil
}
