package policies

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Limits of a request, beside maxValue.
const (
	maxAsked     = 512 // as many as a schema has leaves
	maxAskedName = 256
)

var purposeName = regexp.MustCompile(`^[a-z][a-z0-9_]{1,62}$`)

// Decide answers a request. It is pure: no clock, no I/O, and the same request
// gives the same answer for as long as the set is the same.
func (s *Set) Decide(req Request) Decision {
	c := consideration{set: s, req: &req}
	c.out.Steps = make([]Step, 0, 8)
	_ = c.request() && c.shareClass() && c.providerDenials() && c.agreement() && c.providerPermits() && c.rows() && c.fields()
	return c.out
}

// consideration is one request on its way through the layers. Each layer adds
// its steps and says whether the request goes on to the next.
type consideration struct {
	set     *Set
	req     *Request
	product *product

	candidates []*Agreement // of the pair, whatever their terms
	inForce    *Agreement   // the one that is in force and names the purpose
	emergency  *Emergency   // the one that the caller invokes, in force and for this
	grant      *grant       // of one of the two; nil for none
	permits    []*Rule      // those that matched
	seen       *world       // what conditions saw

	out Decision
}

func (c *consideration) step(layer, rule, outcome string) {
	c.out.Steps = append(c.out.Steps, Step{Layer: layer, Rule: rule, Outcome: outcome})
}

// deny ends the consideration.
func (c *consideration) deny(layer string, code problem.Code, format string, args ...any) bool {
	c.step(layer, Deny.String(), string(code))
	c.out.Effect, c.out.Code, c.out.Detail = Deny, code, fmt.Sprintf(format, args...)
	c.out.Rows = nil
	return false
}

// request is what must be true of any request.
func (c *consideration) request() bool {
	r := c.req
	p, known := c.set.products[r.Product]
	if !known {
		return c.deny(layerRequest, problem.ProductUnknown, "product %q", shown(r.Product))
	}
	c.product = p
	if _, provided := p.Providers[r.Region]; !provided {
		return c.deny(layerRequest, problem.ProductUnknown, "nobody provides %s in region %q", p.ID, shown(r.Region))
	}
	if r.Time.IsZero() {
		return c.deny(layerRequest, problem.PolicyUnevaluable, "the request has no time")
	}
	caller, admitted := c.set.cat.Participant(r.Caller.Participant)
	switch {
	case !admitted:
		return c.deny(layerRequest, problem.CallerUnknown, "participant %q", shown(r.Caller.Participant))
	case !caller.ValidAt(r.Time):
		return c.deny(layerRequest, problem.CallerUnknown, "participant %s is not admitted at this time", caller.ID)
	case r.Caller.Region != caller.Region || r.Caller.Kind != caller.Kind:
		return c.deny(layerRequest, problem.CallerUnknown,
			"participant %s is of region %s and kind %s, and its identity says otherwise", caller.ID, caller.Region, caller.Kind)
	case len(r.Caller.System) > maxValue:
		return c.deny(layerRequest, problem.PolicyUnevaluable, "the caller's system is longer than %d bytes", maxValue)
	case r.Delivery.String() == "":
		return c.deny(layerRequest, problem.DeliveryNotAgreed, "the request does not say how its answer is delivered")
	}
	c.step(layerRequest, "", outcomePasses)
	return true
}

// shareClass is the law's layer.
func (c *consideration) shareClass() bool {
	class := c.product.ShareClass
	switch {
	case class != catalogue.Conditional && class != catalogue.Unconditional:
		return c.deny(layerShareClass, problem.ShareWithheld, "%s", c.product.ID)
	case c.req.Purpose == "":
		return c.deny(layerShareClass, problem.PurposeMissing, "%s", c.product.ID)
	case !purposeName.MatchString(c.req.Purpose):
		return c.deny(layerShareClass, problem.PurposeNotAgreed, "%q is not the name of a purpose: those are 2 to 63 of a-z, 0-9 and _",
			shown(c.req.Purpose))
	}
	c.step(layerShareClass, class.String(), outcomePasses)
	if class == catalogue.Conditional {
		c.find()
	}
	return true
}

// find looks for what opens a conditional product. Whoever invokes an emergency
// stands on it alone: were it refused in silence for an agreement, the use
// would be counted and alarmed as what it is not.
func (c *consideration) find() {
	if id := c.req.Emergency; id != "" {
		if e, ok := c.set.byEmergency[id]; ok && c.whyNotEmergency(e) == "" {
			c.emergency, c.grant = e, &e.grant
		}
		return
	}
	c.candidates = c.set.byPair[c.pair()]
	if c.inForce = choose(c.candidates, c.req.Purpose, c.req.Time); c.inForce != nil {
		c.grant = &c.inForce.grant
	}
}

func (c *consideration) pair() pair {
	return pair{c.req.Caller.Participant, c.product.ID, c.req.Region}
}

// whyNotEmergency says why an emergency does not apply, or "".
func (c *consideration) whyNotEmergency(e *Emergency) string {
	switch {
	case e.pair() != c.pair():
		return "it was not granted to this caller for this product and provider"
	case !e.names(c.req.Purpose):
		return fmt.Sprintf("it is for %s, not for %s", strings.Join(e.Purposes, ", "), c.req.Purpose)
	case !e.InForce(c.req.Time):
		return fmt.Sprintf("it is in force from %s until %s", e.From.Format(time.RFC3339), e.Until.Format(time.RFC3339))
	}
	return ""
}

// choose finds the agreement that applies. Load made sure that there are not two.
func choose(of []*Agreement, purpose string, at time.Time) *Agreement {
	for _, a := range of {
		if a.names(purpose) && a.Term.Started(at) && !a.Term.Ended(at) {
			return a
		}
	}
	return nil
}

// providerDenials evaluates all of the provider's rules, and ends the
// consideration if one denies or has no answer.
func (c *consideration) providerDenials() bool {
	c.seen = c.world()
	var denying, failing *Rule
	for _, r := range c.product.rules[c.req.Region] {
		matches, err := r.condition.holds(c.seen)
		switch {
		case err != nil:
			c.step(layerProvider, r.ID, outcomeUnevaluable)
			failing = cmp.Or(failing, r)
		case !matches:
			c.step(layerProvider, r.ID, outcomeNoMatch)
		case r.Effect == Permit:
			c.step(layerProvider, r.ID, OutcomePermits)
			c.permits = append(c.permits, r)
		default:
			c.step(layerProvider, r.ID, OutcomeDenies)
			denying = cmp.Or(denying, r)
		}
	}
	switch {
	case denying != nil:
		return c.deny(layerProvider, problem.ProviderDenied, "rule %s (%s)", denying.ID, denying.NameZH)
	case failing != nil:
		return c.deny(layerProvider, problem.PolicyUnevaluable, "rule %s (%s)", failing.ID, failing.NameZH)
	}
	return true
}

// agreement is passed by unconditional products, which need none.
func (c *consideration) agreement() bool {
	if c.product.ShareClass == catalogue.Unconditional {
		return true
	}
	if c.req.Emergency != "" {
		if c.emergency == nil {
			return c.noEmergency()
		}
		c.step(layerAgreement, c.emergency.ID, outcomeEmergency)
	}
	for _, a := range c.candidates {
		c.step(layerAgreement, a.ID, c.standing(a))
	}
	if c.grant == nil {
		code, detail := c.whyNoAgreement()
		return c.deny(layerAgreement, code, "%s", detail)
	}
	if !slices.Contains(c.grant.delivery, c.req.Delivery) {
		return c.deny(layerAgreement, problem.DeliveryNotAgreed, "%s allows %s, not %s",
			c.grant.id, deliveryNamesOf(c.grant.delivery), c.req.Delivery)
	}
	return true
}

// noEmergency tells nobody of the emergencies of others.
func (c *consideration) noEmergency() bool {
	e, known := c.set.byEmergency[c.req.Emergency]
	if !known || e.pair() != c.pair() {
		return c.deny(layerAgreement, problem.EmergencyInvalid, "%q was not granted to %s for %s of region %s",
			shown(c.req.Emergency), c.req.Caller.Participant, c.product.ID, c.req.Region)
	}
	return c.deny(layerAgreement, problem.EmergencyInvalid, "%s: %s", e.ID, c.whyNotEmergency(e))
}

func (c *consideration) standing(a *Agreement) string {
	switch {
	case a.Term.Ended(c.req.Time):
		return outcomeEnded
	case !a.Term.Started(c.req.Time):
		return outcomeNotStarted
	case !a.names(c.req.Purpose):
		return outcomeOtherPurpose
	}
	return outcomeApplies
}

// whyNoAgreement is the most telling reason: of the agreements that name the
// purpose, one that is to begin rather than one that ended; if none names it
// and one is in force, the purpose; else how the others stand.
func (c *consideration) whyNoAgreement() (problem.Code, string) {
	about := slices.DeleteFunc(slices.Clone(c.candidates), func(a *Agreement) bool { return !a.names(c.req.Purpose) })
	if len(about) == 0 {
		about = c.candidates
	}
	var ended, early, other *Agreement
	for _, a := range about { // by the beginning of their terms
		switch {
		case a.Term.Ended(c.req.Time):
			ended = a // the last one
		case a.Term.Started(c.req.Time):
			other = a
		case early == nil:
			early = a // the next one
		}
	}
	switch {
	case other != nil:
		return problem.PurposeNotAgreed, fmt.Sprintf("agreement %s is for %s, not for %s",
			other.ID, strings.Join(other.Purposes, ", "), c.req.Purpose)
	case early != nil:
		return problem.AgreementEarly, fmt.Sprintf("agreement %s begins on %s", early.ID, early.Term.NotBefore.Format(time.DateOnly))
	case ended != nil:
		return problem.AgreementEnded, fmt.Sprintf("agreement %s ended on %s", ended.ID, ended.Term.NotAfter.Format(time.DateOnly))
	}
	return problem.AgreementMissing, fmt.Sprintf("%s has none for %s of region %s", c.req.Caller.Participant, c.product.ID, c.req.Region)
}

func (c *consideration) providerPermits() bool {
	if len(c.permits) == 0 {
		return c.deny(layerProvider, problem.ProviderDenied, "no rule of %s permits this for %s",
			c.product.Providers[c.req.Region], c.req.Purpose)
	}
	return true
}

// fields joins what all layers ask for each field with what was asked for.
func (c *consideration) fields() bool {
	joined := slices.Clone(c.product.ceiling)
	for _, r := range c.permits {
		joined.tighten(r.layer)
	}
	if c.grant != nil {
		joined.tighten(c.grant.layer)
	}
	if c.req.Delivery == Verify {
		joined.keepOnly()
	}
	wanted, ok := c.asked(joined)
	if !ok {
		return false
	}
	released := make(redact.Obligations, len(joined))
	for i, o := range joined {
		if o.Action != redact.Drop && (wanted == nil || wanted[i]) {
			released[c.product.leaves[i]] = o
		}
	}
	if len(released) == 0 {
		return c.deny(layerFields, problem.FieldWithheld, "no field of %s is left to release", c.product.ID)
	}
	c.step(layerFields, Permit.String(), outcomeReleased)
	c.out.Effect, c.out.Obligations = Permit, released
	c.out.Agreement, c.out.Emergency = c.inForce, c.emergency
	return true
}

// asked marks the leaves that were asked for; nil stands for all. A field that
// does not exist denies, and so does one of which nothing is released.
func (c *consideration) asked(joined layer) (wanted []bool, ok bool) {
	if len(c.req.Asked) == 0 {
		return nil, true
	}
	if len(c.req.Asked) > maxAsked {
		return nil, c.deny(layerFields, problem.FieldUnknown, "more than %d fields are asked for", maxAsked)
	}
	wanted = make([]bool, len(joined))
	withheld := ""
	for _, name := range c.req.Asked {
		leaves := c.product.covered(name)
		if len(leaves) == 0 || len(name) > maxAskedName {
			return nil, c.deny(layerFields, problem.FieldUnknown, "%s has no field %q", c.product.ID, shown(name))
		}
		some := false
		for _, i := range leaves {
			wanted[i] = true
			some = some || joined[i].Action != redact.Drop
		}
		if !some && withheld == "" {
			withheld = name
		}
	}
	if withheld != "" {
		return nil, c.deny(layerFields, problem.FieldWithheld, "%s: %s", withheld, c.whyDropped(c.product.covered(withheld)[0]))
	}
	return wanted, true
}

// whyDropped names the layer that drops a leaf.
func (c *consideration) whyDropped(leaf int) string {
	if c.product.ceiling[leaf].Action == redact.Drop {
		return fmt.Sprintf("fields of class %s are not released from a product that is shared %s",
			c.product.class[leaf], c.product.ShareClass)
	}
	for _, r := range c.permits {
		if r.layer[leaf].Action == redact.Drop {
			return fmt.Sprintf("dropped by rule %s (%s)", r.ID, r.NameZH)
		}
	}
	if c.grant != nil && c.grant.layer[leaf].Action == redact.Drop {
		return "not in " + c.grant.id
	}
	if c.req.Delivery == Verify {
		return "what is masked or hashed cannot be verified"
	}
	return "the layers ask for different masks"
}

// shown shortens what a stranger wrote.
func shown(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
