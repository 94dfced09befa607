package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/feed"
	"github.com/chuanyu-exchange/hub/gateway/httpapi"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/ledger"
	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/gateway/replay"
	"github.com/chuanyu-exchange/hub/gateway/revocation"
	"github.com/chuanyu-exchange/hub/gateway/signing"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/redis"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// gatewayProcess is a running gateway of a province.
type gatewayProcess struct {
	url    string
	admin  string
	ledger *ledger.Ledger
}

// Limits of a gateway before anything is known of a caller, and of a caller
// before its agreement counts.
var (
	perAddress = quota.PerMinute(6000)
	perCaller  = quota.PerMinute(6000)
	// Each revocation of a token stands in the control log for good.
	perRevocation = quota.PerMinute(10)
)

const (
	maxQuotaKeys = 100_000
	maxSubjects  = 1_000_000
	maxDataKeys  = 1024
	maxReplays   = 100_000

	// revocationEvery is how often an authority is asked what it revoked. What
	// must act at once is an order.
	revocationEvery = 30 * time.Second
)

// startGateway wires one replica: identity and signing key from Vault, ledger
// and feed from Kafka, quotas in the process or in Redis.
func (p *province) startGateway(ctx context.Context) error {
	listener, err := listen(p.port)
	if err != nil {
		return err
	}
	p.tellPort("the gateway", p.port, listener.Addr().String())
	process := &gatewayProcess{url: "https://" + listener.Addr().String()}
	if process.ledger, err = ledger.Open(ctx, p.kafka, p.region); err != nil {
		return err
	}
	p.closing("ledger of "+p.region, process.ledger.Close)

	serving, vouching, cursors, err := p.rotating(ctx)
	if err != nil {
		return err
	}
	started, err := p.startedWith(ctx, process.url)
	if err != nil {
		return err
	}
	status, orders, composer, err := p.decidedOver(ctx, started, vouching)
	if err != nil {
		return err
	}
	composer.CursorKeys = func() []receipt.CursorKey { return cursorKeys(cursors.Keys()) }
	stores, err := p.openStores(ctx)
	if err != nil {
		return err
	}
	failures := ledger.NewFailures(process.ledger, p.region, signing.NewID)
	signer := signing.New(func() (crypto.Signer, []*x509.Certificate) {
		c := vouching.Current()
		return c.Key, c.Chain
	}, time.Now)
	local := quota.NewMemory(maxQuotaKeys, time.Now)
	g := &gateway.Gateway{
		Region: p.region, Snapshot: composer.Snapshot, Orders: orders,
		Admission: quota.Admission{Store: local, PerAddress: perAddress, PerCaller: perCaller, PerRevocation: perRevocation},
		Quota:     quota.Degrade{Shared: stores.quota, Local: local}, Subjects: stores.subjects, Replays: stores.replays, Reader: feed.New(p.kafka),
		Unseal: sealed.NewOpener(p.secrets.UnwrapDataKey, maxDataKeys), Signer: signer, Ledger: process.ledger, Failures: failures,
		SignOrder: signOrders(vouching), Proxies: p.cmd.Proxy, Now: time.Now, NewID: signing.NewID, Logger: p.logger, Versions: p.world.subjects.Versions,
	}
	metrics := httpapi.NewMetrics(p.region)
	api := &httpapi.API{Gateway: g, Keys: signer, Subjects: p.world.subjects, Metrics: metrics, Logger: p.logger}
	p.background(status.Run, func(ctx context.Context) { _ = serving.Run(ctx) }, func(ctx context.Context) { _ = vouching.Run(ctx) }, cursors.Run,
		func(ctx context.Context) { p.flushFailures(ctx, failures) })
	p.serve(listener, api.Server(serving.TLSCertificate)) // closed before what it calls
	p.gateway = process
	if err := p.writeOperatorProfiles(); err != nil {
		return err
	}
	return p.startAdmin(metrics, serving, vouching)
}

// cursorKeys are the versions of the cursor key as the gateway takes them.
func cursorKeys(keys []vault.SharedKey) []receipt.CursorKey {
	out := make([]receipt.CursorKey, len(keys))
	for i, k := range keys {
		out[i] = receipt.CursorKey{Version: k.Version, Key: k.Key}
	}
	return out
}

// decidedOver makes what requests are decided over: what the gateway was
// started with, under the operators' orders and what authorities revoked.
func (p *province) decidedOver(ctx context.Context, started *gateway.Snapshot, vouching *vault.Identity) (*revocation.Fetcher, *control.Log, *gateway.Composer, error) {
	var composer *gateway.Composer
	status := revocation.New(revocation.Config{
		Sources: func() []identity.Source { return sources(composer) }, Every: revocationEvery, Now: time.Now, Logger: p.logger,
	})
	started.Status = status
	orders, composer, err := p.startControl(ctx, started, vouching)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("control log: %w", err)
	}
	status.Refresh(ctx) // so that the first caller need not come twice
	return status, orders, composer, nil
}

// signOrders signs what the gateway itself orders.
func signOrders(vouching *vault.Identity) func(control.Order) (string, error) {
	return func(o control.Order) (string, error) {
		c := vouching.Current()
		return o.Sign(time.Now(), c.Key, c.Chain)
	}
}

// rotating is what is exchanged while the gateway runs: what it serves TLS
// with, what it signs with, and the key of its cursors.
func (p *province) rotating(ctx context.Context) (serving, vouching *vault.Identity, cursors *vault.KeyRing, err error) {
	serving, err = p.secrets.NewIdentity(ctx, vault.CertificateSpec{
		Role: vault.CertGatewayTLS, URIs: []*url.URL{spiffe.Name{Region: p.region, Role: spiffe.Gateway}.URL()},
		DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, TTL: p.cmd.Rotation.Certificates,
	}, newKey)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("TLS certificate: %w", err)
	}
	vouching, err = p.secrets.NewIdentity(ctx, vault.CertificateSpec{
		Role: vault.CertGatewaySigning, URIs: []*url.URL{spiffe.Name{Region: p.region, Role: spiffe.Signing}.URL()}, TTL: p.cmd.Rotation.Certificates,
	}, p.signingKey(ctx))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("signing certificate: %w", err)
	}
	if cursors, err = p.secrets.NewKeyRing(ctx, vault.KeyCursor, p.cmd.Rotation.ring()); err != nil {
		return nil, nil, nil, fmt.Errorf("cursor key: %w", err)
	}
	return serving, vouching, cursors, nil
}

// signingKey makes the keys that the gateway vouches with.
func (p *province) signingKey(ctx context.Context) func() (crypto.Signer, error) {
	if p.cmd.Signer == "transit" {
		ctx = context.WithoutCancel(ctx) // the start's; exchanges come later
		return func() (crypto.Signer, error) { return p.secrets.TransitSigner(ctx, vault.KeyGatewaySigning) }
	}
	return newKey
}

// startedWith is what requests are decided over before any order: of the other
// province nobody is believed yet.
func (p *province) startedWith(ctx context.Context, issuer string) (*gateway.Snapshot, error) {
	trust := identity.NewTrust(map[string]identity.Authorities{p.region: {Roots: p.roots, Names: p.names(), Status: p.status()}})
	s := &gateway.Snapshot{
		Catalogue: p.world.catalogue, Schemas: p.world.schemas, Policies: p.world.policies, Trust: trust,
		Authority: identity.Authority{Region: p.region, Issuer: issuer, Roots: trust.Roots(p.region)}, HashKeys: map[string][]byte{},
	}
	for _, product := range p.world.products(p.region) {
		keys, err := p.secrets.SharedKeys(ctx, vault.KeyHash(product.ID))
		if err != nil {
			return nil, fmt.Errorf("hash key of %s: %w", product.ID, err)
		}
		s.HashKeys[product.ID] = keys[len(keys)-1].Key // the oldest: a hash must not change under an agreement
	}
	return s, nil
}

// sources are the authorities that the trust of now says to ask.
func sources(c *gateway.Composer) []identity.Source {
	snap, err := c.Snapshot()
	if snap == nil || err != nil && problem.CodeOf(err) != problem.PolicyNotAdopted {
		return nil
	}
	return snap.Trust.Sources()
}

// stores is what replicas share: in Redis, or, for one replica, in the process.
type stores struct {
	quota    quota.Store
	subjects quota.SubjectStore
	replays  replay.Store
}

func (p *province) openStores(ctx context.Context) (stores, error) {
	if p.cmd.Redis == "" {
		return stores{
			quota.NewMemory(maxQuotaKeys, time.Now), quota.NewMemorySubjects(maxSubjects, time.Now), replay.NewMemory(maxReplays, time.Now),
		}, nil
	}
	c, err := redis.Open(ctx, redis.Config{URL: p.cmd.Redis, Prefix: "hub:" + p.region + ":"})
	if err != nil {
		return stores{}, err
	}
	p.closing("redis of "+p.region, func(context.Context) error { return c.Close() })
	return stores{c.QuotaStore(), c.SubjectStore(), c.ReplayStore()}, nil
}

// serve serves until close, and then lets requests on their way end.
func (p *province) serve(l net.Listener, s *http.Server) {
	done := make(chan error, 1)
	go func() {
		if s.TLSConfig != nil {
			done <- s.ServeTLS(l, "", "")
		} else {
			done <- s.Serve(l)
		}
	}()
	p.closing("listener at "+l.Addr().String(), func(ctx context.Context) error {
		err := s.Shutdown(ctx)
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
}

// background runs functions until close.
func (p *province) background(runs ...func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, run := range runs {
		all.Go(func() { run(ctx) })
	}
	p.closing("background of "+p.region, func(context.Context) error {
		cancel()
		all.Wait()
		return nil
	})
}

// flushFailures writes counted refusals down each minute, and the rest at the
// end.
func (p *province) flushFailures(ctx context.Context, failures *ledger.Failures) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case now := <-tick.C:
			if err := failures.Flush(ctx, now); err != nil && ctx.Err() == nil {
				p.logger.WarnContext(ctx, "counted refusals were not written, will go on", slog.String("region", p.region), slog.Any("error", err))
			}
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := failures.Flush(last, time.Time{}); err != nil {
		p.logger.WarnContext(last, "counted refusals were not written", slog.String("region", p.region), slog.Any("error", err))
	}
}

// startAdmin serves metrics and readiness. That Vault is away for a while does
// not make the replica unready: what it has is good until it ends, and before
// that the certificates say so (design, section 6).
func (p *province) startAdmin(m *httpapi.Metrics, serving, vouching *vault.Identity) error {
	l, err := listen(p.port + adminOffset)
	if err != nil {
		return err
	}
	p.tellPort("the admin port", p.port+adminOffset, l.Addr().String())
	p.gateway.admin = "http://" + l.Addr().String()
	p.serve(l, &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: httpapi.Admin(m, []httpapi.Check{
		{Name: "kafka", Run: p.kafka.Ping},
		{Name: "TLS certificate", Run: serving.Ready},
		{Name: "signing certificate", Run: vouching.Ready},
		{Name: "certificate for Kafka", Run: p.kafkaIdentity.Ready},
	})})
	return nil
}

// listen takes the port on loopback, or another if it is in use.
func listen(port int) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:"+strconv.Itoa(port))
	if errors.Is(err, syscall.EADDRINUSE) {
		l, err = config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	}
	return l, err
}
