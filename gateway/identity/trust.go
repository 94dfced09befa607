package identity

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Trust is the authorities whose certificates are believed, by province. An
// authority is believed only about names of its own province. It is immutable.
type Trust struct {
	regions map[string]*x509.CertPool
}

// NewTrust takes the roots of each province.
func NewTrust(roots map[string][]*x509.Certificate) *Trust {
	t := &Trust{regions: map[string]*x509.CertPool{}}
	for region, certs := range roots {
		pool := x509.NewCertPool()
		for _, c := range certs {
			pool.AddCert(c)
		}
		t.regions[region] = pool
	}
	return t
}

// With is the same trust with the roots of a province in place of those that it
// had.
func (t *Trust) With(region string, roots []*x509.Certificate) *Trust {
	out := NewTrust(map[string][]*x509.Certificate{region: roots})
	for other, pool := range t.regions {
		if other != region {
			out.regions[other] = pool
		}
	}
	return out
}

// Roots are the roots of a province; nil, which believes nobody, if there are
// none.
func (t *Trust) Roots(region string) *x509.CertPool { return t.regions[region] }

// Bundle is what one province tells the other of its authorities (互信清单).
type Bundle struct {
	Region   string    `json:"region"`
	Version  int64     `json:"version"` // of two bundles the higher counts
	IssuedAt time.Time `json:"issued_at"`
	NotAfter time.Time `json:"not_after"`
	Roots    [][]byte  `json:"roots"` // certificates, DER
}

// bundleType is the media type in a bundle's header.
const bundleType = "hub-trust-bundle+jws"

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
// time.
func OpenBundle(compact, region string, key ed25519.PublicKey, now time.Time) (*Bundle, error) {
	const maxBundle = 1 << 20
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
	if err := json.Unmarshal(payload, &b); err != nil {
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

// Certificates are the bundle's roots.
func (b *Bundle) Certificates() ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for i, der := range b.Roots {
		c, err := x509.ParseCertificate(der)
		if err != nil || !c.IsCA {
			return nil, problem.Wrap(problem.ConfigInvalid, err, "trust bundle of %s: certificate %d is not one of an authority", b.Region, i+1)
		}
		out = append(out, c)
	}
	return out, nil
}
