package gateway

import (
	"context"
	"log/slog"
	"slices"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// admission is the catalogue and the policies with what was admitted by order.
type admission struct {
	of        *control.Admitted
	catalogue *catalogue.Catalogue
	policies  *policies.Set
}

// admit loads what was admitted over what the replica was started with, in the
// order in which it came, so that every replica comes to the same version and
// nothing that comes later pushes out what stands. Each that
// does not hold is told and left out: it opens nothing (invariant 3).
func (s *Snapshot) admit(of *control.Admitted, tell func(control.Admission, error)) *admission {
	out := &admission{of: of, catalogue: s.Catalogue, policies: s.Policies}
	for _, a := range of.Participants {
		next, err := out.catalogue.With("control/"+a.Order, []byte(a.Document))
		if err == nil {
			if _, named := next.Participant(a.Subject); !named {
				err = problem.New(problem.ConfigInvalid, "the order is for %q", a.Subject)
			}
		}
		if err != nil {
			tell(a, err)
			continue
		}
		out.catalogue, out.policies = next, out.policies.Over(next)
	}
	for _, a := range of.Agreements {
		next, err := out.policies.With(a.Subject, "control/"+a.Order, []byte(a.Document))
		if err != nil {
			tell(a, err)
			continue
		}
		out.policies = next
	}
	return out
}

// With is the snapshot's catalogue and policies with what was admitted by order;
// what does not hold is told and left out.
func (s *Snapshot) With(of *control.Admitted, tell func(control.Admission, error)) (*catalogue.Catalogue, *policies.Set) {
	a := s.admit(of, tell)
	return a.catalogue, a.policies
}

// own are the participants of a region that came by order: its roots may name
// them from then on. About those of another province its bundle says so.
func (a *admission) own(region string) (ids []string) {
	for _, x := range a.of.Participants {
		if p, ok := a.catalogue.Participant(x.Subject); ok && p.Region == region {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// admitted is what is admitted by a state, loaded once.
func (c *Composer) admitted(state *control.State) *admission {
	c.admitting.Lock()
	defer c.admitting.Unlock()
	of := state.Admitted()
	if c.admission == nil || c.admission.of != of {
		c.admission = c.Started.admit(of, func(a control.Admission, err error) {
			c.Logger.ErrorContext(context.Background(), "what was admitted does not hold here and opens nothing",
				slog.String("subject", a.Subject), slog.String("order", a.Order), slog.String("problem", problem.From(err).LogText()))
		})
	}
	return c.admission
}

// Check is for control.Config: it refuses an order after which something that
// it admits, or proposes, would not hold, and one about what does not exist.
// What did not hold before is no fault of this order.
func (c *Composer) Check(next *control.State) error {
	state, err := c.State()
	if err != nil {
		return err
	}
	before := *state.Admitted()
	of, drafts := *next.Admitted(), next.Drafts()
	fresh := map[string]bool{}
	for _, a := range slices.Concat(of.Participants, of.Agreements) {
		fresh[a.Order] = !slices.Contains(before.Participants, a) && !slices.Contains(before.Agreements, a)
	}
	of.Agreements = slices.Clone(of.Agreements)
	for _, a := range drafts { // as if it were approved, so that who proposes it hears
		if fresh[a.Order] = !slices.Contains(state.Drafts(), a); fresh[a.Order] {
			of.Agreements = append(of.Agreements, a)
		}
	}
	var fault error
	c.Started.admit(&of, func(a control.Admission, err error) {
		if fault == nil && fresh[a.Order] {
			fault = problem.New(problem.OrderInvalid, "%s: %s", a.Subject, problem.From(err).Detail)
		}
	})
	if fault == nil {
		fault = c.admitted(state).knows(state.View(), next.View())
	}
	return fault
}

// knows refuses an order about a participant, agreement or emergency that does
// not exist: whoever misspelt its name would believe it suspended.
func (a *admission) knows(before, after control.View) error {
	for _, s := range after.Participants {
		if _, ok := a.catalogue.Participant(s.Subject); !ok && !slices.Contains(before.Participants, s) {
			return problem.New(problem.OrderInvalid, "there is no participant %q", s.Subject)
		}
	}
	for _, s := range after.Agreements {
		_, agreed := a.policies.Agreement(s.Subject)
		_, granted := a.policies.Emergency(s.Subject)
		if !agreed && !granted && !slices.Contains(before.Agreements, s) {
			return problem.New(problem.OrderInvalid, "there is no agreement or emergency access %q", s.Subject)
		}
	}
	return nil
}
