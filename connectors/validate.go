package connectors

import (
	"errors"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/ident"
)

// Validator checks the values of a schema: what a field's "check" attribute
// asks of it alone, and what the schema's fields ask of each other. It is
// pure; the time is an argument.
type Validator struct {
	checks []check
	rules  []rule
}

type check struct {
	leaf int
	path string
	run  fieldCheck
	kind schemas.Kind
}

// rule checks fields against each other; it is called only when all of them
// could be read.
type rule func(v []schemas.Value, now time.Time) *Fault

// NewValidator finds the checks of a schema and, for a product whose rows are
// only some of its schema's, holds each row to that: rows is
// catalogue.Product.Rows. An unknown check is an error: a rule that nobody
// enforces must not look enforced.
func NewValidator(s *schemas.Schema, rows map[string][]string) (*Validator, error) {
	regions, err := ident.LoadRegions()
	if err != nil {
		return nil, err
	}
	known := fieldChecks(regions)
	v := &Validator{}
	for i := range s.Leaves {
		l := &s.Leaves[i]
		if l.Check == "" {
			continue
		}
		run, ok := known[l.Check]
		if !ok {
			return nil, problem.New(problem.ConfigInvalid, "schema %s, field %s: unknown check %q", s.Name, l.Path, l.Check)
		}
		v.checks = append(v.checks, check{leaf: i, path: l.Path, run: run, kind: l.Kind})
	}
	b := ruleBuilder{schema: s}
	if err := b.product(rows); err != nil {
		return nil, err
	}
	if build, ok := crossChecks()[s.Name]; ok {
		build(&b)
	}
	if err := errors.Join(b.faults...); err != nil {
		return nil, err
	}
	v.rules = b.rules
	return v, nil
}

// Validate returns every fault of a mapped row. Those that only warn
// (Fault.Warning) do not keep the row from being published.
func (v *Validator) Validate(values []schemas.Value, now time.Time) []Fault {
	var faults []Fault
	for i := range v.checks {
		c := &v.checks[i]
		if !values[c.leaf].Set {
			continue
		}
		if f := c.run(&values[c.leaf], c.kind, now); f != nil {
			f.Field = c.path
			faults = append(faults, *f)
		}
	}
	for _, r := range v.rules {
		if f := r(values, now); f != nil {
			faults = append(faults, *f)
		}
	}
	// A warning stands behind what keeps the row back, whose code is counted.
	slices.SortStableFunc(faults, func(a, b Fault) int {
		switch {
		case a.Warning == b.Warning:
			return 0
		case b.Warning:
			return -1
		}
		return 1
	})
	return faults
}

// kept says that something keeps the row back.
func kept(faults []Fault) bool { return len(faults) > 0 && !faults[0].Warning }

// parted tells what only warns from what keeps a row back; where something
// does, the warnings stand behind it.
func parted(all []Fault) (warnings, faults []Fault) {
	if len(all) > 0 && all[0].Warning {
		return all, nil
	}
	return nil, all
}
