package quota

import (
	"context"
	"errors"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Degrade reserves from a store that the replicas share, and while that one
// does not answer, from one of this process, for those who may be served so:
// products that are shared unconditionally (design, section 6). With k replicas
// an agreement may then have up to k times its allowance.
type Degrade struct {
	Shared Store
	Local  Store // must not wait on what Shared waits on: a [Memory]
}

// Reserve is [Reserve] from Shared. If Shared fails with
// problem.QuotaUnavailable and failOpen is set, it is Reserve from Local;
// degraded says so. A refusal stays a refusal, and a request that has ended
// gets its error. The reservation is settled with the store that granted it.
func (g Degrade) Reserve(ctx context.Context, failOpen bool, claim Claim) (r *Reservation, degraded bool, err error) {
	r, err = Reserve(ctx, g.Shared, claim)
	if err == nil || !failOpen || ctx.Err() != nil || problem.CodeOf(err) != problem.QuotaUnavailable {
		return r, false, err
	}
	r, localErr := Reserve(ctx, g.Local, claim)
	if localErr != nil {
		// Local's word first: it is the answer; Shared's is for the log.
		return nil, true, errors.Join(localErr, err)
	}
	return r, true, nil
}
