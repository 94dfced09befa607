package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
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
}

// Authenticate checks the chain that a client presented, leaf first: issued by
// an authority of the province that its name claims, valid now, for client
// authentication, naming a participant's system. Every refusal has its own
// code.
func Authenticate(t *Trust, chain []*x509.Certificate, now time.Time) (Peer, error) {
	return authenticate(t, chain, spiffe.System, "a system of a participant", now)
}

// AuthenticateOperator checks the chain of an operator of a province, in the
// same way.
func AuthenticateOperator(t *Trust, region string, chain []*x509.Certificate, now time.Time) (Peer, error) {
	peer, err := authenticate(t, chain, spiffe.Operator, "an operator", now)
	if err == nil && peer.Name.Region != region {
		return Peer{}, problem.New(problem.CertificateName, "it names an operator of %s", peer.Name.Region)
	}
	return peer, err
}

func authenticate(t *Trust, chain []*x509.Certificate, role spiffe.Role, what string, now time.Time) (Peer, error) {
	const maxChain = 5
	if len(chain) == 0 {
		return Peer{}, problem.New(problem.CertificateMissing, "")
	}
	if len(chain) > maxChain {
		return Peer{}, problem.New(problem.CertificateUntrust, "a chain of %d certificates", len(chain))
	}
	leaf := chain[0]
	name, nameErr := spiffe.Of(leaf)
	issuer := issuerOf(t, chain, now)
	switch {
	case issuer == "":
		return Peer{}, problem.New(problem.CertificateUntrust, "")
	case now.After(leaf.NotAfter):
		return Peer{}, problem.New(problem.CertificateExpired, "it ended at %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore.Add(-clockSkew)):
		return Peer{}, problem.New(problem.CertificateEarly, "it begins at %s", leaf.NotBefore.UTC().Format(time.RFC3339))
	case nameErr != nil || name.Role != role:
		return Peer{}, problem.New(problem.CertificateName, "it does not name %s", what)
	case name.Region != issuer:
		return Peer{}, problem.New(problem.CertificateName, "an authority of %s cannot name anyone of %s", issuer, name.Region)
	}
	if _, err := leaf.Verify(options(t.Roots(issuer), chain, now, x509.ExtKeyUsageClientAuth)); err != nil {
		if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.IncompatibleUsage {
			return Peer{}, problem.New(problem.CertificateUse, "")
		}
		return Peer{}, problem.Wrap(problem.CertificateUntrust, err, "")
	}
	sum := sha256.Sum256(leaf.Raw)
	return Peer{Name: name, Thumbprint: base64.RawURLEncoding.EncodeToString(sum[:])}, nil
}

// issuerOf is the province whose authority issued the leaf, whatever the
// leaf's own times and uses; "" if none did.
func issuerOf(t *Trust, chain []*x509.Certificate, now time.Time) string {
	at := now
	if leaf := chain[0]; now.After(leaf.NotAfter) {
		at = leaf.NotAfter
	} else if now.Before(leaf.NotBefore) {
		at = leaf.NotBefore
	}
	for region, pool := range t.regions {
		if _, err := chain[0].Verify(options(pool, chain, at, x509.ExtKeyUsageAny)); err == nil {
			return region
		}
	}
	return ""
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
