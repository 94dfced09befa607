package main

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

type participantCommand struct {
	Admit   participantAdmitCommand   `cmd:"" help:"Operator: make the package that a participant's integrator needs, with a one-time token."`
	Enrol   participantEnrolCommand   `cmd:"" help:"Integrator: use the package: make a key here, have it certified, write the profile."`
	Renew   participantRenewCommand   `cmd:"" help:"Integrator: a new key and certificate, by the one that has not ended yet."`
	Suspend participantSuspendCommand `cmd:"" help:"Operator (security): the participant is refused from the next request on."`
	Remove  participantRemoveCommand  `cmd:"" help:"Operator (administration): the participant is refused for good."`
}

// admission is the package: everything but a key, which the integrator makes.
// The token in it opens once.
type admission struct {
	Participant string             `json:"participant"`
	Region      string             `json:"region"`
	Gateways    []admissionGateway `json:"gateways"`
	Vault       admissionVault     `json:"vault"`
	Token       string             `json:"token"`    // wrapping token of vault.Client.Admit
	Accessor    string             `json:"accessor"` // to revoke it by
	Expires     time.Time          `json:"expires"`
	// Of a provider: what the connectors of its products need beside.
	Connectors []admissionConnector `json:"connectors,omitempty"`
	Brokers    []string             `json:"kafka,omitempty"`
}

type admissionGateway struct {
	Region string `json:"region"`
	URL    string `json:"url"`
	Roots  string `json:"roots"` // PEM
}

type admissionVault struct {
	Address string   `json:"address"`
	Standby []string `json:"standby,omitempty"` // other nodes
	Roots   string   `json:"roots,omitempty"`   // PEM; "": the system's
}

type participantAdmitCommand struct {
	vaultLogin
	Participant string        `arg:"" help:"Its id in the catalogue, or in the entry of --document."`
	Document    string        `placeholder:"FILE" help:"The entry with which it was admitted by order (hubctl control order participant_admit), if this build's catalogue does not have it."`
	Like        string        `placeholder:"FILE" help:"A profile that names the gateways. Default: one of the demo's."`
	Kafka       []string      `placeholder:"HOST:PORT" help:"A broker of the province's Kafka: then the package of a provider also holds what the connectors of its products need. Repeatable."`
	Life        time.Duration `default:"72h" help:"How long the integrator has, at most 72h (${default})."`
}

// Run prints the package.
func (cmd *participantAdmitCommand) Run(s *streams) error {
	cat, err := cmd.known()
	if err != nil {
		return err
	}
	a := admission{Participant: cmd.Participant, Region: cmd.Region, Brokers: cmd.Kafka}
	if a.Gateways, err = cmd.gateways(); err != nil {
		return err
	}
	c, login, err := cmd.open(s.ctx, vault.RoleOperator)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	a.Vault.Address, a.Vault.Standby = login.Address, login.Standby
	if login.CAFile != "" {
		roots, err := os.ReadFile(login.CAFile)
		if err != nil {
			return problem.Wrap(problem.ConfigInvalid, err, "%v", err)
		}
		a.Vault.Roots = string(roots)
	}
	w, err := c.Admit(s.ctx, cmd.Participant, cmd.Life)
	if err != nil {
		return err
	}
	a.Token, a.Accessor, a.Expires = w.Token, w.Accessor, w.Expires
	switch products := provided(cat, cmd.Participant, cmd.Region); {
	case len(cmd.Kafka) > 0:
		if err := a.connectors(s.ctx, c, products, cmd.Life); err != nil {
			return err
		}
	case len(products) > 0:
		s.say("%s provides %s: with --kafka HOST:PORT the package holds what their connectors need too", cmd.Participant, strings.Join(products, ", "))
	}
	s.say("hand this to %s; it opens once, before %s: hubctl participant enrol FILE", cmd.Participant, shownTime(w.Expires))
	out := json.NewEncoder(s.out)
	out.SetIndent("", "  ")
	return out.Encode(a)
}

// known refuses a misspelt participant: its certificate would be good for
// nothing. The gateway is who says whether the order of --document stands.
func (cmd *participantAdmitCommand) known() (*catalogue.Catalogue, error) {
	cat, err := shippedCatalogue()
	if err != nil {
		return nil, err
	}
	where, hint := "the catalogue", "; one that was admitted by order needs --document"
	if cmd.Document != "" {
		entry, err := os.ReadFile(cmd.Document)
		if err != nil {
			return nil, problem.Wrap(problem.ConfigInvalid, err, "--document: %v", err)
		}
		if cat, err = cat.With(cmd.Document, entry); err != nil {
			return nil, err
		}
		where, hint = cmd.Document, ""
	}
	if p, ok := cat.Participant(cmd.Participant); !ok || p.Region != cmd.Region {
		return nil, problem.New(problem.ConfigInvalid, "%s has no participant %s of %s%s", where, cmd.Participant, cmd.Region, hint)
	}
	return cat, nil
}

func (cmd *participantAdmitCommand) gateways() ([]admissionGateway, error) {
	file := cmd.Like
	if file == "" {
		found, _ := filepath.Glob(filepath.Join(cmd.Data, cmd.Region, "participants", "*", "profile.yaml")) // the pattern is good
		if len(found) == 0 {
			return nil, problem.New(problem.ConfigInvalid, "no gateways are known: name a profile that has them with --like")
		}
		file = found[0]
	}
	p, err := client.LoadProfile(file)
	if err != nil {
		return nil, err
	}
	var out []admissionGateway
	for _, g := range p.Gateways {
		roots, err := os.ReadFile(g.Roots)
		if err != nil {
			return nil, problem.Wrap(problem.ConfigInvalid, err, "%v", err)
		}
		out = append(out, admissionGateway{Region: g.Region, URL: g.URL, Roots: string(roots)})
	}
	return out, nil
}

type participantEnrolCommand struct {
	Package string `arg:"" help:"The file that the operator handed over."`
	Dir     string `default:"." help:"Where the profile goes, for its owner alone (${default})."`
	System  string `default:"exchange" help:"Name of the system that will use it (${default})."`
}

// The files of a profile. Key and certificate lie in one file, so that a
// renewal replaces both in one step.
const (
	identityFile   = "identity.pem"
	profileFile    = "profile.yaml"
	vaultRootsFile = "vault-roots.pem"
)

// Run makes the key, which leaves this machine in no form, and the profile.
func (cmd *participantEnrolCommand) Run(s *streams) error {
	text, err := os.ReadFile(cmd.Package)
	if err != nil {
		return problem.Wrap(problem.ConfigInvalid, err, "package: %v", err)
	}
	var a admission
	if err := json.Unmarshal(text, &a); err != nil || a.Token == "" {
		return problem.New(problem.ConfigInvalid, "%s is not a package of `hubctl participant admit`", cmd.Package)
	}
	if _, err := os.Stat(filepath.Join(cmd.Dir, identityFile)); err == nil {
		return problem.New(problem.ConfigInvalid, "%s has a key already: use another --dir, or `hubctl participant renew`", cmd.Dir)
	}
	if err := os.MkdirAll(cmd.Dir, 0o700); err != nil {
		return problem.Wrap(problem.ConfigInvalid, err, "--dir: %v", err)
	}
	profile, err := a.write(cmd.Dir)
	if err != nil {
		return problem.Wrap(problem.ConfigInvalid, err, "%v", err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	cfg := vault.Config{Address: a.Vault.Address, Standby: a.Vault.Standby, Mounts: vault.ProvinceMounts(a.Region)}
	if a.Vault.Roots != "" {
		if cfg.Roots, err = client.ReadRoots(filepath.Join(cmd.Dir, vaultRootsFile)); err != nil {
			return err
		}
	}
	name := spiffe.Name{Region: a.Region, Role: spiffe.System, Participant: a.Participant, System: cmd.System}
	chain, err := vault.Enrol(s.ctx, cfg, a.Token, key, name)
	if err != nil {
		return err
	}
	if err := writeIdentity(filepath.Join(cmd.Dir, identityFile), key, chain); err != nil {
		return err
	}
	s.say("%s is enrolled as %s until %s; renew before: hubctl participant renew --profile %s", a.Participant, name, shownTime(chain[0].NotAfter), profile)
	_, err = fmt.Fprintln(s.out, profile)
	return err
}

// write puts down the profile and the roots, and returns the profile's path.
func (a *admission) write(dir string) (string, error) {
	var yaml strings.Builder
	fmt.Fprintf(&yaml, "participant: %s\nregion: %q\ncertificate: %s\nkey: %s\ngateways:\n", a.Participant, a.Region, identityFile, identityFile)
	files := map[string]string{}
	for _, g := range a.Gateways {
		roots := "roots-" + filepath.Base(g.Region) + ".pem"
		files[roots] = g.Roots
		fmt.Fprintf(&yaml, "  - {region: %q, url: %q, roots: %s}\n", g.Region, g.URL, roots)
	}
	fmt.Fprintf(&yaml, "vault: {address: %q", a.Vault.Address)
	if a.Vault.Roots != "" {
		files[vaultRootsFile] = a.Vault.Roots
		yaml.WriteString(", roots: " + vaultRootsFile)
	}
	files[profileFile] = yaml.String() + "}\n"
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, profileFile), a.writeConnectors(dir)
}

// writeIdentity replaces key and certificate in one step.
func writeIdentity(path string, key crypto.Signer, chain []*x509.Certificate) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for _, c := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".identity-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

type participantRenewCommand struct {
	Profile string `default:"profile.yaml" placeholder:"FILE" help:"The profile that enrol wrote (${default})."`
}

// Run renews: whoever reads the file for each connection, as `hubctl pull` and
// gateway/client do, goes on with the new certificate.
func (cmd *participantRenewCommand) Run(s *streams) error {
	p, err := client.LoadProfile(cmd.Profile)
	if err != nil {
		return err
	}
	if p.Vault == nil || p.Certificate != p.Key {
		return problem.New(problem.ConfigInvalid, "%s was not written by `hubctl participant enrol`: it names no vault, or key and certificate lie apart", cmd.Profile)
	}
	pair, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
	if err != nil {
		return problem.Wrap(problem.ConfigInvalid, err, "%v", err)
	}
	name, err := spiffe.Of(pair.Leaf)
	if err != nil {
		return problem.Wrap(problem.ConfigInvalid, err, "%s: %v", p.Certificate, err)
	}
	cfg := vault.Config{
		Address: p.Vault.Address, Mounts: vault.ProvinceMounts(p.Region), CertificateRole: vault.LoginParticipant,
		Certificate: func() *tls.Certificate { return &pair },
	}
	if p.Vault.Roots != "" {
		if cfg.Roots, err = client.ReadRoots(p.Vault.Roots); err != nil {
			return err
		}
	}
	c, err := vault.Open(s.ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	chain, err := c.Renew(s.ctx, key, name)
	if err != nil {
		return err
	}
	if err := writeIdentity(p.Certificate, key, chain); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, "renewed until", shownTime(chain[0].NotAfter))
	return err
}

// participantOrder is an order about a participant, in the control log.
type participantOrder struct {
	operator
	Participant string `arg:"" help:"Its id."`
	Reason      string `required:"" help:"Why, for whoever asks later."`
}

func (o *participantOrder) give(s *streams, kind control.Kind, yes bool) error {
	order := controlOrderCommand{operator: o.operator, Kind: string(kind), Subject: o.Participant, Reason: o.Reason, Yes: yes}
	return order.Run(s)
}

type participantSuspendCommand struct{ participantOrder }

func (cmd *participantSuspendCommand) Run(s *streams) error {
	return cmd.give(s, control.SuspendParticipant, true)
}

type participantRemoveCommand struct {
	participantOrder
	Yes bool `help:"Remove. Without it the order is only shown."`
}

func (cmd *participantRemoveCommand) Run(s *streams) error {
	return cmd.give(s, control.RemoveParticipant, cmd.Yes)
}
