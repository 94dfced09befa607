package redact_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/schemas/redact"
)

func TestPredicateCheck(t *testing.T) {
	t.Parallel()
	a := redact.Compare("a", redact.OpEqual, "1")
	deep, wide := a, []redact.Predicate{}
	for range 20 {
		deep = redact.Not(deep)
	}
	for range redact.MaxTests + 1 {
		wide = append(wide, a)
	}
	for title, p := range map[string]redact.Predicate{
		"no field":          redact.Compare("", redact.OpEqual, "1"),
		"two literals":      {Op: redact.OpLess, Field: "a", Values: []string{"1", "2"}},
		"one bound":         {Op: redact.OpBetween, Field: "a", Values: []string{"1"}},
		"an empty set":      redact.In("a"),
		"a large set":       redact.In("a", slices.Repeat([]string{"x"}, redact.MaxLiterals+1)...),
		"null of something": {Op: redact.OpNull, Field: "a", Values: []string{"1"}},
		"and of nothing":    redact.And(),
		"not of two":        {Op: redact.OpNot, Terms: []redact.Predicate{a, a}},
		"a test with terms": {Op: redact.OpEqual, Field: "a", Values: []string{"1"}, Terms: []redact.Predicate{a}},
		"and with a field":  {Op: redact.OpAnd, Field: "a", Terms: []redact.Predicate{a}},
		"unknown":           {Op: 99},
		"deep":              deep,
		"wide":              redact.Or(wide...),
	} {
		if err := p.Check(); err == nil {
			t.Errorf("%s passes: %s", title, p)
		}
	}
	for _, p := range []redact.Predicate{{}, a, redact.And(a, redact.Or(redact.Not(a), redact.IsNull("b"), redact.Between("c", "1", "2")))} {
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestPredicateString(t *testing.T) {
	t.Parallel()
	p := redact.And(redact.In("a", "x", `y" "z`), redact.Not(redact.IsNull("b")), redact.Predicate{})
	if got, want := p.String(), `(and (in "a" "x" "y\" \"z") (not (null "b")) (never))`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if strings.Contains(redact.In("a", "x y").String(), redact.In("a", "x", "y").String()) {
		t.Error("two predicates have one name")
	}
}
