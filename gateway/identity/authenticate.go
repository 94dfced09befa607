package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// clockSkew is how far two machines' clocks may be apart.
const clockSkew = time.Minute

// Peer is whom a certificate names.
type Peer struct {
	Name       spiffe.Name
	Thumbprint string // x5t#S256 of RFC 8705: SHA-256 of the certificate, base64url
}

// Caller is a participant's system that this hub knows.
type Caller struct {
	Participant string
	Region      string
	Kind        string // of the participant, e.g. commerce
	System      string
	Thumbprint  string
	// Scope is the products that its token was narrowed to, parted by spaces;
	// "" is all that its agreements give.
	Scope string
}

// Status says what an authority says of a certificate that it issued; see
// revocation.Fetcher. It MUST answer from what it knows already. nil is good;
// problem.CertificateRevoked and problem.CertificateStatus are no.
type Status interface {
	Check(cert, issuer *x509.Certificate, now time.Time) error
}

// Authenticate checks the chain that a client presented, leaf first: issued by
// an authority of the province that its name claims, valid now, for client
// authentication, naming a participant's system that this authority may name,
// and not revoked. Every refusal has its own code.
func Authenticate(t *Trust, status Status, chain []*x509.Certificate, now time.Time) (Peer, error) {
	return authenticate(t, status, chain, spiffe.System, "a system of a participant", now)
}

// AuthenticateOperator checks the chain of an operator of a province, in the
// same way.
func AuthenticateOperator(t *Trust, status Status, region string, chain []*x509.Certificate, now time.Time) (Peer, error) {
	return ofRegion(region, "an operator", func() (Peer, error) {
		return authenticate(t, status, chain, spiffe.Operator, "an operator", now)
	})
}

func ofRegion(region, what string, authenticate func() (Peer, error)) (Peer, error) {
	peer, err := authenticate()
	if err == nil && peer.Name.Region != region {
		return Peer{}, problem.New(problem.CertificateName, "it names %s of %s", what, peer.Name.Region)
	}
	return peer, err
}

func authenticate(t *Trust, status Status, chain []*x509.Certificate, role spiffe.Role, what string, now time.Time) (Peer, error) {
	const maxChain = 5
	if len(chain) == 0 {
		return Peer{}, problem.New(problem.CertificateMissing, "")
	}
	if len(chain) > maxChain {
		return Peer{}, problem.New(problem.CertificateUntrust, "a chain of %d certificates", len(chain))
	}
	leaf := chain[0]
	by, ok := issuerOf(t, chain, now)
	switch {
	case !ok:
		return Peer{}, problem.New(problem.CertificateUntrust, "")
	case shortKey(leaf.PublicKey):
		return Peer{}, problem.New(problem.CertificateUntrust, "an RSA key needs at least %d bits", minRSA)
	case now.After(leaf.NotAfter):
		return Peer{}, problem.New(problem.CertificateExpired, "it ended at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore.Add(-clockSkew)):
		return Peer{}, problem.New(problem.CertificateEarly, "it begins at %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	name, err := by.name(leaf, role, what)
	if err != nil {
		return Peer{}, err
	}
	chains, err := leaf.Verify(options(by.pool(), chain, now, x509.ExtKeyUsageClientAuth))
	if err != nil {
		if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.IncompatibleUsage {
			return Peer{}, problem.New(problem.CertificateUse, "")
		}
		return Peer{}, problem.Wrap(problem.CertificateUntrust, err, "")
	}
	if err := by.standing(status, chains[0], now); err != nil {
		return Peer{}, err
	}
	return Peer{Name: name, Thumbprint: Thumbprint(leaf)}, nil
}

// Thumbprint is x5t#S256 of RFC 8705: SHA-256 of a certificate, base64url.
func Thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// issuer is who issued a leaf: the roots of a province, or an authority that
// it lists.
type issuer struct {
	region   string
	province *province
	external *External // nil: its own roots
}

func (by *issuer) pool() *x509.CertPool {
	if by.external != nil {
		return poolOf(by.external.Certificate)
	}
	return by.province.pool
}

// name is whom the leaf names, if this issuer may name it.
func (by *issuer) name(leaf *x509.Certificate, role spiffe.Role, what string) (spiffe.Name, error) {
	if by.external != nil {
		return by.foreignName(leaf, role, what)
	}
	name, err := spiffe.Of(leaf)
	switch {
	case err != nil || name.Role != role:
		return spiffe.Name{}, problem.New(problem.CertificateName, "it does not name %s", what)
	case name.Region != by.region:
		return spiffe.Name{}, problem.New(problem.CertificateName, "an authority of %s cannot name anyone of %s", by.region, name.Region)
	case name.Participant != "" && !by.province.mayName(name.Participant):
		return spiffe.Name{}, problem.New(problem.CertificateName, "the trust bundle of %s does not let its authorities name %s", by.region, name.Participant)
	}
	return name, nil
}

// foreignName is the system that the exact subject is listed for. A foreign
// authority names nobody by an id of ours.
func (by *issuer) foreignName(leaf *x509.Certificate, role spiffe.Role, what string) (spiffe.Name, error) {
	subject := DistinguishedName(leaf)
	for _, s := range by.external.Subjects {
		if s.Name == subject && role == spiffe.System && len(leaf.URIs) == 0 {
			return spiffe.Name{Region: by.region, Role: spiffe.System, Participant: s.Participant, System: s.System}, nil
		}
	}
	return spiffe.Name{}, problem.New(problem.CertificateName, "this authority of %s is not listed as naming %s by this subject", by.region, what)
}

// standing is what the issuers say of the certificates of a verified chain. An
// issuer that publishes nothing where something is due is no reason to believe
// (invariant 3): where a province publishes what its roots revoked, a leaf under
// an intermediate is good only if the bundle lists the intermediate itself.
func (by *issuer) standing(status Status, chain []*x509.Certificate, now time.Time) error {
	switch {
	case by.external == nil && by.province.Status.none():
		return nil
	case by.external != nil && len(chain) != 2:
		return problem.New(problem.CertificateUntrust, "the listed authority did not issue it itself")
	case status == nil:
		return problem.New(problem.CertificateStatus, "")
	}
	for i := range chain[:len(chain)-1] {
		if err := status.Check(chain[i], chain[i+1], now); err != nil {
			return err
		}
	}
	return nil
}

// issuerOf is who issued the leaf, whatever the leaf's own times and uses.
func issuerOf(t *Trust, chain []*x509.Certificate, now time.Time) (issuer, bool) {
	at := now
	if leaf := chain[0]; now.After(leaf.NotAfter) {
		at = leaf.NotAfter
	} else if now.Before(leaf.NotBefore) {
		at = leaf.NotBefore
	}
	for _, region := range slices.Sorted(maps.Keys(t.regions)) {
		for _, by := range t.regions[region].issuers(region, chain[0]) {
			if _, err := chain[0].Verify(options(by.pool(), chain, at, x509.ExtKeyUsageAny)); err == nil {
				return by, true
			}
		}
	}
	return issuer{}, false
}

// issuers are those of a province that a leaf may be of.
func (p *province) issuers(region string, leaf *x509.Certificate) []issuer {
	out := []issuer{{region: region, province: p}}
	for _, e := range p.external(leaf) {
		out = append(out, issuer{region: region, province: p, external: e})
	}
	return out
}

func options(roots *x509.CertPool, chain []*x509.Certificate, at time.Time, use x509.ExtKeyUsage) x509.VerifyOptions {
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	if at.Before(chain[0].NotBefore) { // within the skew that was allowed
		at = chain[0].NotBefore
	}
	return x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{use}}
}

// Admit finds the peer's participant in the catalogue.
func Admit(p Peer, c *catalogue.Catalogue, now time.Time) (Caller, error) {
	participant, ok := c.Participant(p.Name.Participant)
	switch {
	case !ok:
		return Caller{}, problem.New(problem.CallerUnknown, "participant %s of %s", p.Name.Participant, p.Name.Region)
	case participant.Region != p.Name.Region:
		return Caller{}, problem.New(problem.CallerUnknown, "participant %s is of %s, the certificate says %s", participant.ID, participant.Region, p.Name.Region)
	case !participant.ValidAt(now):
		return Caller{}, problem.New(problem.CallerUnknown, "participant %s is not admitted at this time", participant.ID)
	}
	return Caller{
		Participant: participant.ID, Region: participant.Region, Kind: participant.Kind,
		System: p.Name.System, Thumbprint: p.Thumbprint,
	}, nil
}
