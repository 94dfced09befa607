package vault

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const provisionTimeout = 15 * time.Second // of one call; making a root key is the longest

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
	c, err := newConn(endpoint{nodes: []string{address}, roots: p.Roots, timeout: provisionTimeout, now: time.Now})
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "vault province %s: address", p.Region)
	}
	c.api.SetToken(token)
	return &provisioner{conn: c, province: p, mounts: ProvinceMounts(p.Region)}, nil
}

// Provision sets up what a province needs on a server, and only what is
// missing or otherwise than this release wants it: it can be repeated, after a
// change of the products too, and never replaces a key. See [Bootstrap].
//
//	mounts     <region>/approle, /cert, /pki, /transit, /kv
//	PKI        a root of 10 years; roles gateway-*, kafka-broker, proxy, enrolment, operator-*, connector-*
//	Transit    trust-bundle and gateway-signing (Ed25519), quarantine-<provider>-<product>
//	KV         cursor, record/<product>, hash/<product>: random 32 bytes
//	AppRoles   gateway, kafka, proxy, operator, registrar, auditor, connector-<provider>-<product>, each with a policy
//	enrolment  a role of one-time tokens and a certificate login, for participants
//
// What each PKI role certifies, as names of a [CertificateSpec]:
//
//	gateway-tls       spiffe://<trust domain>/gateway; DNS localhost, gateway.<trust domain>; any IP; 72 h
//	gateway-signing   spiffe://<trust domain>/gateway/signing; 72 h; document signing (RFC 9336), not TLS
//	gateway-kafka     spiffe://<trust domain>/gateway/kafka; 72 h; TLS client
//	kafka-broker      spiffe://<trust domain>/kafka/broker; DNS localhost, *.kafka.<trust domain>; any IP; 72 h; TLS server and client
//	proxy             spiffe://<trust domain>/proxy/*; 72 h; TLS client
//	enrolment         spiffe://<trust domain>/participant/<own id>/system/*; common name: own id; 30 days; TLS client
//	operator-<duty>   spiffe://<trust domain>/operator/<duty>/*; 7 days; TLS client
//	connector-…       spiffe://<trust domain>/participant/<provider>/connector/<product>; 72 h; TLS client
//
// The token needs to be a root token, or one that may mount and write policies.
func Provision(ctx context.Context, address, rootToken string, p Province) error {
	_, err := Bootstrap(ctx, address, rootToken, p, false)
	return err
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
	if roleID, err = v.roleID(ctx, v.mounts, role); err != nil {
		return "", "", err
	}
	secret, err := v.send(ctx, request{what: "make a secret id", method: http.MethodPost, path: secretIDPath(v.mounts, role), quiet: true})
	if err != nil {
		return "", "", err
	}
	if secret != nil {
		secretID, _ = secret.Data["secret_id"].(string)
	}
	if secretID == "" {
		return "", "", errAnswer("make a secret id", "no secret id")
	}
	return roleID, secretID, nil
}

func (c *conn) roleID(ctx context.Context, m Mounts, role string) (string, error) {
	s, err := c.send(ctx, request{what: "read a role id", method: http.MethodGet, path: "auth/" + m.AppRole + "/role/" + role + "/role-id"})
	if err != nil {
		return "", err
	}
	id, _ := s.Data["role_id"].(string)
	if id == "" {
		return "", errAnswer("read a role id", "no role id")
	}
	return id, nil
}
