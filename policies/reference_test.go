package policies_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// truth is what a condition gives: no, yes, or no answer.
type truth int

const (
	no truth = iota
	yes
	undefined
)

func known(b bool) truth {
	if b {
		return yes
	}
	return no
}

// condition is a condition twice: as CEL, and as the reference reads it.
type condition struct {
	text string
	of   func(q *policies.Request, agreement string) truth
}

// literally is a condition for tests without the reference.
func literally(text string) condition { return condition{text: text} }

// answer is what the reference says; reasons are not compared but for the code.
type answer struct {
	effect    policies.Effect
	code      problem.Code
	agreement string
	released  redact.Obligations
}

// decide is the reference: the rules of the package comment, read naively, over
// the data of the world, without index, compiled layers or CEL.
func (w *worldOf) decide(q *policies.Request) answer {
	refuse := func(code problem.Code) answer { return answer{code: code} }
	provider, provided := map[string]string{regionA: providerA, regionB: providerB}[q.Region]
	if q.Product != "thing" || !provided {
		return refuse(problem.ProductUnknown)
	}
	if !w.admits(q) {
		return refuse(problem.CallerUnknown)
	}
	if w.share == catalogue.Withheld {
		return refuse(problem.ShareWithheld)
	}
	if q.Purpose == "" {
		return refuse(problem.PurposeMissing)
	}
	applies, reason := w.agreementFor(q)
	agreement := ""
	if applies != nil {
		agreement = applies.id
	}
	var denied, failed bool
	var layers []redact.Obligations
	for i := range w.rules {
		r := &w.rules[i]
		if r.provider != provider {
			continue
		}
		switch r.when.of(q, agreement) {
		case undefined:
			failed = true
		case yes:
			denied = denied || r.effect == "deny"
			if r.effect == "permit" {
				layers = append(layers, w.ruleLayer(r))
			}
		case no:
		}
	}
	switch {
	case denied:
		return refuse(problem.ProviderDenied)
	case failed:
		return refuse(problem.PolicyUnevaluable)
	case w.share == catalogue.Conditional && applies == nil:
		return refuse(reason)
	case len(layers) == 0:
		return refuse(problem.ProviderDenied)
	}
	if applies != nil {
		layers = append(layers, w.agreementLayer(applies))
	}
	all := w.ceiling()
	for _, l := range layers {
		all = all.Merge(l)
	}
	return w.restrict(q, all, agreement)
}

func (w *worldOf) admits(q *policies.Request) bool {
	for _, p := range append(providers(), w.participants...) {
		if p.id != q.Caller.Participant {
			continue
		}
		day := q.Time.In(time.FixedZone("", 8*3600)).Format(time.DateOnly)
		return p.region == q.Caller.Region && p.kind == q.Caller.Kind &&
			(p.from == "" || day >= p.from) && (p.to == "" || day <= p.to)
	}
	return false
}

func (w *worldOf) agreementFor(q *policies.Request) (*agreementOf, problem.Code) {
	if w.share == catalogue.Unconditional {
		return nil, ""
	}
	day := q.Time.In(time.FixedZone("", 8*3600)).Format(time.DateOnly)
	seen := map[string]bool{} // how those of the pair stand
	for i := range w.agreements {
		a := &w.agreements[i]
		if a.consumer != q.Caller.Participant || a.region != q.Region {
			continue
		}
		named, when := slices.Contains(a.purposes, q.Purpose), "now"
		if day < a.from {
			when = "early"
		} else if day > a.to {
			when = "ended"
		}
		if named && when == "now" {
			return a, ""
		}
		seen[fmt.Sprintf("%v %s", named, when)] = true
	}
	switch {
	case seen["true early"]:
		return nil, problem.AgreementEarly
	case seen["true ended"]:
		return nil, problem.AgreementEnded
	case seen["false now"]:
		return nil, problem.PurposeNotAgreed
	case seen["false early"]:
		return nil, problem.AgreementEarly
	case seen["false ended"]:
		return nil, problem.AgreementEnded
	}
	return nil, problem.AgreementMissing
}

func (w *worldOf) ceiling() redact.Obligations {
	out := redact.Obligations{}
	for path, class := range w.leaves {
		if w.share == catalogue.Conditional && class != redact.Secret || class == redact.Public || class == redact.Internal {
			out[path] = redact.Obligation{Action: redact.Keep}
		}
	}
	return out
}

func (w *worldOf) ruleLayer(r *ruleOf) redact.Obligations {
	out := redact.Obligations{}
	for path, class := range w.leaves {
		text, ok := r.fields[path]
		if !ok {
			text = r.classes[class]
		}
		if text != "" {
			out[path] = parsed(text)
		}
	}
	return out
}

func (w *worldOf) agreementLayer(a *agreementOf) redact.Obligations {
	out := redact.Obligations{}
	for path, class := range w.leaves {
		text, ok := a.fields[path]
		if !ok && (class == redact.Public || class == redact.Internal) {
			text = a.fields["*"]
		}
		if text != "" {
			out[path] = parsed(text)
		}
	}
	return out
}

func parsed(s string) redact.Obligation {
	o, err := redact.Parse(s)
	if err != nil {
		panic(err)
	}
	return o
}

func (w *worldOf) restrict(q *policies.Request, all redact.Obligations, agreement string) answer {
	if len(q.Asked) > 0 {
		withheld := false
		for _, name := range q.Asked {
			exists := false
			for path := range w.leaves {
				exists = exists || redact.Covers(name, path)
			}
			if !exists {
				return answer{code: problem.FieldUnknown}
			}
			withheld = withheld || len(all.Restrict([]string{name})) == 0
		}
		if withheld {
			return answer{code: problem.FieldWithheld}
		}
		all = all.Restrict(q.Asked)
	}
	if len(all) == 0 {
		return answer{code: problem.FieldWithheld}
	}
	return answer{effect: policies.Permit, agreement: agreement, released: all}
}

// TestReference holds Decide against the reference on random worlds.
func TestReference(t *testing.T) {
	t.Parallel()
	const worlds, requests = 50, 40
	codes := map[problem.Code]int{}
	for seed := range worlds {
		g := newGenerator(uint64(seed))
		w := g.world()
		set := w.load(t)
		for range requests {
			q := g.request(w)
			want, got := w.decide(&q), set.Decide(q)
			codes[want.code]++
			if !same(want, got) {
				t.Fatalf("world %d: %+v\nwant %v %s %s %v\ngot  %v %s %v\nsteps %v\nrules %v", seed, q,
					want.effect, want.code, want.agreement, want.released, got.Effect, got.Code, got.Obligations, got.Steps, w.policyFiles())
			}
		}
	}
	// A comparison that never sees a reason proves nothing about it.
	for _, code := range []problem.Code{
		"", problem.ProductUnknown, problem.CallerUnknown, problem.ShareWithheld, problem.PurposeMissing, problem.ProviderDenied,
		problem.PolicyUnevaluable, problem.AgreementMissing, problem.AgreementEarly, problem.AgreementEnded,
		problem.PurposeNotAgreed, problem.FieldUnknown, problem.FieldWithheld,
	} {
		if codes[code] < 5 {
			t.Errorf("code %q came up %d times of %d", code, codes[code], worlds*requests)
		}
	}
	if codes[""] < worlds*requests/10 {
		t.Errorf("only %d requests were permitted: %v", codes[""], codes)
	}
}

func same(want answer, got policies.Decision) bool {
	agreement := ""
	if got.Agreement != nil {
		agreement = got.Agreement.ID
	}
	return want.effect == got.Effect && want.code == got.Code && want.agreement == agreement && maps.Equal(want.released, got.Obligations)
}

// generator makes worlds and requests that often, but not always, fit.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 7))} }

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g generator) world() *worldOf {
	w := &worldOf{
		leaves:     map[string]redact.Sensitivity{"a": redact.Public},
		share:      pick(g, catalogue.Conditional, catalogue.Conditional, catalogue.Conditional, catalogue.Conditional, catalogue.Unconditional),
		visibility: pick(g, catalogue.Parties, catalogue.Participants),
	}
	if g.chance(5) {
		w.share = catalogue.Withheld
	}
	for _, path := range []string{"b", "c", "d.e", "d.f", "d.g.h", "i"} {
		w.leaves[path] = redact.Sensitivity(g.IntN(5))
	}
	for i := range 4 {
		p := participantOf{id: fmt.Sprintf("p-%d", i), region: pick(g, regionA, regionB), kind: pick(g, kindsOf...)}
		if g.chance(10) {
			p.from = "2026-05-01"
		}
		if g.chance(10) {
			p.to = "2026-08-31"
		}
		w.participants = append(w.participants, p)
	}
	for i := range g.IntN(6) {
		w.rules = append(w.rules, g.rule(w, fmt.Sprintf("r_%d", i), pick(g, "permit", "permit", "permit", "permit", "permit", "deny")))
	}
	for _, provider := range []string{providerA, providerB} {
		if g.chance(80) {
			r := g.rule(w, strings.ReplaceAll(provider, "-", "_"), "permit")
			r.provider, r.when = provider, g.atom()
			w.rules = append(w.rules, r)
		}
	}
	if w.share != catalogue.Unconditional {
		for _, p := range w.participants {
			for _, region := range []string{regionA, regionB} {
				g.agreementsOf(w, p.id, region)
			}
		}
	}
	return w
}

func (g generator) rule(w *worldOf, id, effect string) ruleOf {
	r := ruleOf{
		id: id, provider: pick(g, providerA, providerB), effect: effect, when: g.condition(2),
		classes: map[redact.Sensitivity]string{}, fields: map[string]string{},
	}
	for _, c := range []redact.Sensitivity{redact.Public, redact.Internal, redact.Personal, redact.Sensitive} {
		if g.chance(70) {
			r.classes[c] = g.obligation()
		}
	}
	r.classes[redact.Secret] = "drop"
	g.name(w, r.fields)
	return r
}

// name adds obligations for some leaves.
func (g generator) name(w *worldOf, fields map[string]string) {
	for _, path := range slices.Sorted(maps.Keys(w.leaves)) {
		switch {
		case !g.chance(50):
		case w.leaves[path] == redact.Secret:
			fields[path] = "drop"
		default:
			fields[path] = g.obligation()
		}
	}
}

func (g generator) obligation() string {
	return pick(g, "keep", "keep", "keep", "mask:name", "mask:phone", "hash", "null", "drop")
}

// agreementsOf adds renewals of one pair, whose terms may leave gaps.
func (g generator) agreementsOf(w *worldOf, consumer, region string) {
	if g.chance(15) {
		return
	}
	day := time.Date(2026, time.Month(1+g.IntN(6)), 1, 0, 0, 0, 0, time.UTC)
	for i := range 1 + g.IntN(2) {
		a := agreementOf{
			id: fmt.Sprintf("%s-%s-%d", consumer, region, i), region: region, consumer: consumer,
			provider: map[string]string{regionA: providerA, regionB: providerB}[region], fields: map[string]string{},
		}
		for _, p := range purposesOf {
			if g.chance(60) {
				a.purposes = append(a.purposes, p)
			}
		}
		if len(a.purposes) == 0 {
			a.purposes = []string{"monitoring"}
		}
		a.from = day.Format(time.DateOnly)
		day = day.AddDate(0, 2+g.IntN(6), 0)
		a.to = day.AddDate(0, 0, -1).Format(time.DateOnly)
		if g.chance(50) {
			day = day.AddDate(0, 1, 0)
		}
		g.name(w, a.fields)
		if g.chance(80) || len(a.fields) == 0 {
			a.fields["*"] = g.obligation()
		}
		w.agreements = append(w.agreements, a)
	}
}

func (g generator) condition(depth int) condition {
	if depth == 0 || g.chance(50) {
		return g.atom()
	}
	a := g.condition(depth - 1)
	if g.chance(20) {
		return condition{"!(" + a.text + ")", func(q *policies.Request, id string) truth {
			switch a.of(q, id) {
			case yes:
				return no
			case no:
				return yes
			}
			return undefined
		}}
	}
	b := g.condition(depth - 1)
	// CEL's own rule: one decisive side is enough, on whichever side it stands.
	op, decisive := " && ", no
	if g.chance(60) {
		op, decisive = " || ", yes
	}
	return condition{"(" + a.text + op + b.text + ")", func(q *policies.Request, id string) truth {
		x, y := a.of(q, id), b.of(q, id)
		switch {
		case x == decisive || y == decisive:
			return decisive
		case x == undefined || y == undefined:
			return undefined
		}
		return x
	}}
}

func (g generator) atom() condition {
	kind, purpose, n := pick(g, kindsOf...), pick(g, purposesOf...), g.IntN(24)
	return pick(
		g,
		condition{`true`, func(*policies.Request, string) truth { return yes }},
		condition{fmt.Sprintf(`caller.kind == "%s"`, kind), func(q *policies.Request, _ string) truth { return known(q.Caller.Kind == kind) }},
		condition{fmt.Sprintf(`purpose != "%s"`, purpose), func(q *policies.Request, _ string) truth { return known(q.Purpose != purpose) }},
		condition{`caller.region != product.region`, func(q *policies.Request, _ string) truth { return known(q.Caller.Region != q.Region) }},
		condition{`caller.system.startsWith("de")`, func(q *policies.Request, _ string) truth {
			return known(strings.HasPrefix(q.Caller.System, "de"))
		}},
		condition{`agreement.id != ""`, func(_ *policies.Request, id string) truth { return known(id != "") }},
		condition{`caller.participant in ["p-0", "p-1"]`, func(q *policies.Request, _ string) truth {
			return known(q.Caller.Participant == "p-0" || q.Caller.Participant == "p-1")
		}},
		condition{fmt.Sprintf(`now.hour >= %d`, n), func(q *policies.Request, _ string) truth {
			return known(q.Time.Add(8*time.Hour).UTC().Hour() >= n)
		}},
		condition{`now.date < "2026-06-15"`, func(q *policies.Request, _ string) truth {
			return known(q.Time.Add(8*time.Hour).UTC().Format(time.DateOnly) < "2026-06-15")
		}},
		condition{fmt.Sprintf(`60 / (now.hour - %d) > 0`, n), func(q *policies.Request, _ string) truth {
			hour := q.Time.Add(8 * time.Hour).UTC().Hour()
			if hour == n {
				return undefined
			}
			return known(60/(hour-n) > 0)
		}},
	)
}

func (g generator) request(w *worldOf) policies.Request {
	p := pick(g, w.participants...)
	q := policies.Request{
		Caller:  policies.Caller{Participant: p.id, Region: p.region, Kind: p.kind, System: pick(g, "", "desk", "other")},
		Product: "thing", Region: pick(g, regionA, regionB), Purpose: pick(g, purposesOf...), Delivery: policies.Page,
		Time: time.Date(2026, time.Month(3+g.IntN(7)), 1+g.IntN(28), g.IntN(24), g.IntN(60), 0, 0, time.UTC),
	}
	if g.chance(30) {
		leaves := slices.Sorted(maps.Keys(w.leaves))
		for range 1 + g.IntN(2) {
			q.Asked = append(q.Asked, pick(g, append(leaves, "d", "d.g")...))
		}
		if g.chance(10) {
			q.Asked = append(q.Asked, "nothing")
		}
	}
	switch g.IntN(40) {
	case 0:
		q.Purpose = ""
	case 1:
		q.Product = "other"
	case 2:
		q.Region = "520000"
	case 3:
		q.Caller.Kind = pick(g, kindsOf...)
	case 4:
		q.Caller.Participant = "nobody"
	}
	return q
}
