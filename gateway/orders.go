package gateway

import (
	"context"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Order submits what an operator signed and answers what became of it. The
// operator connects with a certificate of its own; which duty may give the
// order is decided by the signature on it, where every replica and every
// auditor can decide it again.
func (g *Gateway) Order(ctx context.Context, c Credentials, signed string) (control.Outcome, error) {
	if _, err := g.operator(ctx, c); err != nil {
		return control.Outcome{}, err
	}
	out, err := g.Orders.Submit(ctx, signed)
	if err != nil { // one that cannot hold is not even in the control log
		g.Failures.Note("", c.Address.String(), problem.CodeOf(err), g.Now())
	}
	return out, err
}

// ControlState is what the operators ordered, for operators of any duty.
func (g *Gateway) ControlState(ctx context.Context, c Credentials) (*control.State, error) {
	snap, err := g.operator(ctx, c)
	if err != nil {
		return nil, err
	}
	return snap.Control, nil
}

// operator finds out which operator calls. That the policies are not adopted
// is no reason to refuse orders: it takes orders to adopt them.
func (g *Gateway) operator(ctx context.Context, c Credentials) (*Snapshot, error) {
	now := g.Now()
	snap, err := g.Snapshot()
	if err != nil && problem.CodeOf(err) != problem.PolicyNotAdopted {
		return nil, err
	}
	err = g.Admission.AdmitAddress(ctx, c.Address)
	if err == nil {
		var peer identity.Peer
		peer, err = identity.AuthenticateOperator(snap.Trust, snap.Status, g.Region, c.Chain, now)
		if s, revoked := snap.Control.Revoked(peer.Thumbprint); err == nil && revoked {
			err = problem.New(problem.CertificateRevoked, "since %s", s.Since.Format(time.RFC3339))
		}
	}
	if err != nil {
		g.Failures.Note("", c.Address.String(), problem.CodeOf(err), now)
		return nil, err
	}
	return snap, nil
}
