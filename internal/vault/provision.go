package vault

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const (
	provisionTimeout = 15 * time.Second // of one call; making a root key is the longest
	upgradePause     = 100 * time.Millisecond
	upgradeAttempts  = 50
)

// Province is what a province's part of a Vault or OpenBao is made for.
type Province struct {
	Region      string   // six digits, GB/T 2260
	TrustDomain string   // SPIFFE trust domain, e.g. 500000.hub.chuanyu
	Products    []string // catalogue ids
	Connectors  []ConnectorRole
	// Roots are who may have signed the server's certificate; nil: the
	// system's roots. They are not provisioned.
	Roots *x509.CertPool
}

// check refuses names that could not stand in a path or a policy; every fault
// at once.
func (p Province) check() error {
	var all []error
	fault := func(format string, args ...any) {
		all = append(all, problem.New(problem.ConfigInvalid, "vault province: "+format, args...))
	}
	if !regionPattern.MatchString(p.Region) {
		fault("region %q is not six digits", p.Region)
	}
	if !trustDomainPattern.MatchString(p.TrustDomain) {
		fault("trust domain %q is not lower-case letters, digits, dots and hyphens", p.TrustDomain)
	}
	for _, id := range p.Products {
		if !productPattern.MatchString(id) {
			fault("product %q is not lower-case letters, digits and underscores", id)
		}
	}
	for _, c := range p.Connectors {
		if !providerPattern.MatchString(c.Provider) {
			fault("provider %q is not lower-case letters, digits and hyphens", c.Provider)
		}
		if !slices.Contains(p.Products, c.Product) {
			fault("a connector of %s is for %q, which is not among the products", c.Provider, c.Product)
		}
	}
	return errors.Join(all...)
}

// provisioner sets one province up, with a token that may.
type provisioner struct {
	*conn
	province Province
	mounts   Mounts
}

func newProvisioner(address, token string, p Province) (*provisioner, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if address == "" || token == "" {
		return nil, problem.New(problem.ConfigInvalid, "vault province %s: the server's address or token is not set", p.Region)
	}
	c, err := newConn(address, p.Roots, provisionTimeout)
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "vault province %s: address", p.Region)
	}
	c.api.SetToken(token)
	return &provisioner{conn: c, province: p, mounts: ProvinceMounts(p.Region)}, nil
}

// Provision sets up what a province needs on a server, and only what is
// missing of keys and authorities: it can be repeated, after a change of the
// products too, and never replaces a key. Roles and policies are written as
// they are here, over what was there.
//
//	mounts     <region>/approle, /pki, /transit, /kv
//	PKI        a root of 10 years; roles gateway-tls, gateway-signing, participant, operator-*, connector-*
//	Transit    trust-bundle (Ed25519), quarantine-<provider>-<product>
//	KV         cursor, record/<product>, hash/<product>: random 32 bytes
//	AppRoles   gateway, operator, registrar, connector-<provider>-<product>, each with a policy
//
// What each PKI role certifies, as names of a [CertificateSpec]:
//
//	gateway-tls       spiffe://<trust domain>/gateway; DNS localhost, gateway.<trust domain>; any IP; 72 h
//	gateway-signing   spiffe://<trust domain>/gateway/signing; 72 h; document signing (RFC 9336), not TLS
//	participant       spiffe://<trust domain>/participant/*; any common name; 30 days; TLS client
//	operator-<duty>   spiffe://<trust domain>/operator/<duty>/*; 7 days; TLS client
//	connector-…       spiffe://<trust domain>/participant/<provider>/connector/<product>; 72 h; TLS client
//
// The token needs to be a root token, or one that may mount and write policies.
func Provision(ctx context.Context, address, rootToken string, p Province) error {
	v, err := newProvisioner(address, rootToken, p)
	if err != nil {
		return err
	}
	defer v.http.CloseIdleConnections()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"mounts", v.mountAll},
		{"root authority", v.root},
		{"PKI roles", v.pkiRoles},
		{"Transit keys", v.transitKeys},
		{"shared keys", v.sharedKeys},
		{"AppRoles", v.appRoles},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("provision Vault for province %s: %s: %w", p.Region, step.name, err)
		}
	}
	return nil
}

// NewSecretID makes a new secret id, which lasts 90 days, for one of the
// province's AppRoles and returns it with the role id: what [Config] takes.
// [ErrNotFound]: the role is not provisioned.
func NewSecretID(ctx context.Context, address, rootToken string, p Province, role string) (roleID, secretID string, err error) {
	v, err := newProvisioner(address, rootToken, p)
	if err != nil {
		return "", "", err
	}
	defer v.http.CloseIdleConnections()
	if err := checkSegment("AppRole", role); err != nil {
		return "", "", err
	}
	path := "auth/" + v.mounts.AppRole + "/role/" + role
	id, err := v.send(ctx, request{what: "read a role id", method: http.MethodGet, path: path + "/role-id"})
	if err != nil {
		return "", "", err
	}
	secret, err := v.send(ctx, request{what: "make a secret id", method: http.MethodPost, path: path + "/secret-id", quiet: true})
	if err != nil {
		return "", "", err
	}
	roleID, _ = id.Data["role_id"].(string)
	if secret != nil {
		secretID, _ = secret.Data["secret_id"].(string)
	}
	if roleID == "" || secretID == "" {
		return "", "", errAnswer("make a secret id", "no role id or secret id")
	}
	return roleID, secretID, nil
}

func (v *provisioner) write(ctx context.Context, what, path string, body map[string]any) error {
	_, err := v.send(ctx, request{what: what, method: http.MethodPost, path: path, body: body})
	return err
}

// mountAll mounts the four engines where nothing is mounted yet.
func (v *provisioner) mountAll(ctx context.Context) error {
	if err := v.mount(ctx, "sys/auth", v.mounts.AppRole, "approle", nil); err != nil {
		return err
	}
	if err := v.mount(ctx, "sys/mounts", v.mounts.PKI, "pki", map[string]any{"config": map[string]any{"max_lease_ttl": rootLife}}); err != nil {
		return err
	}
	if err := v.mount(ctx, "sys/mounts", v.mounts.Transit, "transit", nil); err != nil {
		return err
	}
	if err := v.mount(ctx, "sys/mounts", v.mounts.KV, "kv", map[string]any{"options": map[string]any{"version": "2"}}); err != nil {
		return err
	}
	return v.awaitKV(ctx)
}

func (v *provisioner) mount(ctx context.Context, table, path, kind string, more map[string]any) error {
	mounted, err := v.send(ctx, request{what: "list mounts", method: http.MethodGet, path: table})
	if err != nil {
		return err
	}
	if there, ok := mounted.Data[path+"/"].(map[string]any); ok {
		if there["type"] != kind {
			return problem.New(problem.ConfigInvalid, "%s is already mounted as %v, not %s; move it away", path, there["type"], kind)
		}
		return nil
	}
	body := map[string]any{"type": kind, "description": "Chuanyu exchange hub, province " + v.province.Region}
	maps.Copy(body, more)
	return v.write(ctx, "mount "+path, table+"/"+path, body)
}

// awaitKV waits until a KV engine that was just mounted has become version 2:
// for a moment it answers 400 to everything.
func (v *provisioner) awaitKV(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		_, err := v.send(ctx, request{what: "wait for " + v.mounts.KV, method: http.MethodGet, path: v.mounts.KV + "/config"})
		if !errors.Is(err, errRejected) || attempt == upgradeAttempts {
			return err
		}
		if !sleep(ctx, upgradePause) {
			return ctx.Err()
		}
	}
}

// root makes the root authority unless the province has one.
func (v *provisioner) root(ctx context.Context) error {
	_, err := v.send(ctx, request{what: "list the authorities", method: "LIST", path: v.mounts.PKI + "/issuers"})
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	return v.write(ctx, "make the root authority", v.mounts.PKI+"/root/generate/internal", v.province.rootSettings())
}

func (v *provisioner) pkiRoles(ctx context.Context) error {
	if err := v.write(ctx, "clear out what expired", v.mounts.PKI+"/config/auto-tidy", tidySettings()); err != nil {
		return err
	}
	for _, r := range v.province.pkiRoles() {
		if err := v.write(ctx, "write PKI role "+r.name, v.mounts.PKI+"/roles/"+r.name, r.settings); err != nil {
			return err
		}
	}
	return nil
}

func (v *provisioner) transitKeys(ctx context.Context) error {
	path := v.mounts.Transit + "/keys/"
	if err := v.write(ctx, "create "+KeyTrustBundle, path+KeyTrustBundle, map[string]any{"type": "ed25519"}); err != nil {
		return err
	}
	for _, c := range v.province.Connectors {
		for _, r := range sealKeyRequests(path + c.QuarantineKey()) {
			if _, err := v.send(ctx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *provisioner) sharedKeys(ctx context.Context) error {
	names := []string{KeyCursor}
	for _, p := range v.province.Products {
		names = append(names, KeyRecord(p), KeyHash(p))
	}
	for _, name := range names {
		if err := v.sharedKey(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// sharedKey makes a random key unless there is or ever was one of this name:
// what was deleted on purpose does not come back.
func (v *provisioner) sharedKey(ctx context.Context, name string) error {
	there := func() error {
		_, err := v.send(ctx, request{what: "look for " + name, method: http.MethodGet, path: v.mounts.KV + "/metadata/" + name})
		return err
	}
	if err := there(); !errors.Is(err, ErrNotFound) {
		return err
	}
	key := make([]byte, sharedKeySize)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	_, err := v.send(ctx, request{
		what: "make " + name, method: http.MethodPost, path: v.mounts.KV + "/data/" + name, quiet: true,
		body: map[string]any{
			"options": map[string]any{"cas": 0}, // only if it is absent
			"data":    map[string]any{"key": base64.StdEncoding.EncodeToString(key)},
		},
	})
	if errors.Is(err, errRejected) && there() == nil {
		return nil // someone else made it in between
	}
	return err
}

func (v *provisioner) appRoles(ctx context.Context) error {
	roles := v.province.appRoles()
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		policy := v.province.policyName(role)
		if err := v.write(ctx, "write policy "+policy, "sys/policies/acl/"+policy, map[string]any{"policy": policyText(roles[role])}); err != nil {
			return err
		}
		if err := v.write(ctx, "write AppRole "+role, "auth/"+v.mounts.AppRole+"/role/"+role, appRoleSettings(policy)); err != nil {
			return err
		}
	}
	return nil
}
