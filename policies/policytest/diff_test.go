package policytest_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/policies/policytest"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

const flood = `id: flood-2026
reason: natural_disaster
basis: [《中华人民共和国突发事件应对法》]
scenario: 汛期保供稳价
grantedBy: [li.si, wang.wu]
from: 2026-07-01T20:00:00+08:00
until: 2026-07-02T04:00:00+08:00
provider: cq-commerce
region: "500000"
product: price_quote
major: 1
consumer: sc-stats
purposes: [statistics]
fields: {"*": keep}
quota: {requestsPerMinute: 10, recordsPerDay: 100}
`

// Everything finds each opening, though it be under an emergency, by another
// delivery, or on a day that is not today.
func TestDiffOfEverything(t *testing.T) {
	t.Parallel()
	const (
		rules      = "rules/price_quote.yaml"
		toCommerce = "agreements/price_quote-cq-commerce-sc-commerce.yaml"
		toStats    = "agreements/price_quote-cq-commerce-sc-stats.yaml"
		emergency  = "emergencies/flood.yaml"
		consumer   = "consumer: sc-commerce"
		someRows   = "rows: row.unit == \"kg\"\n"
	)
	before := copied(t)
	before[emergency] = &fstest.MapFile{Data: []byte(flood)}
	replace(t, before, toStats, "purposes:", someRows+"purposes:")
	edit := func(file, old, replacement string) func(*testing.T, fstest.MapFS) {
		return func(t *testing.T, dir fstest.MapFS) {
			t.Helper()
			replace(t, dir, file, old, replacement)
		}
	}
	for name, c := range map[string]struct {
		edit func(*testing.T, fstest.MapFS)
		want string // of a request that is answered more freely; "" if there is none
	}{
		"nothing": {edit(toCommerce, consumer, consumer), ""},
		"an emergency": {
			func(t *testing.T, dir fstest.MapFS) {
				t.Helper()
				dir["emergencies/new.yaml"] = &fstest.MapFile{Data: []byte(strings.NewReplacer("flood-2026", "flood-2027", "2026-07", "2027-07").Replace(flood))}
			},
			"sc-stats asks for price_quote of 500000 for statistics by page on 2027-07-01T20:00:00+08:00 under flood-2027",
		},
		"a longer emergency":  {edit(emergency, "07-02T04", "07-02T05"), "by page on 2026-07-02T04:00:00+08:00 under flood-2026"},
		"an earlier one":      {edit(emergency, "07-01T20", "07-01T19"), "by page on 2026-07-01T19:00:00+08:00 under flood-2026"},
		"a shorter one":       {edit(emergency, "07-02T04", "07-02T03"), ""},
		"one with deliveries": {edit(emergency, "purposes:", "delivery: [page, verify]\npurposes:"), "by verify on 2026-07-01T20:00:00+08:00 under flood-2026"},
		"deliveries":          {edit(toCommerce, consumer, consumer+"\ndelivery: [query, bulk, verify]"), "by query on 2026-06-01T09:30:00+08:00"},
		"bulk":                {edit(toCommerce, consumer, consumer+"\ndelivery: [bulk]"), "by bulk on 2026-06-01T09:30:00+08:00"},
		"no delivery by page": {edit(toStats, "purposes:", "delivery: [page]\npurposes:"), ""},
		"a longer term":       {edit(toCommerce, "2035-12-31", "2036-01-01"), "by page on 2036-01-01T09:30:00+08:00"},
		"an earlier term":     {edit(toCommerce, "2026-01-01", "2025-12-31"), "by page on 2025-12-31T00:00:00+08:00"},
		"a shorter term":      {edit(toCommerce, "2035-12-31", "2035-12-30"), ""},
		"a stricter mask":     {edit(rules, "high_price: generalise:fine_band", "high_price: hash"), ""},
		"some records":        {edit(toCommerce, consumer, consumer+"\nrows: row.region_code == caller.region"), ""},
		"all records":         {edit(toStats, someRows, ""), "sc-stats asks for price_quote of 500000 for statistics by page on 2026-06-01T09:30:00+08:00"},
	} {
		if testing.Short() && len(name)%3 != 0 {
			continue // in the whole run: there is nothing in it for the race detector
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after := maps.Clone(before)
			for name, file := range after {
				after[name] = &fstest.MapFile{Data: slices.Clone(file.Data)}
			}
			c.edit(t, after)
			looser := openings(t, before, after)
			if c.want == "" && len(looser) > 0 || !strings.Contains(strings.Join(looser, "\n"), c.want) {
				t.Errorf("want %q, got\n%s", c.want, strings.Join(looser, "\n"))
			}
		})
	}
}

// openings are the names of what Diff of Everything finds looser.
func openings(t *testing.T, before, after fstest.MapFS) (looser []string) {
	t.Helper()
	cat := shippedCatalogue(t)
	var sets []*policies.Set
	for _, dir := range []fstest.MapFS{before, after} {
		set, err := policies.Load(dir, cat, anyRows)
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, set)
	}
	everything := policytest.Everything(cat, time.Date(2026, 6, 1, 1, 30, 0, 0, time.UTC), sets...)
	changes, _ := policytest.Diff(sets[0], sets[1], func(yield func(policytest.Request) bool) {
		for r := range everything {
			if r.Product == "price_quote" && !yield(r) { // the one that is edited
				return
			}
		}
	})
	for _, c := range changes {
		if c.Looser {
			looser = append(looser, c.Request.Name)
		}
	}
	return looser
}

func anyRows(string, *redact.Predicate) error { return nil }

// Everything asks nothing twice, and no more than a few times what there is.
func TestEverythingIsBounded(t *testing.T) {
	t.Parallel()
	cat := shippedCatalogue(t)
	set, err := policies.Load(policies.Shipped(), cat, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 6, 1, 1, 30, 0, 0, time.UTC)
	seen, pairs := map[string]bool{}, map[string]bool{}
	for r := range policytest.Everything(cat, at, set, set) {
		pair := fmt.Sprintln(r.Caller.Participant, r.Product, r.Region, r.Purpose)
		one := fmt.Sprintln(pair, r.Delivery, r.Emergency, r.Time.Unix())
		if seen[one] {
			t.Fatalf("it is asked twice: %s", one)
		}
		seen[one], pairs[pair] = true, true
	}
	if len(pairs) < 1000 || len(seen) < 4*len(pairs) || len(seen) > 6*len(pairs) {
		t.Errorf("%d requests of %d participants, products and purposes", len(seen), len(pairs))
	}
}
