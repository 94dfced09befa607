package quota

import (
	"context"
	"net/netip"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// RefusedError is a refusal by a limit, with when to come back. Its chain holds
// the problem: problem.RateLimited or problem.QuotaExhausted.
type RefusedError struct {
	Problem *problem.Problem
	// RetryAfter is 0 if waiting cannot help. Round it up for a Retry-After of
	// whole seconds.
	RetryAfter time.Duration
}

// Error is the problem's text.
func (e *RefusedError) Error() string { return e.Problem.Error() }

// Unwrap returns the problem.
func (e *RefusedError) Unwrap() error { return e.Problem }

func refused(code problem.Code, d Decision, limit Limit, what string) *RefusedError {
	p := problem.New(code, "the limit is %v %s; again in %v", limit, what, d.RetryAfter)
	switch {
	case limit.Interval() == 0:
		p = problem.New(code, "no %s are allowed", what)
	case d.Never:
		p = problem.New(code, "the limit is %v %s, %d at once", limit, what, limit.Burst)
	}
	return &RefusedError{Problem: p, RetryAfter: d.RetryAfter}
}

// Admission protects what follows from too many requests: per address before
// anything costs, and per caller once it is identified. It counts requests, so
// give it a cheap Store: one [Memory] per replica.
type Admission struct {
	Store      Store
	PerAddress Limit
	PerCaller  Limit
	// PerRevocation is how many tokens a participant may revoke: each stands in
	// the control log for good.
	PerRevocation Limit
}

// v6Network is the part of an IPv6 address that names one subscriber: whoever
// has one address of it has them all (RFC 4291, 2.5.4; RFC 6177).
const v6Network = 64

// AdmitAddress counts one request of an address; of IPv6, of its /64.
//
// A refusal is a [*RefusedError] with problem.RateLimited; an address that is
// none is problem.RequestInvalid; a store that fails, problem.QuotaUnavailable.
func (a Admission) AdmitAddress(ctx context.Context, address netip.Addr) error {
	if !address.IsValid() {
		return problem.New(problem.RequestInvalid, "the request comes from no network address")
	}
	return a.count(ctx, "address/"+network(address), a.PerAddress, "requests per address")
}

// AdmitCaller counts one request of an identified caller, wherever it comes
// from. Nobody, "", is problem.CallerUnknown; else as AdmitAddress.
func (a Admission) AdmitCaller(ctx context.Context, caller string) error {
	if caller == "" {
		return problem.New(problem.CallerUnknown, "the caller has no name")
	}
	return a.count(ctx, "caller/"+caller, a.PerCaller, "requests per caller")
}

// AdmitRevocation counts one revocation of a token by an identified caller.
func (a Admission) AdmitRevocation(ctx context.Context, caller string) error {
	return a.count(ctx, "revocation/"+caller, a.PerRevocation, "revocations per participant")
}

func (a Admission) count(ctx context.Context, key string, limit Limit, what string) error {
	d, err := a.Store.Spend(ctx, key, limit, 1)
	if err != nil {
		return err
	}
	if !d.Allowed {
		return refused(problem.RateLimited, d, limit, what)
	}
	return nil
}

func network(a netip.Addr) string {
	a = a.Unmap()
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(v6Network) // which has no zone
	if err != nil {               // not for a valid IPv6 address; if ever, count the address itself
		return a.String()
	}
	return p.String()
}
