package identity_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// Nothing that a stranger writes is a bundle.
func FuzzOpenBundle(f *testing.F) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	b := identity.Bundle{Region: "510000", Version: 1, IssuedAt: now, NotAfter: now.Add(time.Hour), Roots: [][]byte{{1}}, Names: []string{"sc-*"}}
	signed, err := b.Sign(func(data []byte) ([]byte, error) { return ed25519.Sign(stranger, data), nil })
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Fuzz(func(t *testing.T, compact string) {
		if _, err := identity.OpenBundle(compact, "510000", public, now); err == nil {
			t.Fatal("a stranger's bundle was taken")
		}
	})
}

// Nothing that a stranger writes is an assertion of ours.
func FuzzCheckAssertion(f *testing.F) {
	ca := pkitest.New(f, "Sichuan")
	leaf := ca.Issue(spiffe.Name{Region: "510000", Role: spiffe.System, Participant: "sc-amr", System: "x"}).Chain[0]
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: stranger}, nil)
	if err != nil {
		f.Fatal(err)
	}
	object, err := signer.Sign([]byte(`{"iss":"sc-amr","sub":"sc-amr","aud":["https://hub"],"exp":4102444800,"jti":"0123456789"}`))
	if err != nil {
		f.Fatal(err)
	}
	compact, err := object.CompactSerialize()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(compact)
	a := identity.Authority{Region: "500000", Issuer: "https://hub"}
	trust := identity.NewTrust(map[string]identity.Authorities{"510000": {Roots: []*x509.Certificate{ca.Root}, Names: []string{"sc-*"}}})
	f.Fuzz(func(t *testing.T, text string) {
		if _, _, err := a.CheckAssertion(trust, text, identity.Caller{Participant: "sc-amr", Region: "510000", System: "x"}, leaf, now); err == nil {
			t.Fatal("a stranger's assertion was taken")
		}
	})
}
