//go:build e2e

package vault_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/embedded"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/vault"
)

func TestIdentityIsRenewedByTheRealEngine(t *testing.T) {
	t.Parallel()
	s := spec(vault.CertGatewaySigning, "spiffe://500000.hub.chuanyu/gateway/signing")
	s.TTL = 4 * time.Second
	id := identity(t, open(t, server, "500000", vault.RoleGateway), s, newEd25519)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- id.Run(ctx) }()
	first := id.Current()
	for deadline := time.Now().Add(10 * time.Second); id.Current().Chain[0].Equal(first.Chain[0]); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not renewed")
		}
	}
	if !time.Now().Before(first.Chain[0].NotAfter) {
		t.Error("renewed only after its end")
	}
	cancel()
	permitted(t, "Run", <-ran)
}

// A second root takes over without a restart once it was announced.
func TestRootRollover(t *testing.T) {
	t.Parallel()
	region := ownRegion()
	if err := vault.Provision(t.Context(), server.Address(), server.RootToken(), province(region)); err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	s := spec(vault.CertGatewaySigning, "spiffe://"+region+".hub.chuanyu/gateway/signing")
	s.TTL = 4 * time.Second
	id := identity(t, open(t, server, region, vault.RoleGateway), s, newEd25519)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- id.Run(ctx) }()
	root := func() string { c := id.Current().Chain; return c[len(c)-1].Subject.CommonName }
	await := func(what string, there func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !there(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("not " + what)
			}
		}
	}
	asRoot(t, server, http.MethodPost, region+"/pki/root/generate/internal",
		`{"common_name":"second","issuer_name":"second","key_type":"ec","key_bits":256,"ttl":"1000h"}`)
	first := id.Current()
	await("renewed", func() bool { return !id.Current().Chain[0].Equal(first.Chain[0]) })
	if root() == "second" {
		t.Fatal("the second is the default already")
	}
	asRoot(t, server, http.MethodPost, region+"/pki/config/issuers", `{"default":"second"}`)
	await("renewed under the second", func() bool { return root() == "second" })
	cancel()
	permitted(t, "Run", <-ran)
}

func TestDestroyingASealKeyErases(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, g := open(t, server, "500000", complaint.Name()), open(t, server, "500000", vault.RoleGateway)
	const key = "seal-consumer_complaint-202609"
	if err := c.CreateSealKey(ctx, key); err != nil {
		t.Fatal(err)
	}
	_, wrapped, err := c.DataKey(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	asRoot(t, server, http.MethodDelete, "500000/transit/keys/"+key, "")
	if _, err := g.UnwrapDataKey(ctx, key, wrapped); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("unwrapping: %v", err)
	}
	// A new key of the same name does not bring the old one back.
	if err := c.CreateSealKey(ctx, key); err != nil {
		t.Fatal(err)
	}
	if _, err := g.UnwrapDataKey(ctx, key, wrapped); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("unwrapping with a key of the same name: %v", err)
	}
}

func TestSharedKeysByVersion(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	region := ownRegion()
	if err := vault.Provision(ctx, server.Address(), server.RootToken(), province(region)); err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	g := open(t, server, region, vault.RoleGateway)
	name := vault.KeyHash("price_quote")
	before, err := g.SharedKeys(ctx, name)
	if err != nil || len(before) != 1 || len(before[0].Key) != 32 {
		t.Fatalf("%d keys, %v", len(before), err)
	}
	for range 2 {
		body := `{"data":{"key":"` + strings.Repeat("A", 43) + `="}}`
		asRoot(t, server, http.MethodPost, region+"/kv/data/"+name, body)
	}
	asRoot(t, server, http.MethodPost, region+"/kv/delete/"+name, `{"versions":[2]}`)
	after, err := g.SharedKeys(ctx, name)
	if err != nil || len(after) != 2 || after[0].Version != 3 || after[1].Version != 1 || !bytes.Equal(after[1].Key, before[0].Key) {
		t.Errorf("after: %d keys, %v", len(after), err)
	}
}

// A restart of the hub provisions again; a new product comes with a release.
func TestProvisionReplacesNoKey(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	region := ownRegion()
	p := province(region)
	provision := func() {
		t.Helper()
		if err := vault.Provision(ctx, server.Address(), server.RootToken(), p); err != nil {
			t.Fatal(problem.From(err).LogText())
		}
	}
	provision()
	g := open(t, server, region, vault.RoleGateway)
	state := func() string {
		roots, errRoots := g.Authorities(ctx)
		keys, errKeys := g.SharedKeys(ctx, vault.KeyCursor)
		if err := errors.Join(errRoots, errKeys); err != nil {
			t.Fatal(err)
		}
		public, err := open(t, server, region, vault.RoleOperator).PublicKey(ctx, vault.KeyTrustBundle)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%d %x %v %x", len(roots), roots[0].Raw, keys, public)
	}
	before := state()
	provision()
	p.Products = append(p.Products, "market_entity")
	provision()
	if state() != before {
		t.Error("provisioning again changed a key or an authority")
	}
	permitted(t, "the new product's key", keysErr(g.SharedKeys(ctx, vault.KeyHash("market_entity"))))
	asRoot(t, server, http.MethodDelete, region+"/kv/data/cursor", "")
	provision()
	if err := keysErr(g.SharedKeys(ctx, vault.KeyCursor)); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("provisioning brought a deleted key back: %v", err)
	}
}

// A key of Transit is certified and signs like one at hand, by the version that
// is certified also when there is a newer one.
func TestTransitSigner(t *testing.T) {
	t.Parallel()
	ctx, region := t.Context(), ownRegion()
	if err := vault.Provision(ctx, server.Address(), server.RootToken(), province(region)); err != nil {
		t.Fatal(err)
	}
	g := open(t, server, region, vault.RoleGateway)
	certified := func() vault.Credential {
		t.Helper()
		s := spec(vault.CertGatewaySigning, "spiffe://"+region+".hub.chuanyu/gateway/signing")
		return identity(t, g, s, func() (crypto.Signer, error) { return g.TransitSigner(ctx, vault.KeyGatewaySigning) }).Current()
	}
	signs := func(c vault.Credential) error {
		signature, err := c.Key.Sign(nil, []byte("a receipt"), crypto.Hash(0))
		if err == nil && !ed25519.Verify(c.Chain[0].PublicKey.(ed25519.PublicKey), []byte("a receipt"), signature) {
			err = errors.New("the signature is not of the certified key")
		}
		return err
	}
	first := certified()
	permitted(t, "a signature", signs(first))
	asRoot(t, server, http.MethodPost, region+"/transit/keys/"+vault.KeyGatewaySigning+"/rotate", "")
	permitted(t, "a signature of the version that is certified", signs(first))
	second := certified()
	permitted(t, "a signature of the newer version", signs(second))
	if bytes.Equal(first.Chain[0].RawSubjectPublicKeyInfo, second.Chain[0].RawSubjectPublicKeyInfo) {
		t.Error("the newer version was not certified")
	}
	_, err := open(t, server, region, vault.RoleOperator).TransitSigner(ctx, vault.KeyGatewaySigning)
	denied(t, "the operator signing as the gateway", err)
}

func TestProvisionRefusesAForeignMount(t *testing.T) {
	t.Parallel()
	region := ownRegion()
	asRoot(t, server, http.MethodPost, "sys/mounts/"+region+"/pki", `{"type":"kv"}`)
	err := vault.Provision(t.Context(), server.Address(), server.RootToken(), province(region))
	if problem.CodeOf(err) != problem.ConfigInvalid || !strings.Contains(err.Error(), region) {
		t.Errorf("got %v", err)
	}
	if _, _, err := vault.NewSecretID(t.Context(), server.Address(), server.RootToken(), province(ownRegion()), "gateway"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("a role that is not there: %v", err)
	}
	denied(t, "a wrong root token", vault.Provision(t.Context(), server.Address(), "wrong", province("500000")))
}

func TestWrongSecretIDAndRevokedToken(t *testing.T) {
	ctx := t.Context()
	roleID, secretID, err := vault.NewSecretID(ctx, server.Address(), server.RootToken(), province("500000"), vault.RoleGateway)
	if err != nil {
		t.Fatal(err)
	}
	cfg := vault.Config{Address: server.Address(), Mounts: vault.ProvinceMounts("500000"), RoleID: roleID, SecretID: func() (string, error) { return "wrong", nil }}
	_, err = vault.Open(ctx, cfg)
	denied(t, "a wrong secret id", err)
	reads := 0
	cfg.SecretID = func() (string, error) { reads++; return secretID, nil }
	c, err := vault.Open(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	asRoot(t, server, http.MethodPut, "sys/leases/revoke-prefix/auth/500000/approle/login", "")
	permitted(t, "a call after the token was revoked", keysErr(c.SharedKeys(ctx, vault.KeyCursor)))
	permitted(t, "readiness", c.Ready(ctx))
	if reads != 2 {
		t.Errorf("the secret id was read %d times", reads)
	}
}

func TestSealedAndStoppedServer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	start := func() *embedded.Vault {
		s, err := embedded.StartVault(ctx, embedded.VaultOptions{SourceDir: "../../deploy/devvault", DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := start()
	if err := vault.Provision(ctx, s.Address(), s.RootToken(), province("500000")); err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	c := open(t, s, "500000", vault.RoleGateway)
	keys, err := c.SharedKeys(ctx, vault.KeyCursor)
	if err != nil {
		t.Fatal(err)
	}
	unavailable := func(what string) {
		t.Helper()
		if err := c.Ready(ctx); problem.CodeOf(err) != problem.VaultUnavailable {
			t.Errorf("%s, readiness: %v", what, err)
		}
		if err := keysErr(c.SharedKeys(ctx, vault.KeyCursor)); problem.CodeOf(err) != problem.VaultUnavailable {
			t.Errorf("%s, a call: %v", what, err)
		}
	}
	asRoot(t, s, http.MethodPut, "sys/seal", "")
	unavailable("sealed")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	unavailable("stopped")
	s = start()
	defer func() { _ = s.Close() }()
	again := open(t, s, "500000", vault.RoleGateway)
	if got, err := again.SharedKeys(ctx, vault.KeyCursor); err != nil || !bytes.Equal(got[0].Key, keys[0].Key) {
		t.Errorf("after the restart: %v", err)
	}
}
