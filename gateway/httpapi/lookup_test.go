package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/httpapi"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/policies"
)

// lookups is a rig whose Sichuan commerce commission may ask about single
// quotes of Chongqing and about nothing else. The i-th quote is of 商品-i.
func lookups(t *testing.T, delivery, quota string) *rig {
	t.Helper()
	text := agreement("one", "sc-commerce", "price_quote", "cq-commerce", "price_monitoring", "2026-01-01", "2035-12-31", 1000, 1000)
	if quota != "" {
		text = strings.Replace(text, "{requestsPerMinute: 1000, recordsPerDay: 1000}", quota, 1)
	}
	r := newRig(t, map[string]string{"agreements/price_quote-cq-commerce-sc-commerce.yaml": text + "delivery: [" + delivery + "]\n"})
	r.publish("price_quote", 20, quote)
	return r
}

// quote is the i-th one; the fifth has the lowest price 12.3400.
func quote(i int, set func(path, text string)) {
	set("commodity_name", fmt.Sprintf("商品-%d", i))
	set("market_code", "PLANTED-market-7f3a")
	set("collect_date", "20000")
	set("low_price", strconv.Itoa(123400+i-5))
}

// quoteKey is the business key of the i-th quote, for the body of a question.
func quoteKey(i int) map[string]any {
	key := map[string]any{
		"commodity_name": fmt.Sprintf("商品-%d", i), "market_code": "PLANTED-market-7f3a", "collect_date": "2024-10-04",
		"price_type": "retail", "raw_unit": fmt.Sprintf("值 raw_unit %d", i), "report_period": "week",
	}
	for _, path := range []string{"spec", "grade", "place_of_origin"} {
		key[path] = fmt.Sprintf("值 %s %d", path, i)
	}
	return key
}

// inquire posts a question about a quote.
func (r *rig) inquire(p *person, product, how string, body map[string]any) answer {
	r.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/v1/products/"+product+"/"+how, strings.NewReader(string(text)))
	if err != nil {
		r.t.Fatal(err)
	}
	return r.do(p, req)
}

func monitoring(key map[string]any, more ...any) map[string]any {
	body := map[string]any{"purpose": "price_monitoring", "key": key}
	for i := 0; i < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	return body
}

// The one record of a key, once, with a receipt over its one offset; and
// whether what is claimed of it is true, of which no value leaves.
func TestLookupPermitted(t *testing.T) {
	t.Parallel()
	r := lookups(t, "query, verify", "")
	who := r.admitted("sc-commerce")
	got := r.inquire(who, "price_quote", "query", monitoring(quoteKey(5), "fields", []string{"low_price", "commodity_name"}))
	if got.status != http.StatusOK {
		t.Fatalf("%d %s %s", got.status, got.code, got.body)
	}
	var line client.Record
	if err := json.Unmarshal(got.body, &line); err != nil {
		t.Fatal(err)
	}
	if f := fields(t, line.Record); len(f) != 2 || f["low_price"] != "12.3400" || f["commodity_name"] != "商品-5" {
		t.Errorf("of the two fields that were asked for: %v", f)
	}
	signed, err := receipt.Verify(got.header.Get(httpapi.HeaderReceipt), r.snapshot.Trust.Roots)
	if err != nil {
		t.Fatal(err)
	}
	if len(signed.Ranges) != 1 || signed.Ranges[0].To-signed.Ranges[0].From != 1 || signed.Records != 1 || signed.Delivery != "query" || signed.Matches(got.body) != nil {
		t.Errorf("receipt: %+v", signed)
	}
	if last := r.entries()[len(r.entries())-1]; last.Kind != receipt.Release || last.Receipt != got.header.Get(httpapi.HeaderReceipt) {
		t.Errorf("entry: %+v", last)
	}

	for _, claim := range []struct {
		claims map[string]any
		want   bool
	}{
		{map[string]any{"low_price": "12.34", "unit": "litre"}, true},
		{map[string]any{"low_price": 12.34}, true},
		{map[string]any{"low_price": "12.3401"}, false},
		{map[string]any{"low_price": "12.34", "market_name": "另一个"}, false},
		{map[string]any{"spec": nil}, false},
		{nil, true},
	} {
		a := r.inquire(who, "price_quote", "verify", monitoring(quoteKey(5), "claims", claim.claims))
		if want := fmt.Sprintf("{\"verified\":%t}\n", claim.want); a.status != http.StatusOK || string(a.body) != want {
			t.Errorf("%v: %d %s %s", claim.claims, a.status, a.code, a.body)
			continue
		}
		signed, err := receipt.Verify(a.header.Get(httpapi.HeaderReceipt), r.snapshot.Trust.Roots)
		if err != nil || signed.Records != 0 || signed.Delivery != "verify" || (len(signed.Ranges) == 1) != claim.want || signed.Matches(a.body) != nil {
			t.Errorf("%v: %+v, %v", claim.claims, signed, err)
		}
	}
	if a := r.inquire(who, "price_quote", "verify", monitoring(quoteKey(77))); string(a.body) != "{\"verified\":false}\n" {
		t.Errorf("a key of no record: %d %s %s", a.status, a.code, a.body)
	}
}

// The newest record of a key is the one by decision time, however late what is
// older arrives (invariant 4), and what was published since is seen.
func TestLookupFindsTheNewest(t *testing.T) {
	t.Parallel()
	r := lookups(t, "query, verify", "")
	who := r.admitted("sc-commerce")
	version := func() uint32 {
		t.Helper()
		a := r.inquire(who, "price_quote", "query", monitoring(quoteKey(3)))
		var line client.Record
		if err := json.Unmarshal(a.body, &line); err != nil || a.status != http.StatusOK {
			t.Fatalf("%d %s %s", a.status, a.code, a.body)
		}
		return line.Version
	}
	if v := version(); v != 1 {
		t.Errorf("version %d", v)
	}
	for _, next := range []struct {
		version, want uint32
		decided       int64
		op            record.Operation
		stands        bool
	}{
		{7, 7, 5000, record.Upsert, true},
		{8, 7, 4000, record.Upsert, true}, // late
		{9, 9, 6000, record.Removal, false},
		{6, 9, 5500, record.Upsert, false}, // late
	} {
		r.alter = func(_ int, e *record.Envelope) {
			e.Version, e.DecisionTime, e.Operation = next.version, time.Unix(next.decided, 0), next.op
		}
		r.publish("price_quote", 4, quote)
		if v := version(); v != next.want {
			t.Errorf("after version %d of %d: version %d, want %d", next.version, next.decided, v, next.want)
		}
		a := r.inquire(who, "price_quote", "verify", monitoring(quoteKey(3)))
		if want := fmt.Sprintf("{\"verified\":%t}\n", next.stands); string(a.body) != want {
			t.Errorf("after version %d: %s, want %s", next.version, a.body, want)
		}
	}
}

// Each delivery is refused to who has the other one, with a code and an entry.
func TestLookupRefused(t *testing.T) {
	t.Parallel()
	type refusal struct {
		name, how string
		body      map[string]any
		want      problem.Code
	}
	misspelt := quoteKey(5)
	misspelt["comodity_name"] = "PLANTED-key-1c9d"
	short := quoteKey(5)
	delete(short, "market_code")
	badly := quoteKey(5)
	badly["collect_date"] = "PLANTED-key-1c9d"
	for _, c := range []struct {
		delivery string
		refusals []refusal
	}{
		{"bulk, page", []refusal{
			{"query by who may only take pages", "query", monitoring(quoteKey(5)), problem.DeliveryNotAgreed},
			{"verify by who may only take pages", "verify", monitoring(quoteKey(5)), problem.DeliveryNotAgreed},
		}},
		{"verify", []refusal{
			{"query by who may only verify", "query", monitoring(quoteKey(5)), problem.DeliveryNotAgreed},
			{"a field that is none", "verify", monitoring(quoteKey(5), "claims", map[string]any{"nonsense": "PLANTED-claim-55e0"}), problem.FieldUnknown},
			{"a claim that is not written so", "verify", monitoring(quoteKey(5), "claims", map[string]any{"low_price": "PLANTED-claim-55e0"}), problem.RequestInvalid},
		}},
		{"query", []refusal{
			{"verify by who may only query", "verify", monitoring(quoteKey(5)), problem.DeliveryNotAgreed},
			{"no record", "query", monitoring(quoteKey(99)), problem.RecordUnknown},
			{"a field that is no part of the key", "query", monitoring(misspelt), problem.RequestInvalid},
			{"a part is missing", "query", monitoring(short), problem.RequestInvalid},
			{"a part that is not written so", "query", monitoring(badly), problem.RequestInvalid},
			{"another purpose", "query", map[string]any{"purpose": "statistics", "key": quoteKey(5)}, problem.PurposeNotAgreed},
			{"claims in a query", "query", monitoring(quoteKey(5), "claims", map[string]any{"unit": "litre"}), problem.RequestInvalid},
			{"a member that is none", "query", monitoring(quoteKey(5), "limit", 5), problem.RequestInvalid},
		}},
	} {
		r := lookups(t, c.delivery, "")
		who := r.admitted("sc-commerce")
		for _, x := range c.refusals {
			before := len(r.entries())
			a := r.inquire(who, "price_quote", x.how, x.body)
			if a.code != x.want {
				t.Errorf("%s: %d %s %s", x.name, a.status, a.code, a.body)
			}
			if entries := r.entries(); len(entries) == before || entries[len(entries)-1].Code != x.want {
				t.Errorf("%s: no entry of it: %+v", x.name, entries[len(entries)-1])
			}
			if strings.Contains(string(a.body), "PLANTED") {
				t.Errorf("%s: the answer repeats what was asked: %s", x.name, a.body)
			}
		}
		if !strings.Contains(c.delivery, "page") {
			if a := r.get(who, prices); a.code != problem.DeliveryNotAgreed {
				t.Errorf("pages by who may only %s: %d %s", c.delivery, a.status, a.code)
			}
		}
		r.nothingPlanted()
	}
}

// nothingPlanted looks for planted values where none may be (invariant 5).
func (r *rig) nothingPlanted() {
	r.t.Helper()
	w := httptest.NewRecorder()
	httpapi.Admin(r.metrics, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	ledger, err := json.Marshal(r.entries())
	if err != nil {
		r.t.Fatal(err)
	}
	for where, text := range map[string]string{"the log": r.logs.String(), "the metrics": w.Body.String(), "the ledger": string(ledger)} {
		if i := strings.Index(text, "PLANTED"); i >= 0 {
			r.t.Errorf("%s has a planted value: %.120s", where, text[i:])
		}
	}
}

// What is masked or hashed for a purpose is no key to ask by, or the mask could
// be undone by asking.
func TestLookupByWhatIsHashed(t *testing.T) {
	t.Parallel()
	text, err := fs.ReadFile(policies.Shipped(), "agreements/consumer_complaint-cq-amr-sc-amr.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, map[string]string{"agreements/consumer_complaint-cq-amr-sc-amr.yaml": string(text) + "\ndelivery: [query, verify]\n"})
	r.publish("consumer_complaint", 3, func(i int, set func(path, text string)) {
		set("dossier.case_no", fmt.Sprintf("PLANTED-case-%d", i))
		set("complainant.name", "PLANTED-name")
	})
	who := r.admitted("sc-amr")
	key := map[string]any{"dossier.case_no": "PLANTED-case-1"}
	for _, how := range []string{"query", "verify"} {
		a := r.inquire(who, "consumer_complaint", how, map[string]any{"purpose": "complaint_handling", "key": key})
		if a.status != http.StatusOK {
			t.Fatalf("by a key in a sealed block: %d %s %s", a.status, a.code, a.body)
		}
		if how == "verify" && strings.Contains(string(a.body), "PLANTED") {
			t.Errorf("a value left: %s", a.body)
		}
		if a := r.inquire(who, "consumer_complaint", how, map[string]any{"purpose": "complaint_analysis", "key": key}); a.code != problem.FieldWithheld {
			t.Errorf("%s by what is hashed: %d %s %s", how, a.status, a.code, a.body)
		}
	}
	a := r.inquire(who, "consumer_complaint", "verify", map[string]any{"purpose": "complaint_handling", "key": key, "claims": map[string]any{"complainant.name": "PLANTED-name"}})
	if string(a.body) != "{\"verified\":true}\n" {
		t.Errorf("the claim about a sealed field: %d %s %s", a.status, a.code, a.body)
	}
	r.nothingPlanted()
}

// A question counts as a request, as a record, and its subject as one, whether
// there is a record or not: nobody tries keys without end.
func TestLookupQuota(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		quota string
		keys  []int // the last one is too much
	}{
		"requests":         {"{requestsPerMinute: 3, recordsPerDay: 1000}", []int{1, 1, 99, 1}},
		"records":          {"{requestsPerMinute: 1000, recordsPerDay: 3}", []int{1, 1, 1, 1}},
		"subjects":         {"{requestsPerMinute: 1000, recordsPerDay: 1000, subjectsPerDay: 3}", []int{1, 2, 1, 3, 2, 4}},
		"subjects unknown": {"{requestsPerMinute: 1000, recordsPerDay: 1000, subjectsPerDay: 3}", []int{1, 98, 99, 98, 97}},
	} {
		for i, how := range []string{"query", "verify"} {
			if testing.Short() && i == len(name)%2 {
				continue // each kind of quota one way, both ways in all
			}
			t.Run(name+"/"+how, func(t *testing.T) {
				r := lookups(t, "query, verify", c.quota)
				who := r.admitted("sc-commerce")
				for i, key := range c.keys {
					a := r.inquire(who, "price_quote", how, monitoring(quoteKey(key)))
					if last := i == len(c.keys)-1; last != (a.code == problem.QuotaExhausted) {
						t.Fatalf("question %d: %d %s %s", i+1, a.status, a.code, a.body)
					}
				}
				if last := r.entries()[len(r.entries())-1]; last.Kind != receipt.Refusal || last.Code != problem.QuotaExhausted {
					t.Errorf("entry: %+v", last)
				}
			})
		}
	}
}

// The client believes an answer only as far as its receipt goes.
func TestLookupClient(t *testing.T) {
	t.Parallel()
	r := lookups(t, "query, verify", "")
	c := r.client("sc-commerce")
	key := map[string]*string{}
	for path, value := range quoteKey(5) {
		if text, ok := value.(string); ok {
			key[path] = &text
		}
	}
	l := client.Lookup{Product: "price_quote", Purpose: "price_monitoring", Key: key}
	a, err := c.One(t.Context(), l)
	if err != nil || a.Record.Version != 1 || a.Receipt.Delivery != "query" {
		t.Fatalf("%+v, %v", a, err)
	}
	price := "12.34"
	l.Claims = map[string]*string{"low_price": &price}
	if a, err := c.Verify(t.Context(), l); err != nil || !a.Verified || a.Receipt.Delivery != "verify" {
		t.Errorf("%+v, %v", a, err)
	}
	price = "12.35"
	if a, err := c.Verify(t.Context(), l); err != nil || a.Verified {
		t.Errorf("%+v, %v", a, err)
	}
	l.Claims = nil
	*key["commodity_name"] = "没有"
	if _, err := c.One(t.Context(), l); problem.CodeOf(err) != problem.RecordUnknown {
		t.Errorf("%v", err)
	}
}

// Invariant 2 holds for one record, and for a yes or no, as for a page.
func TestLookupNeedsLedger(t *testing.T) {
	t.Parallel()
	r := lookups(t, "query, verify", "")
	p := r.admitted("sc-commerce")
	r.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		return nil, errors.New("the ledger's broker is gone"), true
	})
	for _, how := range []string{"query", "verify"} {
		a := r.inquire(p, "price_quote", how, monitoring(quoteKey(5)))
		if a.code != problem.LedgerUnavailable || strings.Contains(string(a.body), "商品") || strings.Contains(string(a.body), "verified") {
			t.Errorf("%s: %d %s %s", how, a.status, a.code, a.body)
		}
	}
}
