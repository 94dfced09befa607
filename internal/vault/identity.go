package vault

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const (
	leastWait          = time.Second // before an exchange, however short the life
	firstRenewalPause  = time.Second // after a renewal that failed
	longestRenewalWait = time.Minute // between two attempts
)

// Credential is a private key and its certificate, leaf first, then its
// issuers. It is immutable: do not write to the chain.
type Credential struct {
	Key   crypto.Signer
	Chain []*x509.Certificate
}

// certifier is what an Identity asks of a Client.
type certifier interface {
	Certify(ctx context.Context, key crypto.Signer, spec CertificateSpec) ([]*x509.Certificate, error)
	Authorities(ctx context.Context) ([]*x509.Certificate, error)
}

// Identity is a credential that is exchanged for a new one, with a new key, at
// half of its life. The old one stays valid for the other half, so that what
// was signed or opened with it goes on, and so that Vault may be away for that
// long. A new one is believed only under a root that was known at the exchange
// before: that of the credential in place, or one that Vault announced then.
// Its methods are safe for concurrent use.
type Identity struct {
	from    certifier
	spec    CertificateSpec
	newKey  func() (crypto.Signer, error)
	now     func() time.Time
	logger  *slog.Logger
	current atomic.Pointer[issued]
}

// issued is a credential in the forms in which it is asked for.
type issued struct {
	credential Credential
	tls        *tls.Certificate
	renewAt    time.Time
	roots      *x509.CertPool // under which the next is believed
}

// NewIdentity makes a key with newKey and has it certified. [Identity.Run]
// keeps it fresh.
func (c *Client) NewIdentity(ctx context.Context, spec CertificateSpec, newKey func() (crypto.Signer, error)) (*Identity, error) {
	return newIdentity(ctx, c, spec, newKey, c.cfg.Now, c.cfg.Logger)
}

func newIdentity(ctx context.Context, from certifier, spec CertificateSpec, newKey func() (crypto.Signer, error), now func() time.Time, logger *slog.Logger) (*Identity, error) {
	spec.URIs, spec.DNSNames, spec.IPs = slices.Clone(spec.URIs), slices.Clone(spec.DNSNames), slices.Clone(spec.IPs)
	i := &Identity{from: from, spec: spec, newKey: newKey, now: now, logger: logger}
	if err := i.exchange(ctx); err != nil {
		return nil, err
	}
	return i, nil
}

// exchange makes a new key, has it certified and puts both in place at once.
func (i *Identity) exchange(ctx context.Context) error {
	key, err := i.newKey()
	if err != nil {
		return fmt.Errorf("make a key for %s: %w", i.spec.Role, err)
	}
	chain, err := i.from.Certify(ctx, key, i.spec)
	if err != nil {
		return err
	}
	now := i.now()
	if before := i.current.Load(); before != nil {
		if err := foreign(chain, before.roots, now); err != nil {
			return err
		}
	}
	next := &issued{
		credential: Credential{Key: key, Chain: slices.Clip(chain)},
		tls:        &tls.Certificate{PrivateKey: key, Leaf: chain[0]},
		renewAt:    now.Add(chain[0].NotAfter.Sub(now) / 2),
		roots:      i.roots(ctx, chain[len(chain)-1]),
	}
	for _, c := range chain {
		next.tls.Certificate = append(next.tls.Certificate, c.Raw)
	}
	i.current.Store(next)
	return nil
}

// foreign finds a chain that ends under no root that was known before: such an
// answer is a lie, or of another server, and nobody would take the certificate.
func foreign(chain []*x509.Certificate, known *x509.CertPool, now time.Time) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: known, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return problem.Wrap(problem.VaultUnavailable, err, "the certificate is under %q, which was not announced before: the answer is not believed",
			chain[len(chain)-1].Subject.CommonName)
	}
	return nil
}

// roots are those under which the next credential is believed: this one's, and
// those that Vault announces with it. If it announces none, a new root has to
// wait for another exchange.
func (i *Identity) roots(ctx context.Context, own *x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(own)
	announced, err := i.from.Authorities(ctx)
	if err != nil && ctx.Err() == nil {
		i.logger.LogAttrs(ctx, slog.LevelWarn, "vault: authorities not read; until the next exchange certificates of this one alone are believed",
			slog.String("role", i.spec.Role), slog.String("authority", own.Subject.CommonName), slog.String("error", problem.From(err).LogText()))
	}
	for _, c := range announced {
		pool.AddCert(c)
	}
	return pool
}

// Run exchanges the credential at half of its life until ctx ends, and then
// returns nil. A renewal that fails is tried again with growing pauses, at
// most a minute apart, as long as ctx lasts; the credential in place goes on
// until it expires, and [Identity.Expires] tells when, for readiness to turn
// red before.
func (i *Identity) Run(ctx context.Context) error {
	pause, wait := firstRenewalPause, i.untilRenewal()
	for sleep(ctx, wait) {
		if i.renew(ctx) {
			pause, wait = firstRenewalPause, i.untilRenewal()
			continue
		}
		wait = jitter(pause)
		pause = min(2*pause, longestRenewalWait)
	}
	return nil
}

// renew exchanges the credential, and says how that went unless ctx ended
// meanwhile.
func (i *Identity) renew(ctx context.Context) bool {
	err := i.exchange(ctx)
	switch {
	case ctx.Err() != nil:
	case err == nil:
		i.logger.LogAttrs(ctx, slog.LevelInfo, "vault: certificate renewed",
			slog.String("role", i.spec.Role), slog.Time("expires", i.Expires()))
	default:
		i.logger.LogAttrs(ctx, slog.LevelWarn, "vault: certificate not renewed; trying on",
			slog.String("role", i.spec.Role), slog.Time("expires", i.Expires()), slog.String("error", problem.From(err).LogText()))
	}
	return err == nil
}

func (i *Identity) untilRenewal() time.Duration {
	return max(i.current.Load().renewAt.Sub(i.now()), leastWait)
}

// Current is the credential in place.
func (i *Identity) Current() Credential { return i.current.Load().credential }

// TLSCertificate is the credential in place in the form that crypto/tls takes:
// return it from GetCertificate or GetClientCertificate.
func (i *Identity) TLSCertificate() *tls.Certificate { return i.current.Load().tls }

// Expires is when the certificate in place ends.
func (i *Identity) Expires() time.Time { return i.current.Load().credential.Chain[0].NotAfter }

// Ready fails when less than a tenth of the certificate's life is left. It was
// to be exchanged at half: there is time to act, and this process should get no
// new work meanwhile.
func (i *Identity) Ready(context.Context) error {
	leaf := i.current.Load().credential.Chain[0]
	left := leaf.NotAfter.Sub(i.now())
	if left < leaf.NotAfter.Sub(leaf.NotBefore)/10 {
		return problem.New(problem.VaultUnavailable, "the certificate of %s ends in %s and could not be renewed", i.spec.Role, left.Round(time.Second))
	}
	return nil
}
