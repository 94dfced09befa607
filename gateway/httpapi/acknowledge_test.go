package httpapi_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

const coordination = "emergency_coordination"

// bulletins publishes bulletins, the first of which is due in an hour and the
// others since 1970, and pulls them as the other side's commerce department.
func bulletins(t *testing.T, r *rig) (*client.Client, []client.Record, string) {
	t.Helper()
	r.publish("price_bulletin", 3, func(i int, set func(path, text string)) {
		if i == 0 {
			set("requires_ack_by", strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10))
		}
		set("bulletin_no", fmt.Sprintf("TB-%d", i))
	})
	c := r.client("sc-commerce")
	records, pages := pull(t, c, client.Query{Product: "price_bulletin", Purpose: coordination})
	if len(records) != 3 || len(pages) == 0 {
		t.Fatalf("%d records", len(records))
	}
	return c, records, pages[0].Receipt.ID
}

func numberOf(t *testing.T, r client.Record) string {
	t.Helper()
	no, _ := fields(t, r.Record)["bulletin_no"].(string)
	return no
}

// An acknowledgement goes from the consumer to the issuer through the issuer's
// gateway: signed, in the ledger before it is answered, and listed for the
// issuer alone.
func TestAcknowledgement(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c, records, release := bulletins(t, r)
	issuer := r.client("cq-commerce")
	events := map[string]bool{}
	for _, rec := range records {
		a := client.Acknowledgement{
			Product: "price_bulletin", Purpose: coordination, Receipt: release, EventID: rec.EventID,
			TakenAt: time.Now().Add(-time.Minute).Truncate(time.Second), Measures: []receipt.Measure{"noted", "reserves_released"},
		}
		signed, got, err := c.Acknowledge(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if got.Late != (numberOf(t, rec) != "TB-0") || got.Provider != "cq-commerce" || !got.TakenAt.Equal(a.TakenAt) {
			t.Errorf("%s: %+v", numberOf(t, rec), got)
		}
		e, err := r.ledger.Find(t.Context(), got.ID)
		if err != nil || e.Kind != receipt.Acknowledged || e.Receipt != signed || e.Consumer != "sc-commerce" || e.Provider != "cq-commerce" {
			t.Errorf("ledger: %+v, %v", e, err)
		}
		events[rec.EventID] = true
	}
	since := time.Now().Add(-time.Hour)
	page, err := issuer.Acknowledgements(t.Context(), "price_bulletin", since, 0)
	if err != nil || len(page.Acknowledgements) != 3 || !page.AtEnd {
		t.Fatalf("%+v, %v", page, err)
	}
	for i, a := range page.Acknowledgements {
		if !events[a.EventID] || a.Consumer != "sc-commerce" {
			t.Errorf("%+v", a)
		}
		delete(events, a.EventID)
		// It can be verified offline, and not by another province's roots.
		if _, err := receipt.VerifyAcknowledgement(page.Signed[i], func(string) *x509.CertPool { return r.sc.Pool() }); err == nil {
			t.Error("verified against the roots of another province")
		}
	}
	if after, err := issuer.Acknowledgements(t.Context(), "price_bulletin", since, page.Next); err != nil || len(after.Signed) != 0 || !after.AtEnd {
		t.Errorf("behind the end: %+v, %v", after, err)
	}
	if _, err := c.Acknowledgements(t.Context(), "price_bulletin", since, 0); problem.CodeOf(err) != problem.ProviderOnly {
		t.Errorf("the consumer lists: %v", err)
	}
}

// Each way to acknowledge what one may not is refused, and the refusal of a
// known caller stands in the ledger.
// What was released in an emergency, or as the answer to a query, can be
// acknowledged as it was released.
func TestAcknowledgementOfOtherReleases(t *testing.T) {
	t.Parallel()
	const file = "agreements/price_bulletin-cq-commerce-sc-commerce.yaml"
	r := newRig(t, map[string]string{
		file: agreement("only-query", "sc-commerce", "price_bulletin", "cq-commerce", coordination, "2026-01-01", "2035-12-31", 1000, 1000) +
			"delivery: [query]\n",
		"emergencies/flood.yaml": emergencyAccess("flood", "sc-commerce", "price_bulletin", "cq-commerce", coordination),
	})
	r.publish("price_bulletin", 2, func(i int, set func(path, text string)) {
		set("bulletin_no", fmt.Sprintf("TB-%d", i))
		set("issuing_unit_uscc", "TEST")
	})
	c := r.client("sc-commerce")
	acknowledge := func(release, event string) (*receipt.Acknowledgement, error) {
		_, got, err := c.Acknowledge(t.Context(), client.Acknowledgement{
			Product: "price_bulletin", Purpose: coordination, Receipt: release, EventID: event, TakenAt: time.Now(), Measures: []receipt.Measure{"noted"},
		})
		return got, err
	}
	records, pages := pull(t, c, client.Query{Product: "price_bulletin", Purpose: coordination, Emergency: "flood"})
	got, err := acknowledge(pages[0].Receipt.ID, records[0].EventID)
	if err != nil || got.Agreement != "flood" {
		t.Errorf("of an emergency: %+v, %v", got, err)
	}
	who := r.admitted("sc-commerce")
	a := r.inquire(who, "price_bulletin", "query", map[string]any{
		"purpose": coordination, "key": map[string]any{"issuing_unit_uscc": "TEST", "bulletin_no": "TB-1"},
	})
	signed, err := receipt.Verify(a.header.Get("Hub-Receipt"), r.snapshot.Trust.Roots)
	if a.status != http.StatusOK || err != nil {
		t.Fatalf("query: %d %s, %v", a.status, a.body, err)
	}
	event := records[0].EventID
	if numberOf(t, records[0]) != "TB-1" {
		event = records[1].EventID
	}
	if got, err = acknowledge(signed.ID, event); err != nil || got.Agreement != "only-query" {
		t.Errorf("of a query: %+v, %v", got, err)
	}
}

func TestAcknowledgementRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c, records, release := bulletins(t, r)
	other := r.client("sc-emergency")
	good := client.Acknowledgement{
		Product: "price_bulletin", Purpose: coordination, Receipt: release, EventID: records[0].EventID,
		TakenAt: time.Now(), Measures: []receipt.Measure{"noted"},
	}
	r.publish("price_quote", 1, nil)
	_, quotes := pull(t, c, client.Query{Product: "price_quote", Purpose: "price_monitoring"})
	before := len(r.entries())
	for name, tc := range map[string]struct {
		as     *client.Client
		change func(*client.Acknowledgement)
		want   problem.Code
	}{
		"a receipt of somebody else":      {other, func(*client.Acknowledgement) {}, problem.ReceiptUnknown},
		"a receipt that was never issued": {c, func(a *client.Acknowledgement) { a.Receipt = "01a20b95-ea92-7bc6-a35c-3ecf4454f7ff" }, problem.ReceiptUnknown},
		"a receipt of another product":    {c, func(a *client.Acknowledgement) { a.Receipt = quotes[0].Receipt.ID }, problem.ReceiptUnknown},
		"a record it does not cover":      {c, func(a *client.Acknowledgement) { a.EventID = strings.Repeat("0", 32) }, problem.EventUnknown},
		"a purpose that is not agreed":    {c, func(a *client.Acknowledgement) { a.Purpose = "statistics" }, problem.PurposeNotAgreed},
		"a time to come":                  {c, func(a *client.Acknowledgement) { a.TakenAt = time.Now().Add(time.Hour) }, problem.RequestInvalid},
		"no measure":                      {c, func(a *client.Acknowledgement) { a.Measures = nil }, problem.RequestInvalid},
		"a measure in words":              {c, func(a *client.Acknowledgement) { a.Measures = []receipt.Measure{"电话通知张三"} }, problem.RequestInvalid},
		"a product that takes none": {c, func(a *client.Acknowledgement) {
			a.Product, a.Purpose, a.Receipt = "price_quote", "price_monitoring", quotes[0].Receipt.ID
		}, problem.AcknowledgementUntaken},
		"a product that it may not know of": {c, func(a *client.Acknowledgement) { a.Product = "consumer_complaint" }, problem.ProductUnknown},
	} {
		a := good
		tc.change(&a)
		if _, _, err := tc.as.Acknowledge(t.Context(), a); problem.CodeOf(err) != tc.want {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	entries := r.entries()
	if got := len(entries) - before; got != 10 {
		t.Errorf("%d entries for 10 refusals", got)
	}
	whole, err := json.Marshal(entries)
	if err != nil || bytes.Contains(whole, []byte("张三")) {
		t.Errorf("what a stranger wrote stands in the ledger (%v)", err)
	}
}

// What is not an acknowledgement is refused whole.
func TestAcknowledgementBody(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	p := r.admitted("sc-commerce")
	for _, body := range []string{"", "{", "[]", `{"officer":"x"}`, `{} {}`, `{"taken_at":"yesterday"}`, `{"measures":["` + strings.Repeat("x", 20<<10) + `"]}`} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/v1/products/price_bulletin/acknowledgements", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if a := r.do(p, req); a.code != problem.RequestInvalid && a.code != problem.PurposeMissing && a.code != problem.RequestTooLarge {
			t.Errorf("%.40q: %d %s", body, a.status, a.code)
		}
	}
	for _, query := range []string{"?since=x", "?from=-1", "?limit=0", "?limit=501", "?until=x", "?limit=1&limit=2"} {
		a := r.get(r.person(r.cq.Issue(r.system("cq-commerce", "500000"))), "/v1/products/price_bulletin/acknowledgements"+query)
		if a.code != problem.RequestInvalid && a.code != problem.LimitOutOfRange && a.code != problem.TokenMissing {
			t.Errorf("%s: %d %s", query, a.status, a.code)
		}
	}
}

// deafLedger reads and takes nothing down.
type deafLedger struct {
	gateway.Ledger
	asked atomic.Int64
}

func (l *deafLedger) Append(context.Context, *receipt.Entry) error {
	l.asked.Add(1)
	return problem.New(problem.LedgerUnavailable, "")
}

// Invariant 2: without the ledger there is no acknowledgement.
func TestAcknowledgementNeedsLedger(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c, records, release := bulletins(t, r)
	broken := &deafLedger{Ledger: r.ledger}
	r.gateway.Ledger = broken
	_, _, err := c.Acknowledge(t.Context(), client.Acknowledgement{
		Product: "price_bulletin", Purpose: coordination, Receipt: release, EventID: records[0].EventID, TakenAt: time.Now(), Measures: []receipt.Measure{"noted"},
	})
	if problem.CodeOf(err) != problem.LedgerUnavailable || broken.asked.Load() == 0 {
		t.Errorf("got %v after %d attempts", err, broken.asked.Load())
	}
}
