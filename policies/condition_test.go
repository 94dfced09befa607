package policies

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// compiler is an environment with CEL's.
type compiler struct {
	environment
	env *cel.Env
}

func newCompiler(t testing.TB) compiler {
	t.Helper()
	names := newEnvironment()
	e, err := names.cel()
	if err != nil {
		t.Fatal(err)
	}
	return compiler{names, e}
}

func (c compiler) compile(source string) (*condition, error) {
	return c.environment.compile(c.env, source)
}

func sunday() *world {
	c := consideration{
		set: &Set{names: newEnvironment()},
		req: &Request{
			Caller:  Caller{Participant: "sc-amr", Region: "510000", Kind: "market_supervision", System: "12315"},
			Product: "consumer_complaint", Region: "500000", Purpose: "complaint_handling", Delivery: Bulk, Asked: []string{"a", "b"},
			Time: time.Date(2026, 1, 31, 17, 5, 0, 0, time.UTC), // a Sunday in China already
		},
		product:   &product{Product: &catalogue.Product{ID: "consumer_complaint", Major: 3, Providers: map[string]string{"500000": "cq-amr"}}},
		inForce:   &Agreement{ID: "an-agreement"},
		emergency: &Emergency{ID: "an-emergency"},
	}
	return c.world()
}

// Every documented variable has the value that the documentation says.
func TestVariables(t *testing.T) {
	t.Parallel()
	e := newCompiler(t)
	values := map[string]string{
		"caller.participant": `"sc-amr"`, "caller.region": `"510000"`, "caller.kind": `"market_supervision"`, "caller.system": `"12315"`,
		"product.id": `"consumer_complaint"`, "product.region": `"500000"`, "product.provider": `"cq-amr"`,
		"purpose": `"complaint_handling"`, "agreement.id": `"an-agreement"`,
		"product.major": "3", "emergency.id": `"an-emergency"`, "request.delivery": `"bulk"`, "request.fields": "2",
		"now.date": `"2026-02-01"`, "now.time": `"01:05"`, "now.year": "2026", "now.month": "2", "now.day": "1",
		"now.hour": "1", "now.minute": "5", "now.weekday": "7",
	}
	if want := slices.Sorted(maps.Keys(newEnvironment())); !slices.Equal(slices.Sorted(maps.Keys(values)), want) {
		t.Errorf("the variables are %v", want)
	}
	for name, value := range values {
		p, err := e.compile(name + " == " + value)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if ok, err := p.holds(sunday()); err != nil || !ok {
			t.Errorf("%s is not %s (%v)", name, value, err)
		}
	}
	if _, ok := sunday().ResolveName("now.zone"); ok {
		t.Error("an undeclared variable has a value")
	}
	if p, err := e.compile(`agreement.id == ""`); err != nil {
		t.Error(err)
	} else if ok, err := p.holds((&consideration{set: &Set{names: e.environment}, req: &Request{}, product: &product{}}).world()); err != nil || !ok {
		t.Error("without an agreement its id is not empty")
	}
}

// What is allowed works, and what a condition cannot answer is an error.
func TestConditions(t *testing.T) {
	t.Parallel()
	e := newCompiler(t)
	for source, want := range map[string]string{
		`caller.kind in ["commerce", "market_supervision"]`:                      "true",
		`["a", "sc-amr"].exists(p, p == caller.participant)`:                     "true",
		`["a", "b"].all(p, p != purpose) && [1, 2].exists_one(n, n == 2)`:        "true",
		`purpose.startsWith("complaint_") && purpose.endsWith("ing")`:            "true",
		`purpose.contains("handl") && purpose.matches("^[a-z_]+$")`:              "true",
		`size(purpose) == 18 && purpose.size() > 3`:                              "true",
		`now.weekday >= 6 ? now.hour < 8 : false`:                                "true",
		`-now.hour + 2 * 3 % 4 - 1 == 0 && [1, 2, 3][now.hour] == 2`:             "true",
		`now.date >= "2026-02-01" && now.date < "2026-03-01" && now.time < "02"`: "true",
		`!(caller.region == product.region)`:                                     "true",
		`1 / (now.hour - 1) == 1`:                                                "division by zero",
		`[1][now.hour] == 1`:                                                     "index out of bounds: 1",
		// CEL's own rule: one side that decides is enough.
		`false && 1 / (now.hour - 1) == 1`: "false",
		`1 / (now.hour - 1) == 1 || true`:  "true",
	} {
		p, err := e.compile(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		ok, err := p.holds(sunday())
		got := fmt.Sprint(ok)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", source, got, want)
		}
	}
}

// The loader never panics, and what it accepts is bounded and gives a bool or
// an error.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`caller.kind == "a" && now.hour > 3`, `["a"].exists(x, x == purpose)`, `1 / 0 == 1`, `[purpose][0].matches("a+")`,
		`purpose.matches("(a*)*b")`, `{"a": 1}["a"] == 1`, `b"a" == b"a" || 1.0 < 2.0 && 1u == 2u`, `has(caller.kind)`,
	} {
		f.Add(s)
	}
	e := newCompiler(f)
	f.Fuzz(func(t *testing.T, source string) {
		p, err := e.compile(source)
		if err != nil {
			return
		}
		begin := time.Now()
		if _, err := p.holds(sunday()); err == errNotBool { //nolint:errorlint // the very value
			t.Errorf("%q gives no bool", source)
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("%q takes %s", source, d)
		}
	})
}
