package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
)

const trustYAML = `names: ["sc-*"]
days: 365
status: {crl: ["http://vault.sc.invalid/crl"]}
external:
  - certificate: national.pem
    status: {ocsp: ["http://ocsp.national.invalid"]}
    subjects:
      - {name: "CN=price,O=测试", participant: sc-commerce, system: price}
clients:
  - {participant: sc-stats, system: yearbook, jwks: yearbook.json}
`

// A bundle that is written from files holds what they say, and is one that a
// gateway takes.
func TestTrustBundleFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	national, own := pkitest.New(t, "national"), pkitest.New(t, "Sichuan")
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "1", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private, KeyID: "1"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"national.pem":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: national.Root.Raw}),
		"yearbook.json": keys, "private.json": secret, "empty.json": []byte("[]"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	read := func(change func(*trustFile)) (*identity.Bundle, error) {
		t.Helper()
		var f trustFile
		if _, faults := yamlfile.Decode("trust.yaml", []byte(trustYAML), &f); faults.Err() != nil {
			t.Fatal(faults.Err())
		}
		if change != nil {
			change(&f)
		}
		return f.bundle(dir, "510000", []*x509.Certificate{own.Root}, 7, now)
	}
	b, err := read(nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := b.Sign(func(data []byte) ([]byte, error) { return ed25519.Sign(private, data), nil })
	if err != nil {
		t.Fatal(err)
	}
	opened, err := identity.OpenBundle(signed, "510000", public, now)
	if err != nil {
		t.Fatal(err)
	}
	a, err := opened.Authorities()
	if err != nil || len(a.Roots) != 1 || !a.Roots[0].Equal(own.Root) || !a.External[0].Certificate.Equal(national.Root) ||
		a.External[0].Subjects[0].Participant != "sc-commerce" || a.Clients[0].Keys.Keys[0].KeyID != "1" || opened.Version != 7 {
		t.Errorf("%+v, %v", a, err)
	}
	for name, change := range map[string]func(*trustFile){
		"good for ever":            func(f *trustFile) { f.Days = 400 },
		"an authority's private":   func(f *trustFile) { f.Clients[0].Keys = "private.json" },
		"no key":                   func(f *trustFile) { f.Clients[0].Keys = "empty.json" },
		"no file":                  func(f *trustFile) { f.External[0].Certificate = "none.pem" },
		"no certificate":           func(f *trustFile) { f.External[0].Certificate = "yearbook.json" },
		"nobody says what revoked": func(f *trustFile) { f.External[0].Status = trustStatus{} },
		"nobody is named":          func(f *trustFile) { f.External[0].Subjects = nil },
		"everybody":                func(f *trustFile) { f.Names = []string{"*"} },
	} {
		if _, err := read(change); problem.CodeOf(err) != problem.ConfigInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
