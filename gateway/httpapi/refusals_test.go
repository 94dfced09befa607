package httpapi_test

import (
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
	"github.com/chuanyu-exchange/hub/policies"
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
	b, err := policies.Shipped().Open(file)
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

func unsigned(t testing.TB, token string) string {
	t.Helper()
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + strings.Split(token, ".")[1] + "."
}

// changed makes the token live longer.
func changed(t testing.TB, token string) string {
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
