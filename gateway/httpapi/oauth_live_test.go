//go:build live

package httpapi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Authlib of Python, as it is, gets grants by certificate and by assertion and
// reads with them.
func TestLiveOAuthPython(t *testing.T) {
	python := "../../.clients/venv/bin/python" // make clients
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	name := r.system("sc-commerce", "510000")
	leaf := r.sc.Certify(&key.PublicKey, func(c *x509.Certificate) { c.URIs = []*url.URL{name.URL()} })
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(file, kind string, der []byte) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	out, err := exec.CommandContext(t.Context(), python, "../../deploy/clients/oauth.py", r.url,
		write("root.pem", "CERTIFICATE", r.cq.Root.Raw), write("cert.pem", "CERTIFICATE", leaf.Raw), write("key.pem", "PRIVATE KEY", der),
		"sc-commerce", prices).CombinedOutput()
	if err != nil || strings.Count(string(out), "200 receipt") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}
