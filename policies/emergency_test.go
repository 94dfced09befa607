package policies_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// flooded is the simple world with an emergency access, and a request that
// invokes it.
func flooded() (*worldOf, policies.Request) {
	w := simple()
	w.emergencies = []emergencyOf{flood()}
	q := simpleRequest()
	q.Emergency, q.Purpose = "flood", "handling"
	return w, q
}

// Emergency access takes the place of the agreement and of nothing else.
func TestEmergency(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(w *worldOf, q *policies.Request)
		want   problem.Code // "" for a permit
		detail string
	}{
		"in force":              {func(*worldOf, *policies.Request) {}, "", ""},
		"without any agreement": {func(w *worldOf, _ *policies.Request) { w.agreements = nil }, "", ""},
		"not invoked":           {func(_ *worldOf, q *policies.Request) { q.Emergency = "" }, problem.PurposeNotAgreed, ""},
		"withheld by law":       {func(w *worldOf, _ *policies.Request) { w.share = catalogue.Withheld }, problem.ShareWithheld, ""},
		"the provider denies": {func(w *worldOf, _ *policies.Request) {
			w.rules = append(w.rules, ruleOf{id: "never", provider: providerA, effect: "deny", when: literally(`caller.kind == "commerce"`)})
		}, problem.ProviderDenied, "thing.never"},
		"the provider denies emergencies": {func(w *worldOf, _ *policies.Request) {
			w.rules = append(w.rules, ruleOf{id: "never", provider: providerA, effect: "deny", when: literally(`emergency.id != ""`)})
		}, problem.ProviderDenied, "thing.never"},
		"a rule of the provider cannot be evaluated": {func(w *worldOf, _ *policies.Request) {
			w.rules = append(w.rules, ruleOf{id: "broken", provider: providerA, effect: "deny", when: literally(`1 / (now.hour - 9) == 1`)})
		}, problem.PolicyUnevaluable, "thing.broken"},
		"the provider permits nothing": {func(w *worldOf, _ *policies.Request) { w.rules = nil }, problem.ProviderDenied, ""},
		"a rule drops the field": {func(w *worldOf, _ *policies.Request) {
			w.rules[0].fields = map[string]string{"text": "drop"}
		}, problem.FieldWithheld, ""},
		"a secret field":                {func(_ *worldOf, q *policies.Request) { q.Asked = []string{"reporter"} }, problem.FieldWithheld, ""},
		"a field that it does not name": {func(_ *worldOf, q *policies.Request) { q.Asked = []string{"price"} }, problem.FieldWithheld, "not in flood"},
		"another purpose":               {func(_ *worldOf, q *policies.Request) { q.Purpose = "statistics" }, problem.EmergencyInvalid, "it is for handling"},
		"a delivery it does not allow":  {func(_ *worldOf, q *policies.Request) { q.Delivery = policies.Bulk }, problem.DeliveryNotAgreed, "flood allows page, not bulk"},
		"somebody else's": {func(w *worldOf, _ *policies.Request) {
			w.participants = append(w.participants, participantOf{id: "other", region: regionB, kind: "commerce"})
			w.emergencies[0].consumer = "other"
		}, problem.EmergencyInvalid, `"flood" was not granted to consumer`},
		"one that does not exist": {func(_ *worldOf, q *policies.Request) { q.Emergency = "fire" }, problem.EmergencyInvalid, `"fire" was not granted`},
		// The agreement would do, and is not taken in silence.
		"an agreement would do": {func(_ *worldOf, q *policies.Request) {
			q.Emergency, q.Purpose = "fire", "monitoring"
		}, problem.EmergencyInvalid, ""},
		"a second early":      {func(_ *worldOf, q *policies.Request) { q.Time = at("2026-06-01T07:59:59+08:00") }, problem.EmergencyInvalid, "it is in force from"},
		"in its first second": {func(_ *worldOf, q *policies.Request) { q.Time = at("2026-06-01T08:00:00+08:00") }, "", ""},
		"in its last second":  {func(_ *worldOf, q *policies.Request) { q.Time = at("2026-06-02T07:59:59+08:00") }, "", ""},
		"when it is over":     {func(_ *worldOf, q *policies.Request) { q.Time = at("2026-06-02T08:00:00+08:00") }, problem.EmergencyInvalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, q := flooded()
			c.change(w, &q)
			d := w.load(t).Decide(q)
			if d.Code != c.want || !strings.Contains(d.Detail, c.detail) {
				t.Fatalf("%v %s %q, want %q %q\n%v", d.Effect, d.Code, d.Detail, c.want, c.detail, d.Steps)
			}
			if c.want != "" {
				return
			}
			id, allowed, ok := d.Under()
			if d.Emergency == nil || d.Agreement != nil || id != "flood" || !ok || allowed.RecordsPerDay != 1000 {
				t.Errorf("permitted under %q, emergency %v, agreement %v", id, d.Emergency, d.Agreement)
			}
			if len(d.Obligations) != 1 || d.Obligations.Of("text").Action != redact.Keep {
				t.Errorf("released: %v", d.Obligations)
			}
		})
	}
}

// Who was given emergency access may know of the product, and it is listed for
// review from its end until it was reviewed.
func TestEmergenciesAreReviewed(t *testing.T) {
	t.Parallel()
	w, _ := flooded()
	w.agreements, w.visibility = nil, catalogue.Parties
	set, cat := w.load(t), w.catalogue(t)
	p, _ := cat.Product("thing")
	if !set.MayKnow("consumer", p, regionA) || set.MayKnow("consumer", p, regionB) {
		t.Error("who has emergency access, and only there, may know of the product")
	}
	all := set.Emergencies()
	if len(all) != 1 {
		t.Fatalf("%d emergencies", len(all))
	}
	e := all[0]
	if found, ok := set.Emergency("flood"); !ok || found != e {
		t.Error("it is not found by its id")
	}
	end := at("2026-06-02T08:00:00+08:00")
	if e.ReviewDue(end.Add(-time.Second)) || !e.ReviewDue(end) {
		t.Error("the review is due when it is over")
	}
	w.emergencies[0].by += "]\nreview: {by: zhao.liu, at: 2026-06-03T09:00:00+08:00, finding: 用途相符}\nx: ["
	files := w.policyFiles()
	text := strings.Replace(string(files["emergencies/flood.yaml"].Data), "x: []\n", "", 1)
	files["emergencies/flood.yaml"].Data = []byte(text)
	reviewed, err := policies.Load(files, cat, anyRows)
	if err != nil {
		t.Fatal(err)
	}
	if reviewed.Emergencies()[0].ReviewDue(end.AddDate(1, 0, 0)) {
		t.Error("it was reviewed")
	}
}

func TestFaultsOfEmergencies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, replacement, want string
	}{
		"longer than three days": {"until: 2026-06-02T08", "until: 2026-06-04T09", "it lasts 73h0m0s, and may last at most 72h0m0s"},
		"ends before it begins":  {"until: 2026-06-02T08", "until: 2026-06-01T08", "it lasts 0s"},
		"a day for an instant":   {"from: 2026-06-01T08:00:00+08:00", "from: 2026-06-01", `"2026-06-01" is not an instant`},
		"one operator":           {"[li.si, wang.wu]", "[li.si]", "two different operators"},
		"one operator twice":     {"[li.si, wang.wu]", "[li.si, li.si]", "two different operators"},
		"an operator's name":     {"[li.si, wang.wu]", "[li.si, 王五]", `"王五" is not the id of an operator`},
		"no reason of the law":   {"reason: natural_disaster", "reason: convenience", `unknown reason "convenience": use accident, natural_disaster, public_health, public_security`},
		"reviewed by a grantor":  {"from:", "review: {by: li.si, at: 2026-06-03T09:00:00+08:00, finding: 好}\nfrom:", "who granted it does not review it"},
		"reviewed before its end": {
			"from:", "review: {by: zhao.liu, at: 2026-06-01T09:00:00+08:00, finding: 好}\nfrom:", "it is reviewed after it is over",
		},
		"a secret field":           {`"text": "keep"`, `"reporter": "keep"`, `"reporter" is secret and never released`},
		"id of an agreement":       {"id: flood", "id: first", "an agreement or emergency with this id exists already"},
		"unknown delivery":         {"fields:", "delivery: [fax]\nfields:", `unknown delivery "fax": use page, bulk, query, verify`},
		"delivery twice":           {"fields:", "delivery: [page, page]\nfields:", "this delivery stands twice"},
		"no subjects":              {"recordsPerDay: 1000", "recordsPerDay: 1000, subjectsPerDay: 0", "subjectsPerDay goes from 1 to"},
		"not for the law's reason": {"basis: [依据]", "basis: []", "basis names no law"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := flooded()
			files := w.policyFiles()
			text := string(files["emergencies/flood.yaml"].Data)
			if !strings.Contains(text, c.old) {
				t.Fatalf("%q is not in\n%s", c.old, text)
			}
			files["emergencies/flood.yaml"].Data = []byte(strings.Replace(text, c.old, c.replacement, 1))
			_, err := policies.Load(files, w.catalogue(t), anyRows)
			if problem.CodeOf(err) != problem.ConfigInvalid || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "emergencies/flood.yaml:") {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

// What an agreement does not list it does not allow; its method says what an
// unwritten list means.
func TestDelivery(t *testing.T) {
	t.Parallel()
	all := []policies.Delivery{policies.Page, policies.Bulk, policies.Query, policies.Verify}
	for name, c := range map[string]struct {
		listed  []policies.Delivery
		allowed string
	}{
		"unwritten, a service": {nil, "page"},
		"one record, no bulk":  {[]policies.Delivery{policies.Query}, "query"},
		"yes or no":            {[]policies.Delivery{policies.Verify}, "verify"},
		"two":                  {[]policies.Delivery{policies.Query, policies.Bulk}, "bulk query"},
	} {
		w := simple()
		w.agreements[0].delivery = c.listed
		set := w.load(t)
		var allowed []string
		for _, d := range all {
			q := simpleRequest()
			q.Delivery = d
			switch got := set.Decide(q); {
			case got.Effect == policies.Permit:
				allowed = append(allowed, d.String())
			case got.Code != problem.DeliveryNotAgreed:
				t.Errorf("%s: %s", name, got.Code)
			}
		}
		if got := strings.Join(allowed, " "); got != c.allowed {
			t.Errorf("%s: %q, want %q", name, got, c.allowed)
		}
	}
	for _, d := range append(all, 0, 77) {
		parsed, err := policies.ParseDelivery(d.String())
		if known := d >= policies.Page && d <= policies.Verify; known != (err == nil) || known && parsed != d {
			t.Errorf("%d: %v, %v", d, parsed, err)
		}
		q := simpleRequest()
		q.Delivery = d
		if got := simple().load(t).Decide(q); d > policies.Verify && got.Effect == policies.Permit {
			t.Errorf("delivery %d is permitted", d)
		}
	}
}

// A statement is verified against what is released as it is, and only that.
func TestVerifyComparesOnlyWhatIsKept(t *testing.T) {
	t.Parallel()
	w := simple()
	w.agreements[0].delivery = []policies.Delivery{policies.Verify}
	set := w.load(t)
	q := simpleRequest()
	q.Delivery = policies.Verify
	for path, o := range set.Decide(q).Obligations {
		if o.Action != redact.Keep {
			t.Errorf("%s: %s", path, o)
		}
	}
	q.Asked = []string{"person.name"}
	if d := set.Decide(q); d.Code != problem.FieldWithheld || !strings.Contains(d.Detail, "cannot be verified") {
		t.Errorf("a masked name: %v %s %s", d.Effect, d.Code, d.Detail)
	}
}
