package gateway

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Identify finds out who calls: admission of the address, the certificate, the
// grant, admission of the caller. A refusal is counted for the ledger.
func (g *Gateway) Identify(ctx context.Context, snap *Snapshot, c Credentials, now time.Time) (identity.Caller, error) {
	caller, err := g.certified(ctx, snap, c, now)
	if err == nil {
		caller.Scope, err = granted(snap, c.Token, caller, now)
	}
	return g.admitted(ctx, caller, c, err, now)
}

// Recognise is Identify for what tells of schemas and never of records: the
// certificate is enough, because a Kafka client cannot renew a grant. A grant
// that is presented is checked all the same.
func (g *Gateway) Recognise(ctx context.Context, snap *Snapshot, c Credentials, now time.Time) (identity.Caller, error) {
	caller, err := g.certified(ctx, snap, c, now)
	if err == nil && c.Token != "" {
		caller.Scope, err = granted(snap, c.Token, caller, now)
	}
	return g.admitted(ctx, caller, c, err, now)
}

// admitted is the end of both: the caller, if it may come now, or the counted
// refusal.
func (g *Gateway) admitted(ctx context.Context, caller identity.Caller, c Credentials, err error, now time.Time) (identity.Caller, error) {
	known := ""
	if err == nil {
		known = caller.Participant
		err = g.Admission.AdmitCaller(ctx, caller.Participant)
	}
	if err != nil {
		g.Failures.Note(known, c.Address.String(), problem.CodeOf(err), now)
		return identity.Caller{}, err
	}
	return caller, nil
}

// granted checks the token: issued here, valid now, held by the caller, not
// revoked. It returns its scope.
func granted(snap *Snapshot, token string, caller identity.Caller, now time.Time) (scope string, err error) {
	t, err := snap.Authority.Open(token, now)
	if err == nil {
		err = t.HeldBy(caller)
	}
	if err != nil {
		return "", err
	}
	if snap.Control.TokenRevoked(t.ID) {
		return "", problem.New(problem.TokenRevoked, "")
	}
	return t.Scope, nil
}

func (g *Gateway) certified(ctx context.Context, snap *Snapshot, c Credentials, now time.Time) (identity.Caller, error) {
	if err := g.Admission.AdmitAddress(ctx, c.Address); err != nil {
		return identity.Caller{}, err
	}
	peer, err := identity.Authenticate(snap.Trust, snap.Status, c.Chain, now)
	if err != nil {
		return identity.Caller{}, err
	}
	if s, revoked := snap.Control.Revoked(peer.Thumbprint); revoked {
		return identity.Caller{}, problem.New(problem.CertificateRevoked, "since %s", s.Since.Format(time.RFC3339))
	}
	caller, err := identity.Admit(peer, snap.Catalogue, now)
	if s := snap.Control.Participant(caller.Participant); err == nil && s.Effect != control.Good {
		return identity.Caller{}, problem.New(problem.CallerSuspended, "participant %s is %s since %s", caller.Participant, s.Effect, s.Since.Format(time.RFC3339))
	}
	return caller, err
}

// Chain is the certificates that count for a connection: its own, or, where a
// listed proxy ended TLS, those that the proxy passes on (RFC 9440). Whoever
// else passes some on is refused, and nothing is ignored.
func (g *Gateway) Chain(c Credentials, forwarded []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(forwarded) == 0 && !identity.IsForwarder(c.Chain) {
		return c.Chain, nil
	}
	now := g.Now()
	snap, err := g.Snapshot()
	if err != nil && problem.CodeOf(err) != problem.PolicyNotAdopted {
		return nil, err
	}
	err = identity.CheckForwarder(snap.Trust, snap.Status, g.Region, g.Proxies, c.Chain, now)
	if err == nil {
		if s, revoked := snap.Control.Revoked(identity.Thumbprint(c.Chain[0])); revoked {
			err = problem.New(problem.ForwardedRefused, "the proxy's certificate is revoked since %s", s.Since.Format(time.RFC3339))
		}
	}
	if err != nil {
		g.Failures.Note("", c.Address.String(), problem.CodeOf(err), now)
		return nil, err
	}
	return forwarded, nil
}
