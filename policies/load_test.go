package policies_test

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

const (
	ruleHead = "product: price_quote\nproviders: [cq-commerce]\nrules:\n"
	ruleA    = `  - id: all
    nameZH: 全部
    effect: permit
    when: "true"
    obligations: {classes: {public: keep}}
`
	agreementA = `id: pq-1
basis: [某条例]
scenario: 场景
scope: 范围
method: service
term: {notBefore: 2026-01-01, notAfter: 2026-12-31}
provider: cq-commerce
region: "500000"
product: price_quote
major: 1
consumer: sc-commerce
purposes: [price_monitoring]
fields: {"*": keep}
quota: {requestsPerMinute: 1, recordsPerDay: 1}
noOnwardSharing: true
`
)

func files(named ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for i := 0; i < len(named); i += 2 {
		out[named[i]] = &fstest.MapFile{Data: []byte(named[i+1])}
	}
	return out
}

func TestLoadFaults(t *testing.T) {
	t.Parallel()
	const rules, agreement = "rules/a.yaml", "agreements/a.yaml"
	cat := shippedCatalogue(t)
	with := func(base, old, replacement string) string {
		if !strings.Contains(base, old) {
			t.Fatalf("%q is not in %q", old, base)
		}
		return strings.Replace(base, old, replacement, 1)
	}
	rule := func(old, replacement string) fstest.MapFS {
		return files(rules, with(ruleHead+ruleA, old, replacement))
	}
	agreed := func(old, replacement string) fstest.MapFS {
		return files(agreement, with(agreementA, old, replacement))
	}
	for name, c := range map[string]struct {
		dir  fstest.MapFS
		want string
	}{
		"nothing":               {files("x/a.yaml", ""), "there are no policies here"},
		"a file that is passed": {files(rules, ruleHead+ruleA, "rules/b.yml", ""), "rules/b.yml: only *.yaml files are read here"},
		"a folder":              {files(rules, ruleHead+ruleA, "agreements/old/a.yaml", ""), "agreements/old: only *.yaml files"},

		"unknown key in rule":  {rule("effect: permit", "efect: permit"), `rules/a.yaml:6:5: unknown key "efect"`},
		"rule without name":    {rule("    nameZH: 全部\n", ""), `rules/a.yaml:4:5: "nameZH" is missing`},
		"effect":               {rule("effect: permit", "effect: allow"), `unknown effect "allow"`},
		"rule id":              {rule("id: all", "id: All"), "rules/a.yaml:4:9: price_quote.All: an id is 2 to 63"},
		"rule twice":           {files(rules, ruleHead+ruleA+ruleA), "rules/a.yaml:9:9: price_quote.all: a rule with this id exists already"},
		"rule in two files":    {files(rules, ruleHead+ruleA, "rules/b.yaml", ruleHead+ruleA), "rules/b.yaml:4:9: price_quote.all: a rule"},
		"rule of nothing":      {rule("price_quote", "price"), `rules/a.yaml:1:10: there is no product "price"`},
		"rule of nobody":       {rule("[cq-commerce]", "[]"), "rules/a.yaml:2:12: providers names nobody"},
		"rule of a stranger":   {rule("[cq-commerce]", "[cq-commerce, cq-amr]"), `"cq-amr" does not provide price_quote`},
		"provider twice":       {rule("[cq-commerce]", "[cq-commerce, cq-commerce]"), `"cq-commerce" does not provide price_quote, or stands twice`},
		"permit of nothing":    {rule("    obligations: {classes: {public: keep}}\n", ""), "a rule that permits says what is done with the fields"},
		"permit of no field":   {rule("{classes: {public: keep}}", "{}"), "a rule that permits says what is done with the fields"},
		"deny with fields":     {rule("effect: permit", "effect: deny"), "a rule that denies has no obligations"},
		"unknown class":        {rule("public: keep", "open: keep"), `unknown sensitivity "open"`},
		"unknown obligation":   {rule("public: keep", "public: blur"), `unknown obligation "blur"`},
		"unknown mask":         {rule("public: keep", "public: mask:all"), `obligation "mask:all"`},
		"secret class":         {rule("public: keep", "secret: keep"), "secret fields are never released"},
		"unknown field":        {rule("classes: {public: keep}", "fields: {price: keep}"), `rules/a.yaml:8:35: price_quote.all: price_quote has no field "price"`},
		"too many rules":       {files(rules, ruleHead+manyRules(65)), "more than 64 rules for price_quote in 500000"},
		"condition: name":      {rule(`"true"`, `caller.knd == "commerce"`), "rules/a.yaml:7:11: price_quote.all: condition, column 7: undeclared reference to 'caller.knd'"},
		"condition: type":      {rule(`"true"`, `now.hour == "1"`), "found no matching overload"},
		"condition: no bool":   {rule(`"true"`, `caller.kind`), "the condition gives a string, and must give a bool"},
		"condition: syntax":    {rule(`"true"`, `purpose ==`), "condition, column 11: Syntax error"},
		"condition: unbounded": {rule(`"true"`, `'[{"a": [1]}][0].a.all(x, x > 1)'`), "the condition's cost has no bound (at least "},
		"condition: dear":      {rule(`"true"`, `'[1,2,3,4,5,6,7,8].all(a, [1,2,3,4,5,6,7,8].all(b, [1,2,3,4,5,6,7,8].all(c, a+b+c < now.hour)))'`), "the condition may cost "},
		"condition: long":      {rule(`"true"`, `'purpose == "`+strings.Repeat("a", 1100)+`"'`), "expression code point size exceeds limit"},
		"condition: deep":      {rule(`"true"`, `'`+strings.Repeat("(", 60)+"true"+strings.Repeat(")", 60)+`'`), "condition, column"},
		"condition: regex":     {rule(`"true"`, `purpose.matches("(")`), "invalid matches argument"},
		"condition: zones":     {rule(`"true"`, `timestamp("2026-01-01T00:00:00Z").getHours(purpose) == 1`), "undeclared reference to 'timestamp'"},
		"condition: dyn":       {rule(`"true"`, `dyn(purpose) == 1`), "undeclared reference to 'dyn'"},
		"condition: string":    {rule(`"true"`, `string(now.hour) == "1"`), "undeclared reference to 'string'"},

		"unknown key":           {agreed("scope:", "scop:"), `agreements/a.yaml:4:1: unknown key "scop"`},
		"agreement id":          {agreed("id: pq-1", "id: PQ 1"), "agreements/a.yaml:1:5: PQ 1: an id is 3 to 63"},
		"agreement twice":       {files(agreement, agreementA, "agreements/b.yaml", agreementA), "agreements/b.yaml:1:5: pq-1: an agreement or emergency with this id exists already"},
		"basis":                 {agreed("[某条例]", "[]"), "basis names no law or duty"},
		"method":                {agreed("method: service", "method: file"), `price_quote is delivered by service, not by "file"`},
		"term turned":           {agreed("2026-12-31", "2025-12-31"), "agreements/a.yaml:6:41: pq-1: it ends before it begins"},
		"term without end":      {agreed(", notAfter: 2026-12-31", ""), `"notAfter" is missing`},
		"provider of others":    {agreed("provider: cq-commerce", "provider: sc-commerce"), `"sc-commerce" does not provide price_quote in region "500000"`},
		"region":                {agreed(`"500000"`, `"510000"`), `"cq-commerce" does not provide price_quote in region "510000"`},
		"agreement for nothing": {agreed("product: price_quote", "product: prices"), `there is no product "prices"`},
		"version":               {agreed("major: 1", "major: 2"), "it is for version 2 of price_quote, and the catalogue has version 1"},
		"consumer":              {agreed("consumer: sc-commerce", "consumer: sc-trade"), `the consumer "sc-trade" is not a participant`},
		"with itself":           {agreed("consumer: sc-commerce", "consumer: cq-commerce"), "provider and consumer are the same"},
		"no purpose":            {agreed("[price_monitoring]", "[]"), "it names no purpose"},
		"foreign purpose":       {agreed("[price_monitoring]", "[marketing]"), `"marketing" is not a purpose of price_quote`},
		"purpose twice":         {agreed("[price_monitoring]", "[statistics, statistics]"), "this purpose stands twice"},
		"no field":              {agreed(`{"*": keep}`, "{}"), "fields names nothing that is shared"},
		"agreed unknown field":  {agreed(`{"*": keep}`, "{low: keep}"), `price_quote has no field "low"`},
		"quota of nothing":      {agreed("recordsPerDay: 1", "recordsPerDay: 0"), "recordsPerDay goes from 1 to"},
		"hand-on":               {agreed("noOnwardSharing: true", "noOnwardSharing: false"), "noOnwardSharing must be true"},
		"block": {
			agreed("product: price_quote", "product: consumer_complaint\nx: 1"), `unknown key "x"`,
		},
		"two in force": {
			files(agreement, agreementA, "agreements/b.yaml", with(with(agreementA, "pq-1", "pq-2"), "notBefore: 2026-01-01", "notBefore: 2026-12-31")),
			"agreements/b.yaml:6:7: pq-2: it and pq-1 (agreements/a.yaml) are in force on the same day for the same purpose",
		},
	} {
		if testing.Short() && len(name)%3 != 0 {
			continue // in the whole run: there is nothing in it for the race detector
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := policies.Load(c.dir, cat, anyRows)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
			if problem.CodeOf(err) != problem.ConfigInvalid {
				t.Errorf("code %s", problem.CodeOf(err))
			}
		})
	}
}

func manyRules(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Replace(ruleA, "id: all", fmt.Sprintf("id: r_%d", i), 1))
	}
	return b.String()
}

func TestFaultsOfFields(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(w *worldOf)
		want   string
	}{
		"block in a rule":         {func(w *worldOf) { w.rules[0].fields = map[string]string{"person": "keep"} }, `thing.all: "person" is a block: name each of its fields`},
		"block in an agreement":   {func(w *worldOf) { w.agreements[0].fields["person"] = "keep" }, `first: "person" is a block`},
		"secret in a rule":        {func(w *worldOf) { w.rules[0].fields = map[string]string{"reporter": "hash"} }, `"reporter" is secret and never released`},
		"secret in an agreement":  {func(w *worldOf) { w.agreements[0].fields["reporter"] = "hash" }, `"reporter" is secret and never released`},
		"unconditional agreement": {func(w *worldOf) { w.share = catalogue.Unconditional }, "thing is shared unconditionally, so this has no effect"},
		"too many of a pair": {func(w *worldOf) {
			for i := range 64 {
				a := simple().agreements[0]
				a.id, a.from, a.to = fmt.Sprintf("then-%02d", i), fmt.Sprintf("%d-01-01", 1900+i), fmt.Sprintf("%d-12-31", 1900+i)
				w.agreements = append(w.agreements, a)
			}
		}, "more than 64 agreements for the same consumer, product and provider"},
	} {
		if testing.Short() && len(name)%3 != 0 {
			continue // in the whole run: there is nothing in it for the race detector
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := simple()
			c.change(w)
			if _, err := policies.Load(w.policyFiles(), w.catalogue(t), anyRows); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	t.Run("dropping a secret field by name is allowed", func(t *testing.T) {
		t.Parallel()
		w := simple()
		w.rules[0].fields, w.agreements[0].fields["reporter"] = map[string]string{"reporter": "drop"}, "drop"
		w.load(t)
	})
	t.Run("a withheld product may have agreements, so that withholding always loads", func(t *testing.T) {
		t.Parallel()
		w := simple()
		w.share = catalogue.Withheld
		w.load(t)
	})
}

func TestEveryFaultOfAllFiles(t *testing.T) {
	t.Parallel()
	_, err := policies.Load(files(
		"rules/a.yaml", strings.Replace(ruleHead+ruleA+strings.Replace(ruleA, "id: all", "id: B", 1), `"true"`, "caller.x", 2),
		"rules/b.yaml", "product: [\n",
		"agreements/a.yaml", strings.Replace(agreementA, "major: 1", "major: 7", 1),
	), shippedCatalogue(t), nil)
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{"rules/a.yaml:7:11", "rules/a.yaml:9:9", "rules/a.yaml:12:11", "rules/b.yaml:", "agreements/a.yaml:10:8"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in\n%v", want, err)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	cat := shippedCatalogue(t)
	version := func(dir fs.FS, cat *catalogue.Catalogue) string {
		set, err := policies.Load(dir, cat, anyRows)
		if err != nil {
			t.Fatal(err)
		}
		return set.Version()
	}
	base := version(files("rules/a.yaml", ruleHead+ruleA, "agreements/a.yaml", agreementA), cat)
	if !strings.HasPrefix(base, "sha256:") || len(base) != len("sha256:")+64 {
		t.Errorf("version %q", base)
	}
	for name, c := range map[string]struct {
		dir  fstest.MapFS
		same bool
	}{
		"layout, names and tests": {files("rules/z.yaml", "# why\n"+ruleHead+ruleA, "agreements/z.yaml", agreementA, "rules/z_test.yaml", "x"), true},
		"a condition":             {files("rules/a.yaml", ruleHead+strings.Replace(ruleA, "true", "1 == 1", 1), "agreements/a.yaml", agreementA), false},
		"a term":                  {files("rules/a.yaml", ruleHead+ruleA, "agreements/a.yaml", strings.Replace(agreementA, "12-31", "12-30", 1)), false},
		"one file less":           {files("rules/a.yaml", ruleHead+ruleA), false},
	} {
		if got := version(c.dir, cat); (got == base) != c.same {
			t.Errorf("%s: the version is the same: %v", name, got == base)
		}
	}
	other := strings.NewReplacer("pq-1", "pq-2", "sc-commerce", "sc-stats", "price_monitoring", "statistics").Replace(agreementA)
	if version(files("agreements/a.yaml", agreementA, "agreements/b.yaml", other), cat) !=
		version(files("agreements/b.yaml", agreementA, "agreements/a.yaml", other), cat) {
		t.Error("the order of files changes the version")
	}
	w, v := simple(), simple()
	v.leaves["unit"] = 0
	if version(w.policyFiles(), w.catalogue(t)) == version(v.policyFiles(), v.catalogue(t)) {
		t.Error("the catalogue is not part of the version")
	}
}

func TestAgreements(t *testing.T) {
	t.Parallel()
	set := shippedSet(t)
	ids := func(of []*policies.Agreement) string {
		var out []string
		for _, a := range of {
			out = append(out, a.ID)
		}
		return strings.Join(out, " ")
	}
	if got := len(set.Agreements("", "", "")); got != 58 {
		t.Errorf("%d agreements", got)
	}
	if got := ids(set.Agreements("sc-emergency", "", "")); got != "price_bulletin-cq-commerce-sc-emergency" {
		t.Errorf("of sc-emergency: %s", got)
	}
	if got := ids(set.Agreements("", "price_quote", "510000")); got != "price_quote-sc-commerce-cq-commerce price_quote-sc-commerce-cq-stats" {
		t.Errorf("prices of 510000: %s", got)
	}
	if got := ids(set.Agreements("sc-amr", "consumer_complaint", "500000")); got != "consumer_complaint-cq-amr-sc-amr" {
		t.Errorf("of the pair: %s", got)
	}
	if got := set.Agreements("sc-amr", "consumer_complaint", "510000"); len(got) != 0 {
		t.Errorf("with itself: %s", ids(got))
	}
	a, ok := set.Agreement("price_quote-cq-commerce-sc-commerce")
	if !ok || a.Quota.RequestsPerMinute < 6000 || a.Quota.RecordsPerDay < 10_000_000 || !a.NoOnwardSharing ||
		a.Source != "agreements/price_quote-cq-commerce-sc-commerce.yaml" {
		t.Errorf("got %+v", a)
	}
	if _, ok := set.Agreement("nothing"); ok {
		t.Error("an unknown agreement was found")
	}
	for _, r := range set.Rules() {
		if r.NameZH == "" || !strings.HasPrefix(r.Source, "rules/") {
			t.Errorf("rule %+v", r)
		}
	}
}

func TestMayKnow(t *testing.T) {
	t.Parallel()
	cat, set := shippedCatalogue(t), shippedSet(t)
	known := func(product, region string) string {
		p, _ := cat.Product(product)
		var out []string
		for _, q := range cat.Participants() {
			if set.MayKnow(q.ID, p, region) {
				out = append(out, q.ID)
			}
		}
		return strings.Join(out, " ")
	}
	all := cat.Participants()
	ids := make([]string, len(all))
	for i, q := range all {
		ids[i] = q.ID
	}
	everyone := strings.Join(ids, " ")
	for args, want := range map[string]string{
		"price_quote 500000":        everyone,
		"price_quote 520000":        "",
		"consumer_complaint 500000": "cq-amr sc-amr sc-stats",
		"consumer_complaint 510000": "cq-amr cq-stats sc-amr",
		"nothing 500000":            "",
	} {
		product, region, _ := strings.Cut(args, " ")
		if got := known(product, region); got != want {
			t.Errorf("%s: known to %q, want %q", args, got, want)
		}
	}
	price, _ := cat.Product("price_quote")
	if set.MayKnow("stranger", price, "500000") || set.MayKnow("", price, "500000") {
		t.Error("who is not admitted may know")
	}
	// Who had an agreement, or will have one, still knows.
	w := simple()
	w.agreements[0].from, w.agreements[0].to = "2001-01-01", "2001-12-31"
	thing, _ := w.catalogue(t).Product("thing")
	if s := w.load(t); !s.MayKnow("consumer", thing, regionA) || s.MayKnow("consumer", thing, regionB) {
		t.Error("a party of an ended agreement does not know, or knows of the other region")
	}
}

// Every file of the shipped set has its cases beside it.
func TestShippedHasTests(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, folder := range []string{"rules", "agreements"} {
		entries, err := fs.ReadDir(policies.Shipped(), folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names[folder+"/"+e.Name()] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if base := strings.TrimSuffix(name, ".yaml"); !strings.HasSuffix(base, "_test") && !names[base+"_test.yaml"] {
			t.Errorf("%s has no test", name)
		}
	}
}
