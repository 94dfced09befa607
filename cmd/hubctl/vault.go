package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	deploy "github.com/chuanyu-exchange/hub/deploy/vault"
	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

type vaultCommand struct {
	Bootstrap vaultBootstrapCommand `cmd:"" help:"Set a province's part of a Vault or OpenBao up: only what is missing or differs. Takes VAULT_ADDR and VAULT_TOKEN."`
	Rotate    vaultRotateCommand    `cmd:"" help:"Add a version to the key that seals cursors; gateways take it up by themselves."`
	Secret    vaultSecretCommand    `cmd:"" help:"Make a wrapped secret id for a connector: what to hand to its integrator."`
}

// vaultLogin says as whom to log in to Vault.
type vaultLogin struct {
	Region string `default:"500000" placeholder:"CODE" help:"Whose Vault: 500000 Chongqing, 510000 Sichuan (${default})."`
	Login  string `placeholder:"FILE" help:"Vault's address and the AppRole to log in with (YAML). Default: that of the demo under --data."`
	Data   string `default:".hub-dev" placeholder:"DIR" help:"State directory of the demo (${default})."`
}

// loginFile is what Login names. Paths are relative to its directory.
type loginFile struct {
	Address             string   `yaml:"address"`
	Standby             []string `yaml:"standby,optional"` // other nodes of the cluster, asked when address does not answer
	CAFile              string   `yaml:"caFile,optional"`  // PEM; default: the system's authorities
	RoleID              string   `yaml:"roleID"`
	SecretIDFile        string   `yaml:"secretIDFile"`                 // mode 0600
	WrappedSecretIDFile string   `yaml:"wrappedSecretIDFile,optional"` // exchanged for the former at the first login
}

// open logs in as a role.
func (l *vaultLogin) open(ctx context.Context, role string) (*vault.Client, *loginFile, error) {
	path := l.Login
	if path == "" {
		path = filepath.Join(l.Data, l.Region, "secrets", role+".yaml")
		if _, err := os.Stat(path); err != nil {
			return nil, nil, problem.New(problem.ConfigInvalid, "there is no %s: start the demo with `make run`, or name a login of the role %s with --login", path, role)
		}
	}
	text, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, nil, problem.Wrap(problem.ConfigInvalid, err, "--login: %v", err)
	}
	var f loginFile
	if _, faults := yamlfile.Decode(path, text, &f); faults.Err() != nil {
		return nil, nil, problem.New(problem.ConfigInvalid, "\n%v", faults.Err())
	}
	for _, p := range []*string{&f.CAFile, &f.SecretIDFile, &f.WrappedSecretIDFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	secret := vault.SecretFiles{Role: role, Secret: f.SecretIDFile, Wrapped: f.WrappedSecretIDFile}
	cfg := vault.Config{Address: f.Address, Standby: f.Standby, Mounts: vault.ProvinceMounts(l.Region), RoleID: f.RoleID, SecretID: secret.Read}
	if f.CAFile != "" {
		if cfg.Roots, err = client.ReadRoots(f.CAFile); err != nil {
			return nil, nil, err
		}
	}
	if err := secret.Take(ctx, cfg); err != nil {
		return nil, nil, err
	}
	c, err := vault.Open(ctx, cfg)
	return c, &f, err
}

type vaultBootstrapCommand struct {
	Region string `required:"" placeholder:"CODE" help:"500000 Chongqing, 510000 Sichuan."`
	CAFile string `name:"ca-file" placeholder:"FILE" help:"PEM: who signed the server's certificate. Default: the system's authorities."`
	DryRun bool   `help:"Only show what would be done."`
	JSON   bool   `name:"json" help:"Print one JSON object a line for each change."`
}

// Run prints one line for each thing that was, or would be, done.
func (cmd *vaultBootstrapCommand) Run(s *streams) error {
	address, token := os.Getenv("VAULT_ADDR"), os.Getenv("VAULT_TOKEN")
	if address == "" || token == "" {
		return problem.New(problem.ConfigInvalid, "set VAULT_ADDR, and VAULT_TOKEN to a token that may mount and write policies")
	}
	cat, err := shippedCatalogue()
	if err != nil {
		return err
	}
	province := deploy.Province(cmd.Region, cat)
	if cmd.CAFile != "" {
		if province.Roots, err = client.ReadRoots(cmd.CAFile); err != nil {
			return err
		}
	}
	changes, err := vault.Bootstrap(s.ctx, address, token, province, cmd.DryRun)
	cmd.print(s.out, changes) // what was done before a failure stands
	if err != nil {
		return err
	}
	switch {
	case len(changes) == 0:
		s.say("nothing to do: the Vault of %s is as this release wants it", cmd.Region)
	case cmd.DryRun:
		s.say("%d changes would be made; nothing was changed", len(changes))
	default:
		s.say("%d changes made", len(changes))
	}
	return nil
}

func (cmd *vaultBootstrapCommand) print(out io.Writer, changes []vault.Change) {
	for _, c := range changes {
		if cmd.JSON {
			_ = json.NewEncoder(out).Encode(c)
			continue
		}
		state := "missing"
		if !c.Missing {
			state = "differs: " + strings.Join(c.Differs, ", ")
		}
		_, _ = fmt.Fprintf(out, "%s (%s)\n", c.What, state)
	}
}

func shippedCatalogue() (*catalogue.Catalogue, error) {
	set, err := schemas.Shipped()
	if err != nil {
		return nil, err
	}
	return catalogue.Load(catalogue.Shipped(), set.Sensitivities, catalogue.WithCodes(set.Codes))
}

type vaultRotateCommand struct{ vaultLogin }

func (cmd *vaultRotateCommand) Run(s *streams) error {
	c, _, err := cmd.open(s.ctx, vault.RoleOperator)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.RotateCursorKey(s.ctx); err != nil {
		return err
	}
	s.say("the cursor key of %s has a new version; gateways open with it within 30 s and seal with it after 2 min", cmd.Region)
	return nil
}

type vaultSecretCommand struct {
	vaultLogin
	Connector string        `arg:"" help:"The connector's AppRole: connector-<provider>-<product>."`
	Life      time.Duration `default:"24h" help:"How long it can be opened, at most 72h (${default})."`
}

func (cmd *vaultSecretCommand) Run(s *streams) error {
	c, _, err := cmd.open(s.ctx, vault.RoleOperator)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	roleID, w, err := c.WrapSecretID(s.ctx, cmd.Connector, cmd.Life)
	if err != nil {
		return err
	}
	s.say("write the token to the file that wrappedSecretIDFile names, mode 0600, before %s; revoke it by its accessor if it gets lost", shownTime(w.Expires))
	return json.NewEncoder(s.out).Encode(map[string]string{"role_id": roleID, "wrapping_token": w.Token, "accessor": w.Accessor})
}

type credentialsCommand struct {
	vaultLogin
	JSON bool `name:"json" help:"Print one JSON object a line."`
	All  bool `help:"Also show what was superseded, has ended, or does not end by itself."`
}

// Help stands under the flags.
func (cmd *credentialsCommand) Help() string {
	return "'unclear' ends soon beside a newer one of its name, which took its place or is another replica's: " +
		"Vault cannot tell replicas apart. Look at /readyz of each gateway, and for 'certificate not renewed' in the connectors' logs."
}

// Run ends with an error when something is red, so that a timer can call it.
func (cmd *credentialsCommand) Run(s *streams) error {
	c, _, err := cmd.open(s.ctx, vault.RoleAuditor)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	all, err := c.Credentials(s.ctx)
	if err != nil {
		return err
	}
	if err := cmd.print(s.out, all); err != nil {
		return err
	}
	red := 0
	for _, e := range all {
		if e.State == vault.StateRed {
			red++
		}
	}
	if red > 0 {
		return problem.New(problem.CredentialEnding, "%d in %s", red, cmd.Region)
	}
	return nil
}

func (cmd *credentialsCommand) print(out io.Writer, all []vault.Expiring) error {
	if !cmd.All {
		all = slices.DeleteFunc(slices.Clone(all), func(e vault.Expiring) bool {
			return e.State == vault.StateOld || e.State == vault.StateEnded || e.Ends.IsZero()
		})
	}
	if cmd.JSON {
		for _, e := range all {
			if err := json.NewEncoder(out).Encode(e); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ENDS\tLEFT\tSTATE\tKIND\tNAME\tID")
	for _, e := range all {
		_, _ = fmt.Fprintln(w, credentialLine(e, time.Now(), isTerminal(out)))
	}
	return w.Flush()
}

func credentialLine(e vault.Expiring, now time.Time, colour bool) string {
	ends, left, state := "–", "–", string(e.State)
	if !e.Ends.IsZero() {
		ends, left = shownTime(e.Ends), e.Ends.Sub(now).Round(time.Minute).String()
	}
	if colour && e.State == vault.StateRed {
		state = "\x1b[31m" + state + "\x1b[0m"
	}
	id := e.ID
	if len(id) > 20 { // serial numbers are told apart by their beginning; --json has them whole
		id = id[:17] + "…"
	}
	return strings.Join([]string{ends, left, state, e.Kind, e.Name, id}, "\t")
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
