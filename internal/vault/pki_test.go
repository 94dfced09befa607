package vault

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// testCA signs what a test asks for, right or wrong.
type testCA struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newTestCA(t *testing.T) *testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &testCA{key: key}
	ca.cert = ca.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test root"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Unix(0, 0), NotAfter: time.Now().AddDate(10, 0, 0),
	}, key.Public())
	return ca
}

func (ca *testCA) sign(t *testing.T, template *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(1)
	parent := ca.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func parseURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// What Vault gives back is compared with what was asked for: a role that takes
// names out of the certificate request would otherwise go unnoticed.
func TestCertificateIsCheckedAgainstItsSpec(t *testing.T) {
	t.Parallel()
	ca, otherCA := newTestCA(t), newTestCA(t)
	key, other := newEd25519(t), newEd25519(t)
	now := time.Now()
	gateway := parseURL(t, "spiffe://500000.hub.chuanyu/gateway")
	spec := CertificateSpec{
		Role: "gateway-tls", CommonName: "gateway-tls", URIs: []*url.URL{gateway},
		DNSNames: []string{"localhost", "gateway.hub"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, TTL: time.Hour,
	}
	for _, c := range []struct {
		title  string
		change func(*x509.Certificate)
		public crypto.PublicKey
		ca     *testCA
		want   string // in the error; empty: accepted
	}{
		{"as asked", func(*x509.Certificate) {}, key.Public(), ca, ""},
		{"names in another order", func(c *x509.Certificate) { c.DNSNames = []string{"gateway.hub", "localhost"} }, key.Public(), ca, ""},
		{"a shorter life", func(c *x509.Certificate) { c.NotAfter = now.Add(time.Minute) }, key.Public(), ca, ""},
		{"another key", func(*x509.Certificate) {}, other.Public(), ca, "another key"},
		{"another URI", func(c *x509.Certificate) {
			c.URIs = []*url.URL{parseURL(t, "spiffe://510000.hub.chuanyu/gateway")}
		}, key.Public(), ca, "URIs"},
		{"a URI more", func(c *x509.Certificate) { c.URIs = append(c.URIs, parseURL(t, "spiffe://x/y")) }, key.Public(), ca, "URIs"},
		{"no URI", func(c *x509.Certificate) { c.URIs = nil }, key.Public(), ca, "URIs"},
		{"another common name", func(c *x509.Certificate) { c.Subject.CommonName = "else" }, key.Public(), ca, "common name"},
		{"a DNS name more", func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "else") }, key.Public(), ca, "DNS names"},
		{"a DNS name left out", func(c *x509.Certificate) { c.DNSNames = c.DNSNames[:1] }, key.Public(), ca, "DNS names"},
		{"an address more", func(c *x509.Certificate) { c.IPAddresses = append(c.IPAddresses, net.IPv4(1, 2, 3, 4)) }, key.Public(), ca, "IP addresses"},
		{"an email address", func(c *x509.Certificate) { c.EmailAddresses = []string{"a@b"} }, key.Public(), ca, "email"},
		{"not valid yet", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }, key.Public(), ca, "clocks"},
		{"no longer valid", func(c *x509.Certificate) { c.NotAfter = now }, key.Public(), ca, "clocks"},
		{"a longer life", func(c *x509.Certificate) { c.NotAfter = now.Add(2 * time.Hour) }, key.Public(), ca, "longer"},
		{"an authority", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, key.Public(), ca, "authority"},
		{"of another authority", func(*x509.Certificate) {}, key.Public(), otherCA, "not signed"},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			template := &x509.Certificate{
				Subject: pkix.Name{CommonName: spec.CommonName}, URIs: []*url.URL{gateway}, DNSNames: []string{"localhost", "gateway.hub"},
				IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, NotBefore: now.Add(-30 * time.Second), NotAfter: now.Add(time.Hour),
			}
			c.change(template)
			leaf := c.ca.sign(t, template, c.public)
			err := spec.verify([]*x509.Certificate{leaf, ca.cert}, key.Public(), now)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if err := spec.verify(nil, key.Public(), now); err == nil {
		t.Error("nothing was accepted")
	}
}

func newEd25519(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestCertifyOverTheWire(t *testing.T) {
	t.Parallel()
	ca := newTestCA(t)
	key := newEd25519(t)
	spec := CertificateSpec{Role: "gateway-signing", URIs: []*url.URL{parseURL(t, "spiffe://500000.hub.chuanyu/gateway/signing")}, TTL: 90 * time.Minute}
	leaf := ca.sign(t, &x509.Certificate{URIs: spec.URIs, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}, key.Public())
	f := newFakeServer(t)
	c := f.open(t, nil)
	asked := make(chan map[string]any, 16)
	reply := func(data map[string]any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var body map[string]any
			_ = json.NewDecoder(r.Body).Decode(&body)
			asked <- body
			_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
		}
	}
	const call = "PUT /v1/500000/pki/sign/gateway-signing"
	f.on(call, reply(map[string]any{"certificate": pemOf(leaf), "issuing_ca": pemOf(ca.cert), "ca_chain": []string{pemOf(ca.cert)}}))
	chain, err := c.Certify(t.Context(), key, spec)
	if err != nil || len(chain) != 2 || !chain[0].Equal(leaf) || !chain[1].Equal(ca.cert) {
		t.Fatalf("chain %d, %v", len(chain), err)
	}
	body := <-asked
	if body["uri_sans"] != "spiffe://500000.hub.chuanyu/gateway/signing" || body["ttl"] != "5400s" {
		t.Errorf("asked for %v", body)
	}
	checkRequest(t, body["csr"].(string))
	for title, data := range wrongAnswers(t, ca, leaf, spec) {
		f.on(call, reply(data))
		if _, err := c.Certify(t.Context(), key, spec); err == nil {
			t.Errorf("%s was accepted", title)
		}
	}
	f.on(call, answer(400, errorBody("URI Subject Alternative Names are not allowed")))
	if _, err := c.Certify(t.Context(), key, spec); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "URI Subject") {
		t.Errorf("a name the role does not permit: %v", err)
	}
}

// checkRequest sees that the certificate request is good and names nobody.
func checkRequest(t *testing.T, text string) {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || request.CheckSignature() != nil || len(request.URIs) > 0 {
		t.Errorf("request: %v, names %v", err, request.URIs)
	}
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func wrongAnswers(t *testing.T, ca *testCA, leaf *x509.Certificate, spec CertificateSpec) map[string]map[string]any {
	t.Helper()
	another := ca.sign(t, &x509.Certificate{URIs: spec.URIs, NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour)}, newEd25519(t).Public())
	return map[string]map[string]any{
		"nothing":         {},
		"no issuer":       {"certificate": pemOf(leaf)},
		"not PEM":         {"certificate": "x", "issuing_ca": pemOf(ca.cert)},
		"another's":       {"certificate": pemOf(another), "issuing_ca": pemOf(ca.cert)},
		"endless issuers": {"certificate": pemOf(leaf), "ca_chain": make([]string, 100)},
	}
}

// fakeCertifier certifies with its own authority, or fails.
type fakeCertifier struct {
	t    *testing.T
	ca   *testCA
	life time.Duration

	mu        sync.Mutex
	err       error
	calls     int
	announced []*x509.Certificate
}

func (f *fakeCertifier) Authorities(context.Context) ([]*x509.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.announced, f.err
}

// under makes it certify with an authority, and announce others beside it.
func (f *fakeCertifier) under(ca *testCA, announced ...*x509.Certificate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ca, f.announced = ca, announced
}

// set makes it fail, or not, and returns how often it was asked before.
func (f *fakeCertifier) set(err error) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	return f.calls
}

func (f *fakeCertifier) Certify(_ context.Context, key crypto.Signer, _ CertificateSpec) ([]*x509.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.err != nil {
		return nil, f.err
	}
	leaf := f.ca.sign(f.t, &x509.Certificate{NotBefore: time.Now().Add(-30 * time.Second), NotAfter: time.Now().Add(f.life)}, key.Public())
	return []*x509.Certificate{leaf, f.ca.cert}, nil
}

func TestIdentityIsExchangedAtHalfOfItsLife(t *testing.T) {
	t.Parallel()
	ca := newTestCA(t)
	synctest.Test(t, func(t *testing.T) {
		from := &fakeCertifier{t: t, ca: ca, life: 72 * time.Hour}
		id := newTestIdentity(t, from)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- id.Run(ctx) }()
		first := id.Current()
		time.Sleep(36*time.Hour - time.Minute)
		synctest.Wait()
		if id.Current().Chain[0] != first.Chain[0] {
			t.Fatal("exchanged before half of its life")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		second := id.Current()
		if second.Chain[0] == first.Chain[0] || ed25519.PublicKey(second.Key.Public().(ed25519.PublicKey)).Equal(first.Key.Public()) {
			t.Fatal("not exchanged for a new key at half of its life")
		}
		if !first.Chain[0].NotAfter.After(time.Now().Add(35 * time.Hour)) {
			t.Error("the two do not overlap")
		}
		checkIdentity(t, id)

		// Vault goes away for 66 hours: attempts go on at most a minute apart
		// from half of the second's life on, readiness ends before that does,
		// and the first success counts.
		before := from.set(errors.New("away"))
		time.Sleep(50 * time.Hour)
		synctest.Wait()
		attempts := from.set(errors.New("still away")) - before
		if attempts < 13*60 || attempts > 19*60 {
			t.Errorf("%d attempts in the 14 hours", attempts)
		}
		if id.Current().Chain[0] != second.Chain[0] {
			t.Error("the credential changed while Vault was away")
		}
		time.Sleep(14 * time.Hour)
		if err := id.Ready(t.Context()); err != nil {
			t.Errorf("unready %s before its end: %v", time.Until(id.Expires()), err)
		}
		time.Sleep(2 * time.Hour)
		if err := id.Ready(t.Context()); err == nil || problem.CodeOf(err) != problem.VaultUnavailable {
			t.Errorf("ready %s before its end: %v", time.Until(id.Expires()), err)
		}
		from.set(nil)
		time.Sleep(90 * time.Second)
		synctest.Wait()
		if id.Current().Chain[0] == second.Chain[0] {
			t.Error("not exchanged when Vault came back")
		}
		if err := id.Ready(t.Context()); err != nil {
			t.Errorf("unready after the exchange: %v", err)
		}
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// A Vault that lies, or another server, does not take a good credential away;
// a root that was announced an exchange before may take over.
func TestIdentityBelievesNoForeignRoot(t *testing.T) {
	t.Parallel()
	ca, liar, successor := newTestCA(t), newTestCA(t), newTestCA(t)
	from := &fakeCertifier{t: t, ca: ca, life: time.Hour}
	id := newTestIdentity(t, from)
	var log strings.Builder
	id.logger = slog.New(slog.NewTextHandler(&log, nil))
	first := id.Current()
	from.under(liar, liar.cert)
	for range 2 { // what a lie announces is not believed either
		if id.renew(t.Context()) {
			t.Fatal("a credential of a root that nobody knows")
		}
	}
	if id.Current().Chain[0] != first.Chain[0] || id.TLSCertificate().Leaf != first.Chain[0] {
		t.Error("the good one is gone")
	}
	if !strings.Contains(log.String(), "not announced before") || !strings.Contains(log.String(), string(problem.VaultUnavailable)) {
		t.Errorf("log: %s", log.String())
	}
	for i, step := range []struct {
		by        *testCA
		announced []*x509.Certificate
		want      bool
	}{
		{successor, []*x509.Certificate{ca.cert, successor.cert}, false}, // in the same breath
		{ca, []*x509.Certificate{ca.cert, successor.cert}, true},
		{successor, []*x509.Certificate{ca.cert, successor.cert}, true},
		{ca, []*x509.Certificate{successor.cert}, true}, // still announced with the one before
		{successor, []*x509.Certificate{successor.cert}, true},
		{ca, []*x509.Certificate{successor.cert}, false}, // withdrawn
		{successor, nil, true},
	} {
		from.under(step.by, step.announced...)
		if id.renew(t.Context()) != step.want {
			t.Errorf("step %d: want %t", i, step.want)
		}
	}
}

func newTestIdentity(t *testing.T, from certifier) *Identity {
	t.Helper()
	id, err := newIdentity(t.Context(), from, CertificateSpec{Role: "gateway-signing"},
		func() (crypto.Signer, error) { return newEd25519(t), nil }, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// checkIdentity sees that key, chain, TLS form and expiry are of one issue.
func checkIdentity(t *testing.T, id *Identity) {
	t.Helper()
	c, tls := id.Current(), id.TLSCertificate()
	if !c.Key.Public().(ed25519.PublicKey).Equal(c.Chain[0].PublicKey) {
		t.Error("key and certificate do not belong together")
	}
	if tls.Leaf != c.Chain[0] || len(tls.Certificate) != len(c.Chain) || tls.PrivateKey.(ed25519.PrivateKey).Equal(c.Key) == false {
		t.Error("the TLS form is of another issue")
	}
	if !id.Expires().Equal(c.Chain[0].NotAfter) {
		t.Error("expiry is of another issue")
	}
}

func TestIdentityOfAVeryShortLifeDoesNotSpin(t *testing.T) {
	t.Parallel()
	ca := newTestCA(t)
	synctest.Test(t, func(t *testing.T) {
		from := &fakeCertifier{t: t, ca: ca, life: 2 * time.Millisecond}
		id := newTestIdentity(t, from)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = id.Run(ctx) }()
		time.Sleep(10 * time.Second)
		cancel()
		synctest.Wait()
		if n := from.set(nil); n > 12 {
			t.Errorf("%d certificates in 10 s", n)
		}
	})
}

func TestIdentityNeedsItsFirstCredential(t *testing.T) {
	t.Parallel()
	want := errors.New("away")
	_, err := newIdentity(t.Context(), &fakeCertifier{err: want}, CertificateSpec{}, func() (crypto.Signer, error) { return newEd25519(t), nil }, time.Now, slog.New(slog.DiscardHandler))
	if !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
	_, err = newIdentity(t.Context(), &fakeCertifier{}, CertificateSpec{}, func() (crypto.Signer, error) { return nil, want }, time.Now, slog.New(slog.DiscardHandler))
	if !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}
