package httpapi_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/httpapi"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
)

// pull takes everything that a participant may have.
func pull(t *testing.T, c *client.Client, q client.Query) (records []client.Record, pages []*client.Page) {
	t.Helper()
	err := c.Follow(t.Context(), q, 0, 0, func(p *client.Page) error {
		records = append(records, p.Records...)
		if p.Receipt != nil {
			pages = append(pages, p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, pages
}

// fields are the names of a record's members, nested ones with a dot.
func fields(t *testing.T, raw json.RawMessage) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	var walk func(prefix string, m map[string]any)
	walk = func(prefix string, m map[string]any) {
		for k, v := range m {
			if inner, ok := v.(map[string]any); ok {
				walk(prefix+k+".", inner)
				continue
			}
			out[prefix+k] = v
		}
	}
	walk("", object)
	return out
}

// What three purposes may see of the same records.
func TestPermittedAndRedacted(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("consumer_complaint", 30, func(i int, set func(path, text string)) {
		set("complainant.phone", fmt.Sprintf("100%08d", i))
		set("complainant.name", "测试某")
		set("dossier.case_no", fmt.Sprintf("TS-%04d", i))
		set("region_code", "500112")
	})
	amr, stats := r.client("sc-amr"), r.client("sc-stats")

	full, pages := pull(t, amr, client.Query{Product: "consumer_complaint", Purpose: "complaint_handling", Limit: 7})
	if len(full) != 30 || len(pages) < 5 {
		t.Fatalf("%d records in %d pages", len(full), len(pages))
	}
	schema, _ := r.snapshot.Schemas.Schema("consumer_complaint.v1")
	if got := fields(t, full[0].Record); len(got) != len(schema.Leaves) || got["complainant.name"] != "测试某" || !strings.HasPrefix(got["complainant.phone"].(string), "1000") {
		t.Errorf("handling: %v", got)
	}

	masked, _ := pull(t, amr, client.Query{Product: "consumer_complaint", Purpose: "complaint_analysis"})
	got := fields(t, masked[0].Record)
	if got["complainant.name"] != "测***" || !strings.HasPrefix(got["complainant.phone"].(string), "100***00") || len(got["dossier.case_no"].(string)) != 32 {
		t.Errorf("analysis: %v", got)
	}
	for _, path := range []string{"dossier.facts", "dossier.request", "complainant.id_no"} {
		if _, there := got[path]; there {
			t.Errorf("analysis sees %s", path)
		}
	}

	counted, _ := pull(t, stats, client.Query{Product: "consumer_complaint", Purpose: "statistics"})
	got = fields(t, counted[0].Record)
	if len(got) != 8 || !counted[0].DecisionTime.IsZero() {
		t.Errorf("statistics: %v, decision time %v", got, counted[0].DecisionTime)
	}
	if got["region_code"] != "500000" || len(got["register_time"].(string)) != len("2026-01") || !strings.HasPrefix(got["amount"].(string), "[") {
		t.Errorf("statistics are not generalised: %v", got)
	}
	if got["dossier.case_no"] == fields(t, masked[0].Record)["dossier.case_no"] {
		t.Error("a hashed case number is the same under two agreements")
	}

	narrow, _ := pull(t, amr, client.Query{Product: "consumer_complaint", Purpose: "complaint_handling", Fields: []string{"status", "complainant.name"}})
	if got := fields(t, narrow[0].Record); len(got) != 2 {
		t.Errorf("two fields: %v", got)
	}
}

// The receipts of a pull name every offset of the topic, and the ledger holds
// each receipt as it was handed out.
func TestReceiptsCoverTheTopic(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 100, nil)
	_, pages := pull(t, r.client("sc-commerce"), client.Query{Product: "price_quote", Purpose: "price_monitoring", Limit: 9})
	next := map[int32]int64{}
	released := int64(0)
	for _, p := range pages {
		for _, g := range p.Receipt.Ranges {
			if g.From != next[g.Partition] {
				t.Errorf("partition %d: a range begins at %d, the one before ended at %d", g.Partition, g.From, next[g.Partition])
			}
			next[g.Partition] = g.To
		}
		released += p.Receipt.Records
	}
	ends, err := r.kafka.Offsets(t.Context(), record.Topic(region, "price_quote", 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ends {
		if next[e.Partition] != e.Stable {
			t.Errorf("partition %d is covered to %d of %d", e.Partition, next[e.Partition], e.Stable)
		}
	}
	if released != 100 {
		t.Errorf("%d records by the receipts", released)
	}
	var signed []string
	for _, e := range r.entries() {
		if e.Kind == receipt.Release {
			signed = append(signed, e.Receipt)
		}
	}
	if len(signed) != len(pages) || slices.ContainsFunc(pages, func(p *client.Page) bool { return !slices.Contains(signed, p.Signed) }) {
		t.Errorf("%d releases in the ledger, %d receipts handed out", len(signed), len(pages))
	}
}

// Invariant 9: a request can be repeated, whatever was published meanwhile.
func TestSameCursorSameRecords(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 40, nil)
	p := r.admitted("sc-commerce")
	type page struct{ cursor, body, next string }
	var pages []page
	cursor := ""
	for range 60 {
		a := r.get(p, prices+"&limit=7&cursor="+cursor)
		if cursor != "" {
			pages = append(pages, page{cursor, string(a.body), a.header.Get("Hub-Next-Cursor")})
		}
		next := a.header.Get("Hub-Next-Cursor")
		if a.header.Get("Hub-At-End") == "true" && next == cursor {
			break
		}
		cursor = next
	}
	atEnd := pages[len(pages)-1]
	r.publish("price_quote", 60, nil)
	for _, before := range pages[:len(pages)-1] {
		a := r.get(p, prices+"&limit=7&cursor="+before.cursor)
		if string(a.body) != before.body || a.header.Get("Hub-Next-Cursor") != before.next && len(before.body) > 0 {
			t.Errorf("the same cursor gives another page: %d and %d bytes", len(before.body), len(a.body))
		}
	}
	// A cursor at the end stays empty, and leads on to what is new.
	a := r.get(p, prices+"&cursor="+atEnd.cursor)
	if len(a.body) != 0 || a.header.Get("Hub-Next-Cursor") == atEnd.cursor {
		t.Errorf("behind the end: %q", a.body)
	}
	a = r.get(p, prices+"&limit=5000&cursor="+a.header.Get("Hub-Next-Cursor"))
	if n := bytes.Count(a.body, []byte("\n")); n != 60 {
		t.Errorf("%d new records, want 60", n)
	}
}

// A receipt is there for its two parties, as it was issued, and for nobody
// else.
func TestReceiptEndpoint(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	consumer := r.admitted("sc-commerce")
	a := r.get(consumer, prices)
	id, signed := a.header.Get("Hub-Receipt-Id"), a.header.Get("Hub-Receipt")
	for _, who := range []string{"sc-commerce", "cq-commerce"} {
		if got := r.get(r.admitted(who), "/v1/receipts/"+id); got.status != http.StatusOK || string(got.body) != signed {
			t.Errorf("%s: %d %s", who, got.status, got.code)
		}
	}
	for title, path := range map[string]string{
		"another's":          id,
		"one that is not":    "01a20b95-ea92-7bc6-a35c-3ecf4454f7ff",
		"not an id":          "x",
		"another version":    strings.Replace(id, "-7", "-4", 1),
		"in capital letters": strings.ToUpper(id),
	} {
		who := r.admitted("sc-commerce")
		if title == "another's" {
			who = r.admitted("sc-amr")
		}
		if got := r.get(who, "/v1/receipts/"+path); got.code != problem.ReceiptUnknown {
			t.Errorf("%s: %d %s", title, got.status, got.code)
		}
	}
	if _, _, err := r.client("sc-commerce").Receipt(t.Context(), id); err != nil {
		t.Error(err)
	}
}

// Invariant 2: nothing leaves before its ledger entry is durable.
func TestLedgerDown(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	p := r.admitted("sc-commerce")
	r.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		return nil, errors.New("the ledger's broker is gone"), true
	})
	for _, path := range []string{prices, "/v1/products/price_quote/records?purpose=statistics"} {
		a := r.get(p, path)
		if a.code != problem.LedgerUnavailable || a.header.Get("Retry-After") == "" || strings.Contains(string(a.body), "值 ") {
			t.Errorf("%s: %d %s", path, a.status, a.code)
		}
	}
}

// A sealing key that cannot be had now stops the page; one that was destroyed
// withholds its records, counted by reason, and the page goes on.
func TestSealingKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("consumer_complaint", 4, nil)
	amr := r.admitted("sc-amr")
	setUnseal := func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.unseal = func(context.Context, string, []byte) ([]byte, error) { return nil, err }
	}
	setUnseal(problem.New(problem.VaultUnavailable, ""))
	before := len(r.entries())
	if a := r.get(amr, complaints+"complaint_handling"); a.code != problem.VaultUnavailable || a.header.Get("Hub-Next-Cursor") != "" {
		t.Errorf("Vault is down: %d %s", a.status, a.code)
	}
	if n := len(r.entries()); n != before {
		t.Errorf("%d entries, though nothing was released or refused", n-before)
	}
	setUnseal(errors.New("the key was destroyed"))
	a := r.get(amr, complaints+"complaint_handling")
	if a.status != http.StatusOK || len(a.body) != 0 {
		t.Fatalf("a destroyed key: %d, %q", a.status, a.body)
	}
	got, err := receipt.Verify(a.header.Get("Hub-Receipt"), func(string) *x509.CertPool { return r.cq.Pool() })
	if err != nil || got.Withheld[problem.RecordUnsealable] != 4 || got.Records != 0 {
		t.Errorf("receipt: %+v, %v", got, err)
	}
	// Who needs nothing of the sealed blocks is served all the same.
	stats := r.admitted("sc-stats")
	if a := r.get(stats, complaints+"statistics&fields=status,amount"); bytes.Count(a.body, []byte("\n")) != 4 {
		t.Errorf("without sealed fields: %d %q", a.status, a.body)
	}
}

// What cannot be read is withheld and counted, and the rest goes on.
func TestUnreadableRecords(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 2, nil)
	producer, err := r.kafka.NewProducer(t.Context(), kafkalog.ProducerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	topic := record.Topic(region, "price_quote", 1)
	key := record.Key([]byte("secret"))
	e := record.Envelope{Product: "price_quote", Operation: record.Upsert, Version: 1, Content: key, EventID: record.EventID(key, key, 1)}
	withHeaders := func(value []byte) kafkalog.Record {
		m := kafkalog.Record{Topic: topic, Key: key[:], Value: value}
		for k, v := range e.Headers() {
			m.Headers = append(m.Headers, kafkalog.Header{Key: k, Value: v})
		}
		return m
	}
	if err := producer.Send(t.Context(), []kafkalog.Record{
		{Topic: topic, Value: []byte("no envelope")}, withHeaders([]byte("no frame")), withHeaders([]byte{0, 0, 0, 0, 99, 1}), withHeaders([]byte{0, 0, 0, 0, 2, 1, 2, 3}), withHeaders(nil),
	}); err != nil {
		t.Fatal(err)
	}
	r.publish("price_quote", 2, nil)
	records, pages := pull(t, r.client("sc-commerce"), client.Query{Product: "price_quote", Purpose: "price_monitoring"})
	if len(records) != 4 {
		t.Errorf("%d records", len(records))
	}
	withheld := map[problem.Code]int64{}
	for _, p := range pages {
		for code, n := range p.Receipt.Withheld {
			withheld[code] += n
		}
	}
	if withheld[problem.RecordUnreadable] != 4 || withheld[problem.SchemaUnknown] != 1 {
		t.Errorf("withheld: %v", withheld)
	}
}

func TestCatalogueEndpoints(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	ids := func(who string) string {
		a := r.get(r.admitted(who), "/v1/products")
		var doc struct {
			Products []struct{ ID string }
		}
		if err := json.Unmarshal(a.body, &doc); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, p := range doc.Products {
			out = append(out, p.ID)
		}
		return strings.Join(out, " ")
	}
	if got := " " + ids("sc-commerce") + " "; strings.Contains(got, "consumer_complaint") || !strings.Contains(got, " price_quote ") {
		t.Errorf("sc-commerce knows of %q", got)
	}
	if got := " " + ids("sc-amr") + " "; !strings.Contains(got, " consumer_complaint ") || !strings.Contains(got, " price_quote ") {
		t.Errorf("sc-amr knows of %q", got)
	}
	if a := r.get(r.admitted("sc-commerce"), "/v1/products/consumer_complaint"); a.code != problem.ProductUnknown {
		t.Errorf("a hidden product: %d %s", a.status, a.code)
	}
	a := r.get(r.admitted("sc-amr"), "/v1/products/consumer_complaint")
	for _, want := range []string{`"path":"complainant.phone"`, `"name_zh":"电话号码"`, `"sensitivity":"personal"`, `"agreements":[{"id":"consumer_complaint-cq-amr-sc-amr"`} {
		if !strings.Contains(string(a.body), want) {
			t.Errorf("no %s in %s", want, a.body)
		}
	}
}

func TestJSONAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 5, nil)
	p := r.admitted("sc-commerce")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+prices+"&limit=2", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	a := r.do(p, req)
	var doc struct {
		Records []client.Record `json:"records"`
		Next    string          `json:"next"`
	}
	if err := json.Unmarshal(a.body, &doc); err != nil || len(doc.Records) != 2 || doc.Next != a.header.Get("Hub-Next-Cursor") {
		t.Fatalf("%v: %s", err, a.body)
	}
	got, err := receipt.Verify(a.header.Get("Hub-Receipt"), func(string) *x509.CertPool { return r.cq.Pool() })
	if err != nil || got.Matches(a.body) != nil {
		t.Errorf("the receipt does not vouch for the JSON body: %v", err)
	}
	link := a.header.Get("Link")
	path, _, _ := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	if b := r.get(p, path); b.status != http.StatusOK || bytes.Count(b.body, []byte("\n")) != 2 {
		t.Errorf("following %s: %d", link, b.status)
	}
}

// The document names every route, and every route of it answers.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	p := r.admitted("sc-commerce")
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		}
	}
	if err := json.Unmarshal(r.get(p, "/openapi.json").body, &doc); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for path, methods := range doc.Paths {
		for method := range methods {
			paths = append(paths, strings.ToUpper(method)+" "+path)
			path := strings.NewReplacer("{product}", "price_quote", "{id}", "01a20b95-ea92-7bc6-a35c-3ecf4454f7ff").Replace(path)
			a := r.get(p, path)
			if wrong := map[string]string{"get": http.MethodPut}[method]; wrong != "" {
				req, err := http.NewRequestWithContext(t.Context(), wrong, r.url+path, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				if a := r.do(p, req); a.code != problem.MethodNotAllowed {
					t.Errorf("%s %s: %d %s", wrong, path, a.status, a.code)
				}
			}
			if a.code == problem.RouteUnknown {
				t.Errorf("%s is in the document and has no route", path)
			}
		}
	}
	slices.Sort(paths)
	want := []string{
		"GET /.well-known/jwks.json", "GET /.well-known/oauth-authorization-server", "GET /openapi.json", "GET /v1/control", "GET /v1/products",
		"GET /v1/products/{product}", "GET /v1/products/{product}/acknowledgements", "GET /v1/products/{product}/records", "GET /v1/receipts/{id}", "POST /oauth2/introspect", "POST /oauth2/revoke", "POST /oauth2/token",
		"POST /v1/control/orders", "POST /v1/products/{product}/acknowledgements", "POST /v1/products/{product}/query", "POST /v1/products/{product}/verify",
	}
	if !slices.Equal(paths, want) {
		t.Errorf("paths: %v", paths)
	}
}

// Invariant 5: no record content in logs, metrics, ledger or errors.
func TestPlantedSecretsStayIn(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	planted := map[string]string{}
	schema, _ := r.snapshot.Schemas.Schema("consumer_complaint.v1")
	for _, l := range schema.Leaves {
		if l.Block != "" && l.Symbols == nil {
			planted[l.Path] = "PLANTED-" + l.Path + "-c7d1f09ab3"
		}
	}
	r.publish("consumer_complaint", 10, func(_ int, set func(path, text string)) {
		for path, text := range planted {
			set(path, text)
		}
	})
	amr, stats := r.admitted("sc-amr"), r.admitted("sc-stats")
	var seen bytes.Buffer
	for _, path := range []string{
		complaints + "complaint_analysis", complaints + "statistics", complaints + "statistics&fields=complainant.name", complaints + "nothing",
	} {
		for _, p := range []*person{amr, stats} {
			a := r.get(p, path)
			seen.Write(a.body)
			_ = a.header.Write(&seen)
		}
	}
	r.get(amr, complaints+"complaint_handling") // may see them; nobody else may through it
	for _, e := range r.entries() {
		if err := json.NewEncoder(&seen).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	seen.WriteString(r.logs.String())
	w := httptest.NewRecorder()
	httpapi.Admin(r.metrics, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	seen.Write(w.Body.Bytes())
	text, err := url.PathUnescape(seen.String())
	if err != nil {
		text = seen.String()
	}
	for path, secret := range planted {
		if strings.Contains(text, secret) {
			t.Errorf("%s came out", path)
		}
	}
	if !strings.Contains(seen.String(), "PLA***b3") && !strings.Contains(seen.String(), "***") {
		t.Error("nothing was masked: the test proves nothing")
	}
	if len(r.logs.String()) == 0 || w.Body.Len() == 0 {
		t.Error("no log or no metrics: the test proves nothing")
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	down := errors.New("sealed")
	var broken error
	h := httpapi.Admin(httpapi.NewMetrics(region), []httpapi.Check{{Name: "vault", Run: func(context.Context) error { return broken }}})
	ask := func(path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		return w.Code, w.Body.String()
	}
	if code, _ := ask("/readyz"); code != http.StatusOK {
		t.Errorf("ready: %d", code)
	}
	broken = down
	if code, body := ask("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "vault: sealed") {
		t.Errorf("not ready: %d %s", code, body)
	}
	if code, _ := ask("/healthz"); code != http.StatusOK {
		t.Errorf("healthy: %d", code)
	}
}
