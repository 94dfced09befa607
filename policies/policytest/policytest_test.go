package policytest_test

import (
	"bytes"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/policies/policytest"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/catalogue/cataloguetest"
)

// loadShipped reads the catalogue once for all tests.
var loadShipped = sync.OnceValues(func() (*catalogue.Catalogue, error) {
	fields, err := cataloguetest.Fields(os.DirFS("../../schemas"))
	if err != nil {
		return nil, err
	}
	return catalogue.Load(catalogue.Shipped(), fields)
})

func shippedCatalogue(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	cat, err := loadShipped()
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

// copied is the shipped policies of two products, to be edited.
func copied(t *testing.T) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(policies.Shipped(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(name, "/consumer_complaint") && !strings.Contains(name, "/price_quote") {
			return err
		}
		source, err := fs.ReadFile(policies.Shipped(), name)
		out[name] = &fstest.MapFile{Data: source}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func replace(t *testing.T, dir fstest.MapFS, file, old, replacement string) {
	t.Helper()
	if !bytes.Contains(dir[file].Data, []byte(old)) {
		t.Fatalf("%s does not hold %q", file, old)
	}
	dir[file].Data = bytes.Replace(dir[file].Data, []byte(old), []byte(replacement), 1)
}

func run(t *testing.T, dir fs.FS) (*policytest.Report, error) {
	t.Helper()
	cat := shippedCatalogue(t)
	set, err := policies.Load(dir, cat, nil)
	if err != nil {
		t.Fatal(err)
	}
	return policytest.Run(dir, set, cat)
}

// The shipped policies do what the cases beside them say, and every rule and
// agreement has one.
func TestShipped(t *testing.T) {
	t.Parallel()
	report, err := run(t, policies.Shipped())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := report.Print(&b, false); err != nil {
		t.Fatal(err)
	}
	if !report.OK() {
		t.Errorf("\n%s", b.String())
	}
	if report.Files != 76 || report.Rules != 39 || report.Agreements != 58 || len(report.Results) < 500 {
		t.Errorf("less was run than there is: %s", b.String())
	}
	if lines := strings.Count(b.String(), "\n"); lines != 1 {
		t.Errorf("without failures there is one line, got %d", lines)
	}
}

// Each edit of a shipped policy is found by the cases beside it.
func TestCasesFindChanges(t *testing.T) {
	t.Parallel()
	const (
		complaintRules = "rules/consumer_complaint.yaml"
		priceRules     = "rules/price_quote.yaml"
		toStats        = "agreements/consumer_complaint-cq-amr-sc-stats.yaml"
		toCommerce     = "agreements/price_quote-cq-commerce-sc-commerce.yaml"
	)
	for name, c := range map[string]struct{ file, old, replacement, want string }{
		"telephone in clear": {complaintRules, "phone: mask:phone", "phone: keep", "complainant.phone: want mask:phone, got keep"},
		"free text released": {complaintRules, "dossier.facts: drop", "dossier.facts: keep", "effect: want deny field_withheld, got permit"},
		"denial turned":      {complaintRules, `!(caller.kind in [`, `(caller.kind in [`, "want permit, got deny provider_denied"},
		"condition widened": {
			complaintRules, `caller.kind == "statistics" && caller.region != product.region && purpose == "statistics"`,
			"true", "fields",
		},
		"unit in clear":        {priceRules, "source_unit: hash", "source_unit: keep", ""},
		"condition inverted":   {priceRules, "caller.region != product.region", "caller.region == product.region", "want permit, got deny provider_denied"},
		"term longer":          {toStats, "2035-12-31", "2036-01-01", "want deny agreement_ended, got permit"},
		"term shorter":         {toStats, "2035-12-31", "2035-12-30", "want permit, got deny agreement_ended"},
		"term earlier":         {toCommerce, "2026-01-01", "2025-12-31", "want deny agreement_not_started, got permit"},
		"purpose added":        {toCommerce, "[price_monitoring]", "[price_monitoring, statistics]", "want deny purpose_not_agreed, got deny provider_denied"},
		"one field more":       {toStats, "amount: generalise:band", "amount: generalise:band\n  object_name: keep", ""},
		"one field less":       {toStats, "  amount: generalise:band\n", "", "amount: want generalise:band, got drop"},
		"statistics see cases": {toStats, "case_no: hash", "case_no: keep", ""},
	} {
		if testing.Short() && len(name)%3 != 0 {
			continue // in the whole run: there is nothing in it for the race detector
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t)
			replace(t, dir, c.file, c.old, c.replacement)
			report, err := run(t, dir)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := report.Print(&b, false); err != nil {
				t.Fatal(err)
			}
			if c.want == "" { // the other layer still asks for the stricter: both hold alone
				if !report.OK() {
					t.Errorf("the stricter layer does not hold alone:\n%s", b.String())
				}
				return
			}
			if report.OK() || report.Failed() == 0 || !strings.Contains(b.String(), c.want) {
				t.Errorf("want %q in\n%s", c.want, b.String())
			}
		})
	}
}

func TestGaps(t *testing.T) {
	t.Parallel()
	dir := copied(t)
	delete(dir, "agreements/price_quote-cq-commerce-sc-commerce_test.yaml")
	dir["rules/nothing_test.yaml"] = &fstest.MapFile{Data: []byte("cases: []\n")}
	replace(t, dir, "rules/price_quote.yaml", "rules:\n", `rules:
  - id: at_night
    nameZH: 夜间
    effect: deny
    when: now.hour < 5
`)
	report, err := run(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := report.Print(&b, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"GAP   agreements/price_quote-cq-commerce-sc-commerce.yaml has no agreements/price_quote-cq-commerce-sc-commerce_test.yaml beside it",
		"GAP   rules/nothing_test.yaml stands beside no rules/nothing.yaml",
		"GAP   rules/price_quote.yaml:11: no case in which rule price_quote.at_night decides (deny)",
		"; 6 of 7 rules and 8 of 8 agreements covered",
		"\nok    rules/price_quote_test.yaml:",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if report.OK() {
		t.Error("a report with gaps is OK")
	}
	if (&policytest.Report{}).OK() {
		t.Error("a report without cases is OK")
	}
}

// An agreement that no case reaches is named, also if a denied case looked at it.
func TestUncoveredAgreement(t *testing.T) {
	t.Parallel()
	dir := copied(t)
	const file = "agreements/price_quote-sc-commerce-cq-stats_test.yaml"
	dir[file].Data = []byte(`cases:
  - name: it has ended
    at: 2036-01-01T00:00:00+08:00
    caller: {participant: cq-stats}
    product: price_quote
    region: "510000"
    purpose: statistics
    want: {effect: deny, code: agreement_ended}
`)
	report, err := run(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() != 0 || report.UncoveredAgreements != 1 || len(report.Gaps) != 1 ||
		!strings.Contains(report.Gaps[0], "no case to which agreement price_quote-sc-commerce-cq-stats applies") {
		t.Errorf("%+v", report.Gaps)
	}
}

func TestFaultsOfCases(t *testing.T) {
	t.Parallel()
	const file = "rules/price_quote_test.yaml"
	for name, c := range map[string]struct{ cases, want string }{
		"unknown key":         {"{name: a, colour: red, want: {effect: permit}}", `:2:15: unknown key "colour"`},
		"no want":             {"{name: a}", `"want" is missing`},
		"effect":              {"{name: a, want: {effect: maybe}}", `unknown effect "maybe"`},
		"code":                {"{name: a, want: {effect: deny, code: nope}}", `there is no code "nope"`},
		"time":                {"{name: a, at: 2026-01-01, want: {effect: permit}}", `"2026-01-01" is not a time`},
		"no time":             {"{name: a, caller: {participant: sc-amr}, want: {effect: permit}}", "a: there is no time"},
		"no caller":           {"{name: a, at: 2026-06-01T09:00:00+08:00, want: {effect: permit}}", "a: there is no caller"},
		"code with permit":    {"{name: a, want: {effect: permit, code: internal}}", "a permit has no code"},
		"deny without code":   {"{name: a, want: {effect: deny}}", "say with which code"},
		"deny with fields":    {"{name: a, want: {effect: deny, code: internal, released: 1}}", "a denial has no agreement and no obligations"},
		"unknown field":       {"{name: a, product: price_quote, want: {effect: permit, obligations: {price: drop}}}", `price_quote has no field "price"`},
		"unknown exact field": {"{name: a, product: consumer_complaint, want: {effect: permit, exactly: {dossier: keep}}}", `has no field "dossier"`},
		"unknown rule":        {"{name: a, want: {effect: permit, rule: x}}", `there is no rule "x"`},
		"unknown agreement":   {"{name: a, want: {effect: permit, agreement: x}}", `there is no agreement "x"`},
	} {
		if testing.Short() && len(name)%3 != 0 {
			continue // in the whole run: there is nothing in it for the race detector
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copied(t)
			dir[file].Data = []byte("cases:\n  - " + c.cases + "\n")
			_, err := run(t, dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file+":2:") {
				t.Fatalf("got %v\nwant %s", err, c.want)
			}
			if problem.CodeOf(err) != problem.ConfigInvalid {
				t.Errorf("code %s", problem.CodeOf(err))
			}
		})
	}
}

// Each point of an expectation can fail.
func TestWrongExpectations(t *testing.T) {
	t.Parallel()
	for want, failure := range map[string]string{
		"{effect: permit, agreement: price_quote-sc-commerce-cq-commerce}":      "agreement: want price_quote-sc-commerce-cq-commerce, got price_quote-cq-commerce-sc-commerce",
		"{effect: permit, rule: price_quote.counterpart_statistics}":            "rule: want price_quote.counterpart_statistics, got others",
		"{effect: permit, released: 3}":                                         "released: want 3, got 2",
		"{effect: permit, obligations: {low_price: hash}}":                      "low_price: want hash, got keep",
		"{effect: permit, obligations: {low_price: drop}}":                      "low_price: want drop, got keep",
		"{effect: permit, obligations: {high_price: keep}}":                     "high_price: want keep, got drop",
		"{effect: permit, exactly: {low_price: keep}}":                          "unit: want drop, got keep",
		"{effect: permit, exactly: {low_price: keep, unit: keep, stock: keep}}": "stock: want keep, got drop",
		"{effect: permit, exactly: {low_price: keep, unit: null}}":              "",
		"{effect: deny, code: agreement_ended}":                                 "effect: want deny agreement_ended, got permit",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			dir := copied(t)
			dir["rules/price_quote_test.yaml"].Data = []byte(`cases:
  - name: two fields
    at: 2026-06-01T09:00:00+08:00
    caller: {participant: sc-commerce}
    product: price_quote
    region: "500000"
    purpose: price_monitoring
    asked: [low_price, unit]
    want: ` + want + "\n")
			report, err := run(t, dir)
			if failure == "" { // null is no text in YAML: it must be quoted
				if err == nil || !strings.Contains(err.Error(), "there is no value") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := report.Print(&b, false); err != nil {
				t.Fatal(err)
			}
			if report.Failed() != 1 || !strings.Contains(b.String(), "      "+failure) {
				t.Errorf("want %q in\n%s", failure, b.String())
			}
		})
	}
}

// A denial with the right code and the wrong one, and a rule that only matched
// in a request that was denied for another reason.
func TestDenialsCoverNoPermit(t *testing.T) {
	t.Parallel()
	dir := copied(t)
	for _, file := range []string{"agreements/price_quote-cq-commerce-sc-stats_test.yaml", "agreements/price_quote-sc-commerce-cq-stats_test.yaml"} {
		dir[file].Data = []byte("cases: []\n")
	}
	dir["rules/price_quote_test.yaml"].Data = []byte(`defaults:
  at: 2026-06-01T09:00:00+08:00
  caller: {participant: sc-stats}
  product: price_quote
  region: "500000"
  purpose: statistics
cases:
  - name: right
    asked: [lowest]
    want: {effect: deny, code: field_unknown}
  - name: wrong
    asked: [lowest]
    want: {effect: deny, code: field_withheld}
`)
	report, err := run(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if failed := len(r.Failures) > 0; failed != (r.Name == "wrong") {
			t.Errorf("%+v", r)
		}
	}
	if gaps := strings.Join(report.Gaps, "\n"); !strings.Contains(gaps, "rule price_quote.counterpart_statistics decides (permit)") {
		t.Errorf("a denied request covers a rule that permits: %s", gaps)
	}
}
