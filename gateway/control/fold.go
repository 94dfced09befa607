package control

import (
	"crypto/x509"
	"errors"
	"time"

	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// Entry is a record of the log: a signed order, where it lies, and when it was
// written.
type Entry struct {
	Offset int64
	At     time.Time
	Order  string // compact JWS
}

// Outcome is what the fold made of an entry.
type Outcome struct {
	Offset int64
	Order  Order  // zero when it could not be read
	By     string // who signed it; "" when nobody did that we believe
	Err    error  // a *problem.Problem: why it changed nothing; nil when it took effect
}

// Rules are what the fold rests on beside the log: the same in every replica
// of a province. Roots only ever grow, because what was signed long ago is
// folded anew at every start.
type Rules struct {
	Region string
	Roots  *x509.CertPool // that certify operators and gateways of the province
	// OpenBundle checks a province's trust bundle as of a time, and gives its
	// version.
	OpenBundle func(compact, region string, at time.Time) (version int64, err error)
}

// maxSkew is how far the time that an operator signed and the time in the log
// may be apart. It bounds how long a signed order can be held back.
const maxSkew = 5 * time.Minute

// Fold applies entries, in their order, to a state and returns the new one,
// with what became of each. It is pure and deterministic: it reads no clock,
// and the same entries give the same state however they are cut into calls.
// An entry that lies before the state's place has been folded and is passed
// over.
func (r *Rules) Fold(s *State, entries []Entry) (*State, []Outcome) {
	next := s.clone()
	outcomes := make([]Outcome, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		if e.Offset < next.next {
			continue
		}
		out := Outcome{Offset: e.Offset}
		out.Err = r.apply(next, e, &out)
		next.next = e.Offset + 1
		outcomes = append(outcomes, out)
	}
	return next, outcomes
}

func (r *Rules) apply(s *State, e *Entry, out *Outcome) error {
	signed, err := jws.Parse(e.Order, Type)
	if err != nil {
		return problem.Wrap(problem.OrderInvalid, err, "it is not a signed order")
	}
	o, err := parseOrder(signed.Unverified)
	if err != nil {
		return err
	}
	// The certificate must have been valid when the log took the order up, not
	// when the signer says that it signed.
	leaf, err := signed.Verify(r.Roots, e.At)
	if err != nil {
		return problem.Wrap(problem.OrderForged, err, "")
	}
	signer, err := spiffe.Of(leaf)
	if err != nil {
		return problem.Wrap(problem.OrderForged, err, "")
	}
	out.Order, out.By = *o, signer.String()
	if err := r.admit(s, e, o, signer, jws.KeyID(leaf)); err != nil {
		return err
	}
	c := change{state: s, order: o, by: signer.String(), at: e.At.UTC(), leaf: leaf, rules: r}
	if err := c.apply(); err != nil {
		return err
	}
	s.orders[o.ID] = struct{}{}
	return nil
}

// admit says whether this signer may give this order, here and now.
func (r *Rules) admit(s *State, e *Entry, o *Order, signer spiffe.Name, thumbprint string) error {
	_, known := s.orders[o.ID]
	switch skew := e.At.Sub(o.At); {
	case o.Region != r.Region:
		return problem.New(problem.OrderInvalid, "it is for region %s", shown(o.Region))
	case s.certificates[thumbprint].Subject != "":
		return problem.New(problem.OrderForged, "the certificate of %s is revoked", signer)
	case !may(signer, r.Region, o.Kind):
		return problem.New(problem.OrderDuty, "%s is for %s; it is signed by %s", o.Kind, whose(o.Kind), signer)
	case skew > maxSkew || skew < -maxSkew:
		return problem.New(problem.OrderOutOfTime, "signed %s before it was written, at most %s", skew, maxSkew)
	case known:
		return problem.New(problem.OrderConflict, "order %s took effect before", o.ID)
	}
	return nil
}

func whose(k Kind) string {
	if k.byGateway() {
		return "the gateway"
	}
	return string(dutyOf(k))
}

// change is one order on its way into a state.
type change struct {
	state *State
	order *Order
	by    string
	at    time.Time
	leaf  *x509.Certificate // of the signer
	rules *Rules
}

func (c *change) apply() error {
	switch s := c.state; c.order.Kind {
	case SuspendParticipant:
		return c.stand(s.participants, Good, Suspended)
	case ResumeParticipant:
		return c.stand(s.participants, Suspended, Good)
	case RemoveParticipant:
		return c.end(s.participants)
	case SuspendAgreement:
		return c.stand(s.agreements, Good, Suspended)
	case ResumeAgreement:
		return c.stand(s.agreements, Suspended, Good)
	case EndAgreement:
		return c.endAgreement()
	case RevokeCertificate:
		return c.end(s.certificates)
	default:
		return c.adopt()
	}
}

// adopt is the orders that are not about one subject's standing.
func (c *change) adopt() error {
	switch c.order.Kind {
	case AdoptBundle:
		return c.bundle()
	case AdmitParticipant:
		return c.admitParticipant()
	case ProposeAgreement:
		return c.proposeAgreement()
	case ApproveAgreement:
		return c.approveAgreement()
	case ProposePolicy:
		return c.propose()
	case ApprovePolicy:
		return c.approve()
	case AnnounceKey:
		return c.announce()
	case RevokeToken:
		return c.revokeToken()
	default:
		return problem.New(problem.OrderInvalid, "kind %q", shown(string(c.order.Kind)))
	}
}

// stand moves a subject from one standing to another.
func (c *change) stand(of map[string]Standing, from, to Effect) error {
	if now := of[c.order.Subject].Effect; now != from {
		return problem.New(problem.OrderConflict, "%s is %s", c.order.Subject, now)
	}
	of[c.order.Subject] = c.standing(to)
	return nil
}

// end is for good, from any standing.
func (c *change) end(of map[string]Standing) error {
	if of[c.order.Subject].Effect == Ended {
		return problem.New(problem.OrderConflict, "%s is ended", c.order.Subject)
	}
	of[c.order.Subject] = c.standing(Ended)
	return nil
}

func (c *change) standing(to Effect) Standing {
	return Standing{Subject: c.order.Subject, Effect: to, Since: c.at, By: c.by, Reason: c.order.Reason, Order: c.order.ID}
}

// bundle takes a province's trust bundle: another's, or, for authorities
// outside of the exchange and clients' keys, one's own. An older one never
// replaces a newer one.
func (c *change) bundle() error {
	region := c.order.Subject
	if c.rules.OpenBundle == nil {
		return problem.New(problem.OrderInvalid, "a trust bundle of %s is not adopted here", region)
	}
	version, err := c.rules.OpenBundle(c.order.Bundle, region, c.at)
	if err != nil {
		return problem.Wrap(problem.OrderInvalid, err, "%s", problem.From(err).Detail)
	}
	if held, ok := c.state.bundles[region]; ok && held.Version >= version {
		return problem.New(problem.OrderConflict, "version %d of %s is in force, this is %d", held.Version, region, version)
	}
	c.state.bundles[region] = Bundle{Region: region, Version: version, Since: c.at, By: c.by, Compact: c.order.Bundle}
	return nil
}

// propose is the first pair of eyes.
func (c *change) propose() error {
	if c.state.policy.Policy == c.order.Subject {
		return problem.New(problem.OrderConflict, "these policies are in force")
	}
	c.state.proposals[c.order.ID] = Proposal{
		Order: c.order.ID, Policy: c.order.Subject, At: c.at, By: c.by, Reason: c.order.Reason,
	}
	return nil
}

// proposalLife bounds how long a proposal can be approved.
const proposalLife = 30 * 24 * time.Hour

// approve is the second, of another person. What was proposed beside it falls.
func (c *change) approve() error {
	p, ok := c.state.proposals[c.order.Subject]
	switch {
	case !ok:
		return problem.New(problem.OrderConflict, "there is no proposal %s, or another was adopted since", c.order.Subject)
	case p.By == c.by:
		return problem.New(problem.OrderFourEyes, "proposed and approved by %s", c.by)
	case c.at.Sub(p.At) > proposalLife:
		return problem.New(problem.OrderConflict, "the proposal is of %s: propose it anew", p.At.Format(time.DateOnly))
	}
	clear(c.state.proposals)
	c.state.policy = Adoption{Policy: p.Policy, Since: c.at, ProposedBy: p.By, ApprovedBy: c.by, Order: c.order.ID}
	return nil
}

// announce takes the key that signed the order up among those that a reader of
// receipts and grants may meet.
func (c *change) announce() error {
	id := jws.KeyID(c.leaf)
	if _, known := c.state.keys[id]; known {
		return problem.New(problem.OrderConflict, "the key is announced")
	}
	for old, k := range c.state.keys { // tidied by the log's own time, so everywhere alike
		if c.at.Sub(k.Certificate.NotAfter) > time.Hour {
			delete(c.state.keys, old)
		}
	}
	c.state.keys[id] = Key{Certificate: c.leaf, Since: c.at}
	return nil
}

// longestToken bounds how long a revoked token is remembered.
const longestToken = time.Hour

// revokeToken remembers a token until it ends by itself. Those that ended are
// tidied by the log's own time, so everywhere alike.
func (c *change) revokeToken() error {
	tokens := c.state.tokens
	switch {
	case !c.order.Until.After(c.at):
		return problem.New(problem.OrderConflict, "the token ended by itself")
	case c.order.Until.After(c.at.Add(longestToken)):
		return problem.New(problem.OrderInvalid, "until lies more than %s ahead", longestToken)
	case !tokens[c.order.Subject].IsZero():
		return problem.New(problem.OrderConflict, "the token is revoked")
	}
	for id, until := range tokens {
		if !until.After(c.at.Add(-maxSkew)) {
			delete(tokens, id)
		}
	}
	tokens[c.order.Subject] = c.order.Until.UTC()
	return nil
}

// Refused is the outcome's problem, or nil when the order took effect.
func (o *Outcome) Refused() *problem.Problem {
	p, _ := errors.AsType[*problem.Problem](o.Err)
	return p
}
