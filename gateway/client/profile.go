package client

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
)

// Profile is who a participant is and where the gateways are: what an operator
// hands to an integrator. Paths are relative to the profile's own directory.
type Profile struct {
	Participant string           `yaml:"participant"`
	Region      string           `yaml:"region"`      // the participant's own
	Certificate string           `yaml:"certificate"` // PEM, leaf first
	Key         string           `yaml:"key"`         // PEM, PKCS #8
	Gateways    []ProfileGateway `yaml:"gateways"`
	Vault       *ProfileVault    `yaml:"vault,optional"` // where the certificate is renewed
}

// ProfileVault is the Vault or OpenBao of the participant's province.
type ProfileVault struct {
	Address string `yaml:"address"`
	Roots   string `yaml:"roots,optional"` // PEM; default: the system's authorities
}

// ProfileGateway is one province's gateway.
type ProfileGateway struct {
	Region string `yaml:"region"`
	URL    string `yaml:"url"`
	Roots  string `yaml:"roots"` // PEM: the province's authorities
}

// LoadProfile reads a profile. Every fault is reported, with its line.
func LoadProfile(path string) (*Profile, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "profile: %v", err)
	}
	var p Profile
	if _, faults := yamlfile.Decode(path, text, &p); faults.Err() != nil {
		return nil, problem.New(problem.ConfigInvalid, "\n%v", faults.Err())
	}
	dir := filepath.Dir(path)
	files := []*string{&p.Certificate, &p.Key}
	for i := range p.Gateways {
		files = append(files, &p.Gateways[i].Roots)
	}
	if p.Vault != nil && p.Vault.Roots != "" {
		files = append(files, &p.Vault.Roots)
	}
	for _, f := range files {
		if !filepath.IsAbs(*f) {
			*f = filepath.Join(dir, *f)
		}
	}
	return &p, nil
}

// Roots are the authorities of a province, for receipts.
func (p *Profile) Roots(region string) (*x509.CertPool, error) {
	for _, g := range p.Gateways {
		if g.Region == region {
			return ReadRoots(g.Roots)
		}
	}
	return nil, problem.New(problem.ConfigInvalid, "the profile of %s has no gateway of region %s", p.Participant, region)
}

// ReadRoots reads a file of PEM certificates.
func ReadRoots(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path) //nolint:gosec // the profile or the user names the file
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "roots: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, problem.New(problem.ConfigInvalid, "%s holds no certificate", path)
	}
	return pool, nil
}

// Client returns a client of a province's gateway. The certificate is read
// anew for each connection, so that a renewed one needs no restart.
func (p *Profile) Client(region string, now func() time.Time) (*Client, error) {
	roots, err := p.Roots(region)
	if err != nil {
		return nil, err
	}
	if _, err := tls.LoadX509KeyPair(p.Certificate, p.Key); err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "certificate of %s: %v", p.Participant, err)
	}
	for _, g := range p.Gateways {
		if g.Region == region {
			return New(Config{
				URL: g.URL, Region: region, Participant: p.Participant, Roots: roots, Now: now,
				Certificate: func() *tls.Certificate {
					c, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
					if err != nil {
						return nil
					}
					return &c
				},
			})
		}
	}
	return nil, problem.New(problem.ConfigInvalid, "the profile of %s has no gateway of region %s", p.Participant, region)
}
