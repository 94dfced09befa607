package main

import (
	"encoding/json"
	"os"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// ordered is what the operators of a hub ordered beside the files.
type ordered struct {
	Orders string `placeholder:"FILE" help:"What \"hubctl control status --json\" printed: what was admitted by order counts too, and what is suspended or ended opens nothing at the hub that it is of."`
}

// over loads the orders and admits what they admit.
func (o *ordered) over(p *policySet) (*control.View, error) {
	var v control.View
	if o.Orders == "" {
		return &v, nil
	}
	text, err := os.ReadFile(o.Orders)
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "--orders: %v", err)
	}
	if err := json.Unmarshal(text, &v); err != nil || v.Region == "" {
		return nil, problem.New(problem.ConfigInvalid, "--orders: %s is not what `hubctl control status --json` prints", o.Orders)
	}
	snap := gateway.Snapshot{Catalogue: p.cat, Policies: p.Set}
	p.cat, p.Set = snap.With(&control.Admitted{Participants: v.Admitted, Agreements: v.Agreed}, func(a control.Admission, fault error) {
		if err == nil {
			err = problem.Wrap(problem.ConfigInvalid, fault, "--orders: %s does not hold with these policies: %s", a.Subject, problem.From(fault).Detail)
		}
	})
	return &v, err
}

// closes is the code with which the hub refuses what policies permit, because of
// an order about the participant, or the agreement or emergency it is under; ""
// if it does not.
func closes(v *control.View, region, participant, under string) (code problem.Code, since time.Time) {
	if v.Region != region {
		return "", since
	}
	of := func(list []control.Standing, subject string) control.Standing {
		if i := slices.IndexFunc(list, func(s control.Standing) bool { return s.Subject == subject }); i >= 0 {
			return list[i]
		}
		return control.Standing{}
	}
	if s := of(v.Participants, participant); s.Effect != control.Good {
		return problem.CallerSuspended, s.Since
	}
	switch s := of(v.Agreements, under); {
	case under == "" || s.Effect == control.Good:
		return "", since
	case s.Effect == control.Suspended:
		return problem.AgreementSuspended, s.Since
	default:
		return problem.AgreementEnded, s.Since
	}
}
