package policies_test

import (
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// render is obligations as policies write them, which is easier to compare.
func render(o redact.Obligations) map[string]string {
	out := map[string]string{}
	for path, ob := range o {
		out[path] = ob.String()
	}
	return out
}

// decideCase is one change of the simple world or of its request, and what
// becomes of the decision.
type decideCase struct {
	change func(w w, q q)
	code   problem.Code
	detail string
	want   map[string]string // with a permit
}

type (
	w = *worldOf
	q = *policies.Request
)

func (c *decideCase) run(t *testing.T) {
	t.Parallel()
	world, request := simple(), simpleRequest()
	if c.change != nil {
		c.change(world, &request)
	}
	d := world.load(t).Decide(request)
	if d.Code != c.code || !strings.Contains(d.Detail, c.detail) || (d.Effect == policies.Permit) != (c.code == "") {
		t.Fatalf("%v %s %q, want %q %q\n%v", d.Effect, d.Code, d.Detail, c.code, c.detail, d.Steps)
	}
	if got := render(d.Obligations); !maps.Equal(got, c.want) {
		t.Errorf("released %v\nwant     %v", got, c.want)
	}
	if c.code == "" {
		return
	}
	if d.Agreement != nil || d.Obligations != nil {
		t.Errorf("a denial carries %v, %v", d.Agreement, d.Obligations)
	}
	if !strings.HasSuffix(lastStep(d), string(c.code)) {
		t.Errorf("the derivation ends with %q", lastStep(d))
	}
}

func TestDecideRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]decideCase{
		"permitted": {
			want: map[string]string{"price": "keep", "unit": "keep", "person.name": "mask:name", "person.phone": "keep"},
		},
		"first second of the term": {
			change: func(_ w, q q) { q.Time = at("2025-12-31T16:00:00Z") },
			want:   map[string]string{"price": "keep", "unit": "keep", "person.name": "mask:name", "person.phone": "keep"},
		},
		"a second before the term": {
			change: func(_ w, q q) { q.Time = at("2025-12-31T15:59:59Z") },
			code:   problem.AgreementEarly, detail: "agreement first begins on 2026-01-01",
		},
		"last second of the term": {
			change: func(_ w, q q) { q.Time = at("2026-12-31T15:59:59Z") },
			want:   map[string]string{"price": "keep", "unit": "keep", "person.name": "mask:name", "person.phone": "keep"},
		},
		"a second after the term": {
			change: func(_ w, q q) { q.Time = at("2026-12-31T16:00:00Z") },
			code:   problem.AgreementEnded, detail: "agreement first ended on 2026-12-31",
		},
		"without a time": {
			change: func(_ w, q q) { q.Time = policies.Request{}.Time },
			code:   problem.PolicyUnevaluable, detail: "the request has no time",
		},
		"unknown product": {
			change: func(_ w, q q) { q.Product = "things" }, code: problem.ProductUnknown, detail: `product "things"`,
		},
		"region without a provider": {
			change: func(_ w, q q) { q.Region = "520000" }, code: problem.ProductUnknown, detail: `region "520000"`,
		},
		"unknown participant": {
			change: func(_ w, q q) { q.Caller.Participant = strings.Repeat("x", 100) },
			code:   problem.CallerUnknown, detail: `"` + strings.Repeat("x", 64) + `…"`,
		},
		"participant that is no longer admitted": {
			change: func(w w, _ q) { w.participants[0].to = "2026-05-31" }, code: problem.CallerUnknown, detail: "not admitted at this time",
		},
		"participant in its last second": {
			change: func(w w, q q) { w.participants[0].to = "2026-05-31"; q.Time = at("2026-05-31T23:59:59+08:00") },
			want:   map[string]string{"price": "keep", "unit": "keep", "person.name": "mask:name", "person.phone": "keep"},
		},
		"identity of another region": {
			change: func(_ w, q q) { q.Caller.Region = regionA }, code: problem.CallerUnknown, detail: "its identity says otherwise",
		},
		"identity of another kind": {
			change: func(_ w, q q) { q.Caller.Kind = "statistics" }, code: problem.CallerUnknown, detail: "its identity says otherwise",
		},
		"system that exceeds the estimates": {
			change: func(_ w, q q) { q.Caller.System = strings.Repeat("x", 65) }, code: problem.PolicyUnevaluable, detail: "longer than 64",
		},
		"withheld": {
			change: func(w w, q q) { w.share = catalogue.Withheld; q.Purpose = "" }, code: problem.ShareWithheld,
		},
		"no purpose": {
			change: func(_ w, q q) { q.Purpose = "" }, code: problem.PurposeMissing,
		},
		"not a purpose's name": {
			change: func(_ w, q q) { q.Purpose = strings.Repeat("a", 1<<20) }, code: problem.PurposeNotAgreed, detail: "is not the name of a purpose",
		},
		"purpose of no agreement": {
			change: func(_ w, q q) { q.Purpose = "statistics" }, code: problem.PurposeNotAgreed,
			detail: "agreement first is for monitoring, not for statistics",
		},
		"no agreement": {
			change: func(w w, _ q) { w.agreements[0].consumer = providerB }, code: problem.AgreementMissing,
		},
		"agreement of the other region": {
			change: func(w w, q q) { q.Region = regionB; w.rules[0].provider = providerB }, code: problem.AgreementMissing,
		},
	} {
		t.Run(name, c.run)
	}
}

func TestDecideRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]decideCase{
		"rule that denies goes before the agreement": {
			change: func(w w, q q) {
				w.rules = append(w.rules, ruleOf{id: "never", provider: providerA, effect: "deny", when: literally(`caller.system == "desk"`)})
				q.Purpose = "statistics"
			},
			code: problem.ProviderDenied, detail: "rule thing.never (规则)",
		},
		"rule without an answer denies": {
			change: func(w w, _ q) {
				w.rules = append(w.rules, ruleOf{id: "odd", provider: providerA, effect: "deny", when: literally(`1 / (now.hour - 9) == 1`)})
			},
			code: problem.PolicyUnevaluable, detail: "rule thing.odd (规则)",
		},
		"permit without an answer denies, whatever else permits": {
			change: func(w w, _ q) {
				w.rules = append(w.rules, ruleOf{
					id: "odd", provider: providerA, effect: "permit", when: literally(`[1][now.hour] == 1`),
					classes: map[redact.Sensitivity]string{redact.Public: "keep"},
				})
			},
			code: problem.PolicyUnevaluable, detail: "rule thing.odd (规则)",
		},
		"denial is told before the failure of another rule": {
			change: func(w w, _ q) {
				w.rules = append(w.rules, ruleOf{id: "odd", provider: providerA, effect: "deny", when: literally(`1 / (now.hour - 9) == 1`)},
					ruleOf{id: "never", provider: providerA, effect: "deny", when: literally(`true`)})
			},
			code: problem.ProviderDenied, detail: "rule thing.never (规则)",
		},
		"no rule matches": {
			change: func(w w, _ q) { w.rules[0].when = literally(`purpose == "statistics"`) },
			code:   problem.ProviderDenied, detail: "no rule of a-provider permits this for monitoring",
		},
		"no rule at all": {
			change: func(w w, _ q) { w.rules = nil }, code: problem.ProviderDenied,
		},
		"rules of the other provider": {
			change: func(w w, _ q) { w.rules[0].provider = providerB }, code: problem.ProviderDenied,
		},
		"want of an agreement is told before the want of a rule": {
			change: func(w w, q q) { w.rules = nil; q.Purpose = "statistics" }, code: problem.PurposeNotAgreed,
		},
		"two rules merge to the strictest": {
			change: func(w w, _ q) {
				w.rules = append(w.rules, ruleOf{
					id: "also", provider: providerA, effect: "permit", when: literally("true"),
					classes: map[redact.Sensitivity]string{redact.Public: "null", redact.Internal: "drop"},
					fields:  map[string]string{"person.name": "mask:phone", "person.phone": "hash"},
				})
			},
			want: map[string]string{"price": "null", "person.phone": "hash"}, // person.name: two different masks
		},
	} {
		t.Run(name, c.run)
	}
}

func TestDecideFields(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]decideCase{
		"secret is never released": {
			change: func(_ w, q q) { q.Asked = []string{"reporter"} }, code: problem.FieldWithheld,
			detail: "reporter: fields of class secret are not released from a product that is shared conditional",
		},
		"asked and not in the agreement": {
			change: func(_ w, q q) { q.Asked = []string{"price", "text"} }, code: problem.FieldWithheld,
			detail: "text: not in first",
		},
		"asked and dropped by the rule": {
			change: func(w w, q q) { w.rules[0].fields = map[string]string{"unit": "drop"}; q.Asked = []string{"unit"} },
			code:   problem.FieldWithheld, detail: "unit: dropped by rule thing.all (规则)",
		},
		"asked and masked in two ways": {
			change: func(w w, q q) {
				w.rules[0].fields = map[string]string{"person.name": "mask:address"}
				q.Asked = []string{"person.name"}
			},
			code: problem.FieldWithheld, detail: "person.name: the layers ask for different masks",
		},
		"asked and unknown": {
			change: func(_ w, q q) { q.Asked = []string{"price", "prices"} }, code: problem.FieldUnknown, detail: `thing has no field "prices"`,
		},
		"half a name is no block": {
			change: func(_ w, q q) { q.Asked = []string{"person.n"} }, code: problem.FieldUnknown,
		},
		"too many asked": {
			change: func(_ w, q q) { q.Asked = make([]string, 513) }, code: problem.FieldUnknown, detail: "more than 512 fields",
		},
		"asked": {
			change: func(_ w, q q) { q.Asked = []string{"unit", "person.name"} },
			want:   map[string]string{"unit": "keep", "person.name": "mask:name"},
		},
		"block asked": {
			change: func(w w, q q) {
				w.rules[0].fields = map[string]string{"person.phone": "drop"}
				q.Asked = []string{"person"}
			},
			want: map[string]string{"person.name": "mask:name"},
		},
		"nothing left": {
			change: func(w w, _ q) { w.agreements[0].fields = map[string]string{"*": "drop"} }, code: problem.FieldWithheld,
			detail: "no field of thing is left",
		},
		"unconditional needs no agreement": {
			change: func(w w, q q) { w.share, w.agreements, q.Purpose = catalogue.Unconditional, nil, "anything_named" },
			want:   map[string]string{"price": "keep", "unit": "keep"},
		},
		"unconditional needs a purpose": {
			change: func(w w, q q) { w.share, w.agreements, q.Purpose = catalogue.Unconditional, nil, "" }, code: problem.PurposeMissing,
		},
		"unconditional still asks the provider": {
			change: func(w w, _ q) { w.share, w.agreements, w.rules[0].provider = catalogue.Unconditional, nil, providerB }, code: problem.ProviderDenied,
		},
		"unconditional keeps persons back": {
			change: func(w w, q q) {
				w.share, w.agreements, q.Asked = catalogue.Unconditional, nil, []string{"person.name"}
			},
			code: problem.FieldWithheld, detail: "person.name: fields of class personal are not released from a product that is shared unconditional",
		},
	} {
		t.Run(name, c.run)
	}
}

func lastStep(d policies.Decision) string {
	s := d.Steps[len(d.Steps)-1]
	return s.Layer + " " + s.Rule + " " + s.Outcome
}

func TestRenewals(t *testing.T) {
	t.Parallel()
	world := simple()
	renewal := func(id, from, to string, purposes ...string) agreementOf {
		a := simple().agreements[0]
		a.id, a.from, a.to, a.purposes = id, from, to, purposes
		return a
	}
	world.agreements = []agreementOf{
		renewal("year-2024", "2024-01-01", "2024-12-31", "monitoring", "handling"),
		renewal("year-2025", "2025-01-01", "2025-12-31", "monitoring"),
		renewal("other-2025", "2025-03-01", "2025-12-31", "statistics"),
		renewal("year-2027", "2027-01-01", "2027-12-31", "monitoring"),
	}
	set := world.load(t)
	for name, c := range map[string]struct{ at, purpose, agreement, detail string }{
		"first":                {"2024-05-01T00:00:00Z", "monitoring", "year-2024", ""},
		"renewed":              {"2025-05-01T00:00:00Z", "monitoring", "year-2025", ""},
		"beside":               {"2025-05-01T00:00:00Z", "statistics", "other-2025", ""},
		"not for this purpose": {"2025-05-01T00:00:00Z", "handling", "", "agreement_ended agreement year-2024 ended on 2024-12-31"},
		"gap":                  {"2026-05-01T00:00:00Z", "monitoring", "", "agreement_not_started agreement year-2027 begins on 2027-01-01"},
		"ended":                {"2028-05-01T00:00:00Z", "monitoring", "", "agreement_ended agreement year-2027 ended on 2027-12-31"},
		"before all":           {"2020-05-01T00:00:00Z", "statistics", "", "agreement_not_started agreement other-2025 begins on 2025-03-01"},
		"named by none, one in force": {
			"2025-05-01T00:00:00Z", "something_else", "",
			"purpose_not_agreed agreement other-2025 is for statistics, not for something_else",
		},
		"named by none, none in force": {"2028-05-01T00:00:00Z", "something_else", "", "agreement_ended agreement year-2027 ended on 2027-12-31"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := simpleRequest()
			request.Time, request.Purpose = at(c.at), c.purpose
			d := set.Decide(request)
			if c.agreement != "" {
				if d.Agreement == nil || d.Agreement.ID != c.agreement {
					t.Errorf("got %s %q", d.Code, d.Detail)
				}
				return
			}
			if got := string(d.Code) + " " + d.Detail; got != c.detail {
				t.Errorf("got  %s\nwant %s", got, c.detail)
			}
		})
	}
}

func TestZeroDenies(t *testing.T) {
	t.Parallel()
	set := simple().load(t)
	if d := set.Decide(policies.Request{}); d.Effect != policies.Deny || d.Code != problem.ProductUnknown {
		t.Errorf("the zero request: %v %s", d.Effect, d.Code)
	}
	if d := (policies.Decision{}); d.Effect != policies.Deny || d.Effect.String() != "deny" {
		t.Error("the zero decision permits")
	}
	// Each part of a request that must be there denies when it is left out.
	full := reflect.ValueOf(simpleRequest())
	for i := range full.NumField() {
		request := simpleRequest()
		reflect.ValueOf(&request).Elem().Field(i).SetZero()
		name := full.Type().Field(i).Name
		if d := set.Decide(request); (d.Effect == policies.Permit) != (name == "Asked" || name == "Emergency") {
			t.Errorf("without %s: %v %s", name, d.Effect, d.Code)
		}
	}
	var empty policies.Set
	if d := empty.Decide(simpleRequest()); d.Effect != policies.Deny {
		t.Error("a set that was not loaded permits")
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	world := simple()
	world.rules = append(world.rules, ruleOf{id: "never", provider: providerA, effect: "deny", when: literally("false")})
	later := simple().agreements[0]
	later.id, later.from, later.to = "second", "2027-01-01", "2027-12-31"
	other := simple().agreements[0]
	other.id, other.purposes = "third", []string{"handling"}
	world.agreements = append(world.agreements, later, other)
	d := world.load(t).Decide(simpleRequest())
	want := []policies.Step{
		{Layer: "request", Outcome: "passes"},
		{Layer: "share_class", Rule: "conditional", Outcome: "passes"},
		{Layer: "provider", Rule: "thing.all", Outcome: policies.OutcomePermits},
		{Layer: "provider", Rule: "thing.never", Outcome: "no_match"},
		{Layer: "agreement", Rule: "first", Outcome: "applies"},
		{Layer: "agreement", Rule: "third", Outcome: "other_purpose"},
		{Layer: "agreement", Rule: "second", Outcome: "not_started"},
		{Layer: "fields", Rule: "permit", Outcome: "released"},
	}
	if !reflect.DeepEqual(d.Steps, want) {
		t.Errorf("got  %v\nwant %v", d.Steps, want)
	}
}

// Decide gives the same answer to the same request: again, from other
// goroutines, and from the same policies in other files.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	seeds := uint64(10)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		g := newGenerator(1000 + seed)
		w := g.world()
		set := w.load(t)
		renamed := w.policyFiles()
		for name, file := range w.policyFiles() {
			folder, base, _ := strings.Cut(name, "/")
			delete(renamed, name)
			renamed[folder+"/z"+base] = file
		}
		again, err := policies.Load(renamed, w.catalogue(t), anyRows)
		if err != nil {
			t.Fatal(err)
		}
		if set.Version() != again.Version() {
			t.Error("the names of files change the version")
		}
		var wg sync.WaitGroup
		for range 20 {
			q := g.request(w)
			want := set.Decide(q)
			want = withoutSource(want)
			for _, s := range []*policies.Set{set, again} {
				wg.Go(func() {
					got := withoutSource(s.Decide(q))
					if !reflect.DeepEqual(got, want) {
						t.Errorf("%+v\ngot  %+v\nwant %+v", q, got, want)
					}
				})
			}
		}
		wg.Wait()
	}
}

func withoutSource(d policies.Decision) policies.Decision {
	if d.Agreement != nil {
		a := *d.Agreement
		a.Source, d.Agreement = "", &a
	}
	if d.Emergency != nil {
		e := *d.Emergency
		e.Source, d.Emergency = "", &e
	}
	return d
}

// A decision's obligations belong to the caller: changing them changes nothing.
func TestObligationsAreNotShared(t *testing.T) {
	t.Parallel()
	set := simple().load(t)
	clear(set.Decide(simpleRequest()).Obligations)
	if got := set.Decide(simpleRequest()).Obligations; len(got) != 4 {
		t.Errorf("a caller changed the set: %v", got)
	}
}
