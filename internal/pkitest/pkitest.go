package pkitest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// Authority issues certificates.
type Authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	Root *x509.Certificate
}

// Issued is a key and its certificate chain, leaf first.
type Issued struct {
	Key   crypto.Signer
	Chain []*x509.Certificate
}

// New makes an authority with a self-signed root that is valid from 2000 to
// 2100.
func New(t testing.TB, name string) *Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	a := &Authority{t: t, key: key}
	a.Root = a.create(template, template, key.Public())
	return a
}

func (a *Authority) create(template, parent *x509.Certificate, public any) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// Intermediate makes an authority below this one. Its Root is its certificate,
// which this one issued.
func (a *Authority) Intermediate(name string) *Authority {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := *a.Root
	template.SerialNumber, template.Subject = big.NewInt(2), pkix.Name{CommonName: name}
	return &Authority{t: a.t, key: key, Root: a.create(&template, a.Root, key.Public())}
}

// Pool holds the root.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Root)
	return pool
}

// Change alters a certificate before it is signed.
type Change func(*x509.Certificate)

// Valid sets the times of a certificate.
func Valid(from, to time.Time) Change {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, to }
}

// Issue makes an Ed25519 key and a certificate for a name, of the shape that
// the role asks for: client use for a participant, server use for a gateway,
// both for a broker, signatures only for signing. It is valid from an hour ago to an hour ahead.
func (a *Authority) Issue(name spiffe.Name, changes ...Change) Issued {
	a.t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name.Region}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, URIs: []*url.URL{name.URL()},
	}
	switch name.Role {
	case spiffe.Gateway:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
		template.DNSNames = []string{"localhost"}
	case spiffe.Broker:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	case spiffe.System, spiffe.Connector, spiffe.Operator, spiffe.Proxy, spiffe.GatewayKafka:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case spiffe.Signing, spiffe.None:
	}
	for _, change := range changes {
		change(template)
	}
	leaf := a.create(template, a.Root, key.Public())
	return Issued{Key: key, Chain: []*x509.Certificate{leaf, a.Root}}
}

// Revoked is the authority's CRL, which holds from an hour ago to until.
func (a *Authority) Revoked(until time.Time, certs ...*x509.Certificate) []byte {
	a.t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: until}
	for _, c := range certs {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: c.SerialNumber, RevocationTime: time.Now().Add(-time.Minute),
		})
	}
	crl, err := x509.CreateRevocationList(rand.Reader, template, a.Root, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return crl
}

// Certify makes a certificate as Issue does, for a key that exists already.
func (a *Authority) Certify(public any, change Change) *x509.Certificate {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	change(template)
	return a.create(template, a.Root, public)
}

// TLS is the certificate as crypto/tls takes it.
func (i Issued) TLS() tls.Certificate {
	c := tls.Certificate{PrivateKey: i.Key, Leaf: i.Chain[0]}
	for _, cert := range i.Chain {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	return c
}
