package httpapi_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/replay"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// jwt signs claims as a header says. A key of bytes is a shared secret.
func jwt(t testing.TB, alg jose.SignatureAlgorithm, key any, header map[jose.HeaderKey]any, claims any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	for k, v := range header {
		options = options.WithHeader(k, v)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	object, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	out, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func claimsOf(t testing.TB, token string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// grantTo gets a token with a form.
func (r *rig) grantTo(p *person, form url.Values) string {
	r.t.Helper()
	form.Set("grant_type", "client_credentials")
	a := r.grant(p, form)
	var out struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(a.body, &out); err != nil || out.Token == "" {
		r.t.Fatalf("no grant: %d %s", a.status, a.body)
	}
	return out.Token
}

func (r *rig) post(p *person, path string, form url.Values) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r.do(&person{http: p.http}, req)
}

func (s *siege) tokens() attempts {
	signingKey := func(ca *pkitest.Authority, home string) pkitest.Issued {
		return ca.Issue(spiffe.Name{Region: home, Role: spiffe.Signing})
	}
	token := func(text string) func() answer {
		return s.gets(&person{issued: s.commerce.issued, http: s.commerce.http, token: text}, prices)
	}
	own := signingKey(s.cq, region)
	x5c := []string{base64.StdEncoding.EncodeToString(own.Chain[0].Raw)}
	der, err := x509.MarshalPKIXPublicKey(own.Key.Public())
	if err != nil {
		s.t.Fatal(err)
	}
	revoked := s.admitted("sc-commerce")
	if a := s.post(revoked, "/oauth2/revoke", url.Values{"token": {revoked.token}}); a.status != http.StatusOK {
		s.t.Fatalf("revoke: %d %s", a.status, a.body)
	}
	narrow := &person{issued: s.amr.issued, http: s.amr.http, token: s.grantTo(s.amr, url.Values{"scope": {"price_quote"}})}
	other := s.person(s.sc.Issue(s.self))
	other.token = s.commerce.token
	return attempts{
		"no token":                    token(""),
		"a token that is none":        token("abc.def.ghi"),
		"a token without end":         token(s.commerce.token + strings.Repeat("A", 50<<10)),
		"a token without a signature": token(unsigned(s.t, s.commerce.token)),
		"a token signed with the public key as a secret":   token(jwt(s.t, jose.HS256, der, map[jose.HeaderKey]any{"typ": identity.GrantType, "x5c": x5c}, claimsOf(s.t, s.commerce.token))),
		"a receipt as a token":                             token(s.get(s.commerce, prices+"&limit=1").header.Get("Hub-Receipt")),
		"a token with changed claims":                      token(changed(s.t, s.commerce.token)),
		"a token with an unknown kid":                      token(jwt(s.t, jose.EdDSA, own.Key, map[jose.HeaderKey]any{"typ": identity.GrantType, "x5c": x5c, "kid": "another"}, claimsOf(s.t, s.commerce.token))),
		"a token that a stranger signed":                   token(s.signedBy(signingKey(pkitest.New(s.t, "stranger"), region), s.commerce)),
		"a token that the other province's gateway signed": token(s.signedBy(signingKey(s.sc, "510000"), s.commerce)),
		"a token that a participant signed":                token(s.signedBy(s.cq.Issue(s.system("cq-commerce", region)), s.commerce)),
		"a token for another audience":                     s.gets(s.withToken(s.commerce, s.self, func(a *identity.Authority) { a.Region = "510000" }), prices),
		"a token of another issuer":                        s.gets(s.withToken(s.commerce, s.self, func(a *identity.Authority) { a.Issuer = "https://elsewhere" }), prices),
		"another certificate's token":                      token(s.amr.token),
		"the same participant's other certificate":         s.gets(other, prices),
		"an expired token":                                 s.at(11*time.Minute, s.gets(s.longLived, prices)),
		"a token from the future":                          s.at(-time.Hour, s.gets(s.longLived, prices)),
		"a revoked token":                                  s.gets(revoked, prices),
		"a narrowed token for another product":             s.gets(narrow, complaints+"complaint_handling"),
	}
}

func (s *siege) forms() attempts {
	form := func(extra ...string) func() answer {
		f := url.Values{"grant_type": {"client_credentials"}}
		for i := 0; i < len(extra); i += 2 {
			f.Add(extra[i], extra[i+1])
		}
		return func() answer { return s.post(s.commerce, "/oauth2/token", f) }
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("sc-amr:"))
	return attempts{
		"another grant type":     func() answer { return s.post(s.commerce, "/oauth2/token", url.Values{"grant_type": {"password"}}) },
		"parameters in the URL":  func() answer { return s.post(s.commerce, "/oauth2/token?grant_type=client_credentials", url.Values{}) },
		"a form parameter twice": form("client_id", "sc-commerce", "client_id", "sc-amr"),
		"another client's id":    form("client_id", "sc-amr"),
		"another client's id by Basic": s.raw(&person{http: s.commerce.http}, http.MethodPost, "/oauth2/token", strings.NewReader("grant_type=client_credentials"),
			http.Header{"Authorization": {basic}, "Content-Type": {"application/x-www-form-urlencoded"}}),
		"a scope of a hidden product": form("scope", "price_quote consumer_complaint"),
		"another service as resource": form("resource", "https://elsewhere"),
		"revoking another participant's token": func() answer {
			return s.post(s.amr, "/oauth2/revoke", url.Values{"token": {s.commerce.token}})
		},
	}
}

// goneStore does not answer.
type goneStore struct{ replay.Store }

func (goneStore) First(ctx context.Context, _ string, _ time.Duration) (bool, error) {
	return replay.NewMemory(0, time.Now).First(ctx, "k", time.Minute)
}

func (s *siege) assertions() attempts {
	key := s.commerce.issued.Key
	claims := func(change func(map[string]any)) map[string]any {
		id := make([]byte, 12)
		_, _ = rand.Read(id)
		out := map[string]any{
			"iss": "sc-commerce", "sub": "sc-commerce", "aud": s.url, "exp": time.Now().Add(time.Minute).Unix(), "jti": base64.RawURLEncoding.EncodeToString(id),
		}
		if change != nil {
			change(out)
		}
		return out
	}
	send := func(assertion string) func() answer {
		return func() answer {
			return s.post(s.commerce, "/oauth2/token", url.Values{
				"grant_type": {"client_credentials"}, "client_assertion_type": {identity.AssertionType}, "client_assertion": {assertion},
			})
		}
	}
	signed := func(change func(map[string]any)) func() answer {
		return send(jwt(s.t, jose.EdDSA, key, nil, claims(change)))
	}
	set := func(name string, value any) func() answer { return signed(func(c map[string]any) { c[name] = value }) }
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		s.t.Fatal(err)
	}
	replayed := send(jwt(s.t, jose.EdDSA, key, nil, claims(nil)))
	if a := replayed(); a.status != http.StatusOK {
		s.t.Fatalf("a good assertion: %d %s", a.status, a.body)
	}
	return attempts{
		"an assertion of another kind": func() answer {
			return s.post(s.commerce, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {"saml"}, "client_assertion": {"x"}})
		},
		"an assertion without a signature":                    send(unsigned(s.t, jwt(s.t, jose.EdDSA, key, nil, claims(nil)))),
		"an assertion signed with the public key as a secret": send(jwt(s.t, jose.HS256, der, nil, claims(nil))),
		"an assertion with another key":                       send(jwt(s.t, jose.EdDSA, s.amr.issued.Key, nil, claims(nil))),
		"an assertion with an unknown kid":                    send(jwt(s.t, jose.EdDSA, key, map[jose.HeaderKey]any{"kid": "another"}, claims(nil))),
		"an access token as an assertion":                     send(s.commerce.token),
		"an assertion of another participant":                 set("sub", "sc-amr"),
		"an assertion for another hub":                        set("aud", "https://elsewhere"),
		"an assertion for this and another hub":               set("aud", []string{s.url, "https://elsewhere"}),
		"an assertion that has ended":                         set("exp", time.Now().Add(-time.Second).Unix()),
		"an assertion without an end":                         signed(func(c map[string]any) { delete(c, "exp") }),
		"an assertion for an hour":                            set("exp", time.Now().Add(time.Hour).Unix()),
		"an assertion from the future":                        set("nbf", time.Now().Add(5*time.Minute).Unix()),
		"an assertion without an id":                          signed(func(c map[string]any) { delete(c, "jti") }),
		"an assertion without end":                            set("padding", strings.Repeat("x", 9<<10)),
		"a replayed assertion":                                replayed,
		"an assertion while nothing is remembered": func() answer {
			kept := s.gateway.Replays
			s.gateway.Replays = goneStore{}
			defer func() { s.gateway.Replays = kept }()
			return signed(nil)()
		},
	}
}

// foreignCA is an authority outside of the exchange with the server of its
// list.
type foreignCA struct {
	*pkitest.Authority
	url string

	mu  sync.Mutex
	crl []byte
}

func newForeignCA(t testing.TB, name string) *foreignCA {
	t.Helper()
	f := &foreignCA{Authority: pkitest.New(t, name)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		_, _ = w.Write(f.crl)
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *foreignCA) publish(crl []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crl = crl
}

// named gives a certificate the subject of a company.
func named(cn string, uris ...spiffe.Name) pkitest.Change {
	return func(c *x509.Certificate) {
		c.Subject, c.URIs = pkix.Name{CommonName: cn, Organization: []string{"四川省商务厅"}, Country: []string{"CN"}}, nil
		for _, u := range uris {
			c.URIs = append(c.URIs, u.URL())
		}
	}
}

// list has Sichuan's bundle list authorities, each for the subject of one
// certificate that stands for a system of commerce.
func (r *rig) list(version int64, listed map[*foreignCA]*x509.Certificate) {
	r.t.Helper()
	r.order(wu, control.AdoptBundle, "510000", r.bundle(version, time.Now().Add(time.Hour), func(b *identity.Bundle) {
		for ca, leaf := range listed {
			b.External = append(b.External, identity.BundleExternal{
				Certificate: ca.Root.Raw, Status: identity.Sources{CRL: []string{ca.url}},
				Subjects: []identity.Subject{{Name: identity.DistinguishedName(leaf), Participant: "sc-commerce", System: "legacy"}},
			})
		}
	}))
	r.status.Refresh(r.t.Context())
}

func (s *siege) foreign() attempts {
	ca, silent := newForeignCA(s.t, "national"), newForeignCA(s.t, "silent")
	good, other := ca.Issue(s.self, named("platform")), ca.Issue(s.self, named("elsewhere"))
	spiffed := ca.Issue(s.self, named("platform", s.self))
	revoked := ca.Issue(s.self, named("platform"))
	unheard := silent.Issue(s.self, named("platform"))
	below := ca.Intermediate("national")
	between := below.Issue(s.self, named("platform"))
	between.Chain = []*x509.Certificate{between.Chain[0], below.Root}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		s.t.Fatal(err)
	}
	short := pkitest.Issued{Key: crypto.Signer(weak), Chain: []*x509.Certificate{ca.Certify(weak.Public(), named("platform"))}}
	ca.publish(ca.Revoked(time.Now().Add(time.Hour), revoked.Chain[0]))
	s.list(2, map[*foreignCA]*x509.Certificate{ca: good.Chain[0], silent: unheard.Chain[0]})
	if a := s.get(&person{http: s.person(good).http, token: s.grantTo(s.person(good), url.Values{})}, prices); a.status != http.StatusOK {
		s.t.Fatalf("a listed authority's certificate: %d %s", a.status, a.body)
	}
	try := func(i pkitest.Issued) func() answer { return s.gets(s.person(i), prices) }
	return attempts{
		"a listed authority, another subject":               try(other),
		"a listed authority naming by our ids":              try(spiffed),
		"a listed authority's intermediate":                 try(between),
		"a listed authority's certificate with a short key": try(short),
		"a certificate on its authority's list":             try(revoked),
		"a certificate whose authority says nothing":        try(unheard),
	}
}

func (s *siege) orders() attempts {
	officer := s.person(s.cq.Issue(liang))
	give := func(p *person, signed string) func() answer { return func() answer { return s.postOrder(p, signed) } }
	by := func(who spiffe.Name, kind control.Kind, subject, bundle string) string {
		signed, _ := s.signedOrder(who, kind, subject, bundle)
		return signed
	}
	twice := by(liang, control.SuspendAgreement, "future", "")
	if a := s.postOrder(officer, twice); a.status != http.StatusOK {
		s.t.Fatalf("an order: %d %s", a.status, a.body)
	}
	forged := s.bundle(9, time.Now().Add(time.Hour))
	forged = forged[:len(forged)-8] + "AAAAAAAA"
	ours := s.cq
	s.cq = pkitest.New(s.t, "stranger")
	strangers := by(liang, control.SuspendAgreement, "price-1", "")
	s.cq = ours
	issued := s.cq.Issue(liang)
	late, err := control.Order{ID: "019a0000-0000-7000-8000-000000000000", Kind: control.SuspendAgreement, Region: region, Subject: "x", Reason: "测试"}.Sign(time.Now().Add(-24*time.Hour), issued.Key, issued.Chain)
	if err != nil {
		s.t.Fatal(err)
	}
	other := "sha256:" + strings.Repeat("1", 64)
	proposal := s.order(liang, control.ProposePolicy, other, "")
	revoke, err := control.Order{
		ID: "019a0000-0000-7000-8000-000000000001", Kind: control.RevokeToken, Region: region, Subject: "019a0000-0000-7000-8000-000000000002", Until: time.Now().Add(time.Minute),
	}.Sign(time.Now(), issued.Key, issued.Chain)
	if err != nil {
		s.t.Fatal(err)
	}
	return attempts{
		"a participant giving an order":            give(s.commerce, by(liang, control.SuspendAgreement, "price-1", "")),
		"an order that a participant signed":       give(officer, by(s.system("cq-commerce", region), control.SuspendAgreement, "price-1", "")),
		"an order of another duty":                 give(officer, by(zhou, control.SuspendAgreement, "price-1", "")),
		"an order that a stranger signed":          give(officer, strangers),
		"an order twice":                           give(officer, twice),
		"an order of yesterday":                    give(officer, late),
		"policies with one pair of eyes":           give(officer, by(liang, control.ApprovePolicy, proposal, "")),
		"an operator revoking a token":             give(officer, revoke),
		"a forged trust bundle":                    give(officer, by(wu, control.AdoptBundle, "510000", forged)),
		"an older trust bundle":                    give(officer, by(wu, control.AdoptBundle, "510000", s.bundle(1, time.Now().Add(time.Hour)))),
		"another province's bundle under our name": give(officer, by(wu, control.AdoptBundle, region, s.bundle(9, time.Now().Add(time.Hour)))),
	}
}

// A revoked grant is of no use at any replica, and says so when it is asked
// about.
func TestRevokedGrant(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	other := r.replica()
	p := r.admitted("sc-commerce")
	active := func(who *person, token string) bool {
		var doc map[string]any
		a := r.post(who, "/oauth2/introspect", url.Values{"token": {token}})
		if err := json.Unmarshal(a.body, &doc); err != nil || a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if doc["active"] != true && len(doc) != 1 {
			t.Errorf("what is not active tells of itself: %s", a.body)
		}
		return doc["active"] == true
	}
	if !active(p, p.token) || active(r.admitted("sc-amr"), p.token) || active(p, "x.y.z") {
		t.Error("a grant is active for its participant, and for nobody else")
	}
	if a := r.post(p, "/oauth2/revoke", url.Values{"token": {p.token}}); a.status != http.StatusOK || len(a.body) > 0 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	started := time.Now()
	if a := r.get(p, prices); a.code != "token_revoked" || active(p, p.token) {
		t.Errorf("at the replica that was asked: %d %s", a.status, a.body)
	}
	id, _ := claimsOf(t, p.token)["jti"].(string)
	for {
		state, err := other.control.State()
		if err == nil && state.TokenRevoked(id) {
			break
		}
		if time.Since(started) > 2*time.Second {
			t.Fatalf("the other replica never knew: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("the other replica knew after %s", time.Since(started))
	for _, again := range []string{p.token, "x.y.z"} { // RFC 7009, 2.2
		if a := r.post(p, "/oauth2/revoke", url.Values{"token": {again}}); a.status != http.StatusOK {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	p.token = r.grantTo(p, url.Values{})
	if a := r.get(p, prices); a.status != http.StatusOK {
		t.Errorf("a new grant: %d %s", a.status, a.body)
	}
	// Of several who revoke it at once each is told that it is done.
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if a := r.post(p, "/oauth2/revoke", url.Values{"token": {p.token}}); a.status != http.StatusOK {
				t.Errorf("at the same time: %d %s", a.status, a.body)
			}
		})
	}
	all.Wait()
	// A token is worth nothing without its certificate.
	second := r.admitted("sc-commerce")
	if !active(p, second.token) {
		t.Error("a grant of another system of the participant is not active")
	}
	r.order(liang, control.RevokeCertificate, jws.KeyID(second.issued.Chain[0]), "")
	if active(p, second.token) {
		t.Error("active, though its certificate is revoked")
	}
}
