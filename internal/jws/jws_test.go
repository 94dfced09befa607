package jws_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

var signing = spiffe.Name{Region: "500000", Role: spiffe.Signing}

func sign(t testing.TB, issued pkitest.Issued, payload string) string {
	t.Helper()
	s, err := jws.NewSigner(issued.Key, issued.Chain, "test+jws")
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// elsewhere hides the private key, as one in Vault is.
type elsewhere struct{ crypto.Signer }

// A key that is elsewhere signs the same as one at hand.
func TestKeyElsewhere(t *testing.T) {
	t.Parallel()
	ca := pkitest.New(t, "Chongqing")
	issued := ca.Issue(signing)
	want := sign(t, issued, `{"a":1}`)
	issued.Key = elsewhere{issued.Key}
	if got := sign(t, issued, `{"a":1}`); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// away is a key elsewhere that cannot be reached.
type away struct{ elsewhere }

func (away) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, problem.New(problem.VaultUnavailable, "")
}

// Whoever asked is told why there is no signature.
func TestKeyAway(t *testing.T) {
	t.Parallel()
	issued := pkitest.New(t, "Chongqing").Issue(signing)
	s, err := jws.NewSigner(away{elsewhere{issued.Key}}, issued.Chain, "test+jws")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.Sign([]byte("{}")); out != "" || problem.CodeOf(err) != problem.VaultUnavailable {
		t.Errorf("%q, %v", out, err)
	}
}

func TestSignAndVerify(t *testing.T) {
	t.Parallel()
	ca := pkitest.New(t, "Chongqing")
	issued := ca.Issue(signing)
	m, err := jws.Parse(sign(t, issued, `{"a":1}`), "test+jws")
	if err != nil || string(m.Unverified) != `{"a":1}` {
		t.Fatalf("%v", err)
	}
	leaf, err := m.Verify(ca.Pool(), time.Now())
	if err != nil || !leaf.Equal(issued.Chain[0]) {
		t.Fatalf("%v", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	ca, other := pkitest.New(t, "Chongqing"), pkitest.New(t, "another")
	issued := ca.Issue(signing)
	good := sign(t, issued, `{"a":1}`)
	part := strings.Split(good, ".")
	forgedPayload := part[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"a":2}`)) + "." + part[2]
	swapped := part[0] + "." + part[1] + "." + strings.Split(sign(t, issued, `{"a":3}`), ".")[2]
	stranger := sign(t, other.Issue(signing), `{"a":1}`)
	authority := sign(t, ca.Issue(signing, func(c *x509.Certificate) { c.IsCA = true; c.KeyUsage |= x509.KeyUsageCertSign }), `{"a":1}`)
	noUse := sign(t, ca.Issue(signing, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }), `{"a":1}`)
	for title, c := range map[string]struct {
		compact string
		roots   *x509.CertPool
		at      time.Time
		want    error
	}{
		"a changed payload":           {forgedPayload, ca.Pool(), time.Now(), jws.ErrSignature},
		"another message's signature": {swapped, ca.Pool(), time.Now(), jws.ErrSignature},
		"another authority":           {stranger, ca.Pool(), time.Now(), jws.ErrUntrusted},
		"no roots":                    {good, nil, time.Now(), jws.ErrUntrusted},
		"an expired certificate":      {good, ca.Pool(), time.Now().Add(2 * time.Hour), jws.ErrUntrusted},
		"an authority's certificate":  {authority, ca.Pool(), time.Now(), jws.ErrUntrusted},
		"a certificate not to sign":   {noUse, ca.Pool(), time.Now(), jws.ErrUntrusted},
	} {
		m, err := jws.Parse(c.compact, "test+jws")
		if err != nil {
			t.Fatalf("%s: %v", title, err)
		}
		if _, err := m.Verify(c.roots, c.at); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", title, err, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	ca := pkitest.New(t, "Chongqing")
	good := sign(t, ca.Issue(signing), `{}`)
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"test+jws"}`)) + ".e30."
	hmac := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"test+jws"}`)) + ".e30.AAAA"
	for title, compact := range map[string]string{
		"empty": "", "not a JWS": "a.b.c", "alg none": none, "a shared secret": hmac, "too long": good + strings.Repeat("A", 70<<10),
	} {
		if _, err := jws.Parse(compact, "test+jws"); !errors.Is(err, jws.ErrMalformed) {
			t.Errorf("%s: %v", title, err)
		}
	}
	if _, err := jws.Parse(good, "other+jws"); !errors.Is(err, jws.ErrMalformed) {
		t.Error("a message of another type was taken")
	}
	m, err := jws.Parse(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","typ":"test+jws"}`))+".e30.AAAA", "test+jws")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Verify(ca.Pool(), time.Now()); !errors.Is(err, jws.ErrUntrusted) {
		t.Errorf("no certificate: %v", err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	ca := pkitest.New(t, "Chongqing")
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := jws.NewSigner(p384, ca.Issue(signing).Chain, "x"); err == nil {
		if _, err = s.Sign([]byte("{}")); err == nil {
			t.Error("a P-384 key signed with ES256")
		}
	}
}

func FuzzParse(f *testing.F) {
	ca := pkitest.New(f, "Chongqing")
	f.Add(sign(f, ca.Issue(signing), `{}`))
	f.Fuzz(func(t *testing.T, compact string) {
		m, err := jws.Parse(compact, "test+jws")
		if err != nil {
			return
		}
		if _, err := m.Verify(pkitest.New(t, "empty").Pool(), time.Now()); err == nil {
			t.Fatal("a message of a stranger verified")
		}
	})
}

func BenchmarkSign(b *testing.B) {
	issued := pkitest.New(b, "Chongqing").Issue(signing)
	s, err := jws.NewSigner(issued.Key, issued.Chain, "x")
	if err != nil {
		b.Fatal(err)
	}
	payload := []byte(strings.Repeat("x", 500))
	for b.Loop() {
		if _, err := s.Sign(payload); err != nil {
			b.Fatal(err)
		}
	}
}
