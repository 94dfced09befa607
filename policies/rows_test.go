package policies_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// anyRows takes every row condition: the small worlds have no schema.
func anyRows(string, *redact.Predicate) error { return nil }

// row is a record of a small world; a field that is not there is null.
type row map[string]string

// rowCondition is a row condition twice: as policies write it, and as the
// reference reads it. Its zero value holds for every record.
type rowCondition struct {
	text   string
	fields []string
	of     func(r row, q *policies.Request) truth
}

func (c *rowCondition) yaml(indent string) string {
	if c.text == "" {
		return ""
	}
	return fmt.Sprintf("%srows: '%s'\n", indent, c.text)
}

// selects says whether a row condition of the world looks at a field.
func (w *worldOf) selects(leaf string) bool {
	looks := func(c *rowCondition) bool { return slices.Contains(c.fields, leaf) }
	return slices.ContainsFunc(w.rules, func(r ruleOf) bool { return looks(&r.rows) }) ||
		slices.ContainsFunc(w.agreements, func(a agreementOf) bool { return looks(&a.rows) }) ||
		slices.ContainsFunc(w.emergencies, func(e emergencyOf) bool { return looks(&e.rows) })
}

// rows makes a row condition over the fields that are not secret.
func (g generator) rows(w *worldOf, depth int) rowCondition {
	if depth == 0 || g.chance(40) {
		return g.rowTest(w)
	}
	a := g.rows(w, depth-1)
	if g.chance(25) {
		return rowCondition{"!(" + a.text + ")", a.fields, func(r row, q *policies.Request) truth { return negated(a.of(r, q)) }}
	}
	b := g.rows(w, depth-1)
	op, decisive := " && ", no
	if g.chance(50) {
		op, decisive = " || ", yes
	}
	return rowCondition{"(" + a.text + op + b.text + ")", slices.Concat(a.fields, b.fields), func(r row, q *policies.Request) truth {
		return kleene(decisive, a.of(r, q), b.of(r, q))
	}}
}

func negated(t truth) truth {
	switch t {
	case yes:
		return no
	case no:
		return yes
	}
	return undefined
}

// kleene joins two truths by && (no decides) or || (yes decides).
func kleene(decisive, a, b truth) truth {
	switch {
	case a == decisive || b == decisive:
		return decisive
	case a == undefined || b == undefined:
		return undefined
	}
	return negated(decisive)
}

func (g generator) rowTest(w *worldOf) rowCondition {
	open := slices.DeleteFunc(slices.Sorted(maps.Keys(w.leaves)), func(l string) bool { return w.leaves[l] == redact.Secret })
	f, v := pick(g, open...), pick(g, values()...)
	test := func(text string, of func(have string, q *policies.Request) bool) rowCondition {
		return rowCondition{strings.ReplaceAll(text, "F", "row."+f), []string{f}, func(r row, q *policies.Request) truth {
			have, ok := r[f]
			if !ok {
				return undefined
			}
			return known(of(have, q))
		}}
	}
	null := func(text string, want bool) rowCondition {
		return rowCondition{"row." + f + text, []string{f}, func(r row, _ *policies.Request) truth {
			_, there := r[f]
			return known(there != want)
		}}
	}
	return pick(
		g,
		test(`F == "`+v+`"`, func(have string, _ *policies.Request) bool { return have == v }),
		test(`F != "`+v+`"`, func(have string, _ *policies.Request) bool { return have != v }),
		test(`"`+v+`" < F`, func(have string, _ *policies.Request) bool { return v < have }),
		test(`F <= "`+v+`"`, func(have string, _ *policies.Request) bool { return have <= v }),
		test(`F in ["`+v+`", "510000"]`, func(have string, _ *policies.Request) bool { return have == v || have == "510000" }),
		test(`F.startsWith("51")`, func(have string, _ *policies.Request) bool { return strings.HasPrefix(have, "51") }),
		test(`F <= now.date`, func(have string, q *policies.Request) bool {
			return have <= q.Time.Add(8*time.Hour).UTC().Format(time.DateOnly)
		}),
		test(`F == caller.region`, func(have string, q *policies.Request) bool { return have == q.Caller.Region }),
		test(`product.region != F`, func(have string, q *policies.Request) bool { return have != q.Region }),
		null(" == null", true),
		null(" != null", false),
	)
}

func values() []string { return []string{"500000", "510000", "510100", "x", "2026-06-15"} }

// row makes a record of the world, some of its fields null.
func (g generator) row(w *worldOf) row {
	r := row{}
	for leaf := range w.leaves {
		if g.chance(80) {
			r[leaf] = pick(g, values()...)
		}
	}
	return r
}

// asks evaluates a predicate naively.
func asks(p *redact.Predicate, r row) truth {
	have, there := r[p.Field]
	switch p.Op {
	case redact.OpAnd, redact.OpOr:
		decisive := no
		if p.Op == redact.OpOr {
			decisive = yes
		}
		out := negated(decisive)
		for i := range p.Terms {
			out = kleene(decisive, out, asks(&p.Terms[i], r))
		}
		return out
	case redact.OpNot:
		return negated(asks(&p.Terms[0], r))
	case redact.OpNull:
		return known(!there)
	}
	if !there {
		return undefined
	}
	switch p.Op {
	case redact.OpEqual:
		return known(have == p.Values[0])
	case redact.OpNotEqual:
		return known(have != p.Values[0])
	case redact.OpLess:
		return known(have < p.Values[0])
	case redact.OpLessOrEqual:
		return known(have <= p.Values[0])
	case redact.OpGreater:
		return known(have > p.Values[0])
	case redact.OpGreaterOrEqual:
		return known(have >= p.Values[0])
	case redact.OpPrefix:
		return known(strings.HasPrefix(have, p.Values[0]))
	case redact.OpIn:
		return known(slices.Contains(p.Values, have))
	}
	return no
}

// leaves says whether a record leaves under a decision.
func leaves(p *redact.Predicate, r row) bool { return p == nil || asks(p, r) == yes }

// sameRows compares the reference's row conditions with the predicate, on some
// records.
func sameRows(g generator, w *worldOf, q *policies.Request, want []rowCondition, got *redact.Predicate) bool {
	for range 4 {
		r := g.row(w)
		all := true
		for _, c := range want {
			all = all && (c.of == nil || c.of(r, q) == yes)
		}
		if all != leaves(got, r) {
			return false
		}
	}
	return true
}

// fewerRows says whether every record that leaves after a change left before.
func fewerRows(g generator, w *worldOf, after, before policies.Decision) bool {
	for range 4 {
		if r := g.row(w); after.Effect == policies.Permit && leaves(after.Rows, r) && !leaves(before.Rows, r) {
			return false
		}
	}
	return true
}

// narrowRule joins a row condition with another, so that both must hold.
func (g generator) narrowRule(w *worldOf) bool {
	some := false
	for i := range w.rules {
		if r := &w.rules[i]; r.effect == "permit" {
			r.rows, some = narrowed(r.rows, g.rows(w, 1)), true
		}
	}
	return some
}

func (g generator) narrowAgreement(w *worldOf) bool {
	for i := range w.agreements {
		w.agreements[i].rows = narrowed(w.agreements[i].rows, g.rows(w, 1))
	}
	return len(w.agreements) > 0
}

func narrowed(a, b rowCondition) rowCondition {
	if a.of == nil {
		return b
	}
	return rowCondition{a.text + " && (" + b.text + ")", slices.Concat(a.fields, b.fields), func(r row, q *policies.Request) truth {
		return kleene(no, a.of(r, q), b.of(r, q))
	}}
}

// What a row condition becomes, and what is refused because it cannot become
// anything. The product has the leaves of the simple world.
func TestRowConditions(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`row.unit == "kg"`:                `(== "unit" "kg")`,
		`"kg" != row.unit`:                `(!= "unit" "kg")`,
		`row.price >= 12.50`:              `(>= "price" "12.5")`,
		`3 > row.price`:                   `(< "price" "3")`,
		`row.price < -1`:                  `(< "price" "-1")`,
		`row.person.name.startsWith("张")`: `(prefix "person.name" "张")`,
		`row.unit in ["kg", "500g"]`:      `(in "unit" "kg" "500g")`,
		`row.unit == null`:                `(null "unit")`,
		`row.unit != null`:                `(not (null "unit"))`,
		`row.unit`:                        `(== "unit" "true")`,
		`!(row.unit == true)`:             `(not (== "unit" "true"))`,
		`row.unit == caller.region`:       `(== "unit" "510000")`,
		`row.unit in [product.region, caller.participant]`:      `(in "unit" "500000" "consumer")`,
		`row.unit <= now.date`:                                  `(<= "unit" "2026-06-01")`,
		`row.price > 1 && row.price < 9 && row.unit == "kg"`:    `(and (> "price" "1") (< "price" "9") (== "unit" "kg"))`,
		`row.price > 1 && (row.unit == "a" || row.unit == "b")`: `(and (> "price" "1") (or (== "unit" "a") (== "unit" "b")))`,
	} {
		w := simple()
		w.rules[0].rows = rowCondition{text: source}
		d := w.load(t).Decide(simpleRequest())
		if d.Rows == nil || d.Rows.String() != want {
			t.Errorf("%s\ngot  %v\nwant %s", source, d.Rows, want)
		}
	}
	for source, want := range map[string]string{
		`true`:                            "cannot be translated",
		`row.unit == row.price`:           "a field is compared with",
		`row.unit == purpose`:             "a field is compared with",
		`row.unit == caller.system`:       "a field is compared with",
		`caller.region == "510000"`:       "one side of a comparison is a field",
		`row.colour == "red"`:             `thing has no field "colour"`,
		`row.person == "x"`:               `thing has no field "person"`,
		`row.reporter == "x"`:             `"reporter" is secret`,
		`row.unit.endsWith("g")`:          `"endsWith" cannot be translated`,
		`size(row.unit) > 3`:              "one side of a comparison is a field",
		`row.price + 1 > 3`:               "one side of a comparison is a field",
		`row.unit > null`:                 "null is compared with == and != only",
		`row.unit in []`:                  "in takes a list of literals",
		`row.unit in row.price`:           "in takes a list of literals",
		`row.unit == "a" ? true : false`:  "cannot be translated",
		`["a"].exists(x, x == row.unit)`:  "cannot be translated",
		`has(row.unit)`:                   "cannot be translated",
		`row.unit == "a\x00b"`:            "a field is compared with",
		`row.unit ==`:                     "column",
		`row["unit"] == "kg"`:             "one side of a comparison is a field",
		`!row.unit.startsWith(row.price)`: "a field is compared with",
	} {
		w := simple()
		w.agreements[0].rows = rowCondition{text: source}
		_, err := policies.Load(w.policyFiles(), w.catalogue(t), anyRows)
		if problem.CodeOf(err) != problem.ConfigInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", source, err, want)
		}
	}
}

// A row condition that does not fit its schema does not load, and neither does
// one that nothing can be checked with.
func TestRowsAreHeldAgainstTheSchema(t *testing.T) {
	t.Parallel()
	w := simple()
	w.agreements[0].rows = rowCondition{text: `row.price == caller.kind`}
	var asked string
	_, err := policies.Load(w.policyFiles(), w.catalogue(t), func(schema string, p *redact.Predicate) error {
		asked = schema + p.String()
		return errors.New("a kind is no price")
	})
	if asked != `thing.v1(== "price" "kind")` || err == nil || !strings.Contains(err.Error(), "agreements/first.yaml:16:7: first: a kind is no price") {
		t.Errorf("asked %s: %v", asked, err)
	}
	if _, err := policies.Load(w.policyFiles(), w.catalogue(t), nil); err == nil || !strings.Contains(err.Error(), "there is nothing to check a row condition with") {
		t.Errorf("unchecked: %v", err)
	}
	w = simple()
	w.rules = append(w.rules, ruleOf{id: "no", provider: providerA, effect: "deny", when: literally("false"), rows: rowCondition{text: `row.unit == "kg"`}})
	if _, err := policies.Load(w.policyFiles(), w.catalogue(t), anyRows); err == nil || !strings.Contains(err.Error(), "a rule that denies has no rows") {
		t.Errorf("rows of a denial: %v", err)
	}
}

// Conditions that are each within bounds may be too much together: then the
// answer is no, not everything.
func TestTooManyRowConditions(t *testing.T) {
	t.Parallel()
	w := simple()
	long := `row.unit != "0"`
	for i := range 39 {
		long += fmt.Sprintf(` && row.unit != "%d"`, i+1)
	}
	w.rules[0].rows, w.agreements[0].rows = rowCondition{text: long}, rowCondition{text: long}
	d := w.load(t).Decide(simpleRequest())
	if d.Effect != policies.Deny || d.Code != problem.PolicyUnevaluable || d.Rows != nil || !strings.Contains(d.Detail, "the row conditions of all layers together") {
		t.Errorf("%v %s %s", d.Effect, d.Code, d.Detail)
	}
}
