package control

import (
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Admission is a participant or an agreement that came by order and not with
// the files that a replica was started with.
type Admission struct {
	Subject  string    `json:"subject"`  // its id
	Document string    `json:"document"` // its entry, as it was signed: YAML
	Since    time.Time `json:"since"`
	By       string    `json:"by"`
	// ApprovedBy is the second pair of eyes, which an agreement needs.
	ApprovedBy string `json:"approved_by,omitempty"`
	Reason     string `json:"reason"`
	Order      string `json:"order"` // id
}

// Admitted is what was admitted by order. A state that admits no more than the
// one before it has the very same: comparing pointers tells.
type Admitted struct {
	Participants []Admission // in the order in which they came: what came first keeps its name
	Agreements   []Admission // the same
}

func (a *Admitted) get() *Admitted {
	if a == nil {
		return &Admitted{}
	}
	return a
}

// Admitted is what was admitted by order, less the agreements that ended since;
// never nil. A participant that was removed stays, in that standing.
func (s *State) Admitted() *Admitted { return s.get().admitted.get() }

// Drafts are the agreements that one officer proposed and no other approved.
func (s *State) Drafts() []Admission {
	return sorted(s.get().drafts, func(a, b Admission) int { return strings.Compare(a.Order, b.Order) })
}

func (c *change) admission() Admission {
	return Admission{
		Subject: c.order.Subject, Document: c.order.Document, Since: c.at, By: c.by, Reason: c.order.Reason, Order: c.order.ID,
	}
}

// admitParticipant takes a participant up that the files do not have. What it
// may have is for agreements to say.
func (c *change) admitParticipant() error {
	return c.admit(c.state.participants, func(a *Admitted) *[]Admission { return &a.Participants }, c.admission())
}

// proposeAgreement is the first pair of eyes.
func (c *change) proposeAgreement() error {
	if err := c.admissible(c.state.agreements, c.state.Admitted().Agreements, c.order.Subject); err != nil {
		return err
	}
	c.state.drafts[c.order.ID] = c.admission()
	return nil
}

// approveAgreement is the second, of another person.
func (c *change) approveAgreement() error {
	draft, ok := c.state.drafts[c.order.Subject]
	switch {
	case !ok:
		return problem.New(problem.OrderConflict, "there is no proposal %s, or it was approved", c.order.Subject)
	case draft.By == c.by:
		return problem.New(problem.OrderFourEyes, "proposed and approved by %s", c.by)
	case c.at.Sub(draft.Since) > proposalLife:
		return problem.New(problem.OrderConflict, "the proposal is of %s: propose it anew", draft.Since.Format(time.DateOnly))
	}
	draft.ApprovedBy, draft.Since = c.by, c.at
	if err := c.admit(c.state.agreements, func(a *Admitted) *[]Admission { return &a.Agreements }, draft); err != nil {
		return err
	}
	delete(c.state.drafts, c.order.Subject)
	return nil
}

// admissible refuses what stands there already, and what ended: that is for
// good, and what comes after it has an id of its own.
func (c *change) admissible(standing map[string]Standing, admitted []Admission, subject string) error {
	switch {
	case standing[subject].Effect == Ended:
		return problem.New(problem.OrderConflict, "%s is ended: what follows it has another id", subject)
	case at(admitted, subject) >= 0:
		return problem.New(problem.OrderConflict, "%s was admitted before", subject)
	}
	return nil
}

func (c *change) admit(standing map[string]Standing, list func(*Admitted) *[]Admission, what Admission) error {
	next := *c.state.Admitted()
	to := list(&next)
	if err := c.admissible(standing, *to, what.Subject); err != nil {
		return err
	}
	*to = append(slices.Clone(*to), what)
	c.state.admitted = &next
	return nil
}

// endAgreement is for good; one that came by order goes, so that another can
// take its place.
func (c *change) endAgreement() error {
	if err := c.end(c.state.agreements); err != nil {
		return err
	}
	next := *c.state.Admitted()
	if i := at(next.Agreements, c.order.Subject); i >= 0 {
		next.Agreements = slices.Delete(slices.Clone(next.Agreements), i, i+1)
		c.state.admitted = &next
	}
	return nil
}

func at(in []Admission, subject string) int {
	return slices.IndexFunc(in, func(a Admission) bool { return a.Subject == subject })
}
