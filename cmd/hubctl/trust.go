package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
)

type trustCommand struct {
	Sign trustSignCommand `cmd:"" help:"Write and sign the province's trust bundle: for the other province, and for one's own gateways. Adopt it with hubctl control order trust_bundle_adopt."`
	Name trustNameCommand `cmd:"" help:"Print the distinguished name of a certificate as a bundle lists it."`
}

// trustFile says what a bundle holds beside the province's own roots, which
// come from its Vault. Paths are relative to the file.
type trustFile struct {
	Names    []string       `yaml:"names"`             // participants that the province's roots may name: ids, or a beginning and a star
	Days     int            `yaml:"days"`              // how long the bundle is good, at most 366
	Status   trustStatus    `yaml:"status"`            // where the province's roots say what they revoked
	External []trustForeign `yaml:"external,optional"` // authorities outside of the exchange
	Clients  []trustClient  `yaml:"clients,optional"`  // keys registered for private_key_jwt
}

type trustStatus struct {
	CRL  []string `yaml:"crl,optional"`
	OCSP []string `yaml:"ocsp,optional"`
}

type trustForeign struct {
	Certificate string         `yaml:"certificate"` // PEM of the authority that issues the leaves itself
	Status      trustStatus    `yaml:"status"`
	Subjects    []trustSubject `yaml:"subjects"`
}

// trustSubject is a certificate's distinguished name and whom it stands for;
// `hubctl trust name` prints the name.
type trustSubject struct {
	Name        string `yaml:"name"`
	Participant string `yaml:"participant"`
	System      string `yaml:"system"`
}

type trustClient struct {
	Participant string `yaml:"participant"`
	System      string `yaml:"system"`
	Keys        string `yaml:"jwks"` // file with a JWK set of public keys
}

const maxTrustDays = 366

// bundle reads what is named and checks all of it as a gateway will.
func (f *trustFile) bundle(dir, region string, roots []*x509.Certificate, version int64, now time.Time) (*identity.Bundle, error) {
	if f.Days < 1 || f.Days > maxTrustDays {
		return nil, problem.New(problem.ConfigInvalid, "days: %d, a bundle is good for 1 to %d days", f.Days, maxTrustDays)
	}
	b := &identity.Bundle{
		Region: region, Version: version, IssuedAt: now.UTC(), NotAfter: now.AddDate(0, 0, f.Days).UTC(), Names: f.Names, Status: identity.Sources(f.Status),
	}
	for _, c := range roots {
		b.Roots = append(b.Roots, c.Raw)
	}
	for _, e := range f.External {
		cert, err := readCertificate(beside(dir, e.Certificate))
		if err != nil {
			return nil, err
		}
		out := identity.BundleExternal{Certificate: cert.Raw, Status: identity.Sources(e.Status)}
		for _, s := range e.Subjects {
			out.Subjects = append(out.Subjects, identity.Subject(s))
		}
		b.External = append(b.External, out)
	}
	for _, c := range f.Clients {
		text, err := os.ReadFile(beside(dir, c.Keys))
		if err != nil {
			return nil, problem.Wrap(problem.ConfigInvalid, err, "jwks of %s: %v", c.Participant, err)
		}
		out := identity.Client{Participant: c.Participant, System: c.System}
		if err := json.Unmarshal(text, &out.Keys); err != nil {
			return nil, problem.New(problem.ConfigInvalid, "jwks of %s: %s is no JWK set", c.Participant, c.Keys)
		}
		b.Clients = append(b.Clients, out)
	}
	_, err := b.Authorities()
	return b, err
}

func beside(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func readCertificate(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "%v", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, problem.New(problem.ConfigInvalid, "%s holds no PEM certificate", file)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "%s: %v", file, err)
	}
	return c, nil
}

type trustSignCommand struct {
	vaultLogin
	File    string `arg:"" help:"What it holds (YAML): names, days, status, external, clients."`
	Version int64  `help:"Of two bundles the higher counts. Default: the time."`
	Out     string `short:"o" required:"" placeholder:"FILE" help:"Write the signed bundle here."`
}

// Run takes the roots from Vault and has it sign.
func (cmd *trustSignCommand) Run(s *streams) error {
	text, err := os.ReadFile(cmd.File)
	if err != nil {
		return problem.Wrap(problem.ConfigInvalid, err, "%v", err)
	}
	var f trustFile
	if _, faults := yamlfile.Decode(cmd.File, text, &f); faults.Err() != nil {
		return problem.New(problem.ConfigInvalid, "\n%v", faults.Err())
	}
	c, _, err := cmd.open(s.ctx, vault.RoleOperator)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	roots, err := c.Authorities(s.ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	if cmd.Version == 0 {
		cmd.Version = now.Unix()
	}
	b, err := f.bundle(filepath.Dir(cmd.File), cmd.Region, roots, cmd.Version, now)
	if err != nil {
		return err
	}
	signed, err := b.Sign(func(data []byte) ([]byte, error) { return c.Sign(s.ctx, vault.KeyTrustBundle, data) })
	if err != nil {
		return err
	}
	if err := writeFile(cmd.Out, []byte(signed+"\n")); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s: trust bundle of %s, version %d, until %s: %d roots, %d external authorities, %d registered clients\n",
		cmd.Out, b.Region, b.Version, shownTime(b.NotAfter), len(b.Roots), len(b.External), len(b.Clients))
	return err
}

type trustNameCommand struct {
	File string `arg:"" help:"A certificate (PEM)."`
}

// Run prints what a bundle lists.
func (cmd *trustNameCommand) Run(s *streams) error {
	c, err := readCertificate(cmd.File)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, identity.DistinguishedName(c))
	return err
}
