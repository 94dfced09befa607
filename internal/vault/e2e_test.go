//go:build e2e

package vault_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/embedded"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/vault"
)

var (
	price     = vault.ConnectorRole{Provider: "cq-commerce", Product: "price_quote"}
	complaint = vault.ConnectorRole{Provider: "cq-amr", Product: "consumer_complaint"}
)

func province(region string) vault.Province {
	return vault.Province{
		Region: region, TrustDomain: region + ".hub.chuanyu",
		Products: []string{"price_quote", "consumer_complaint"}, Connectors: []vault.ConnectorRole{price, complaint},
	}
}

// server is the one devvault of the tests that do not spoil theirs.
var server *embedded.Vault

func TestMain(m *testing.M) { os.Exit(runWithServer(m)) }

func runWithServer(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "vault-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err = embedded.StartVault(ctx, embedded.VaultOptions{
		SourceDir: "../../deploy/devvault", DataDir: dir, Progress: func(s string) { fmt.Fprintln(os.Stderr, s) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = server.Close() }()
	for _, region := range []string{"500000", "510000"} {
		if err := vault.Provision(ctx, server.Address(), server.RootToken(), province(region)); err != nil {
			fmt.Fprintln(os.Stderr, problem.From(err).LogText())
			return 1
		}
	}
	return m.Run()
}

// regions counts the provinces that tests have for themselves.
var regions atomic.Int64

// ownRegion returns a region that no other test uses, not yet provisioned.
func ownRegion() string { return fmt.Sprintf("9%05d", regions.Add(1)) }

func open(t *testing.T, s *embedded.Vault, region, role string) *vault.Client {
	t.Helper()
	roleID, secretID, err := vault.NewSecretID(t.Context(), s.Address(), s.RootToken(), province(region), role)
	if err != nil {
		t.Fatal(err)
	}
	c, err := vault.Open(t.Context(), vault.Config{
		Address: s.Address(), Mounts: vault.ProvinceMounts(region), RoleID: roleID,
		SecretID: func() (string, error) { return secretID, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Logf("close: %v", err)
		}
	})
	return c
}

// raw calls the API as token and returns the status and the answer's data.
func raw(t *testing.T, s *embedded.Vault, token, method, path, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.Address()+"/v1/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", token)
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Data map[string]any `json:"data"`
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	_ = json.Unmarshal(b, &a) // an empty answer has none
	if a.Auth.Token != "" {
		return resp.StatusCode, map[string]any{"token": a.Auth.Token}
	}
	return resp.StatusCode, a.Data
}

// asRoot makes a call that must succeed.
func asRoot(t *testing.T, s *embedded.Vault, method, path, body string) {
	t.Helper()
	if status, _ := raw(t, s, s.RootToken(), method, path, body); status >= 300 {
		t.Fatalf("%s %s: status %d", method, path, status)
	}
}

// tokenOf logs in by hand, to try what the client has no method for.
func tokenOf(t *testing.T, region, role string) string {
	t.Helper()
	roleID, secretID, err := vault.NewSecretID(t.Context(), server.Address(), server.RootToken(), province(region), role)
	if err != nil {
		t.Fatal(err)
	}
	_, data := raw(t, server, "", http.MethodPost, "auth/"+region+"/approle/login", fmt.Sprintf(`{"role_id":%q,"secret_id":%q}`, roleID, secretID))
	token, _ := data["token"].(string)
	if token == "" {
		t.Fatal("no token")
	}
	return token
}

func newP256() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newEd25519() (crypto.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

func spec(role string, uris ...string) vault.CertificateSpec {
	s := vault.CertificateSpec{Role: role}
	for _, u := range uris {
		parsed, err := url.Parse(u)
		if err != nil {
			panic(err)
		}
		s.URIs = append(s.URIs, parsed)
	}
	return s
}

func denied(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, vault.ErrDenied) {
		t.Errorf("%s: %v", what, err)
	}
}

func permitted(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, problem.From(err).LogText())
	}
}

func certify(t *testing.T, c *vault.Client, s vault.CertificateSpec) error {
	t.Helper()
	key, err := newP256()
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Certify(t.Context(), key, s)
	return err
}

func dataKeyErr(_, _ []byte, err error) error { return err }

func keysErr(_ []vault.SharedKey, err error) error { return err }
