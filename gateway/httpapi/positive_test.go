package httpapi_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// Behind a proxy that is listed, a participant is who its forwarded
// certificate says, and its grant is bound to that one (RFC 9440).
func TestListedProxy(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	direct := r.admitted("sc-commerce")
	edge := r.person(r.cq.Issue(spiffe.Name{Region: region, Role: spiffe.Proxy, System: "edge"}))
	through := func(chain pkitest.Issued, token, method, path string, form url.Values) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if form != nil {
			req = formRequest(t, r.url+path, form)
		}
		req.Header.Set("Client-Cert", ":"+base64.StdEncoding.EncodeToString(chain.Chain[0].Raw)+":")
		edge.token = token
		return r.do(edge, req)
	}
	if a := through(direct.issued, direct.token, http.MethodGet, pricePage, nil); a.status != http.StatusOK {
		t.Fatalf("a page through the proxy: %d %s %s", a.status, a.code, a.body)
	}
	if last := r.entries()[len(r.entries())-1]; last.Kind != receipt.Release || last.Consumer != "sc-commerce" {
		t.Errorf("entry: %+v", last)
	}
	if a := through(direct.issued, "", http.MethodPost, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}}); a.status != http.StatusOK {
		t.Errorf("a grant through the proxy: %d %s %s", a.status, a.code, a.body)
	}
	other := r.sc.Issue(r.system("sc-stats", "510000"))
	if a := through(other, direct.token, http.MethodGet, pricePage, nil); a.code != problem.TokenCertificate {
		t.Errorf("the grant of another behind the same proxy: %d %s", a.status, a.code)
	}
}

// A gateway that lists no proxy, which is the default, takes a certificate in a
// header from nobody: not from a proxy that its own province certified either.
func TestNoProxyIsListed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	r.gateway.Proxies = nil
	r.serve()
	direct := r.admitted("sc-commerce")
	header := http.Header{"Client-Cert": {":" + base64.StdEncoding.EncodeToString(direct.issued.Chain[0].Raw) + ":"}}
	for title, p := range map[string]*person{
		"a proxy of the province": r.person(r.cq.Issue(spiffe.Name{Region: region, Role: spiffe.Proxy, System: "edge"})),
		"the participant itself":  direct, "nobody": r.person(pkitest.Issued{}),
	} {
		p.token = direct.token
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+pricePage, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header.Clone()
		if a := r.do(p, req); a.code != problem.ForwardedRefused {
			t.Errorf("%s: %d %s", title, a.status, a.code)
		}
	}
	if a := r.get(direct, pricePage); a.status != http.StatusOK {
		t.Errorf("without the header: %d %s", a.status, a.code)
	}
}

// A system whose key its province's bundle registers signs assertions with it
// (private_key_jwt), until a bundle no longer has the key.
func TestRegisteredKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	who := r.person(r.sc.Issue(r.system("sc-commerce", "510000")))
	ask := func() answer {
		t.Helper()
		id := make([]byte, 12)
		_, _ = rand.Read(id)
		assertion := jwt(t, jose.EdDSA, jose.JSONWebKey{Key: private, KeyID: "hsm-1"}, nil, map[string]any{
			"iss": "sc-commerce", "sub": "sc-commerce", "aud": r.url, "exp": time.Now().Add(time.Minute).Unix(), "jti": base64.RawURLEncoding.EncodeToString(id),
		})
		return r.grant(who, url.Values{
			"grant_type": {"client_credentials"}, "client_assertion_type": {identity.AssertionType}, "client_assertion": {assertion},
		})
	}
	if a := ask(); a.code != problem.AssertionInvalid {
		t.Fatalf("a key that nobody registered: %d %s", a.status, a.code)
	}
	registered := identity.Client{Participant: "sc-commerce", System: "test", Keys: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "hsm-1"}}}}
	adopt := func(version int64, clients ...identity.Client) {
		t.Helper()
		r.order(wu, control.AdoptBundle, "510000", r.bundle(version, time.Now().Add(time.Hour), func(b *identity.Bundle) { b.Clients = clients }))
	}
	adopt(2, registered)
	if a := ask(); a.status != http.StatusOK {
		t.Errorf("a registered key: %d %s %s", a.status, a.code, a.body)
	}
	another := registered
	another.System = "another"
	adopt(3, another)
	if a := ask(); a.code != problem.AssertionInvalid {
		t.Errorf("a key of another system: %d %s", a.status, a.code)
	}
	adopt(4)
	if a := ask(); a.code != problem.AssertionInvalid {
		t.Errorf("a key that is no longer listed: %d %s", a.status, a.code)
	}
}

func formRequest(t *testing.T, to string, form url.Values) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}
