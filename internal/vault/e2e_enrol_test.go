//go:build e2e

package vault_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/internal/vaulttest"
)

// What differs from the release is set right, and only that; the second run
// has nothing to do, a dry run does nothing.
func TestBootstrapDoesOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	region := ownRegion()
	bootstrap := func(dry bool) []vault.Change {
		t.Helper()
		changes, err := vault.Bootstrap(ctx, server.Address(), server.RootToken(), province(region), dry)
		if err != nil {
			t.Fatal(problem.From(err).LogText())
		}
		return changes
	}
	would := bootstrap(true)
	if status, _ := raw(t, server, server.RootToken(), "LIST", region+"/pki/issuers", ""); status != http.StatusNotFound {
		t.Errorf("a dry run made something: status %d", status)
	}
	if did := bootstrap(false); len(did) != len(would) || len(did) < 20 {
		t.Errorf("%d things were made, %d announced", len(did), len(would))
	}
	for _, dry := range []bool{false, true} {
		if again := bootstrap(dry); len(again) > 0 {
			t.Errorf("a second run has something to do: %+v", again)
		}
	}
	policy := "hub-" + region + "-gateway"
	asRoot(t, server, http.MethodPut, "sys/policies/acl/"+policy, `{"policy":"path \"*\" { capabilities = [\"sudo\"] }"}`)
	asRoot(t, server, http.MethodPatch, region+"/pki/roles/gateway-tls", `{"allow_any_name":true,"max_ttl":"9000h"}`)
	asRoot(t, server, http.MethodDelete, "auth/"+region+"/approle/role/operator", "")
	for _, dry := range []bool{true, false} {
		text := fmt.Sprint(bootstrap(dry))
		for _, want := range []string{"policy " + policy, "false [policy]", "PKI role gateway-tls", "[allow_any_name max_ttl]", "AppRole operator"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in %s", want, text)
			}
		}
	}
	if left := bootstrap(true); len(left) > 0 {
		t.Errorf("not set right: %+v", left)
	}
}

// A secret id goes over in a wrapping that only one can open.
func TestWrappedSecretID(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	operator := open(t, server, "500000", vault.RoleOperator)
	role := price.Name()
	roleID, w, err := operator.WrapSecretID(ctx, role, time.Hour)
	if err != nil || w.Token == "" || w.Accessor == "" || time.Until(w.Expires) < 50*time.Minute {
		t.Fatalf("%+v, %v", w, err)
	}
	var log bytes.Buffer
	cfg := vault.Config{Address: server.Address(), Mounts: vault.ProvinceMounts("500000"), RoleID: roleID, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	files := func() vault.SecretFiles {
		dir := t.TempDir()
		f := vault.SecretFiles{Role: role, Secret: filepath.Join(dir, "secret-id"), Wrapped: filepath.Join(dir, "wrapped")}
		if err := os.WriteFile(f.Wrapped, []byte(w.Token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := files()
	permitted(t, "taking the secret", f.Take(ctx, cfg))
	permitted(t, "taking it again", f.Take(ctx, cfg))
	if err := os.WriteFile(f.Wrapped, []byte(w.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	permitted(t, "taking it after a kill before the token was removed", f.Take(ctx, cfg))
	cfg.SecretID = f.Read
	c, err := vault.Open(ctx, cfg)
	permitted(t, "logging in with it", err)
	if err == nil {
		_ = c.Close()
	}
	// Whoever comes second knows that somebody was there.
	if err := files().Take(ctx, cfg); err == nil || problem.CodeOf(err) != problem.WrappingUsed || !strings.Contains(log.String(), "ALARM") {
		t.Errorf("a used token: %v, log %s", err, log.String())
	}
	if strings.Contains(log.String(), w.Token) {
		t.Error("the log holds the token")
	}
	// What somebody opened and wrapped anew is not what the operator wrapped.
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, server.Address()+"/v1/sys/wrapping/wrap", strings.NewReader(`{"secret_id":"mine"}`))
	req.Header.Set("X-Vault-Token", server.RootToken())
	req.Header.Set("X-Vault-Wrap-TTL", "60s")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	_, _ = text.ReadFrom(resp.Body)
	_ = resp.Body.Close()
	_, rest, _ := strings.Cut(text.String(), `"wrap_info":{"token":"`)
	w.Token, _, _ = strings.Cut(rest, `"`)
	if err := files().Take(ctx, cfg); err == nil || problem.CodeOf(err) != problem.WrappingUsed || !strings.Contains(err.Error(), "exchanged") {
		t.Errorf("an exchanged token %q: %v", w.Token, err)
	}
	// The operator hands out neither in the clear, nor those of other duties.
	token := tokenOf(t, "500000", vault.RoleOperator)
	for _, path := range []string{"auth/500000/approle/role/" + role + "/secret-id", "auth/token/create/hub-500000-enrolment"} {
		if status, _ := raw(t, server, token, http.MethodPost, path, `{"entity_alias":"cq-amr"}`); status != http.StatusForbidden && status != http.StatusBadRequest {
			t.Errorf("%s unwrapped: status %d", path, status)
		}
	}
	for _, other := range []string{vault.RoleRegistrar, vault.RoleGateway, vault.RoleAuditor} {
		_, _, err := operator.WrapSecretID(ctx, other, time.Hour)
		denied(t, "a secret id of "+other, err)
	}
}

func system(participant, name string) spiffe.Name {
	return spiffe.Name{Region: "500000", Role: spiffe.System, Participant: participant, System: name}
}

// An enrolment token certifies the participant's own systems, once.
func TestEnrolment(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	operator := open(t, server, "500000", vault.RoleOperator)
	admit := func() string {
		t.Helper()
		w, err := operator.Admit(ctx, "cq-amr", time.Hour)
		if err != nil {
			t.Fatal(problem.From(err).LogText())
		}
		return w.Token
	}
	enrol := func(token string, name spiffe.Name) ([]*x509.Certificate, error) {
		key, err := newEd25519()
		if err != nil {
			t.Fatal(err)
		}
		return vault.Enrol(ctx, vault.Config{Address: server.Address(), Mounts: vault.ProvinceMounts("500000")}, token, key, name)
	}
	token := admit()
	chain, err := enrol(token, system("cq-amr", "exchange"))
	if err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	if name, err := spiffe.Of(chain[0]); err != nil || name != system("cq-amr", "exchange") || chain[0].Subject.CommonName != "cq-amr" {
		t.Errorf("certified %v as %q, %v", name, chain[0].Subject.CommonName, err)
	}
	if _, err := enrol(token, system("cq-amr", "exchange")); err == nil || problem.CodeOf(err) != problem.WrappingUsed {
		t.Errorf("a used token: %v", err)
	}
	for _, name := range []spiffe.Name{
		system("sc-amr", "exchange"),
		system("cq-amrx", "exchange"),
		{Region: "500000", Role: spiffe.Connector, Participant: "cq-amr", System: "price_quote"},
		{Region: "500000", Role: spiffe.Gateway},
		{Region: "510000", Role: spiffe.System, Participant: "cq-amr", System: "exchange"},
	} {
		_, err := enrol(admit(), name)
		denied(t, "enrolling as "+name.String(), err)
	}
	if _, err := operator.Admit(ctx, "cq-amr", 100*time.Hour); err == nil || problem.CodeOf(err) != problem.ConfigInvalid {
		t.Errorf("a token for four days: %v", err)
	}
	if _, err := operator.Admit(ctx, "*", time.Hour); err == nil || problem.CodeOf(err) != problem.ConfigInvalid {
		t.Errorf("a token for everybody: %v", err)
	}
	_, err = open(t, server, "500000", vault.RoleGateway).Admit(ctx, "cq-amr", time.Hour)
	denied(t, "a gateway that admits", err)
}

// What somebody asks for who does not use our client: the server refuses
// another participant's name in the subject beside an id of one's own, which
// a certificate login would take for its name.
func TestEnrolmentUnderAnothersCommonName(t *testing.T) {
	t.Parallel()
	w, err := open(t, server, "500000", vault.RoleOperator).Admit(t.Context(), "cq-amr", time.Hour)
	if err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.Address()+"/v1/sys/wrapping/unwrap", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", w.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var opened struct {
		Auth struct {
			Token string `json:"client_token"`
		}
	}
	err = errors.Join(json.NewDecoder(resp.Body).Decode(&opened), resp.Body.Close())
	key, errKey := newEd25519()
	if err := errors.Join(err, errKey); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		commonName string
		want       int
	}{{"sc-amr", http.StatusBadRequest}, {"cq-commerce", http.StatusBadRequest}, {"cq-amr", http.StatusOK}} {
		body, err := json.Marshal(map[string]any{
			"csr":         string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})),
			"common_name": c.commonName, "exclude_cn_from_sans": true, "uri_sans": system("cq-amr", "exchange").URL().String(),
		})
		if err != nil {
			t.Fatal(err)
		}
		if status, _ := raw(t, server, opened.Auth.Token, http.MethodPost, "500000/pki/sign/"+vault.CertEnrolment, string(body)); status != c.want {
			t.Errorf("as %s: status %d, want %d", c.commonName, status, c.want)
		}
	}
}

// tlsNode is a server that sees client certificates.
func tlsNode(t *testing.T) (n *vaulttest.Node, root string, roots *x509.CertPool) {
	t.Helper()
	ca := pkitest.New(t, "of the server")
	own := ca.Issue(spiffe.Name{Region: "500000", Role: spiffe.Gateway})
	dir := t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(own.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Chain[0].Raw}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)); err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(ca.Root)
	n = vaulttest.New(t, "../../deploy/devvault", vaulttest.FreePort(t), `"inmem" {}`, cert, key)
	n.Start()
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	t.Cleanup(client.CloseIdleConnections)
	return n, n.Initialise(client), roots
}

// A participant's system renews its certificate with the one that it has.
func TestCertificateLogin(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	n, root, roots := tlsNode(t)
	p := province("500000")
	p.Roots = roots
	if err := vault.Provision(ctx, n.Address, root, p); err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	if again, err := vault.Bootstrap(ctx, n.Address, root, p, true); err != nil || len(again) > 0 {
		t.Errorf("a second run has something to do: %+v, %v", again, err)
	}
	roleID, secretID, err := vault.NewSecretID(ctx, n.Address, root, p, vault.RoleOperator)
	if err != nil {
		t.Fatal(err)
	}
	base := vault.Config{Address: n.Address, Roots: roots, Mounts: vault.ProvinceMounts("500000")}
	asOperator := base
	asOperator.RoleID, asOperator.SecretID = roleID, func() (string, error) { return secretID, nil }
	operator, err := vault.Open(ctx, asOperator)
	if err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	defer func() { _ = operator.Close() }()
	w, err := operator.Admit(ctx, "cq-amr", time.Hour)
	if err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	key, _ := newEd25519()
	chain, err := vault.Enrol(ctx, base, w.Token, key, system("cq-amr", "exchange"))
	if err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	login := func(key crypto.Signer, chain []*x509.Certificate) (*vault.Client, error) {
		cfg := base
		cfg.CertificateRole = vault.LoginParticipant
		cfg.Certificate = func() *tls.Certificate { return &tls.Certificate{Certificate: [][]byte{chain[0].Raw}, PrivateKey: key} }
		return vault.Open(ctx, cfg)
	}
	c, err := login(key, chain)
	if err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	defer func() { _ = c.Close() }()
	fresh, _ := newEd25519()
	renewed, err := c.Renew(ctx, fresh, system("cq-amr", "exchange"))
	permitted(t, "renewing", err)
	if err == nil {
		again, err := login(fresh, renewed)
		permitted(t, "logging in with the renewed one", err)
		if err == nil {
			_ = again.Close()
		}
	}
	_, err = c.Renew(ctx, fresh, system("sc-amr", "exchange"))
	denied(t, "renewing as another", err)
	_, err = c.Sign(ctx, vault.KeyTrustBundle, []byte("x"))
	denied(t, "a trust bundle", err)
	// Others of the province's certificates do not log in so, nor do strangers'.
	connector, _ := newEd25519()
	asConnector := asOperator
	if asConnector.RoleID, secretID, err = vault.NewSecretID(ctx, n.Address, root, p, price.Name()); err != nil {
		t.Fatal(err)
	}
	cc, err := vault.Open(ctx, asConnector)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cc.Close() }()
	const uri = "spiffe://500000.hub.chuanyu/participant/cq-commerce/connector/price_quote"
	connectorChain, err := cc.Certify(ctx, connector, spec(price.Name(), uri))
	if err != nil {
		t.Fatal(err)
	}
	_, err = login(connector, connectorChain)
	denied(t, "a connector's certificate", err)
	stranger := pkitest.New(t, "stranger").Issue(system("cq-amr", "exchange"))
	_, err = login(stranger.Key, stranger.Chain)
	denied(t, "a stranger's certificate", err)
}

// The auditor sees the end of everything and can use none of it.
func TestCredentials(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	region := ownRegion()
	if err := vault.Provision(ctx, server.Address(), server.RootToken(), province(region)); err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	g := open(t, server, region, vault.RoleGateway)
	permitted(t, "a certificate", certify(t, g, spec(vault.CertGatewaySigning, "spiffe://"+region+".hub.chuanyu/gateway/signing")))
	permitted(t, "a rotation", open(t, server, region, vault.RoleOperator).RotateCursorKey(ctx))
	auditor := open(t, server, region, vault.RoleAuditor)
	all, err := auditor.Credentials(ctx)
	if err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	count := map[string]int{}
	for i, e := range all {
		count[e.Kind+" "+e.Name]++
		if e.Begun.IsZero() || e.State == "" || e.ID == "" {
			t.Errorf("%+v", e)
		}
		if i > 0 && !e.Ends.IsZero() && e.Ends.Before(all[i-1].Ends) {
			t.Error("not in the order of their ends")
		}
	}
	for what, want := range map[string]int{
		"authority Chuanyu Exchange Hub " + region + " Root CA": 1, "certificate spiffe://" + region + ".hub.chuanyu/gateway/signing": 1,
		"token gateway": 1, "token operator": 1, "token auditor": 1, "secret_id gateway": 1, "transit_key trust-bundle": 1,
		"shared_key cursor": 2, "shared_key hash/price_quote": 1,
	} {
		if count[what] != want {
			t.Errorf("%d × %s, want %d", count[what], what, want)
		}
	}
	denied(t, "reading a key", keysErr(auditor.SharedKeys(ctx, vault.KeyCursor)))
	_, err = auditor.Admit(ctx, "cq-amr", time.Hour)
	denied(t, "admitting", err)
	denied(t, "rotating", auditor.RotateCursorKey(ctx))
	_, err = g.Credentials(ctx)
	denied(t, "a gateway that looks", err)
}
