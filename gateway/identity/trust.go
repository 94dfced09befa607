package identity

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"maps"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Authorities are whom a province says to believe about its own participants.
// The zero value believes nobody about anybody.
type Authorities struct {
	// Roots are the province's own, whose certificates carry a SPIFFE id.
	Roots []*x509.Certificate
	// Names are the participants that the roots may name: an id, or the
	// beginning of ids and a star ("sc-*").
	Names []string
	// Status is where the roots publish what they revoked, each its own list
	// under one of the URLs. None: only the control log says. An authority
	// between a root and its leaves is asked only if it stands in Roots too.
	Status Sources
	// External are authorities outside of the exchange that it lists.
	External []External
	// Clients are keys with which systems may sign assertions (RFC 7523),
	// beside those of their certificates.
	Clients []Client
}

// External is an authority outside of the exchange, such as a national CA. It
// is believed only about the subjects that are listed, and only while it says
// that their certificates are not revoked.
type External struct {
	// Certificate is the issuing authority's: it signed the leaf itself.
	Certificate *x509.Certificate
	Status      Sources // at least one
	Subjects    []Subject
}

// Subject says which system a foreign certificate stands for.
type Subject struct {
	// Name is the exact distinguished name of the certificate, last part first
	// (RFC 2253), as [DistinguishedName] writes it.
	Name        string `json:"name"`
	Participant string `json:"participant"`
	System      string `json:"system"`
}

// Sources are the URLs at which an authority says what it revoked. One of them
// that answers is enough; of several CRLs the newest holds.
type Sources struct {
	CRL  []string `json:"crl,omitempty"`
	OCSP []string `json:"ocsp,omitempty"`
}

func (s Sources) none() bool { return len(s.CRL) == 0 && len(s.OCSP) == 0 }

// Client is the registered keys of a participant's system.
type Client struct {
	Participant string             `json:"participant"`
	System      string             `json:"system"`
	Keys        jose.JSONWebKeySet `json:"jwks"`
}

// Trust is the authorities that are believed, by province. An authority is
// believed only about names of its own province. It is immutable; the zero
// value trusts nobody.
type Trust struct {
	regions map[string]*province
}

type province struct {
	Authorities
	pool *x509.CertPool
}

// NewTrust takes the authorities of each province.
func NewTrust(regions map[string]Authorities) *Trust {
	t := &Trust{regions: map[string]*province{}}
	for region, a := range regions {
		t.regions[region] = &province{a, poolOf(a.Roots...)}
	}
	return t
}

func poolOf(certs ...*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}

// With is the same trust with the authorities of a province in place of those
// that it had.
func (t *Trust) With(region string, a Authorities) *Trust {
	out := &Trust{regions: maps.Clone(t.regions)}
	if out.regions == nil {
		out.regions = map[string]*province{}
	}
	out.regions[region] = &province{a, poolOf(a.Roots...)}
	return out
}

// Extended is the same trust with the external authorities and clients of a
// province beside its own roots, which stay as they are.
func (t *Trust) Extended(region string, a Authorities) *Trust {
	own := Authorities{}
	if p := t.regions[region]; p != nil {
		own = p.Authorities
	}
	own.External, own.Clients = a.External, a.Clients
	return t.With(region, own)
}

// Naming is the same trust with the roots of a province believed about
// participants more.
func (t *Trust) Naming(region string, participants ...string) *Trust {
	p := t.regions[region]
	if p == nil || len(participants) == 0 {
		return t
	}
	own := p.Authorities
	own.Names = slices.Concat(own.Names, participants)
	return t.With(region, own)
}

// Roots are the roots of a province; nil, which believes nobody, if there are
// none.
func (t *Trust) Roots(region string) *x509.CertPool {
	if p := t.regions[region]; p != nil {
		return p.pool
	}
	return nil
}

// Source is an authority that is asked what it revoked.
type Source struct {
	Issuer *x509.Certificate
	Sources
}

// Sources are all authorities that must be asked, in a fixed order.
func (t *Trust) Sources() []Source {
	var out []Source
	for _, region := range slices.Sorted(maps.Keys(t.regions)) {
		p := t.regions[region]
		for _, root := range p.Roots {
			if !p.Status.none() {
				out = append(out, Source{root, p.Status})
			}
		}
		for i := range p.External {
			out = append(out, Source{p.External[i].Certificate, p.External[i].Status})
		}
	}
	return out
}

// keys are those that a system registered.
func (t *Trust) keys(c *Caller) []jose.JSONWebKey {
	var out []jose.JSONWebKey
	if p := t.regions[c.Region]; p != nil {
		for i := range p.Clients {
			if k := &p.Clients[i]; k.Participant == c.Participant && k.System == c.System {
				out = append(out, k.Keys.Keys...)
			}
		}
	}
	return out
}

// mayName says whether the roots may name a participant.
func (p *province) mayName(participant string) bool {
	return slices.ContainsFunc(p.Names, func(n string) bool {
		beginning, open := strings.CutSuffix(n, "*")
		return n == participant || open && beginning != "" && strings.HasPrefix(participant, beginning)
	})
}

// external are the listed authorities of the name that a certificate says
// issued it: several while an authority takes a new key. The signature tells
// which of them it was.
func (p *province) external(leaf *x509.Certificate) []*External {
	var out []*External
	for i := range p.External {
		if bytes.Equal(p.External[i].Certificate.RawSubject, leaf.RawIssuer) {
			out = append(out, &p.External[i])
		}
	}
	return out
}

// DistinguishedName writes the subject of a certificate in one way only: every
// part, in its order, the last first. "" if it cannot be read.
func DistinguishedName(c *x509.Certificate) string {
	var rdn pkix.RDNSequence
	if rest, err := asn1.Unmarshal(c.RawSubject, &rdn); err != nil || len(rest) > 0 {
		return ""
	}
	return rdn.String()
}
