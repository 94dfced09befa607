package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/chuanyu-exchange/hub/internal/embedded"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/vault"
)

// The two provinces, and the ports that the demo prefers for them.
var regions = []struct {
	code, name string
	gateway    int
}{
	{"500000", "重庆 Chongqing", 8450},
	{"510000", "四川 Sichuan", 8451},
}

const (
	adminOffset = 10 // admin port: gateway's + 10
	kafkaOffset = 20
	vaultPort   = 8490
)

type devCommand struct {
	Once     bool          `help:"Run the whole road once, compare what was pulled with what was read, print a summary, and end: 0 only if all of it is true."`
	JSON     bool          `name:"json" help:"With --once: print the summary as one JSON object."`
	Drop     []string      `placeholder:"REGION/PRODUCT=FILE" sep:"none" help:"Carry this file instead of the samples, e.g. 500000/price_quote=prices.csv. Repeatable."`
	Data     string        `placeholder:"DIR" help:"Keep the state here. Default: .hub-dev, with --once a directory that is removed at the end."`
	Rows     int           `default:"500" help:"Rows of each sample (${default})."`
	Rate     int           `default:"0" help:"Rows per second and connector at the most; 0: no limit."`
	Chunk    int           `default:"0" hidden:"" help:"Rows of one transaction at the most."`
	Commits  time.Duration `name:"commit-delay" hidden:"" help:"How long the embedded Kafka takes over each commit: for tests that kill."`
	Devvault string        `placeholder:"FILE" help:"A devvault binary. Default: built once from deploy/devvault and kept in the cache. With VAULT_ADDR and VAULT_TOKEN in the environment, that server is used instead; VAULT_ADDR may list the nodes of one cluster with commas, first the one to set the provinces up at."`
	Proxy    []string      `placeholder:"NAME" help:"Let this proxy, by the name in its certificate of the province's own authority, pass client certificates on (RFC 9440). Default: none may. Repeatable."`
	Redis    string        `placeholder:"URL" help:"Count quotas in this Redis instead of in the process."`
	Signer   string        `enum:"process,transit" default:"process" help:"Where grants and receipts are signed: in the gateway's process, with a key that Vault certifies, or by Vault's Transit, with a key that never leaves it (a round trip for each, and none while Vault is away)."`
	Policies string        `placeholder:"DIR" help:"Rules and agreements. Default: those of this build."`
	Rotation rotation      `embed:"" prefix:"rotation-"`
	Verbose  bool          `short:"v" help:"Log what happens to standard error."`
}

// rotation makes keys and certificates change more often than anybody would:
// for tests that want to see many changes.
type rotation struct {
	Certificates time.Duration `hidden:"" help:"Life of the certificates of gateway, broker and connectors; 0: what Vault's role says."`
	Settle       time.Duration `hidden:"" help:"Age of a cursor key before it seals; 0: 2m."`
}

func (r rotation) ring() vault.RingOptions {
	return vault.RingOptions{Every: r.Settle / 4, Settle: r.Settle}
}

// Run is the demo from start to end.
func (cmd *devCommand) Run(s *streams) error {
	drops, err := parseDrops(cmd.Drop)
	if err != nil {
		return err
	}
	if cmd.JSON && !cmd.Once {
		return problem.New(problem.ConfigInvalid, "--json goes with --once")
	}
	data, cleanUp, err := cmd.dataDir()
	if err != nil {
		return err
	}
	defer cleanUp()
	d := &dev{cmd: cmd, drops: drops, data: data, streams: s, logger: cmd.logger(s.errs), started: time.Now()}
	defer d.close()
	if err := d.start(s.ctx); err != nil {
		if s.ctx.Err() != nil {
			return nil // interrupted on the way up
		}
		return err
	}
	if cmd.Once {
		return d.once(s.ctx)
	}
	return d.live(s.ctx)
}

// dataDir makes the directory that everything is kept in, for its owner alone.
func (cmd *devCommand) dataDir() (dir string, cleanUp func(), err error) {
	switch {
	case cmd.Data != "":
		dir = cmd.Data
	case cmd.Once:
		if dir, err = os.MkdirTemp("", "hub-once-"); err != nil {
			return "", nil, err
		}
		return dir, func() { _ = os.RemoveAll(dir) }, nil
	default:
		dir = ".hub-dev"
	}
	if dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.Chmod(dir, 0o700) //nolint:gosec // a directory needs x
	}
	if err != nil {
		return "", nil, problem.Wrap(problem.ConfigInvalid, err, "data directory: %v", err)
	}
	return dir, func() {}, nil
}

func (cmd *devCommand) logger(errs io.Writer) *slog.Logger {
	level := slog.LevelWarn
	if cmd.Verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: level}))
}

// drop is a file to be carried instead of a sample.
type drop struct {
	region, product, file string
}

func parseDrops(specs []string) ([]drop, error) {
	var drops []drop
	for _, spec := range specs {
		place, file, ok := strings.Cut(spec, "=")
		region, product, slash := strings.Cut(place, "/")
		if !ok || !slash || file == "" {
			return nil, problem.New(problem.ConfigInvalid, "--drop %q: write REGION/PRODUCT=FILE, e.g. 500000/price_quote=prices.csv", spec)
		}
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			return nil, problem.Wrap(problem.FileUnreadable, err, "--drop %s: there is no such file", file)
		}
		known := false
		for _, r := range regions {
			known = known || r.code == region
		}
		if !known {
			return nil, problem.New(problem.ConfigInvalid, "--drop %q: the regions are 500000 and 510000", spec)
		}
		drops = append(drops, drop{region: region, product: product, file: file})
	}
	return drops, nil
}

// dev is the running demo.
type dev struct {
	cmd     *devCommand
	drops   []drop
	data    string
	logger  *slog.Logger
	started time.Time
	*streams

	world     *world
	provinces []*province
	roads     []*road

	closeMu sync.Mutex
	onClose []named // in the order in which they were opened
}

// named is something to be closed, and what to call it if that fails.
type named struct {
	name  string
	close func(ctx context.Context) error
}

func (d *dev) closing(name string, f func(ctx context.Context) error) {
	d.closeMu.Lock()
	defer d.closeMu.Unlock()
	d.onClose = append(d.onClose, named{name, f})
}

// close lets go of everything, last opened first; what fails is named.
func (d *dev) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, part := range slices.Backward(d.onClose) {
		if err := part.close(ctx); err != nil {
			d.logger.WarnContext(ctx, "closing", slog.String("part", part.name), slog.Any("error", err))
		}
	}
	d.onClose = nil
}

// say tells a person how it goes; never on standard output, which belongs to
// the result.
func (d *dev) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.errs, format+"\n", args...)
}

// start brings both provinces up: Vault, then for each Kafka and what Vault
// holds for it, then the gateways, which need each other's trust bundles, then
// the connectors.
func (d *dev) start(ctx context.Context) error {
	var err error
	if d.world, err = loadWorld(d.cmd.Policies); err != nil {
		return err
	}
	if err := d.world.useRegistry(ctx, os.Getenv("SCHEMA_REGISTRY_URL")); err != nil {
		return err
	}
	if err := d.checkDrops(); err != nil {
		return err
	}
	server, err := d.startVault(ctx)
	if err != nil {
		return err
	}
	for _, r := range regions {
		p := &province{dev: d, region: r.code, name: r.name, port: r.gateway, vault: server, dir: filepath.Join(d.data, r.code)}
		if err := p.prepare(ctx); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		d.provinces = append(d.provinces, p)
	}
	for _, p := range d.provinces {
		if err := p.startGateway(ctx); err != nil {
			return fmt.Errorf("gateway of %s: %w", p.name, err)
		}
	}
	for _, p := range d.provinces {
		if err := p.issueProfiles(ctx); err != nil {
			return fmt.Errorf("participants of %s: %w", p.name, err)
		}
	}
	return d.openRoads(ctx)
}

// vaultServer is where Vault answers, and the token that may provision it.
type vaultServer struct {
	address, token string
	standby        []string // other nodes of its cluster
}

// nodes are all addresses of its cluster.
func (v vaultServer) nodes() []string { return append([]string{v.address}, v.standby...) }

// standbyYAML is the list of the standby nodes for a configuration file.
func (v vaultServer) standbyYAML() string {
	quoted := make([]string, len(v.standby))
	for i, address := range v.standby {
		quoted[i] = strconv.Quote(address)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func (d *dev) startVault(ctx context.Context) (vaultServer, error) {
	if list := os.Getenv("VAULT_ADDR"); list != "" {
		token := os.Getenv("VAULT_TOKEN")
		if token == "" {
			return vaultServer{}, problem.New(problem.ConfigInvalid, "VAULT_ADDR is set and VAULT_TOKEN is not: it is needed to set the provinces up")
		}
		nodes := strings.Split(list, ",")
		if slices.Contains(nodes, "") {
			return vaultServer{}, problem.New(problem.ConfigInvalid, "VAULT_ADDR=%q: an address is missing beside a comma", list)
		}
		d.say("using the Vault at %s", strings.Join(nodes, ", "))
		return vaultServer{address: nodes[0], token: token, standby: nodes[1:]}, nil
	}
	source, err := embedded.FindSource()
	if err != nil && d.cmd.Devvault == "" {
		return vaultServer{}, err
	}
	v, err := embedded.StartVault(ctx, embedded.VaultOptions{
		Binary: d.cmd.Devvault, SourceDir: source, DataDir: filepath.Join(d.data, "vault"), Port: vaultPort,
		Progress: func(line string) { d.say("%s", line) }, Logger: d.logger,
	})
	if err != nil {
		return vaultServer{}, fmt.Errorf("devvault: %w", err)
	}
	d.closing("devvault", func(context.Context) error { return v.Close() })
	return vaultServer{address: v.Address(), token: v.RootToken()}, nil
}

// isTerminal says whether a live table can be drawn.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

var errNotTrue = errors.New("what was pulled is not what was read")
