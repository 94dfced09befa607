package revocation_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/revocation"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

var start = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// authority is one outside of the exchange, with its servers.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	url  string

	mu   sync.Mutex
	crl  []byte
	ocsp func(serial *big.Int) []byte
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: start.AddDate(-1, 0, 0), NotAfter: start.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a.cert = create(t, template, template, &a.key.PublicKey, a.key)
	server := httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

func (a *authority) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case r.URL.Path == "/crl" && a.crl != nil:
		_, _ = w.Write(a.crl)
	case r.URL.Path == "/ocsp" && a.ocsp != nil:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		q, err := ocsp.ParseRequest(body)
		if err != nil {
			http.Error(w, "", http.StatusBadRequest)
			return
		}
		_, _ = w.Write(a.ocsp(q.SerialNumber))
	default:
		http.NotFound(w, r)
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func create(t *testing.T, template, parent *x509.Certificate, public any, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// leaf is a certificate of a serial number, and its key.
func (a *authority) leaf(serial int64, uses ...x509.ExtKeyUsage) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key := newKey(a.t)
	return create(a.t, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "leaf"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: uses, NotBefore: start.AddDate(0, -1, 0), NotAfter: start.AddDate(1, 0, 0),
	}, a.cert, &key.PublicKey, a.key), key
}

// publish puts a list out, changed by change.
func (a *authority) publish(number int64, from, until time.Time, change func(*x509.RevocationList), serials ...int64) {
	a.t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: from, NextUpdate: until}
	for _, s := range serials {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(s), RevocationTime: from})
	}
	if change != nil {
		change(template)
	}
	crl, err := x509.CreateRevocationList(rand.Reader, template, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.set(crl)
}

func (a *authority) set(crl []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.crl = crl
}

func (a *authority) answer(f func(serial *big.Int) []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ocsp = f
}

// saying answers a status, signed by the authority or by a responder.
func (a *authority) saying(status int, until time.Time, by *x509.Certificate, key crypto.Signer) func(*big.Int) []byte {
	return func(serial *big.Int) []byte {
		template := ocsp.Response{Status: status, SerialNumber: serial, ThisUpdate: start, NextUpdate: until, RevokedAt: start}
		if !by.Equal(a.cert) {
			template.Certificate = by
		}
		raw, err := ocsp.CreateResponse(a.cert, by, template, key)
		if err != nil {
			a.t.Error(err)
		}
		return raw
	}
}

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func (a *authority) fetcher(c *clock, sources identity.Sources) *revocation.Fetcher {
	return revocation.New(revocation.Config{
		Sources: func() []identity.Source { return []identity.Source{{Issuer: a.cert, Sources: sources}} },
		Every:   time.Hour, Now: c.Now, Logger: slog.New(slog.DiscardHandler),
	})
}

func expect(t *testing.T, f *revocation.Fetcher, cert, issuer *x509.Certificate, at time.Time, want problem.Code) {
	t.Helper()
	got := problem.Code("")
	if err := f.Check(cert, issuer, at); err != nil {
		got = problem.CodeOf(err)
	}
	if got != want {
		t.Errorf("at %s: %q, want %q", at.Sub(start), got, want)
	}
}

// A list says who is revoked while it holds; before the first, and after the
// last, nobody is good.
func TestCRL(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "issuer")
	good, _ := a.leaf(10)
	bad, _ := a.leaf(11)
	c := &clock{now: start}
	f := a.fetcher(c, identity.Sources{CRL: []string{a.url + "/crl"}})
	f.Refresh(t.Context())
	expect(t, f, good, a.cert, start, problem.CertificateStatus)
	a.publish(1, start, start.Add(24*time.Hour), nil, 11)
	c.set(start.Add(10 * time.Second)) // it failed, and is asked again soon
	f.Refresh(t.Context())
	expect(t, f, good, a.cert, start, "")
	expect(t, f, bad, a.cert, start, problem.CertificateRevoked)
	expect(t, f, good, a.cert, start.Add(24*time.Hour-time.Second), "")
	expect(t, f, good, a.cert, start.Add(24*time.Hour), problem.CertificateStatus)   // stale
	expect(t, f, bad, a.cert, start.Add(48*time.Hour), problem.CertificateRevoked)   // for good
	expect(t, f, good, a.cert, start.Add(-2*time.Minute), problem.CertificateStatus) // not yet

	// The same name and another key is another authority.
	other := newAuthority(t, "issuer")
	expect(t, f, good, other.cert, start, problem.CertificateStatus)

	a.publish(2, start.Add(time.Hour), start.Add(240*time.Hour), nil, 10, 11)
	c.set(start.Add(2 * time.Hour))
	f.Refresh(t.Context())
	expect(t, f, good, a.cert, start.Add(2*time.Hour), problem.CertificateRevoked)
	// An older list, played back, changes nothing.
	a.publish(1, start, start.Add(24*time.Hour), nil, 11)
	c.set(start.Add(4 * time.Hour))
	f.Refresh(t.Context())
	expect(t, f, good, a.cert, start.Add(4*time.Hour), problem.CertificateRevoked)
}

// What is not a whole list of the authority itself, valid now, is no list.
func TestCRLsThatAreRefused(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t, "issuer"), newAuthority(t, "issuer")
	leaf, _ := a.leaf(10)
	day := start.Add(24 * time.Hour)
	take := func(from *authority) []byte { from.mu.Lock(); defer from.mu.Unlock(); return from.crl }
	other.publish(1, start, day, nil)
	critical := func(id ...int) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: id, Critical: true, Value: []byte{0x30, 0}}}
		}
	}
	for title, prepare := range map[string]func(){
		"nothing":                 func() { a.set(nil) },
		"no list":                 func() { a.set([]byte("<html>404</html>")) },
		"of another of this name": func() { a.set(take(other)) },
		"that ended":              func() { a.publish(1, start.Add(-48*time.Hour), start.Add(-time.Second), nil) },
		"that has not begun":      func() { a.publish(1, start.Add(time.Hour), day, nil) },
		"partial":                 func() { a.publish(1, start, day, critical(2, 5, 29, 28)) },
		"of changes only":         func() { a.publish(1, start, day, critical(2, 5, 29, 27)) },
		"with one byte changed":   func() { a.publish(1, start, day, nil); b := take(a); b[len(b)-1] ^= 1; a.set(b) },
		"larger than any is":      func() { a.set(make([]byte, 33<<20)) },
	} {
		prepare()
		f := a.fetcher(&clock{now: start}, identity.Sources{CRL: []string{a.url + "/crl"}})
		f.Refresh(t.Context())
		if err := f.Check(leaf, a.cert, start); problem.CodeOf(err) != problem.CertificateStatus {
			t.Errorf("%s: %v", title, err)
		}
	}
}

// The first caller with a certificate is told to come again; meanwhile the
// authority is asked. An answer holds until it ends.
func TestOCSP(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "issuer")
	leaf, leafKey := a.leaf(10, x509.ExtKeyUsageClientAuth)
	responder, responderKey := a.leaf(20, x509.ExtKeyUsageOCSPSigning)
	day := start.Add(24 * time.Hour)
	for title, c := range map[string]struct {
		answer func(*big.Int) []byte
		want   problem.Code
	}{
		"good":                {a.saying(ocsp.Good, day, a.cert, a.key), ""},
		"good by a responder": {a.saying(ocsp.Good, day, responder, responderKey), ""},
		"revoked":             {a.saying(ocsp.Revoked, day, a.cert, a.key), problem.CertificateRevoked},
		"unknown":             {a.saying(ocsp.Unknown, day, a.cert, a.key), problem.CertificateStatus},
		"of itself":           {a.saying(ocsp.Good, day, leaf, leafKey), problem.CertificateStatus},
		"that ended":          {a.saying(ocsp.Good, start.Add(-time.Hour), a.cert, a.key), problem.CertificateStatus},
		"without an end":      {a.saying(ocsp.Good, time.Time{}, a.cert, a.key), problem.CertificateStatus},
		"about another":       {func(*big.Int) []byte { return a.saying(ocsp.Good, day, a.cert, a.key)(big.NewInt(99)) }, problem.CertificateStatus},
		"nonsense":            {func(*big.Int) []byte { return []byte("x") }, problem.CertificateStatus},
		"larger than any is":  {func(*big.Int) []byte { return make([]byte, 65<<10) }, problem.CertificateStatus},
	} {
		t.Run(title, func(t *testing.T) {
			a.answer(c.answer)
			f := a.fetcher(&clock{now: start}, identity.Sources{OCSP: []string{a.url + "/nothing", a.url + "/ocsp"}})
			f.Refresh(t.Context())
			expect(t, f, leaf, a.cert, start, problem.CertificateStatus) // nobody had come with it
			f.Refresh(t.Context())
			expect(t, f, leaf, a.cert, start, c.want)
			if c.want == "" {
				expect(t, f, leaf, a.cert, day, problem.CertificateStatus)
			}
		})
	}
}

// Certificates that no authority answers about leave room for the others.
func TestQuestionsThatNobodyAnswers(t *testing.T) {
	t.Parallel()
	a, removed := newAuthority(t, "issuer"), newAuthority(t, "removed")
	leaf, _ := a.leaf(10)
	a.answer(a.saying(ocsp.Good, start.Add(time.Hour), a.cert, a.key))
	f := a.fetcher(&clock{now: start}, identity.Sources{OCSP: []string{a.url + "/ocsp"}})
	for i := range int64(10_000) {
		cert := &x509.Certificate{Raw: big.NewInt(i).Bytes(), SerialNumber: big.NewInt(i), NotAfter: start.AddDate(1, 0, 0)}
		expect(t, f, cert, removed.cert, start, problem.CertificateStatus)
	}
	f.Refresh(t.Context())
	expect(t, f, leaf, a.cert, start, problem.CertificateStatus)
	f.Refresh(t.Context())
	expect(t, f, leaf, a.cert, start, "")
}

// Two roots of a province publish under the same URLs, each its own list.
func TestRootsShareTheirURLs(t *testing.T) {
	t.Parallel()
	c := &clock{now: start}
	roots := []*authority{newAuthority(t, "first"), newAuthority(t, "second")}
	status := identity.Sources{}
	for _, a := range roots {
		a.publish(1, start, start.Add(time.Hour), nil)
		status.CRL = append(status.CRL, a.url+"/crl")
	}
	var sources []identity.Source
	f := revocation.New(revocation.Config{
		Sources: func() []identity.Source { return sources }, Every: time.Hour, Now: c.Now, Logger: slog.New(slog.DiscardHandler),
	})
	for _, a := range roots { // the second comes when the URLs are known already
		sources = append(sources, identity.Source{Issuer: a.cert, Sources: status})
		f.Refresh(t.Context())
		leaf, _ := a.leaf(10)
		expect(t, f, leaf, a.cert, start, "")
	}
}

// An authority that hangs keeps nobody of the others waiting.
func TestOneHangsTheOthersGoOn(t *testing.T) {
	t.Parallel()
	hung := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hung:
		case <-r.Context().Done():
		}
	}))
	defer silent.Close()
	defer close(hung)
	slow, quick := newAuthority(t, "slow"), newAuthority(t, "quick")
	quick.publish(1, start, start.Add(time.Hour), nil)
	leaf, _ := quick.leaf(10)
	c := &clock{now: start}
	f := revocation.New(revocation.Config{
		Every: time.Hour, Now: c.Now, Logger: slog.New(slog.DiscardHandler),
		Sources: func() []identity.Source {
			return []identity.Source{
				{Issuer: slow.cert, Sources: identity.Sources{CRL: []string{silent.URL}}},
				{Issuer: quick.cert, Sources: identity.Sources{CRL: []string{quick.url + "/crl"}}},
			}
		},
	})
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { defer close(done); f.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); f.Check(leaf, quick.cert, start) != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the quick one was never asked")
		}
	}
	cancel()
	<-done
}
