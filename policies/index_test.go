package policies

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// crowd is a set with n agreements, each of another consumer.
func crowd(t testing.TB, n int) *Set {
	t.Helper()
	var people, rule strings.Builder
	people.WriteString("kinds: [{id: commerce, nameZH: 商务}]\nparticipants:\n" +
		"  - {id: provider, region: \"500000\", nameZH: 提供, nameEN: P, kind: commerce}\n")
	for i := range n {
		fmt.Fprintf(&people, "  - {id: c%d, region: \"510000\", nameZH: 甲%d, nameEN: C%d, kind: commerce}\n", i, i, i)
	}
	product := `products:
  - {id: thing, major: 1, schema: thing.v1, nameZH: 事项, nameEN: Things, summaryZH: 测试用, shareClass: conditional,
     legalBasis: [某条例], scope: 范围, conditions: [条件], purposes: [{id: monitoring, nameZH: 监测}], updateCycle: daily,
     formats: [json], deliveryMethods: [service], classification: {category: 测试, level: general},
     providers: {"500000": provider}, key: [f00], decisionTime: f00, partitions: 1, retentionDays: 10}
`
	leaves := map[string]redact.Sensitivity{}
	for i := range 25 {
		leaves[fmt.Sprintf("f%02d", i)] = redact.Internal
	}
	cat, err := catalogue.Load(fstest.MapFS{"participants.yaml": {Data: []byte(people.String())}, "products.yaml": {Data: []byte(product)}},
		func(string) (map[string]redact.Sensitivity, bool) { return leaves, true })
	if err != nil {
		t.Fatal(err)
	}
	c := newCompiler(t)
	l := newLoader(cat, c.environment, c.env)
	rule.WriteString("product: thing\nproviders: [provider]\nrules:\n")
	for _, r := range []string{
		`{id: one, nameZH: 甲, effect: permit, when: 'caller.kind == "commerce" && caller.region != product.region && purpose == "monitoring"', obligations: {classes: {internal: keep}}}`,
		`{id: two, nameZH: 乙, effect: deny, when: 'caller.kind in ["trade", "other"] || agreement.id == ""'}`,
	} {
		rule.WriteString("  - " + r + "\n")
	}
	var f ruleFile
	if doc, ok := l.read(fstest.MapFS{"r.yaml": {Data: []byte(rule.String())}}, "r.yaml", &f, yamlfile.Day); ok {
		l.addRules(doc, &f)
	}
	// The agreements are added as Load adds them, without the time that it takes
	// to write and to read ten thousand files.
	for i := range n {
		l.addAgreement(&yamlfile.Document{File: "a.yaml"}, &Agreement{
			ID: fmt.Sprintf("agreement-%d", i), Method: "service",
			Clauses: Clauses{
				Basis: []string{"某条例"}, Provider: "provider", Region: "500000",
				Product: "thing", Major: 1, Consumer: fmt.Sprintf("c%d", i), Purposes: []string{"monitoring"},
				Fields: map[string]redact.Obligation{everyField: {Action: redact.Keep}},
				Quota:  Quota{RequestsPerMinute: 1, RecordsPerDay: 1},
			},
			Term: Term{
				NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, yamlfile.China()),
				NotAfter:  time.Date(2026, 12, 31, 0, 0, 0, 0, yamlfile.China()),
			},
			NoOnwardSharing: true,
		})
	}
	if err := l.faults.Err(); err != nil {
		t.Fatal(err)
	}
	return l.set
}

func requestOf(i int) Request {
	return Request{
		Caller:  Caller{Participant: fmt.Sprintf("c%d", i), Region: "510000", Kind: "commerce"},
		Product: "thing", Region: "500000", Purpose: "monitoring", Delivery: Page, Time: time.Date(2026, 6, 1, 0, 0, 0, i, time.UTC),
	}
}

// Of many agreements a decision touches those of its pair: all others are
// taken away, so that looking at one of them is a panic.
func TestDecideTouchesOnlyThePair(t *testing.T) {
	t.Parallel()
	const n, mine = 2_000, 471
	set := crowd(t, n)
	if got := len(set.byPair); got != n {
		t.Fatalf("%d pairs", got)
	}
	own := pair{fmt.Sprintf("c%d", mine), "thing", "500000"}
	for p := range set.byPair {
		if p != own {
			set.byPair[p] = []*Agreement{nil}
		}
	}
	for id := range set.byAgreement {
		set.byAgreement[id] = nil
	}
	if d := set.Decide(requestOf(mine)); d.Effect != Permit || len(d.Obligations) != 25 {
		t.Errorf("got %v %s", d.Effect, d.Code)
	}
	if got := set.Agreements(own.consumer, own.product, own.region); len(got) != 1 || got[0].Consumer != own.consumer {
		t.Errorf("got %v", got)
	}
	defer func() {
		if recover() == nil {
			t.Error("touching an agreement that was taken away is no panic: this test shows nothing")
		}
	}()
	set.Decide(requestOf(mine + 1))
}

// A decision touches as many rules and agreements among ten thousand as among
// ten, and its steps name each of them.
func TestDecideTouchesAsMuchAmongMany(t *testing.T) {
	t.Parallel()
	touched := func(n int) map[string]int {
		out := map[string]int{}
		for _, s := range crowd(t, n).Decide(requestOf(n - 1)).Steps {
			if s.Rule != "" {
				out[s.Layer]++
			}
		}
		return out
	}
	few, many := touched(10), touched(2_000)
	if few[layerProvider] != 2 || few[layerAgreement] != 1 || !maps.Equal(few, many) {
		t.Errorf("among 10 it touches %v, among 2,000 %v", few, many)
	}
}

// Every request is another; two conditions are evaluated for each.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("agreements=%d", n), func(b *testing.B) {
			set := crowd(b, n)
			requests := make([]Request, 4096)
			for i := range requests {
				requests[i] = requestOf(i % n)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if d := set.Decide(requests[i%len(requests)]); d.Effect != Permit {
					b.Fatal(d.Code, d.Detail)
				}
				i++
			}
		})
	}
}
