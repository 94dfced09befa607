package policies_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/catalogue/cataloguetest"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// worldOf is a small world for one product "thing", as data: it is written out
// as YAML for Load, and read as it is by the reference interpreter.
type worldOf struct {
	leaves       map[string]redact.Sensitivity
	share        catalogue.ShareClass
	visibility   catalogue.Visibility
	participants []participantOf
	rules        []ruleOf
	agreements   []agreementOf
	emergencies  []emergencyOf
}

type participantOf struct {
	id, region, kind string
	from, to         string // days, or ""
}

type ruleOf struct {
	id       string
	provider string
	effect   string
	when     condition
	classes  map[redact.Sensitivity]string
	fields   map[string]string
	rows     rowCondition
}

type agreementOf struct {
	id, provider, region, consumer string
	purposes                       []string
	from, to                       string // days
	fields                         map[string]string
	delivery                       []policies.Delivery // none: not written
	rows                           rowCondition
}

// emergencyOf has instants where an agreement has days.
type emergencyOf struct {
	agreementOf
	reason, by string
}

// The providers are fixed; the rest of a world varies.
const (
	providerA, regionA = "a-provider", "500000"
	providerB, regionB = "b-provider", "510000"
)

var (
	kindsOf    = []string{"commerce", "market_supervision", "statistics"}
	purposesOf = []string{"monitoring", "handling", "statistics"}
)

func providers() []participantOf {
	return []participantOf{{id: providerA, region: regionA, kind: "commerce"}, {id: providerB, region: regionB, kind: "commerce"}}
}

func (w *worldOf) fields() catalogue.SchemaFields {
	return func(schema string) (map[string]redact.Sensitivity, bool) { return w.leaves, schema == "thing.v1" }
}

func (w *worldOf) catalogueFiles() fstest.MapFS {
	var b strings.Builder
	b.WriteString("kinds:\n")
	for _, k := range kindsOf {
		fmt.Fprintf(&b, "  - {id: %s, nameZH: 类别}\n", k)
	}
	b.WriteString("participants:\n")
	for _, p := range append(providers(), w.participants...) {
		fmt.Fprintf(&b, "  - {id: %s, region: %q, nameZH: 甲%s, nameEN: %s, kind: %s", p.id, p.region, p.id, p.id, p.kind)
		if p.from != "" {
			fmt.Fprintf(&b, ", validFrom: %s", p.from)
		}
		if p.to != "" {
			fmt.Fprintf(&b, ", validTo: %s", p.to)
		}
		b.WriteString("}\n")
	}
	key := slices.Sorted(maps.Keys(w.leaves))[0]
	withheld := ""
	if w.share == catalogue.Withheld {
		withheld = "\n    withheldReason: 法律规定"
	}
	products := fmt.Sprintf(`products:
  - id: thing
    major: 1
    schema: thing.v1
    nameZH: 事项
    nameEN: Things
    summaryZH: 测试用
    shareClass: %s%s
    legalBasis: [某条例]
    scope: 范围
    conditions: [条件]
    purposes: [%s]
    updateCycle: daily
    formats: [json]
    deliveryMethods: [service, batch]
    classification: {category: 测试, level: general}
    visibility: %s
    providers: {%q: %s, %q: %s}
    key: [%s]
    decisionTime: %s
    partitions: 1
    retentionDays: 10
`, w.share, withheld, "{id: "+strings.Join(purposesOf, ", nameZH: 用途}, {id: ")+", nameZH: 用途}", w.visibility,
		regionA, providerA, regionB, providerB, key, key)
	return fstest.MapFS{"participants.yaml": {Data: []byte(b.String())}, "products.yaml": {Data: []byte(products)}}
}

func (w *worldOf) policyFiles() fstest.MapFS {
	out := fstest.MapFS{}
	for i, r := range w.rules {
		var b strings.Builder
		fmt.Fprintf(&b, "product: thing\nproviders: [%s]\nrules:\n  - id: %s\n    nameZH: 规则\n    effect: %s\n    when: '%s'\n",
			r.provider, r.id, r.effect, r.when.text)
		b.WriteString(r.rows.yaml("    "))
		if r.effect == "permit" {
			b.WriteString("    obligations:\n      classes: {")
			for _, c := range slices.Sorted(maps.Keys(r.classes)) {
				fmt.Fprintf(&b, "%s: %q, ", c, r.classes[c])
			}
			b.WriteString("}\n      fields: {")
			for _, f := range slices.Sorted(maps.Keys(r.fields)) {
				fmt.Fprintf(&b, "%q: %q, ", f, r.fields[f])
			}
			b.WriteString("}\n")
		}
		out[fmt.Sprintf("rules/%03d.yaml", i)] = &fstest.MapFile{Data: []byte(b.String())}
	}
	for i := range w.agreements {
		a := &w.agreements[i]
		out["agreements/"+a.id+".yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil,
			"scope: 范围\nmethod: service\nnoOnwardSharing: true\nterm: {notBefore: %s, notAfter: %s}\n%s", a.from, a.to, a.clauses())}
	}
	for i := range w.emergencies {
		e := &w.emergencies[i]
		out["emergencies/"+e.id+".yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil,
			"reason: %s\ngrantedBy: [%s]\nfrom: %s\nuntil: %s\n%s", e.reason, e.by, e.from, e.to, e.clauses())}
	}
	return out
}

func (a *agreementOf) clauses() string {
	var b strings.Builder
	fmt.Fprintf(&b, "id: %s\nbasis: [依据]\nscenario: 场景\nprovider: %s\nregion: %q\nproduct: thing\nmajor: 1\nconsumer: %s\npurposes: [%s]\n",
		a.id, a.provider, a.region, a.consumer, strings.Join(a.purposes, ", "))
	if len(a.delivery) > 0 {
		fmt.Fprintf(&b, "delivery: [%s]\n", strings.Trim(strings.ReplaceAll(fmt.Sprint(a.delivery), " ", ", "), "[]")) //nolint:staticcheck // deliveries, not bytes
	}
	b.WriteString("fields: {")
	for _, f := range slices.Sorted(maps.Keys(a.fields)) {
		fmt.Fprintf(&b, "%q: %q, ", f, a.fields[f])
	}
	b.WriteString("}\nquota: {requestsPerMinute: 10, recordsPerDay: 1000}\n")
	b.WriteString(a.rows.yaml(""))
	return b.String()
}

func (w *worldOf) catalogue(t testing.TB) *catalogue.Catalogue {
	t.Helper()
	cat, err := catalogue.Load(w.catalogueFiles(), w.fields())
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

func (w *worldOf) load(t testing.TB) *policies.Set {
	t.Helper()
	set, err := policies.Load(w.policyFiles(), w.catalogue(t), anyRows)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// simple is a world in which everything that is open is permitted to one
// consumer; tests change one thing of it.
func simple() *worldOf {
	return &worldOf{
		leaves: map[string]redact.Sensitivity{
			"price": redact.Public, "unit": redact.Internal, "person.name": redact.Personal,
			"person.phone": redact.Personal, "text": redact.Sensitive, "reporter": redact.Secret,
		},
		share:        catalogue.Conditional,
		participants: []participantOf{{id: "consumer", region: regionB, kind: "commerce"}},
		rules: []ruleOf{{
			id: "all", provider: providerA, effect: "permit", when: literally("true"),
			classes: map[redact.Sensitivity]string{
				redact.Public: "keep", redact.Internal: "keep", redact.Personal: "keep", redact.Sensitive: "keep",
			},
		}},
		agreements: []agreementOf{{
			id: "first", provider: providerA, region: regionA, consumer: "consumer",
			purposes: []string{"monitoring"}, from: "2026-01-01", to: "2026-12-31",
			fields: map[string]string{"*": "keep", "person.name": "mask:name", "person.phone": "keep"},
		}},
	}
}

// flood is an emergency access of the consumer of the simple world, for
// something that its agreement does not open.
func flood() emergencyOf {
	return emergencyOf{
		agreementOf: agreementOf{
			id: "flood", provider: providerA, region: regionA, consumer: "consumer", purposes: []string{"handling"},
			from: "2026-06-01T08:00:00+08:00", to: "2026-06-02T08:00:00+08:00", fields: map[string]string{"text": "keep"},
		},
		reason: "natural_disaster", by: "li.si, wang.wu",
	}
}

func simpleRequest() policies.Request {
	return policies.Request{
		Caller:  policies.Caller{Participant: "consumer", Region: regionB, Kind: "commerce", System: "desk"},
		Product: "thing", Region: regionA, Purpose: "monitoring", Delivery: policies.Page, Time: at("2026-06-01T09:30:00+08:00"),
	}
}

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

// loadShipped reads the catalogue once for all tests.
var loadShipped = sync.OnceValues(func() (*catalogue.Catalogue, error) {
	fields, err := cataloguetest.Fields(os.DirFS("../schemas"))
	if err != nil {
		return nil, err
	}
	return catalogue.Load(catalogue.Shipped(), fields)
})

func shippedCatalogue(t testing.TB) *catalogue.Catalogue {
	t.Helper()
	cat, err := loadShipped()
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

func shippedSet(t testing.TB) *policies.Set {
	t.Helper()
	set, err := policies.Load(policies.Shipped(), shippedCatalogue(t), anyRows)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
