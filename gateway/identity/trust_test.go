package identity_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/revocation"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

var now = time.Now().UTC().Truncate(time.Second)

func sign(t *testing.T, b identity.Bundle, key ed25519.PrivateKey) string {
	t.Helper()
	out, err := b.Sign(func(data []byte) ([]byte, error) { return ed25519.Sign(key, data), nil })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBundle(t *testing.T) {
	t.Parallel()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := pkitest.New(t, "Sichuan").Root
	good := identity.Bundle{Region: "510000", Version: 1, IssuedAt: now, NotAfter: now.Add(time.Hour), Roots: [][]byte{root.Raw}, Names: []string{"sc-*", "sc-amr"}}
	b, err := identity.OpenBundle(sign(t, good, key), "510000", public, now)
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Authorities()
	if err != nil || len(a.Roots) != 1 || !a.Roots[0].Equal(root) || len(a.Names) != 2 {
		t.Errorf("%+v, %v", a, err)
	}
	change := func(f func(*identity.Bundle)) identity.Bundle { c := good; f(&c); return c }
	for title, text := range map[string]string{
		"another key":       sign(t, good, other),
		"another province":  sign(t, change(func(b *identity.Bundle) { b.Region = "500000" }), key),
		"one that ended":    sign(t, change(func(b *identity.Bundle) { b.NotAfter = now.Add(-time.Minute) }), key),
		"one from later":    sign(t, change(func(b *identity.Bundle) { b.IssuedAt = now.Add(time.Hour) }), key),
		"one without roots": sign(t, change(func(b *identity.Bundle) { b.Roots = nil }), key),
		"nothing":           "",
		"a changed byte":    strings.Replace(sign(t, good, key), ".", ".A", 1),
		"something large":   strings.Repeat("A", 2<<20),
	} {
		if b, err := identity.OpenBundle(text, "510000", public, now); problem.CodeOf(err) != problem.ConfigInvalid {
			t.Errorf("%s: %+v, %v", title, b, err)
		}
	}
	leaf := pkitest.New(t, "x").Issue(spiffe.Name{Region: "510000", Role: spiffe.Gateway}).Chain[0]
	for title, der := range map[string][]byte{"a leaf": leaf.Raw, "no certificate": []byte("x")} {
		b := change(func(b *identity.Bundle) { b.Roots = [][]byte{der} })
		if _, err := b.Authorities(); problem.CodeOf(err) != problem.ConfigInvalid {
			t.Errorf("%s as a root: %v", title, err)
		}
	}
}

// The zero values believe nobody.
func TestZeroTrust(t *testing.T) {
	t.Parallel()
	ca := pkitest.New(t, "Chongqing")
	chain := ca.Issue(spiffe.Name{Region: "500000", Role: spiffe.System, Participant: "cq-amr", System: "x"}).Chain
	if _, err := identity.Authenticate(&identity.Trust{}, nil, chain, now); problem.CodeOf(err) != problem.CertificateUntrust {
		t.Errorf("the zero trust: %v", err)
	}
	if _, err := identity.Authenticate(identity.NewTrust(map[string]identity.Authorities{"500000": {Names: []string{"cq-*"}}}), nil, chain, now); problem.CodeOf(err) != problem.CertificateUntrust {
		t.Errorf("no roots: %v", err)
	}
	if (&identity.Trust{}).Roots("500000") != nil {
		t.Error("the zero trust has roots")
	}
	long := append(chain[:1:1], make([]*x509.Certificate, 10)...)
	if _, err := identity.Authenticate(identity.NewTrust(map[string]identity.Authorities{"500000": {Roots: []*x509.Certificate{ca.Root}}}), nil, long, now); problem.CodeOf(err) != problem.CertificateUntrust {
		t.Errorf("a long chain: %v", err)
	}
	var a identity.Authority
	if _, err := a.Open("x.y.z", now); err == nil {
		t.Error("the zero authority took a grant")
	}
	if err := (&identity.Claims{}).HeldBy(identity.Caller{}); err == nil {
		t.Error("nobody holds nothing")
	}
	if _, err := identity.Authenticate(identity.NewTrust(map[string]identity.Authorities{"500000": {Roots: []*x509.Certificate{ca.Root}}}), nil, chain[:1], now); problem.CodeOf(err) != problem.CertificateName {
		t.Errorf("roots that may name nobody: %v", err)
	}
}

// Intermediates are followed, and bind the leaf to their root's province.
func TestIntermediates(t *testing.T) {
	t.Parallel()
	sc := pkitest.New(t, "Sichuan")
	name := spiffe.Name{Region: "510000", Role: spiffe.System, Participant: "sc-amr", System: "x"}
	between := sc.Intermediate("office")
	issued := between.Issue(name)
	trust := identity.NewTrust(map[string]identity.Authorities{"510000": {Roots: []*x509.Certificate{sc.Root}, Names: []string{"sc-amr"}}})
	if p, err := identity.Authenticate(trust, nil, append(issued.Chain[:1:1], between.Root), now); err != nil || p.Name != name || p.Thumbprint == "" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := identity.Authenticate(trust, nil, issued.Chain[:1], now); problem.CodeOf(err) != problem.CertificateUntrust {
		t.Errorf("without the intermediate: %v", err)
	}
}

// Where a province publishes what it revoked, a leaf under an intermediate is
// good only if the intermediate is listed too: it publishes its own list, and
// nobody else says what it revoked.
func TestStatusUnderAnIntermediate(t *testing.T) {
	t.Parallel()
	sc := pkitest.New(t, "Sichuan")
	between := sc.Intermediate("office")
	name := spiffe.Name{Region: "510000", Role: spiffe.System, Participant: "sc-amr", System: "x"}
	good, bad := between.Issue(name), between.Issue(name)
	lists := map[string][]byte{"/root": sc.Revoked(now.Add(time.Hour)), "/office": between.Revoked(now.Add(time.Hour), bad.Chain[0])}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(lists[r.URL.Path]) }))
	defer server.Close()
	for title, c := range map[string]struct {
		roots []*x509.Certificate
		good  problem.Code
		bad   problem.Code
	}{
		"the root alone": {[]*x509.Certificate{sc.Root}, problem.CertificateStatus, problem.CertificateStatus},
		"both":           {[]*x509.Certificate{sc.Root, between.Root}, "", problem.CertificateRevoked},
	} {
		trust := identity.NewTrust(map[string]identity.Authorities{"510000": {
			Roots: c.roots, Names: []string{"sc-amr"}, Status: identity.Sources{CRL: []string{server.URL + "/root", server.URL + "/office"}},
		}})
		f := revocation.New(revocation.Config{Sources: trust.Sources, Every: time.Hour, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
		f.Refresh(t.Context())
		for want, leaf := range map[*problem.Code]*x509.Certificate{&c.good: good.Chain[0], &c.bad: bad.Chain[0]} {
			_, err := identity.Authenticate(trust, f, []*x509.Certificate{leaf, between.Root}, now)
			if err == nil && *want != "" || err != nil && problem.CodeOf(err) != *want {
				t.Errorf("%s: %v, want %q", title, err, *want)
			}
		}
	}
}

// known says of every certificate that it is good.
type known struct{}

func (known) Check(_, _ *x509.Certificate, _ time.Time) error { return nil }

// An authority that took a new key is listed twice, under one name.
func TestExternalAuthoritiesOfOneName(t *testing.T) {
	t.Parallel()
	var listed []identity.External
	var chains [][]*x509.Certificate
	for _, system := range []string{"old", "new"} {
		ca := pkitest.New(t, "National CA")
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		leaf := ca.Certify(public, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "office"} })
		chains = append(chains, []*x509.Certificate{leaf})
		listed = append(listed, identity.External{
			Certificate: ca.Root, Status: identity.Sources{CRL: []string{"http://x/crl"}},
			Subjects: []identity.Subject{{Name: identity.DistinguishedName(leaf), Participant: "sc-amr", System: system}},
		})
	}
	trust := identity.NewTrust(map[string]identity.Authorities{"510000": {External: listed}})
	for i, system := range []string{"old", "new"} {
		if p, err := identity.Authenticate(trust, known{}, chains[i], now); err != nil || p.Name.System != system {
			t.Errorf("the %s key's: %+v, %v", system, p, err)
		}
	}
	stranger := pkitest.New(t, "National CA").Certify(chains[0][0].PublicKey, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "office"} })
	if _, err := identity.Authenticate(trust, known{}, []*x509.Certificate{stranger}, now); problem.CodeOf(err) != problem.CertificateUntrust {
		t.Errorf("a third key of this name: %v", err)
	}
}
