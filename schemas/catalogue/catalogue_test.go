package catalogue_test

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/catalogue/cataloguetest"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// fieldsOfShipped are read once for all tests.
var fieldsOfShipped = sync.OnceValues(func() (catalogue.SchemaFields, error) { return cataloguetest.Fields(os.DirFS("..")) })

func shippedFields(t *testing.T) catalogue.SchemaFields {
	t.Helper()
	fields, err := fieldsOfShipped()
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

func load(t *testing.T, dir fs.FS) *catalogue.Catalogue {
	t.Helper()
	cat, err := catalogue.Load(dir, shippedFields(t))
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

const (
	shippedProducts = "abnormal_operation_list administrative_penalty administrative_penalty_person bid_market_entity bid_notice bid_result " +
		"consumer_complaint consumer_report general_tax_violation_list incentive_list judgment_defaulter_list judgment_defaulter_person_list " +
		"major_tax_violation_list major_tax_violation_person_list price_bulletin price_quote serious_violation_list serious_violation_person_list"
	shippedParticipants = "cq-agriculture cq-amr cq-bigdata cq-cbirc-former cq-civil cq-commerce cq-court cq-csrc cq-customs cq-drc cq-ecology " +
		"cq-emergency cq-energy cq-finance cq-forestry cq-health cq-housing cq-hrss cq-industry cq-investment cq-ip cq-justice " +
		"cq-legal-affairs cq-nfra cq-organisation cq-pboc cq-pboc-former cq-police cq-ports cq-procuratorate cq-resources " +
		"cq-science cq-stats cq-trading cq-trading-supervision cq-transport cq-water sc-agriculture sc-amr sc-bigdata " +
		"sc-cbirc-former sc-civil sc-commerce sc-court sc-csrc sc-customs sc-drc sc-ecology sc-emergency sc-energy sc-finance " +
		"sc-forestry sc-health sc-housing sc-hrss sc-industry sc-investment sc-ip sc-justice sc-legal-affairs sc-nfra " +
		"sc-organisation sc-pboc sc-pboc-former sc-police sc-ports sc-procuratorate sc-resources sc-science sc-stats sc-trading " +
		"sc-transport sc-water"
)

func TestShipped(t *testing.T) {
	t.Parallel()
	cat := load(t, catalogue.Shipped())
	var products, participants []string
	for _, p := range cat.Products() {
		products = append(products, p.ID)
	}
	for _, p := range cat.Participants() {
		participants = append(participants, p.ID)
	}
	if got := strings.Join(products, " "); got != shippedProducts {
		t.Errorf("products: %s", got)
	}
	if got := strings.Join(participants, " "); got != shippedParticipants {
		t.Errorf("participants: %s", got)
	}
	price, _ := cat.Product("price_quote")
	complaint, _ := cat.Product("consumer_complaint")
	if price.ShareClass != catalogue.Conditional || price.Visibility != catalogue.Participants ||
		complaint.ShareClass != catalogue.Conditional || complaint.Visibility != catalogue.Parties {
		t.Error("share class or visibility is not as decided")
	}
	if price.Providers["510000"] != "sc-commerce" || complaint.Providers["500000"] != "cq-amr" {
		t.Errorf("providers: %v, %v", price.Providers, complaint.Providers)
	}
	if len(cat.Sensitivities("price_quote")) != 28 || len(cat.Sensitivities("nothing")) != 0 {
		t.Errorf("price_quote has %d fields", len(cat.Sensitivities("price_quote")))
	}
	for path, want := range map[string]redact.Sensitivity{
		"dossier.case_no": redact.Personal, "dossier.facts": redact.Sensitive, "complainant.id_no": redact.Sensitive,
		"respondent.uscc": redact.Internal, "problem_nature": redact.Internal,
	} {
		if got, ok := cat.Sensitivities("consumer_complaint")[path]; !ok || got != want {
			t.Errorf("%s is %v (%v), want %v", path, got, ok, want)
		}
	}
	if _, ok := cat.Product("nothing"); ok {
		t.Error("an unknown product was found")
	}
}

func TestZeroValuesAreTheStrictest(t *testing.T) {
	t.Parallel()
	var p catalogue.Product
	if p.ShareClass != catalogue.Withheld || p.Visibility != catalogue.Parties || p.ShareClass.String() != "withheld" {
		t.Errorf("a product nobody filled in is %v, %v", p.ShareClass, p.Visibility)
	}
	if catalogue.ShareClass(9).String() != "withheld" || catalogue.Visibility(9).String() != "parties" {
		t.Error("an unknown value is not written as the strictest")
	}
}

func TestValidAtCountsWholeDaysInChina(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600))
	p := catalogue.Participant{ValidFrom: &day, ValidTo: &day}
	for at, want := range map[string]bool{
		"2026-02-28T15:59:59Z": false, "2026-02-28T16:00:00Z": true,
		"2026-03-01T15:59:59Z": true, "2026-03-01T16:00:00Z": false,
	} {
		instant, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.ValidAt(instant); got != want {
			t.Errorf("%s: %v", at, got)
		}
	}
	if !(&catalogue.Participant{}).ValidAt(day) {
		t.Error("without bounds it is not valid")
	}
}

// edited is the shipped catalogue with one text replaced.
func edited(t *testing.T, file, old, replacement string) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	for _, name := range []string{"products.yaml", "participants.yaml"} {
		source, err := fs.ReadFile(catalogue.Shipped(), name)
		if err != nil {
			t.Fatal(err)
		}
		if name == file {
			if !strings.Contains(string(source), old) {
				t.Fatalf("%s does not hold %q", file, old)
			}
			source = []byte(strings.Replace(string(source), old, replacement, 1))
		}
		out[name] = &fstest.MapFile{Data: source}
	}
	return out
}

const priceBasis = `    legalBasis:
      - 《价格监测规定》（国家发展和改革委员会令2003年第1号）
      - 《成渝地区双城经济圈市场一体化建设行动方案》第四条
      - 《政务数据共享条例》（国务院令第809号）第十四条、第十五条
`

func TestFaults(t *testing.T) {
	t.Parallel()
	const products, participants = "products.yaml", "participants.yaml"
	for name, c := range map[string]struct{ file, old, replacement, want string }{
		"unknown key":          {products, "major: 1", "major: 1\n    colour: red", `unknown key "colour"`},
		"missing key":          {products, "    updateCycle: daily\n", "", `"updateCycle" is missing`},
		"product id":           {products, "id: price_quote", "id: Price-Quote", "products.yaml:8:9: Price-Quote: an id is"},
		"product twice":        {products, "id: consumer_complaint", "id: price_quote", "price_quote: a product with this id stands above"},
		"major":                {products, "major: 1", "major: 0", "major goes from 1 to 999"},
		"schema of another":    {products, "major: 1", "major: 2", `the schema's name must end in ".v2"`},
		"schema unknown":       {products, "schema: price_quote.v1", "schema: price_quotes.v1", `there is no schema "price_quotes.v1"`},
		"share class":          {products, "shareClass: conditional", "shareClass: open", `unknown share class "open"`},
		"withheld without why": {products, "shareClass: conditional", "shareClass: withheld", "a withheld product needs withheldReason"},
		"reason without class": {products, "shareClass: conditional", "shareClass: conditional\n    withheldReason: x", "belongs to a withheld product only"},
		"no legal basis":       {products, priceBasis, "    legalBasis: []\n", "price_quote: legalBasis names no law"},
		"condition missing":    {products, "    scope: 川渝两省市商务主管部门、统计部门\n", "", "a conditional product needs scope, conditions and purposes"},
		"purpose name":         {products, "{id: price_monitoring,", "{id: Price Monitoring,", "a purpose is 2 to 63 of"},
		"purpose twice":        {products, "{id: price_monitoring,", "{id: statistics,", "this purpose stands above"},
		"cycle":                {products, "updateCycle: daily", "updateCycle: often", `"often" is not one of real_time`},
		"format":               {products, "formats: [json, ndjson]", "formats: [json, xls]", `"xls" is not one of json`},
		"no format":            {products, "formats: [json, ndjson]", "formats: []", "formats is empty"},
		"delivery":             {products, "deliveryMethods: [service]", "deliveryMethods: [fax]", `"fax" is not one of service`},
		"level":                {products, "level: general", "level: top", `"top" is not one of general`},
		"visibility":           {products, "visibility: parties", "visibility: all", `unknown visibility "all"`},
		"provider unknown":     {products, `"500000": cq-commerce`, `"500000": cq-trade`, `the provider "cq-trade" is not in participants.yaml`},
		"provider of others":   {products, `"500000": cq-commerce`, `"500000": sc-commerce`, `the provider "sc-commerce" belongs to region 510000`},
		"region":               {products, `"500000": cq-commerce`, `"50": cq-commerce`, `"50" is not a six-digit region`},
		"key field":            {products, "grade, place", "grad, place", `price_quote.v1 has no field "grad"`},
		"key twice":            {products, "grade, place", "spec, place", `"spec" stands twice in the key`},
		"key is a block":       {products, "key: [dossier.case_no]", "key: [dossier]", `consumer_complaint.v1 has no field "dossier"`},
		"key empty":            {products, "key: [dossier.case_no]", "key: []", "the business key names no field"},
		"decision time":        {products, "decisionTime: update_time", "decisionTime: updated", `has no field "updated"`},
		"partitions":           {products, "partitions: 6", "partitions: 0", "partitions go from 1 to 64"},
		"retention":            {products, "retentionDays: 820", "retentionDays: 0", "retentionDays go from 1 to 36500"},
		"loosened": {
			products, "decisionTime: update_time", "decisionTime: update_time\n    sensitivity: {dossier.facts: personal}",
			`"dossier.facts" is sensitive in the schema: the catalogue may only tighten it, not make it personal`,
		},
		"tightened beyond the seal": {
			products, "decisionTime: update_time", "decisionTime: update_time\n    sensitivity: {respondent.name: personal}",
			`"respondent.name" cannot become personal, because consumer_complaint.v1 does not seal it`,
		},
		"sensitivity of nothing": {
			products, "decisionTime: update_time", "decisionTime: update_time\n    sensitivity: {facts: secret}",
			`consumer_complaint.v1 has no field "facts"`,
		},
		"class": {
			products, "decisionTime: update_time", "decisionTime: update_time\n    sensitivity: {dossier.facts: hidden}",
			`unknown sensitivity "hidden"`,
		},
		"participant id":    {participants, "id: cq-stats", "id: CQ", "CQ: an id is 2 to 63"},
		"participant twice": {participants, "id: cq-stats", "id: cq-amr", "cq-amr: a participant with this id stands above"},
		"participant region": {
			participants, "id: cq-stats\n    region: \"500000\"", "id: cq-stats\n    region: \"50000\"",
			`"50000" is not a six-digit region`,
		},
		"kind":       {participants, "kind: statistics\n  - id: sc", "kind: statistic\n  - id: sc", `the kind "statistic" is not listed`},
		"kind twice": {participants, "{id: statistics,", "{id: commerce,", "commerce: this kind stands above"},
		"kind name":  {participants, "{id: statistics,", "{id: S,", "a kind is 2 to 63"},
		"term":       {participants, "id: cq-stats\n", "id: cq-stats\n    validFrom: 2026-01-02\n    validTo: 2026-01-01\n", "it ends before it begins"},
		"day":        {participants, "id: cq-stats\n", "id: cq-stats\n    validFrom: 2026-13-02\n", `"2026-13-02" is not a day`},
		"alias taken": {
			participants, "aliases: [四川省市场监管局", "aliases: [重庆市市场监管局",
			"重庆市市场监管局 is already a name of cq-amr",
		},
	} {
		if testing.Short() && len(name)%3 != 0 {
			continue // in the whole run: there is nothing in it for the race detector
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := catalogue.Load(edited(t, c.file, c.old, c.replacement), shippedFields(t))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.file+":") {
				t.Fatalf("got %v\nwant %s", err, c.want)
			}
			if problem.CodeOf(err) != problem.ConfigInvalid {
				t.Errorf("code %s", problem.CodeOf(err))
			}
		})
	}
}

func TestEveryFaultOfBothFiles(t *testing.T) {
	t.Parallel()
	dir := edited(t, "products.yaml", "major: 1", "major: 0")
	source := strings.Replace(string(dir["products.yaml"].Data), "partitions: 6", "partitions: 99", 2)
	source = strings.Replace(source, "level: general", "level: top", 1)
	dir["products.yaml"].Data = []byte(source)
	dir["participants.yaml"].Data = []byte(strings.Replace(string(dir["participants.yaml"].Data), "kind: statistics", "kind: x", 1))
	_, err := catalogue.Load(dir, shippedFields(t))
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{"major goes", "must end in", `"top" is not`, `kind "x"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told in\n%v", want, err)
		}
	}
	if got := strings.Count(err.Error(), "partitions go from"); got != 2 {
		t.Errorf("%d of 2 faults of the same sort are told", got)
	}
}

func TestMissingFilesAreFaults(t *testing.T) {
	t.Parallel()
	_, err := catalogue.Load(fstest.MapFS{}, shippedFields(t))
	if err == nil || !strings.Contains(err.Error(), "products.yaml") || !strings.Contains(err.Error(), "participants.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestTightening(t *testing.T) {
	t.Parallel()
	before := load(t, catalogue.Shipped())
	after := load(t, edited(t, "products.yaml", "decisionTime: update_time",
		"decisionTime: update_time\n    sensitivity: {complainant.name: sensitive, dossier.facts: secret}"))
	got := after.Sensitivities("consumer_complaint")
	want := maps.Clone(before.Sensitivities("consumer_complaint"))
	want["complainant.name"], want["dossier.facts"] = redact.Sensitive, redact.Secret
	if !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if before.Version() == after.Version() {
		t.Error("the version is the same")
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	base := load(t, catalogue.Shipped()).Version()
	if !strings.HasPrefix(base, "sha256:") || len(base) != len("sha256:")+64 {
		t.Errorf("version %q", base)
	}
	if v := load(t, edited(t, "products.yaml", "major: 1", "major:   1 # the first")).Version(); v != base {
		t.Error("layout changes the version")
	}
	if v := load(t, edited(t, "products.yaml", "retentionDays: 820", "retentionDays: 821")).Version(); v == base {
		t.Error("content does not change the version")
	}
	// The classes are the schemas', and part of what the catalogue says.
	fields := shippedFields(t)
	cat, err := catalogue.Load(catalogue.Shipped(), func(schema string) (map[string]redact.Sensitivity, bool) {
		leaves, ok := fields(schema)
		leaves = maps.Clone(leaves)
		if ok && schema == "price_quote.v1" {
			leaves["stock"] = redact.Secret
		}
		return leaves, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	if cat.Version() == base {
		t.Error("a field's class does not change the version")
	}
}

func TestListsAreCopies(t *testing.T) {
	t.Parallel()
	cat := load(t, catalogue.Shipped())
	cat.Products()[0], cat.Participants()[0] = nil, nil
	if slices.Contains(cat.Products(), nil) || slices.Contains(cat.Participants(), nil) {
		t.Error("a caller changed the catalogue")
	}
}

// Codes of rows and removals that the schema does not have are found when the
// catalogue is loaded, every one with its line.
func TestCodesAreTheSchemas(t *testing.T) {
	t.Parallel()
	codes := func(schema string) map[string][]string {
		if schema != "credit_listing.v1" {
			return map[string][]string{"status": {"in_force", "withdrawn", "superseded"}}
		}
		return map[string][]string{
			"list_kind": {
				"serious_violation", "abnormal_operation", "administrative_penalty", "major_tax_violation", "general_tax_violation",
				"judgment_defaulter", "incentive",
			},
			"subject_kind": {"legal_person", "unincorporated", "individual_business", "natural_person"},
			"life_cycle":   {"removed_early", "removed_expired", "revoked"},
		}
	}
	if _, err := catalogue.Load(catalogue.Shipped(), shippedFields(t), catalogue.WithCodes(codes)); err != nil {
		t.Fatal(err)
	}
	dir := edited(t, "products.yaml", "list_kind: [serious_violation]", "list_kind: [serious_violaton, serious_violation, serious_violation]")
	text, err := fs.ReadFile(dir, "products.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("life_cycle: [removed_early, removed_expired, revoked]"), []byte("life_cycle: [removed_early, expired]\n      listing_id: [x]"), 1)
	people, err := fs.ReadFile(dir, "participants.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = catalogue.Load(fstest.MapFS{"products.yaml": {Data: text}, "participants.yaml": {Data: people}}, shippedFields(t), catalogue.WithCodes(codes))
	for _, want := range []string{
		`"serious_violaton" is none of the codes of list_kind: serious_violation, `, `"serious_violation" stands twice`,
		`"expired" is none of the codes of life_cycle: removed_early, `, `credit_listing.v1: "listing_id" is no code list`,
	} {
		if err == nil || !regexp.MustCompile(`(?m)products\.yaml:[0-9]+:[0-9]+: .*`+regexp.QuoteMeta(want)).MatchString(err.Error()) {
			t.Errorf("not found: %s\n%v", want, err)
		}
	}
}
