package bench

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/feed"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/ledger"
	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/gateway/signing"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// Frontend makes the public server of a gateway. The command that links both
// hands it over: were the server's package imported here, the chain of imports
// that begins with the command would be longer than internal/house allows.
type Frontend func(g *gateway.Gateway, s *signing.Signer, certificate func() *tls.Certificate) *http.Server

// The obligations of the agreements that are measured.
const (
	allFields   = `{"*": keep}`
	eightFields = `{commodity_name: keep, market_name: "mask:name", low_price: keep, average_price: keep, high_price: keep,
  unit: keep, collect_date: keep, source_unit: "mask:identity"}`
)

// agreement is what the benchmark's consumer may have, with a quota that is
// never felt.
const agreement = `id: bench
basis: [《成渝地区双城经济圈市场一体化建设行动方案》第四条]
scenario: benchmark
scope: benchmark
method: service
term: {notBefore: 2026-01-01, notAfter: 2099-12-31}
provider: ` + provider + `
region: "` + region + `"
product: ` + productID + `
major: 1
consumer: ` + consumer + `
purposes: [` + purpose + `]
fields: %s
quota: {requestsPerMinute: 60000000, recordsPerDay: 80000000000}
noOnwardSharing: true
`

// hub is a gateway with everything around it, as a province runs it, but for
// what is asked of Vault, which no request waits for.
type hub struct {
	*world
	broker   *broker
	gateway  *gateway.Gateway
	signer   *signing.Signer
	snapshot *gateway.Snapshot
	ledger   *ledger.Ledger
	url      string
	counts   []int // records of each partition

	local, remote *authority // of the gateway's province and of the consumer's
	caller        certified
	closers       []func() error // last opened last
}

// newHub publishes the rows and opens a gateway whose agreement releases
// fields, a YAML mapping of fields to obligations.
func newHub(ctx context.Context, w *world, frontend Frontend, fields string) (_ *hub, err error) {
	h := &hub{world: w}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	now := time.Now()
	if h.broker, err = startBroker(ctx, append(w.topics(), ledger.Topic(region, 1))...); err != nil {
		return nil, err
	}
	h.closers = append(h.closers, h.broker.close)
	host, err := newConnectorHost(w)
	if err != nil {
		return nil, err
	}
	if err := w.publish(ctx, host, h.broker); err != nil {
		return nil, err
	}
	h.counts = make([]int, w.product.Partitions)
	if err := w.scan(ctx, h.broker, func(p int32, _ *kafkalog.FetchedRecord) { h.counts[p]++ }); err != nil {
		return nil, err
	}
	if h.local, err = newAuthority(region, now); err != nil {
		return nil, err
	}
	if h.remote, err = newAuthority(consumerHome, now); err != nil {
		return nil, err
	}
	h.caller, err = h.remote.issue(spiffe.Name{Region: consumerHome, Role: spiffe.System, Participant: consumer, System: "bench"}, now)
	if err != nil {
		return nil, err
	}
	if err := h.build(ctx, fields, now); err != nil {
		return nil, err
	}
	return h, h.serve(ctx, frontend, now)
}

// build wires the gateway's parts.
func (h *hub) build(ctx context.Context, fields string, now time.Time) (err error) {
	if h.snapshot, err = h.newSnapshot(fields); err != nil {
		return err
	}
	if h.ledger, err = ledger.Open(ctx, h.broker.client, region); err != nil {
		return err
	}
	h.closers = append(h.closers, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		return h.ledger.Close(ctx)
	})
	vouching, err := h.local.issue(spiffe.Name{Region: region, Role: spiffe.Signing}, now)
	if err != nil {
		return err
	}
	h.signer = signing.New(func() (crypto.Signer, []*x509.Certificate) { return vouching.key, vouching.chain }, time.Now)
	const keys = 1000
	store := func() quota.Store { return quota.NewMemory(keys, time.Now) }
	unlimited := quota.PerMinute(quota.Unlimited)
	h.gateway = &gateway.Gateway{
		Region: region, Snapshot: func() (*gateway.Snapshot, error) { return h.snapshot, nil },
		Admission: quota.Admission{Store: store(), PerAddress: unlimited, PerCaller: unlimited},
		Quota:     quota.Degrade{Shared: store(), Local: store()},
		Reader:    feed.New(h.broker.client), Signer: h.signer, Ledger: h.ledger,
		Failures: ledger.NewFailures(h.ledger, region, signing.NewID), Unseal: sealed.NewOpener(nothingSealed, 1),
		Now: time.Now, NewID: signing.NewID, Logger: slog.New(slog.DiscardHandler),
	}
	return nil
}

// nothingSealed stands for Vault's Transit: the product has no sealed blocks,
// so nobody asks.
func nothingSealed(context.Context, string, []byte) ([]byte, error) {
	return nil, errors.New("the benchmark's product has no sealed blocks")
}

// newSnapshot is what requests are decided over: the shipped rules, and one
// agreement of the benchmark's own in place of the shipped ones.
func (h *hub) newSnapshot(fields string) (*gateway.Snapshot, error) {
	rules, err := shippedRules()
	if err != nil {
		return nil, err
	}
	rules["agreements/bench.yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil, agreement, fields)}
	set, err := policies.Load(rules, h.catalogue, h.schemas.Fits)
	if err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("cursor key: %w", err)
	}
	return &gateway.Snapshot{
		Catalogue: h.catalogue, Schemas: h.schemas, Policies: set,
		Trust: identity.NewTrust(map[string]identity.Authorities{
			region:       {Roots: []*x509.Certificate{h.local.root}},
			consumerHome: {Roots: []*x509.Certificate{h.remote.root}, Names: []string{consumer}},
		}),
		CursorKeys: []receipt.CursorKey{{Version: 1, Key: key}}, HashKeys: map[string][]byte{},
	}, nil
}

func shippedRules() (fstest.MapFS, error) {
	out := fstest.MapFS{}
	shipped := policies.Shipped()
	err := fs.WalkDir(shipped, "rules", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.yaml") {
			return err
		}
		text, err := fs.ReadFile(shipped, path)
		out[path] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("shipped rules: %w", err)
	}
	return out, nil
}

// serve opens the gateway's TLS listener on loopback.
func (h *hub) serve(ctx context.Context, frontend Frontend, now time.Time) error {
	issued, err := h.local.issue(spiffe.Name{Region: region, Role: spiffe.Gateway}, now)
	if err != nil {
		return err
	}
	certificate := issued.tls()
	url, stop, err := serveTLS(ctx, frontend(h.gateway, h.signer, func() *tls.Certificate { return certificate }))
	if err != nil {
		return err
	}
	h.url = url
	h.snapshot.Authority = identity.Authority{Region: region, Issuer: url, Roots: h.local.pool()}
	h.closers = append(h.closers, stop)
	return nil
}

// serveTLS serves at a free port of 127.0.0.1 until stop.
func serveTLS(ctx context.Context, s *http.Server) (url string, stop func() error, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listener: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- s.ServeTLS(l, "", "") }()
	return "https://" + l.Addr().String(), func() error {
		err := s.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

// credentials are what the consumer presents, with a fresh grant.
func (h *hub) credentials(ctx context.Context) (gateway.Credentials, error) {
	c := gateway.Credentials{Chain: h.caller.chain[:1], Address: netip.MustParseAddr("127.0.0.1")}
	granted, err := h.gateway.Grant(ctx, gateway.GrantRequest{Credentials: c}, h.signer.Grant)
	if err == nil {
		c.Token = granted.Token
	}
	return c, err
}

func (h *hub) close() error {
	var err error
	for _, closer := range slices.Backward(h.closers) {
		err = errors.Join(err, closer())
	}
	h.closers = nil
	return err
}
