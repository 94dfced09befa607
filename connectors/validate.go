package connectors

import (
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
	run  func(v *schemas.Value, kind schemas.Kind, now time.Time) *Fault
	kind schemas.Kind
}

// rule checks fields against each other; it is called only when all of them
// could be read.
type rule func(v []schemas.Value, now time.Time) *Fault

// NewValidator finds the checks of a schema. An unknown check is an error: a
// rule that nobody enforces must not look enforced.
func NewValidator(s *schemas.Schema) (*Validator, error) {
	v := &Validator{}
	for i := range s.Leaves {
		l := &s.Leaves[i]
		if l.Check == "" {
			continue
		}
		run, ok := fieldChecks[l.Check]
		if !ok {
			return nil, problem.New(problem.ConfigInvalid, "schema %s, field %s: unknown check %q", s.Name, l.Path, l.Check)
		}
		v.checks = append(v.checks, check{leaf: i, path: l.Path, run: run, kind: l.Kind})
	}
	index := func(path string) int {
		i, _, ok := s.Leaf(path)
		if !ok {
			panic("connectors: rule on a field that " + s.Name + " does not have: " + path)
		}
		return i
	}
	if build, ok := crossChecks[s.Name]; ok {
		v.rules = build(index)
	}
	return v, nil
}

// Validate returns every fault of a mapped row.
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
	return faults
}

// clockTolerance is how far a source's clock may be ahead of ours.
const clockTolerance = 5 * time.Minute

var fieldChecks = map[string]func(*schemas.Value, schemas.Kind, time.Time) *Fault{
	"uscc": func(v *schemas.Value, _ schemas.Kind, _ time.Time) *Fault {
		return identifier(ident.USCC(string(v.Bytes)))
	},
	"region": func(v *schemas.Value, _ schemas.Kind, _ time.Time) *Fault {
		return identifier(ident.Region(string(v.Bytes)))
	},
	"currency": func(v *schemas.Value, _ schemas.Kind, _ time.Time) *Fault {
		if string(v.Bytes) != "CNY" {
			return &Fault{Code: problem.CodeUnknown, Detail: "only CNY is used"}
		}
		return nil
	},
	"not_future": func(v *schemas.Value, kind schemas.Kind, now time.Time) *Fault {
		limit := now.Add(clockTolerance).UnixMilli()
		if kind == schemas.Date { // the day in UTC+8, where it was written down
			limit = (now.Unix() + 8*60*60) / 86400
		}
		if v.Int > limit {
			return &Fault{Code: problem.DateInFuture}
		}
		return nil
	},
}

func identifier(err error) *Fault {
	if err == nil {
		return nil
	}
	return &Fault{Code: problem.IdentifierInvalid, Detail: err.Error()}
}

// crossChecks are the rules between fields, by schema.
var crossChecks = map[string]func(index func(string) int) []rule{
	"price_quote.v1": func(index func(string) int) []rule {
		return []rule{pricesInOrder(index("low_price"), index("average_price"), index("high_price"))}
	},
	"consumer_complaint.v1": func(index func(string) int) []rule {
		return []rule{
			datesInOrder("update_time", index("register_time"), index("update_time")),
			datesInOrder("accept_time", index("register_time"), index("accept_time")),
			datesInOrder("closed_time", index("register_time"), index("closed_time")),
		}
	},
}

// pricesInOrder: 0 < low ≤ average ≤ high.
func pricesInOrder(low, average, high int) rule {
	return func(v []schemas.Value, _ time.Time) *Fault {
		l, a, h := &v[low], &v[average], &v[high]
		switch {
		case !l.Set || !a.Set || !h.Set:
			return nil
		case l.Int <= 0:
			return &Fault{Field: "low_price", Code: problem.NumberOutOfRange, Detail: "a price is greater than zero"}
		case l.Int > a.Int:
			return &Fault{Field: "average_price", Code: problem.PricesOutOfOrder, Detail: "the lowest is above the average"}
		case a.Int > h.Int:
			return &Fault{Field: "average_price", Code: problem.PricesOutOfOrder, Detail: "the average is above the highest"}
		}
		return nil
	}
}

func datesInOrder(field string, first, second int) rule {
	return func(v []schemas.Value, _ time.Time) *Fault {
		if v[first].Set && v[second].Set && v[second].Int < v[first].Int {
			return &Fault{Field: field, Code: problem.DatesOutOfOrder, Detail: field + " lies before register_time"}
		}
		return nil
	}
}
