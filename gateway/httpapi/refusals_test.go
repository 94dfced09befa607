package httpapi_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// agreement is one in YAML, for the test's own additions.
func agreement(id, consumer, product, provider, purpose, from, to string, perMinute, perDay int) string {
	return fmt.Sprintf(`id: %s
basis: [测试]
scenario: 测试
scope: 测试
method: service
term: {notBefore: %s, notAfter: %s}
provider: %s
region: "500000"
product: %s
major: 1
consumer: %s
purposes: [%s]
fields: {"*": keep}
quota: {requestsPerMinute: %d, recordsPerDay: %d}
noOnwardSharing: true
`, id, from, to, provider, product, consumer, purpose, perMinute, perDay)
}

// over is a shipped agreement whose term is over.
func over(t *testing.T, file string) string {
	t.Helper()
	b, err := testPolicies(t, nil).Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	text := make([]byte, 1<<16)
	n, _ := b.Read(text)
	return strings.Replace(strings.Replace(string(text[:n]), "notBefore: 2026-01-01", "notBefore: 2020-01-01", 1), "notAfter: 2035-12-31", "notAfter: 2020-12-31", 1)
}

const (
	prices     = "/v1/products/price_quote/records?purpose=price_monitoring"
	complaints = "/v1/products/consumer_complaint/records?purpose="
)

// refusal is one attack or mistake, with what must come of it.
type refusal struct {
	title string
	who   func() *person
	path  string
	want  problem.Code
	kind  receipt.Kind // of the ledger entry; "" if there must be none
	clock time.Duration
}

// Every refusal has its code and its entry in the ledger; nothing is released.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{
		"agreements/price_quote-cq-commerce-sc-stats.yaml": over(t, "agreements/price_quote-cq-commerce-sc-stats.yaml"),
		"agreements/future.yaml":                           agreement("future", "sc-amr", "price_quote", "cq-commerce", "price_monitoring", "2090-01-01", "2091-01-01", 100, 100),
	})
	r.publish("price_quote", 5, nil)
	r.publish("consumer_complaint", 5, nil)

	year := 365 * 24 * time.Hour
	commerce, amr, stats := r.admitted("sc-commerce"), r.admitted("sc-amr"), r.admitted("sc-stats")
	as := func(p *person) func() *person { return func() *person { return p } }
	with := func(ca *pkitest.Authority, name spiffe.Name, changes ...pkitest.Change) func() *person {
		return func() *person {
			p := r.person(ca.Issue(name, changes...))
			p.token = commerce.token
			return p
		}
	}
	token := func(text string) func() *person {
		return func() *person { return &person{issued: commerce.issued, http: commerce.http, token: text} }
	}
	sc := r.system("sc-commerce", "510000")
	cursor := r.get(commerce, prices+"&limit=2").header.Get("Hub-Next-Cursor")
	// The authority lives for years, so that the clock can be moved.
	longLived := r.person(r.sc.Issue(sc, pkitest.Valid(time.Now().Add(-year), time.Now().Add(20*year))))
	longLived.token = r.tokenFor(longLived, sc, nil)

	before := len(r.entries())
	for _, c := range []refusal{
		{"no certificate", as(r.person(pkitest.Issued{})), prices, problem.CertificateMissing, receipt.AuthFailures, 0},
		{"a stranger's authority", with(pkitest.New(t, "stranger"), sc), prices, problem.CertificateUntrust, receipt.AuthFailures, 0},
		{"an expired certificate", with(r.sc, sc, pkitest.Valid(time.Now().Add(-2*time.Hour), time.Now().Add(-time.Minute))), prices, problem.CertificateExpired, receipt.AuthFailures, 0},
		{"a certificate that is not valid yet", with(r.sc, sc, pkitest.Valid(time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))), prices, problem.CertificateEarly, receipt.AuthFailures, 0},
		{"a server's certificate", with(r.sc, sc, func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), prices, problem.CertificateUse, receipt.AuthFailures, 0},
		{"the other province's authority naming one of ours", with(r.sc, r.system("cq-commerce", region)), prices, problem.CertificateName, receipt.AuthFailures, 0},
		{"a connector's certificate", with(r.sc, spiffe.Name{Region: "510000", Role: spiffe.Connector, Participant: "sc-commerce", System: "x"}), prices, problem.CertificateName, receipt.AuthFailures, 0},
		{"the gateway's own certificate", with(r.cq, spiffe.Name{Region: region, Role: spiffe.Gateway}, func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), prices, problem.CertificateName, receipt.AuthFailures, 0},
		{"two names", with(r.sc, sc, func(x *x509.Certificate) { x.URIs = append(x.URIs, r.system("sc-amr", "510000").URL()) }), prices, problem.CertificateName, receipt.AuthFailures, 0},
		{"an unknown participant", with(r.sc, r.system("sc-nobody", "510000")), prices, problem.CallerUnknown, receipt.AuthFailures, 0},
		{"a participant of the other region", with(r.sc, r.system("cq-commerce", "510000")), prices, problem.CertificateName, receipt.AuthFailures, 0},

		{"no token", token(""), prices, problem.TokenMissing, receipt.AuthFailures, 0},
		{"a token that is none", token("abc.def.ghi"), prices, problem.TokenMalformed, receipt.AuthFailures, 0},
		{"a token without a signature", token(unsigned(t, commerce.token)), prices, problem.TokenMalformed, receipt.AuthFailures, 0},
		{"a token with changed claims", token(changed(t, commerce.token)), prices, problem.TokenForged, receipt.AuthFailures, 0},
		{"a token that a stranger signed", token(r.signedBy(pkitest.New(t, "stranger").Issue(spiffe.Name{Region: region, Role: spiffe.Signing}), commerce)), prices, problem.TokenForged, receipt.AuthFailures, 0},
		{"a token that the other province's gateway signed", token(r.signedBy(r.sc.Issue(spiffe.Name{Region: "510000", Role: spiffe.Signing}), commerce)), prices, problem.TokenForged, receipt.AuthFailures, 0},
		{"a token that a participant signed", token(r.signedBy(r.cq.Issue(r.system("cq-commerce", region)), commerce)), prices, problem.TokenForged, receipt.AuthFailures, 0},
		{"a token for another audience", as(r.withToken(commerce, sc, func(a *identity.Authority) { a.Region = "510000" })), prices, problem.TokenAudience, receipt.AuthFailures, 0},
		{"a token of another issuer", as(r.withToken(commerce, sc, func(a *identity.Authority) { a.Issuer = "https://elsewhere" })), prices, problem.TokenIssuer, receipt.AuthFailures, 0},
		{"another certificate's token", token(amr.token), prices, problem.TokenCertificate, receipt.AuthFailures, 0},
		{"the same participant's other certificate", with(r.sc, sc), prices, problem.TokenCertificate, receipt.AuthFailures, 0},
		{"an expired token", as(longLived), prices, problem.TokenExpired, receipt.AuthFailures, 11 * time.Minute},
		{"a token from the future", as(longLived), prices, problem.TokenEarly, receipt.AuthFailures, -time.Hour},

		{"no purpose", as(commerce), "/v1/products/price_quote/records", problem.PurposeMissing, receipt.Refusal, 0},
		{"a purpose that is not agreed", as(commerce), "/v1/products/price_quote/records?purpose=statistics", problem.PurposeNotAgreed, receipt.Refusal, 0},
		{"an agreement that ended", as(stats), "/v1/products/price_quote/records?purpose=statistics", problem.AgreementEnded, receipt.Refusal, 0},
		{"an agreement that has not begun", as(amr), prices, problem.AgreementEarly, receipt.Refusal, 0},
		{"no agreement", as(r.admitted("cq-stats")), prices, problem.AgreementMissing, receipt.Refusal, 0},
		{"a withheld field", as(stats), complaints + "statistics&fields=complainant.phone", problem.FieldWithheld, receipt.Refusal, 0},
		{"a withheld block", as(stats), complaints + "statistics&fields=complainant", problem.FieldWithheld, receipt.Refusal, 0},
		{"an unknown field", as(stats), complaints + "statistics&fields=nothing", problem.FieldUnknown, receipt.Refusal, 0},
		{"an unknown product", as(commerce), "/v1/products/nothing/records?purpose=x", problem.ProductUnknown, receipt.Refusal, 0},
		{"a product that the caller may not know of", as(commerce), complaints + "complaint_handling", problem.ProductUnknown, receipt.Refusal, 0},
		{"a limit of zero", as(commerce), prices + "&limit=0", problem.LimitOutOfRange, receipt.Refusal, 0},
		{"a limit beyond the largest", as(commerce), prices + "&limit=5001", problem.LimitOutOfRange, receipt.Refusal, 0},
		{"a cursor that is none", as(commerce), prices + "&cursor=AAAA", problem.CursorInvalid, receipt.Refusal, 0},
		{"another caller's cursor", as(amr), complaints + "complaint_handling&cursor=" + cursor, problem.CursorForeign, receipt.Refusal, 0},

		{"a parameter that is unknown", as(commerce), prices + "&cursr=x", problem.RequestInvalid, receipt.AuthFailures, 0},
		{"a parameter twice", as(commerce), prices + "&limit=1&limit=2", problem.RequestInvalid, receipt.AuthFailures, 0},
		{"a purpose that is a sentence", as(commerce), "/v1/products/price_quote/records?purpose=DROP%20TABLE", problem.RequestInvalid, receipt.AuthFailures, 0},
		{"a query without end", as(commerce), prices + "&cursor=" + strings.Repeat("A", 20<<10), problem.RequestTooLarge, receipt.AuthFailures, 0},
		{"an encoded slash", as(commerce), "/v1/products%2Fprice_quote/records?purpose=price_monitoring", problem.RouteUnknown, receipt.AuthFailures, 0},
		{"dots", as(commerce), "/v1/products/../products/price_quote", problem.RouteUnknown, receipt.AuthFailures, 0},
		{"a doubled slash", as(commerce), "/v1//products", problem.RouteUnknown, receipt.AuthFailures, 0},
		{"a trailing slash", as(commerce), "/v1/products/", problem.RouteUnknown, receipt.AuthFailures, 0},
		{"a letter that looks like one", as(commerce), "/v1/products/" + url.PathEscape("price_quоte"), problem.RouteUnknown, receipt.AuthFailures, 0},
		{"no such path", as(commerce), "/v2/products", problem.RouteUnknown, receipt.AuthFailures, 0},
	} {
		t.Run(c.title, func(t *testing.T) { before = r.refuses(t, c, before) })
	}
}

// refuses runs one case and returns how many entries the ledger then has.
func (r *rig) refuses(t *testing.T, c refusal, before int) int {
	t.Helper()
	r.setClock(c.clock)
	defer r.setClock(0)
	p := c.who()
	a := r.get(p, c.path)
	if a.code != c.want || a.status != c.want.Entry().Status {
		t.Errorf("status %d, %s; want %s", a.status, a.code, c.want)
	}
	if a.header.Get("Hub-Receipt") != "" || strings.Contains(string(a.body), "值 ") {
		t.Errorf("something was released: %s", a.body)
	}
	entries := r.entries()
	switch {
	case c.kind == "":
		if len(entries) != before {
			t.Errorf("%d entries for a request that means nothing", len(entries)-before)
		}
	case len(entries) != before+1:
		t.Errorf("%d entries", len(entries)-before)
	default:
		e := entries[before]
		if e.Kind != c.kind || e.Code != c.want || e.Region != region || (c.kind == receipt.Refusal) != (e.Consumer != "") || c.kind == receipt.AuthFailures && (e.Count != 1 || e.Address != "127.0.0.1") {
			t.Errorf("entry: %+v", e)
		}
	}
	return len(entries)
}

// tokenFor signs a token for a person with the gateway's own key, as an
// authority that change alters.
func (r *rig) tokenFor(p *person, name spiffe.Name, change func(*identity.Authority)) string {
	r.t.Helper()
	a := r.composer.Started.Authority
	if change != nil {
		change(&a)
	}
	caller := identity.Caller{Participant: name.Participant, Region: name.Region, Thumbprint: jws.KeyID(p.issued.Chain[0])}
	token, err := a.Grant(caller, "id", time.Now(), r.signer.Grant)
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func (r *rig) withToken(p *person, name spiffe.Name, change func(*identity.Authority)) *person {
	return &person{issued: p.issued, http: p.http, token: r.tokenFor(p, name, change)}
}

// signedBy writes the claims of a person's token anew, signed with another
// key.
func (r *rig) signedBy(issued pkitest.Issued, p *person) string {
	r.t.Helper()
	s, err := jws.NewSigner(issued.Key, issued.Chain, identity.GrantType)
	if err != nil {
		r.t.Fatal(err)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(p.token, ".")[1])
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := s.Sign(claims)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func unsigned(t *testing.T, token string) string {
	t.Helper()
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + strings.Split(token, ".")[1] + "."
}

// changed makes the token live longer.
func changed(t *testing.T, token string) string {
	t.Helper()
	part := strings.Split(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	claims["exp"] = 4102444800
	raw, err = json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return part[0] + "." + base64.RawURLEncoding.EncodeToString(raw) + "." + part[2]
}

func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	commerce := r.person(r.sc.Issue(r.system("sc-commerce", "510000")))
	for title, c := range map[string]struct {
		who    *person
		form   url.Values
		status int
		error  string
		code   problem.Code
	}{
		"another grant type":    {commerce, url.Values{"grant_type": {"password"}}, 400, "unsupported_grant_type", problem.GrantUnsupported},
		"no grant type":         {commerce, url.Values{}, 400, "unsupported_grant_type", problem.GrantUnsupported},
		"another client's id":   {commerce, url.Values{"grant_type": {"client_credentials"}, "client_id": {"sc-amr"}}, 401, "invalid_client", problem.ClientMismatch},
		"no certificate":        {r.person(pkitest.Issued{}), url.Values{"grant_type": {"client_credentials"}}, 401, "invalid_client", problem.CertificateMissing},
		"a form without end":    {commerce, url.Values{"grant_type": {strings.Repeat("x", 20<<10)}}, 400, "invalid_request", problem.RequestInvalid},
		"the participant's own": {commerce, url.Values{"grant_type": {"client_credentials"}, "client_id": {"sc-commerce"}}, 200, "", ""},
		"without a client id":   {commerce, url.Values{"grant_type": {"client_credentials"}}, 200, "", ""},
	} {
		a := r.grant(c.who, c.form)
		var doc struct {
			Error string `json:"error"`
			Type  string `json:"token_type"`
		}
		if err := json.Unmarshal(a.body, &doc); err != nil {
			t.Fatal(err)
		}
		if a.status != c.status || a.code != c.code || doc.Error != c.error || (c.status == 200) != (doc.Type == "Bearer") || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", title, a.status, a.body)
		}
	}
}

// Over quota: the agreement's requests and records, each with its code, its
// entry and when to come back.
func TestQuota(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{
		"agreements/price_quote-cq-commerce-sc-commerce.yaml": agreement("small", "sc-commerce", "price_quote", "cq-commerce", "price_monitoring", "2026-01-01", "2035-12-31", 3, 1000),
		"agreements/price_quote-cq-commerce-sc-stats.yaml":    agreement("few", "sc-stats", "price_quote", "cq-commerce", "statistics", "2026-01-01", "2035-12-31", 1000, 7),
	})
	r.publish("price_quote", 20, nil)
	commerce, stats := r.admitted("sc-commerce"), r.admitted("sc-stats")
	for i := range 3 {
		if a := r.get(commerce, prices+"&limit=1"); a.status != http.StatusOK {
			t.Fatalf("request %d: %d %s", i, a.status, a.code)
		}
	}
	a := r.get(commerce, prices+"&limit=1")
	if a.code != problem.QuotaExhausted || a.header.Get("Retry-After") == "" || a.header.Get("Retry-After") == "0" {
		t.Errorf("the fourth request: %d %s, Retry-After %q", a.status, a.code, a.header.Get("Retry-After"))
	}

	// Records: what is left is given, and then no more.
	got := 0
	for cursor := ""; ; {
		a := r.get(stats, "/v1/products/price_quote/records?purpose=statistics&limit=5&cursor="+url.QueryEscape(cursor))
		if a.code == problem.QuotaExhausted {
			break
		}
		if a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.code)
		}
		got += strings.Count(string(a.body), "\n")
		if cursor = a.header.Get("Hub-Next-Cursor"); got > 20 {
			t.Fatal("the quota of records is not kept")
		}
	}
	if got != 7 {
		t.Errorf("%d records of an agreement for 7 a day", got)
	}
	entries := r.entries()
	last := entries[len(entries)-1]
	if last.Kind != receipt.Refusal || last.Code != problem.QuotaExhausted || last.Consumer != "sc-stats" || last.Agreement != "few" {
		t.Errorf("entry: %+v", last)
	}

	// A caller beyond the rate is counted, not written down one by one.
	r.gateway.Admission.PerCaller = quota.PerMinute(1)
	r.get(commerce, "/v1/products")
	for range 5 {
		if a := r.get(commerce, "/v1/products"); a.code != problem.RateLimited || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", a.status, a.code)
		}
	}
	entries = r.entries()
	if last := entries[len(entries)-1]; last.Code != problem.RateLimited || last.Consumer != "sc-commerce" || last.Count < 5 {
		t.Errorf("entry: %+v", last)
	}
}
