package bench

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// certificateLife is longer than any run, and short enough that a certificate
// that got out is of no use.
const certificateLife = 12 * time.Hour

// authority stands for a province's PKI in Vault: it issues certificates of
// the same shapes, for as long as the benchmark runs.
type authority struct {
	key  crypto.Signer
	root *x509.Certificate
}

// certified is a key with its certificates, leaf first.
type certified struct {
	key   crypto.Signer
	chain []*x509.Certificate
}

func newAuthority(name string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	a := &authority{key: key}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife), KeyUsage: x509.KeyUsageCertSign,
	}
	a.root, err = a.sign(template, template, key.Public())
	return a, err
}

func (a *authority) sign(template, parent *x509.Certificate, public any) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// issue certifies a new Ed25519 key, as Vault's roles do, for what the role of
// the name may do.
func (a *authority) issue(name spiffe.Name, now time.Time) (certified, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return certified{}, fmt.Errorf("key of %s: %w", name, err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return certified{}, fmt.Errorf("serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, BasicConstraintsValid: true, URIs: []*url.URL{name.URL()},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	switch name.Role {
	case spiffe.Gateway:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	case spiffe.System, spiffe.Connector:
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case spiffe.Signing, spiffe.Operator, spiffe.Proxy, spiffe.GatewayKafka, spiffe.Broker, spiffe.None: // not used here
	}
	leaf, err := a.sign(template, a.root, public)
	if err != nil {
		return certified{}, err
	}
	return certified{key: key, chain: []*x509.Certificate{leaf, a.root}}, nil
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	return pool
}

// tls is the certificate as crypto/tls takes it, without the root.
func (c certified) tls() *tls.Certificate {
	return &tls.Certificate{PrivateKey: c.key, Leaf: c.chain[0], Certificate: [][]byte{c.chain[0].Raw}}
}
