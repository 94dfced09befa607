package policies_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

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
	if len(w.rules) == 0 { // an empty directory does not load
		w.rules = append(w.rules, g.rule(w, "only", "permit"))
	}
	if w.share != catalogue.Unconditional {
		for _, p := range w.participants {
			for _, region := range []string{regionA, regionB} {
				g.agreementsOf(w, p.id, region)
				g.emergencyOf(w, p.id, region)
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
	if effect == "permit" && g.chance(25) {
		r.rows = g.rows(w, 2)
	}
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
	return pick(g, "keep", "keep", "keep", "generalise:band", "mask:name", "mask:phone", "hash", "null", "drop")
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
		a.delivery = g.deliveries()
		if g.chance(25) {
			a.rows = g.rows(w, 2)
		}
		w.agreements = append(w.agreements, a)
	}
}

func (g generator) deliveries() []policies.Delivery {
	if g.chance(70) {
		return nil
	}
	out := []policies.Delivery{policies.Page}
	for _, d := range []policies.Delivery{policies.Bulk, policies.Query, policies.Verify} {
		if g.chance(50) {
			out = append(out, d)
		}
	}
	return out[g.IntN(2)*(len(out)/2):]
}

func (g generator) emergencyOf(w *worldOf, consumer, region string) {
	if g.chance(60) {
		return
	}
	from := time.Date(2026, time.Month(3+g.IntN(7)), 1+g.IntN(25), g.IntN(24), 0, 0, 0, time.UTC)
	e := emergencyOf{
		agreementOf: agreementOf{
			id: fmt.Sprintf("emergency-%s-%s", consumer, region), region: region, consumer: consumer,
			provider: map[string]string{regionA: providerA, regionB: providerB}[region],
			purposes: []string{pick(g, purposesOf...)}, fields: map[string]string{"*": g.obligation()}, delivery: g.deliveries(),
			from: from.Format(time.RFC3339), to: from.Add(time.Duration(1+g.IntN(72)) * time.Hour).Format(time.RFC3339),
		},
		reason: "accident", by: "one, two",
	}
	g.name(w, e.fields)
	if g.chance(25) {
		e.rows = g.rows(w, 1)
	}
	w.emergencies = append(w.emergencies, e)
}

func (g generator) condition(depth int) condition {
	if depth == 0 || g.chance(50) {
		return g.atom()
	}
	a := g.condition(depth - 1)
	if g.chance(20) {
		return condition{"!(" + a.text + ")", func(q *policies.Request, id asked) truth {
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
	return condition{"(" + a.text + op + b.text + ")", func(q *policies.Request, id asked) truth {
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
		condition{`true`, func(*policies.Request, asked) truth { return yes }},
		condition{fmt.Sprintf(`caller.kind == "%s"`, kind), func(q *policies.Request, _ asked) truth { return known(q.Caller.Kind == kind) }},
		condition{fmt.Sprintf(`purpose != "%s"`, purpose), func(q *policies.Request, _ asked) truth { return known(q.Purpose != purpose) }},
		condition{`caller.region != product.region`, func(q *policies.Request, _ asked) truth { return known(q.Caller.Region != q.Region) }},
		condition{`caller.system.startsWith("de")`, func(q *policies.Request, _ asked) truth {
			return known(strings.HasPrefix(q.Caller.System, "de"))
		}},
		condition{`agreement.id != ""`, func(_ *policies.Request, id asked) truth { return known(id.agreement != "") }},
		condition{`emergency.id == ""`, func(_ *policies.Request, id asked) truth { return known(id.emergency == "") }},
		condition{`request.delivery == "page"`, func(q *policies.Request, _ asked) truth { return known(q.Delivery == policies.Page) }},
		condition{`request.fields < 2`, func(q *policies.Request, _ asked) truth { return known(len(q.Asked) < 2) }},
		condition{`caller.participant in ["p-0", "p-1"]`, func(q *policies.Request, _ asked) truth {
			return known(q.Caller.Participant == "p-0" || q.Caller.Participant == "p-1")
		}},
		condition{fmt.Sprintf(`now.hour >= %d`, n), func(q *policies.Request, _ asked) truth {
			return known(q.Time.Add(8*time.Hour).UTC().Hour() >= n)
		}},
		condition{`now.date < "2026-06-15"`, func(q *policies.Request, _ asked) truth {
			return known(q.Time.Add(8*time.Hour).UTC().Format(time.DateOnly) < "2026-06-15")
		}},
		condition{fmt.Sprintf(`60 / (now.hour - %d) > 0`, n), func(q *policies.Request, _ asked) truth {
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
	if g.chance(15) {
		q.Delivery = pick(g, policies.Bulk, policies.Query, policies.Verify)
	}
	if len(w.emergencies) > 0 && g.chance(20) {
		g.invoke(w, &q)
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

// invoke makes a request of an emergency access, mostly of the one to whom it
// was granted and while it is in force.
func (g generator) invoke(w *worldOf, q *policies.Request) {
	e := &w.emergencies[g.IntN(len(w.emergencies))]
	q.Emergency = e.id
	if g.chance(20) {
		return
	}
	for _, p := range w.participants {
		if p.id == e.consumer {
			q.Caller.Participant, q.Caller.Region, q.Caller.Kind = p.id, p.region, p.kind
		}
	}
	q.Region, q.Time = e.region, at(e.from).Add(time.Duration(g.IntN(73*60)-30)*time.Minute)
	if g.chance(80) {
		q.Purpose, q.Delivery = e.purposes[0], e.deliveries()[0]
	}
}
