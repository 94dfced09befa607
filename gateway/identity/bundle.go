package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Bundle is what a province says of its authorities (互信清单): to the other
// province, and, of authorities outside of the exchange and of clients' keys,
// to its own gateways.
type Bundle struct {
	Region   string    `json:"region"`
	Version  int64     `json:"version"` // of two bundles the higher counts
	IssuedAt time.Time `json:"issued_at"`
	NotAfter time.Time `json:"not_after"`
	Roots    [][]byte  `json:"roots"` // certificates, DER
	// Names are the participants that the roots may name; see Authorities.
	Names    []string         `json:"names"`
	Status   Sources          `json:"status,omitzero"`
	External []BundleExternal `json:"external,omitempty"`
	Clients  []Client         `json:"clients,omitempty"`
}

// BundleExternal is an External on its way.
type BundleExternal struct {
	Certificate []byte    `json:"certificate"` // DER
	Status      Sources   `json:"status"`
	Subjects    []Subject `json:"subjects"`
}

// bundleType is the media type in a bundle's header.
const bundleType = "hub-trust-bundle+jws"

// What a bundle may hold at most.
const (
	maxBundle   = 1 << 20
	maxListed   = 1000 // of names, of subjects, of clients
	maxRoots    = 16
	maxExternal = 32
	maxURLs     = 4
	maxKeys     = 8
)

// Sign writes the bundle as a JWS. sign is an Ed25519 signature over its
// argument: the province's long-lived key in Vault's Transit.
func (b *Bundle) Sign(sign func(data []byte) ([]byte, error)) (string, error) {
	payload, err := json.Marshal(b)
	if err != nil {
		return "", err
	}
	header := fmt.Sprintf(`{"alg":"EdDSA","typ":%q}`, bundleType)
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := sign([]byte(input))
	if err != nil {
		return "", fmt.Errorf("sign the trust bundle of %s: %w", b.Region, err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// OpenBundle reads a bundle and checks it against the key that the operators
// of the two provinces exchanged by hand, the province it must be of, and the
// time. A bundle with a member that is not known may mean more than is
// understood here, and is refused.
func OpenBundle(compact, region string, key ed25519.PublicKey, now time.Time) (*Bundle, error) {
	refuse := func(format string, args ...any) (*Bundle, error) {
		return nil, problem.New(problem.ConfigInvalid, "trust bundle of %s: %s", region, fmt.Sprintf(format, args...))
	}
	if len(compact) > maxBundle {
		return refuse("larger than %d bytes", maxBundle)
	}
	object, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(object.Signatures) != 1 || object.Signatures[0].Protected.ExtraHeaders[jose.HeaderType] != bundleType {
		return refuse("it is not one")
	}
	payload, err := object.Verify(key)
	if err != nil {
		return refuse("its signature is not by the key that was agreed")
	}
	var b Bundle
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil || d.More() {
		return refuse("it cannot be read")
	}
	switch {
	case b.Region != region:
		return refuse("it is of %s", b.Region)
	case now.After(b.NotAfter):
		return refuse("it ended at %s", b.NotAfter.Format(time.RFC3339))
	case now.Before(b.IssuedAt.Add(-clockSkew)):
		return refuse("it begins at %s", b.IssuedAt.Format(time.RFC3339))
	case len(b.Roots) == 0:
		return refuse("it holds no certificate")
	}
	return &b, nil
}

// Authorities are what the bundle says, checked.
func (b *Bundle) Authorities() (Authorities, error) {
	refuse := func(format string, args ...any) (Authorities, error) {
		return Authorities{}, problem.New(problem.ConfigInvalid, "trust bundle of %s: %s", b.Region, fmt.Sprintf(format, args...))
	}
	out := Authorities{Names: b.Names, Status: b.Status, Clients: b.Clients}
	if len(b.Roots) > maxRoots || len(b.External) > maxExternal || len(b.Names) > maxListed || len(b.Clients) > maxListed {
		return refuse("it lists more than %d roots, %d external authorities, %d names or clients", maxRoots, maxExternal, maxListed)
	}
	var err error
	if out.Roots, err = b.roots(); err != nil {
		return refuse("%v", err)
	}
	if err := b.Status.check(); err != nil {
		return refuse("status: %v", err)
	}
	for i := range b.External {
		e, err := b.External[i].open()
		if err != nil {
			return refuse("external authority %d: %v", i+1, err)
		}
		out.External = append(out.External, e)
	}
	for i := range b.Clients {
		if err := b.Clients[i].check(); err != nil {
			return refuse("client %d: %v", i+1, err)
		}
	}
	return out, nil
}

// roots are the province's own, whom the names fit.
func (b *Bundle) roots() ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for i, der := range b.Roots {
		c, err := authority(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d is not one of an authority", i+1)
		}
		out = append(out, c)
	}
	for i, n := range b.Names {
		if !namePattern.MatchString(n) {
			return nil, fmt.Errorf("name %d is not the id of a participant, or a beginning of at least two characters and a star", i+1)
		}
	}
	return out, nil
}

var (
	namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{1,63}\*?$`)
	idPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
)

func authority(der []byte) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil || !c.IsCA {
		return nil, fmt.Errorf("not a certificate of an authority: %w", err)
	}
	return c, nil
}

func (e *BundleExternal) open() (External, error) {
	c, err := authority(e.Certificate)
	switch {
	case err != nil:
		return External{}, err
	case e.Status.none():
		return External{}, fmt.Errorf("%s names no CRL and no OCSP", c.Subject)
	case len(e.Subjects) == 0 || len(e.Subjects) > maxListed:
		return External{}, fmt.Errorf("%s may name %d subjects: list 1 to %d", c.Subject, len(e.Subjects), maxListed)
	}
	seen := map[string]bool{}
	for _, s := range e.Subjects {
		if s.Name == "" || seen[s.Name] || !idPattern.MatchString(s.Participant) || !idPattern.MatchString(s.System) {
			return External{}, fmt.Errorf("%s: subject %q of participant %q, system %q: each needs all three, and stands once", c.Subject, s.Name, s.Participant, s.System)
		}
		seen[s.Name] = true
	}
	return External{c, e.Status, e.Subjects}, e.Status.check()
}

func (s Sources) check() error {
	if len(s.CRL) > maxURLs || len(s.OCSP) > maxURLs {
		return fmt.Errorf("at most %d URLs each", maxURLs)
	}
	for _, list := range [][]string{s.CRL, s.OCSP} {
		for _, text := range list {
			u, err := url.Parse(text)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
				return fmt.Errorf("%q is not a URL of http or https without a password", text)
			}
		}
	}
	return nil
}

func (c *Client) check() error {
	if !idPattern.MatchString(c.Participant) || !idPattern.MatchString(c.System) || len(c.Keys.Keys) == 0 || len(c.Keys.Keys) > maxKeys {
		return fmt.Errorf("participant %q, system %q with %d keys: 1 to %d", c.Participant, c.System, len(c.Keys.Keys), maxKeys)
	}
	for i := range c.Keys.Keys {
		k := &c.Keys.Keys[i]
		if !k.IsPublic() || !k.Valid() || k.KeyID == "" || shortKey(k.Key) {
			return fmt.Errorf("key %d is not a public key with an id, of Ed25519, P-256, or RSA with at least %d bits", i+1, minRSA)
		}
	}
	return nil
}

// minRSA is the least that NIST SP 800-57 and GB/T 39786 still take for RSA.
const minRSA = 2048

func shortKey(public any) bool {
	k, ok := public.(*rsa.PublicKey)
	return ok && k.N.BitLen() < minRSA
}
