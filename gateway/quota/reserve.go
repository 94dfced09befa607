package quota

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Allowance is what an agreement grants. Zero denies; [Unlimited] is said.
type Allowance struct {
	RequestsPerMinute int64
	RecordsPerDay     int64
}

// Check says whether both can be kept, for whoever loads agreements; the error
// is [ErrLimit].
func (a Allowance) Check() error {
	if err := PerMinute(a.RequestsPerMinute).Check(); err != nil {
		return fmt.Errorf("requests per minute: %w", err)
	}
	if err := PerDay(a.RecordsPerDay).Check(); err != nil {
		return fmt.Errorf("records per day: %w", err)
	}
	return nil
}

// Claim is one request under an agreement.
type Claim struct {
	Agreement string // its id
	Allowance Allowance
	Records   int64 // the page limit, 1 or more
}

// Reservation is what was taken for a request before its records were read.
// Unless it is settled, all of it is spent.
type Reservation struct {
	granted int64
	store   Store // the one that granted: only there may be given back
	key     string
	limit   Limit
	settled atomic.Bool
}

// Granted is how many records the answer may hold: at least 1, at most what was
// claimed. Fewer than claimed means that the agreement has no more left now.
func (r *Reservation) Granted() int64 { return r.granted }

// Reserve spends one request of the agreement and takes records up to the page
// limit; if fewer are left, it takes these, so that the page is shorter. The
// request is spent also if no record is left.
//
// A refusal is a [*RefusedError] with problem.QuotaExhausted; a Records below 1
// is problem.LimitOutOfRange; a store that fails, problem.QuotaUnavailable.
func Reserve(ctx context.Context, store Store, claim Claim) (*Reservation, error) {
	if claim.Records < 1 {
		return nil, problem.New(problem.LimitOutOfRange, "limit %d: use 1 or more", claim.Records)
	}
	perMinute := PerMinute(claim.Allowance.RequestsPerMinute)
	d, err := store.Spend(ctx, "requests/"+claim.Agreement, perMinute, 1)
	if err != nil {
		return nil, fmt.Errorf("counting a request of agreement %s: %w", claim.Agreement, err)
	}
	if !d.Allowed {
		return nil, refused(problem.QuotaExhausted, d, perMinute, "requests of agreement "+claim.Agreement)
	}
	r := &Reservation{store: store, key: "records/" + claim.Agreement, limit: PerDay(claim.Allowance.RecordsPerDay)}
	d, err = store.Take(ctx, r.key, r.limit, claim.Records)
	if err != nil {
		return nil, fmt.Errorf("reserving records of agreement %s: %w", claim.Agreement, err)
	}
	if !d.Allowed {
		return nil, refused(problem.QuotaExhausted, d, r.limit, "records of agreement "+claim.Agreement)
	}
	r.granted = d.Granted
	return r, nil
}

// Settle gives back what was granted and not used, once: a second call changes
// nothing. It does so even if ctx has ended, because a caller that hung up
// still gets its refund; the store's own deadline bounds it.
//
// used outside of 0 to Granted is an error and nothing is given back. After an
// error of the store, the reservation stays spent, and Settle is not to be
// repeated: the refund may have taken effect.
func (r *Reservation) Settle(ctx context.Context, used int64) error {
	if !r.settled.CompareAndSwap(false, true) {
		return nil
	}
	if used < 0 || used > r.granted {
		return fmt.Errorf("settling %d records of %d reserved: nothing is refunded", used, r.granted)
	}
	if used == r.granted {
		return nil
	}
	if err := r.store.Refund(context.WithoutCancel(ctx), r.key, r.limit, r.granted-used); err != nil {
		return fmt.Errorf("refunding %d records: %w", r.granted-used, err)
	}
	return nil
}
