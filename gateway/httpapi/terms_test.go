package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/httpapi"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// emergencyAccess is one in YAML, in force from an hour ago for ten minutes more.
func emergencyAccess(id, consumer, product, provider, purpose string) string {
	text := agreement(id, consumer, product, provider, purpose, "2020-01-01", "2020-12-31", 100, 1000)
	for _, line := range []string{"scope: 测试\n", "method: service\n", "noOnwardSharing: true\n", "term: {notBefore: 2020-01-01, notAfter: 2020-12-31}\n"} {
		text = strings.Replace(text, line, "", 1)
	}
	now := time.Now().UTC().Truncate(time.Second)
	return text + fmt.Sprintf("reason: public_health\ngrantedBy: [li.si, wang.wu]\nfrom: %s\nuntil: %s\n",
		now.Add(-time.Hour).Format(time.RFC3339), now.Add(10*time.Minute).Format(time.RFC3339))
}

// Emergency access opens what no agreement does, and is seen: in the log, the
// metrics, the receipt and the ledger. When it is over it opens nothing.
func TestEmergencyAccess(t *testing.T) {
	t.Parallel()
	const file = "agreements/price_quote-cq-commerce-sc-stats.yaml"
	r := newRig(t, map[string]string{
		file:                     over(t, file), // the agreement has ended
		"emergencies/flood.yaml": emergencyAccess("flood", "sc-stats", "price_quote", "cq-commerce", "statistics"),
	})
	r.publish("price_quote", 3, nil)
	stats := r.admitted("sc-stats")
	path := "/v1/products/price_quote/records?purpose=statistics"
	if a := r.get(stats, path); a.code != problem.AgreementEnded {
		t.Fatalf("without it: %d %s", a.status, a.code)
	}
	if strings.Contains(r.logs.String(), "emergency access is used") {
		t.Error("an alarm without a use")
	}
	a := r.get(stats, path+"&emergency=flood")
	if a.status != http.StatusOK || strings.Count(string(a.body), "\n") != 3 {
		t.Fatalf("with it: %d %s %s", a.status, a.code, a.body)
	}
	if link := a.header.Get("Link"); !strings.Contains(link, "emergency=flood") {
		t.Errorf("the next page would not be one of the emergency: %s", link)
	}
	for _, want := range []string{"level=ERROR", "emergency=flood", "reason=public_health", "granted_by=\"[li.si wang.wu]\"", "consumer=sc-stats"} {
		if !strings.Contains(r.logs.String(), want) {
			t.Errorf("the alarm does not say %s", want)
		}
	}
	w := httptest.NewRecorder()
	httpapi.Admin(r.metrics, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if want := `hub_gateway_emergency_releases_total{product="price_quote",region="500000"} 1`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("the metrics do not say %s", want)
	}
	released := r.entries()[len(r.entries())-1]
	if released.Kind != receipt.Release || released.Emergency != "flood" || released.Agreement != "" {
		t.Errorf("entry: %+v", released)
	}
	signed, err := receipt.Verify(released.Receipt, r.snapshot.Trust.Roots)
	if err != nil || signed.Emergency != "flood" {
		t.Errorf("receipt: %+v, %v", signed, err)
	}
	if a := r.get(r.admitted("sc-commerce"), prices+"&emergency=flood"); a.code != problem.EmergencyInvalid {
		t.Errorf("somebody else's: %d %s", a.status, a.code)
	}
	r.order(liang, control.SuspendAgreement, "flood", "")
	if a := r.get(stats, path+"&emergency=flood"); a.code != problem.AgreementSuspended {
		t.Errorf("when it is suspended: %d %s", a.status, a.code)
	}
	r.order(liang, control.ResumeAgreement, "flood", "")
	if a := r.get(stats, path+"&emergency=flood"); a.status != http.StatusOK {
		t.Errorf("when it is resumed: %d %s", a.status, a.code)
	}
	r.setClock(11 * time.Minute)
	if a := r.get(r.admitted("sc-stats"), path+"&emergency=flood"); a.code != problem.EmergencyInvalid {
		t.Errorf("when it is over: %d %s", a.status, a.code)
	}
	if last := r.entries()[len(r.entries())-1]; last.Kind != receipt.Refusal || last.Code != problem.EmergencyInvalid {
		t.Errorf("entry: %+v", last)
	}
}

// The client invokes emergency access by name, follows its pages, and believes
// no answer that was given under anything else.
func TestEmergencyByClient(t *testing.T) {
	t.Parallel()
	const file = "agreements/price_quote-cq-commerce-sc-stats.yaml"
	r := newRig(t, map[string]string{
		file:                     over(t, file),
		"emergencies/flood.yaml": emergencyAccess("flood", "sc-stats", "price_quote", "cq-commerce", "statistics"),
	})
	r.publish("price_quote", 5, nil)
	c := r.client("sc-stats")
	q := client.Query{Product: "price_quote", Purpose: "statistics", Limit: 2}
	if _, err := c.Records(t.Context(), q); problem.CodeOf(err) != problem.AgreementEnded {
		t.Errorf("without it: %v", err)
	}
	q.Emergency = "flood"
	records := 0
	for range 3 {
		page, err := c.Records(t.Context(), q)
		if err != nil || page.Receipt == nil || page.Receipt.Emergency != "flood" || page.Receipt.Agreement != "" {
			t.Fatalf("%+v, %v", page, err)
		}
		records += int(page.Receipt.Records)
		q.Cursor = page.Next
	}
	if records != 5 {
		t.Errorf("%d records of 5", records)
	}
	q.Cursor, q.Emergency = "", "storm"
	if _, err := c.Records(t.Context(), q); problem.CodeOf(err) != problem.EmergencyInvalid {
		t.Errorf("another one: %v", err)
	}
}

// An agreement for one record at a time, or for a yes or no, opens no page.
func TestDeliveryIsKept(t *testing.T) {
	t.Parallel()
	one := agreement("one", "sc-commerce", "price_quote", "cq-commerce", "price_monitoring", "2026-01-01", "2035-12-31", 100, 1000)
	r := newRig(t, map[string]string{
		"agreements/price_quote-cq-commerce-sc-commerce.yaml": one + "delivery: [query, verify]\n",
	})
	r.publish("price_quote", 3, nil)
	a := r.get(r.admitted("sc-commerce"), prices)
	if a.code != problem.DeliveryNotAgreed || !strings.Contains(string(a.body), "one allows query, verify, not page") {
		t.Errorf("%d %s %s", a.status, a.code, a.body)
	}
}

// About no more different subjects than agreed; whom a consumer has seen today
// it may see again, and a page that is refused counts nobody.
func TestSubjectsAreCounted(t *testing.T) {
	t.Parallel()
	file := "agreements/price_quote-cq-commerce-sc-commerce.yaml"
	text := agreement("few", "sc-commerce", "price_quote", "cq-commerce", "price_monitoring", "2026-01-01", "2035-12-31", 1000, 1000)
	r := newRig(t, map[string]string{file: strings.Replace(text, "recordsPerDay: 1000", "recordsPerDay: 1000, subjectsPerDay: 7", 1)})
	r.publish("price_quote", 20, nil)
	who := r.admitted("sc-commerce")
	page := func(limit int, cursor string) answer {
		return r.get(who, fmt.Sprintf("%s&limit=%d&cursor=%s", prices, limit, url.QueryEscape(cursor)))
	}
	first := page(5, "")
	if first.status != http.StatusOK {
		t.Fatalf("%d %s", first.status, first.code)
	}
	if again := page(5, ""); again.status != http.StatusOK {
		t.Errorf("the same five again: %d %s", again.status, again.code)
	}
	next := first.header.Get("Hub-Next-Cursor")
	refused := page(5, next)
	if refused.code != problem.QuotaExhausted || !strings.Contains(string(refused.body), "has 5 new ones and 2 are left") || refused.header.Get("Retry-After") == "" {
		t.Fatalf("five more: %d %s %s", refused.status, refused.code, refused.body)
	}
	if last := r.entries()[len(r.entries())-1]; last.Kind != receipt.Refusal || last.Code != problem.QuotaExhausted || last.Agreement != "few" {
		t.Errorf("entry: %+v", last)
	}
	if two := page(2, next); two.status != http.StatusOK {
		t.Errorf("the two that are left: %d %s", two.status, two.code)
	}
	// Without what counts, or without a key, nothing of such an agreement leaves.
	snap, err := r.gateway.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	bare := *snap
	bare.HashKeys = nil
	r.gateway.Snapshot = func() (*gateway.Snapshot, error) { return &bare, nil }
	if a := page(1, ""); a.code != problem.QuotaUnavailable {
		t.Errorf("without a key: %d %s", a.status, a.code)
	}
}

// Of the records only those that the agreement's row condition names leave,
// and a page of none of them has nothing in it, not even a receipt.
func TestRowsAreKept(t *testing.T) {
	t.Parallel()
	file := "agreements/price_quote-cq-commerce-sc-commerce.yaml"
	text := agreement("some", "sc-commerce", "price_quote", "cq-commerce", "price_monitoring", "2026-01-01", "2035-12-31", 1000, 1000)
	r := newRig(t, map[string]string{file: text + "rows: row.region_code in [\"kg\", caller.region] && row.low_price > -1\n"})
	r.publish("price_quote", 30, func(i int, set func(path, text string)) {
		if i%3 == 0 {
			set("region_code", []string{"kg", "510000"}[i%2])
		}
	})
	c := r.client("sc-commerce")
	got, pages := pull(t, c, client.Query{Product: "price_quote", Purpose: "price_monitoring", Limit: 4})
	if len(got) != 10 {
		t.Fatalf("%d of 10 records", len(got))
	}
	for _, g := range got {
		if unit := fields(t, g.Record)["region_code"]; unit != "kg" && unit != "510000" {
			t.Errorf("a record of unit %v left", unit)
		}
	}
	for _, p := range pages {
		if p.Receipt != nil && (p.Receipt.Records == 0 || len(p.Receipt.Withheld) > 0) {
			t.Errorf("what is not for this consumer is no record that is withheld: %+v", p.Receipt)
		}
	}
}
