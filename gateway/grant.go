package gateway

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Client is what a client says of itself to the authorization server, beside
// its certificate. All of it may be left out.
type Client struct {
	ID string // if it is given, it must be the participant's
	// AssertionType and Assertion are those of RFC 7523, section 2.2.
	AssertionType string
	Assertion     string
}

// GrantRequest asks for a token (RFC 6749, section 4.4).
type GrantRequest struct {
	Credentials
	Client
	Scope     string   // products, parted by spaces; "": all that its agreements give
	Resources []string // RFC 8707; each must be this hub
}

// Granted is a token that was given.
type Granted struct {
	Token string
	Life  time.Duration
	Scope string
}

// Grant gives a token to whom a certificate identifies, bound to that
// certificate.
func (g *Gateway) Grant(ctx context.Context, r GrantRequest, sign func([]byte) (string, error)) (*Granted, error) {
	snap, err := g.Snapshot()
	if err != nil {
		return nil, err
	}
	now := g.Now()
	caller, err := g.client(ctx, snap, r.Credentials, r.Client, now)
	if err == nil {
		caller.Scope, err = g.narrowed(snap, caller, r)
	}
	if err != nil {
		g.Failures.Note(caller.Participant, r.Address.String(), problem.CodeOf(err), now)
		return nil, err
	}
	id, err := g.NewID(now)
	if err != nil {
		return nil, err
	}
	token, err := snap.Authority.Grant(caller, id, now, sign)
	return &Granted{Token: token, Life: identity.GrantLife, Scope: caller.Scope}, err
}

// client is who asks the authorization server: by its certificate
// (tls_client_auth), and by an assertion as well if it sends one
// (private_key_jwt).
func (g *Gateway) client(ctx context.Context, snap *Snapshot, c Credentials, said Client, now time.Time) (identity.Caller, error) {
	caller, err := g.certified(ctx, snap, c, now)
	switch {
	case err != nil:
		return identity.Caller{}, err
	case said.ID != "" && said.ID != caller.Participant:
		return identity.Caller{}, problem.New(problem.ClientMismatch, "")
	case said.Assertion == "" && said.AssertionType == "":
		return caller, nil
	case said.AssertionType != identity.AssertionType:
		return identity.Caller{}, problem.New(problem.AssertionInvalid, "client_assertion_type is not %s", identity.AssertionType)
	}
	once, until, err := snap.Authority.CheckAssertion(snap.Trust, said.Assertion, caller, c.Chain[0], now)
	if err == nil {
		err = g.unused(ctx, once, until.Sub(now))
	}
	if err != nil {
		return identity.Caller{}, err
	}
	return caller, nil
}

// unused refuses an assertion that was used before, and every one while that
// cannot be known (invariant 3). A little is added, because replicas' clocks
// differ.
func (g *Gateway) unused(ctx context.Context, once string, keep time.Duration) error {
	if g.Replays == nil {
		return problem.New(problem.ReplayUnavailable, "this hub takes no assertions")
	}
	first, err := g.Replays.First(ctx, once, keep+2*time.Minute)
	if err == nil && !first {
		err = problem.New(problem.AssertionReplayed, "")
	}
	return err
}

// narrowed is the scope of a token, in a fixed form. A product that the caller
// may not know of is as unknown as one that does not exist.
func (g *Gateway) narrowed(snap *Snapshot, caller identity.Caller, r GrantRequest) (string, error) {
	for _, resource := range r.Resources {
		if !snap.Authority.Serves(resource) {
			return "", problem.New(problem.ResourceUnknown, "")
		}
	}
	scope := strings.Fields(r.Scope)
	slices.Sort(scope)
	scope = slices.Compact(scope)
	for _, id := range scope {
		p, ok := snap.Catalogue.Product(id)
		if !ok || !snap.Policies.MayKnow(caller.Participant, p, g.Region) {
			return "", problem.New(problem.ScopeUnknown, "")
		}
	}
	return strings.Join(scope, " "), nil
}

// TokenRequest asks about a token, or that it be revoked.
type TokenRequest struct {
	Credentials
	Client
	Subject string // the token that it is about
}

// Introspect says what a token is worth here and now (RFC 7662): its claims if
// a participant asks about its own and it would be taken, nil in every other
// case, which tells nothing apart.
func (g *Gateway) Introspect(ctx context.Context, r TokenRequest) (*identity.Claims, error) {
	t, _, err := g.ownToken(ctx, r)
	if err != nil || t == nil || !t.own || t.revoked {
		return nil, err
	}
	return t.Claims, nil
}

// Revoke ends a token of the participant that asks (RFC 7009), at every
// replica, and returns when this one knows. A token that is none, or ended, is
// as good as revoked.
func (g *Gateway) Revoke(ctx context.Context, r TokenRequest) error {
	t, caller, err := g.ownToken(ctx, r)
	if err != nil || t == nil || t.revoked {
		return err
	}
	if !t.own {
		err = problem.New(problem.TokenCertificate, "only the participant that it was issued to may revoke it")
	} else {
		err = g.Admission.AdmitRevocation(ctx, caller.Participant)
	}
	if err != nil {
		g.Failures.Note(caller.Participant, r.Address.String(), problem.CodeOf(err), g.Now())
		return err
	}
	now := g.Now()
	id, err := g.NewID(now)
	if err != nil {
		return err
	}
	signed, err := g.SignOrder(control.Order{ID: id, Kind: control.RevokeToken, Region: g.Region, Subject: t.ID, Until: t.Until()})
	if err != nil {
		return err
	}
	if _, err = g.Orders.Submit(ctx, signed); problem.CodeOf(err) == problem.OrderConflict {
		return nil // somebody else has revoked it meanwhile, or it has ended
	}
	return err
}

// ownedToken is a token that is valid now, whether the caller's participant
// owns it, and whether it or the certificate that it is bound to was revoked.
type ownedToken struct {
	*identity.Claims
	own, revoked bool
}

// ownToken authenticates the client and opens the token that it asks about;
// nil if that is none of ours or has ended.
func (g *Gateway) ownToken(ctx context.Context, r TokenRequest) (*ownedToken, identity.Caller, error) {
	snap, err := g.Snapshot()
	if err != nil {
		return nil, identity.Caller{}, err
	}
	now := g.Now()
	caller, err := g.client(ctx, snap, r.Credentials, r.Client, now)
	if err == nil {
		err = g.Admission.AdmitCaller(ctx, caller.Participant)
	}
	if err != nil {
		g.Failures.Note(caller.Participant, r.Address.String(), problem.CodeOf(err), now)
		return nil, caller, err
	}
	claims, err := snap.Authority.Open(r.Subject, now)
	if err != nil {
		return nil, caller, nil //nolint:nilerr // RFC 7009, 2.2 and RFC 7662, 2.2: not an error
	}
	_, revoked := snap.Control.Revoked(claims.Confirm.Thumbprint)
	return &ownedToken{claims, claims.IssuedTo(caller), revoked || snap.Control.TokenRevoked(claims.ID)}, caller, nil
}
