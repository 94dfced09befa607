package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const defaultTimeout = 5 * time.Second

// Config says where the server is and as whom to log in: either with an
// AppRole (RoleID, SecretID) or with a certificate (Certificate,
// CertificateRole).
type Config struct {
	Address string         // e.g. https://vault.example:8200
	Standby []string       // other nodes of its cluster, asked when it does not answer
	Roots   *x509.CertPool // who may have signed the server's certificate; nil: the system's roots
	Mounts  Mounts

	RoleID string
	// SecretID returns the AppRole's secret. It is called anew for each
	// login, so that a rotated secret needs no restart. See [SecretFiles].
	SecretID func() (string, error)

	// Certificate returns the certificate to log in with; it is called for
	// each connection, so that an exchanged one needs no restart. The server
	// must be reached over TLS.
	Certificate     func() *tls.Certificate
	CertificateRole string // of the certificate login, e.g. [LoginParticipant]

	Timeout time.Duration    // of one call; 0: 5 s
	Logger  *slog.Logger     // nil: nothing is logged
	Now     func() time.Time // nil: time.Now
}

func (c Config) check() error {
	byCertificate := c.Certificate != nil
	for _, f := range []struct {
		missing bool
		name    string
	}{
		{c.Address == "", "Address"},
		{!byCertificate && c.Mounts.AppRole == "", "Mounts.AppRole"},
		{!byCertificate && c.RoleID == "", "RoleID"},
		{!byCertificate && c.SecretID == nil, "SecretID"},
		{byCertificate && c.Mounts.Cert == "", "Mounts.Cert"},
		{byCertificate && c.CertificateRole == "", "CertificateRole"},
	} {
		if f.missing {
			return problem.New(problem.ConfigInvalid, "vault: %s is not set", f.name)
		}
	}
	if byCertificate && !strings.HasPrefix(c.Address, "https://") {
		return problem.New(problem.ConfigInvalid, "vault: a certificate can only be shown to a server at https://, not to %s", c.Address)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c Config) conn() (*conn, error) {
	cn, err := newConn(endpoint{
		nodes: append([]string{c.Address}, c.Standby...), roots: c.Roots, certificate: c.Certificate, timeout: c.Timeout, now: c.Now,
	})
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "vault: Address")
	}
	return cn, nil
}

// Client is one login to one server for one province. It is safe for
// concurrent use. Each call ends within Config.Timeout; one that finds its
// token revoked logs in and is repeated once.
type Client struct {
	*conn
	cfg Config

	loginSlot chan struct{}              // one login at a time
	current   atomic.Pointer[api.Secret] // the last login
	replaced  chan struct{}              // tells the watcher of a login that it did not make
	cancel    context.CancelFunc
	done      chan struct{} // closed when the watcher has ended
	closed    atomic.Bool
}

// Open logs in and keeps the token alive until Close. The
// error is problem.VaultUnavailable when the server does not answer or is
// sealed, and [ErrDenied] when it does not take the role or its secret. ctx
// bounds the opening alone.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	cn, err := cfg.conn()
	if err != nil {
		return nil, err
	}
	c := &Client{
		conn: cn, cfg: cfg,
		loginSlot: make(chan struct{}, 1), replaced: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := c.login(ctx, ""); err != nil {
		return nil, err
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	go c.watch(watching)
	return c, nil
}

// Close ends the renewal and revokes the token; later calls fail. Its error
// says that the token could not be revoked and lives until it expires.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.cancel()
	<-c.done
	c.loginSlot <- struct{}{} // a login under way ends first; its token is the one to revoke
	defer func() { <-c.loginSlot }()
	_, err := c.send(context.Background(), request{
		what: "revoke the token", method: http.MethodPost, path: "auth/token/revoke-self", quiet: true,
	})
	c.api.ClearToken()
	c.http.CloseIdleConnections()
	return err
}

// Ready says whether the server is unsealed and the token good for a while
// yet: it fails before the token ends, not after.
func (c *Client) Ready(ctx context.Context) error {
	healthCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r := request{what: "ask for its health", method: http.MethodGet, path: "sys/health"}
	health, err := c.api.Sys().HealthWithContext(healthCtx)
	switch {
	case err != nil:
		return c.explain(ctx, r, "", err)
	case !health.Initialized:
		return problem.New(problem.VaultUnavailable, "Vault is not initialised")
	case health.Sealed:
		return problem.New(problem.VaultUnavailable, "Vault is sealed")
	}
	s, err := c.do(ctx, request{what: "look the token up", method: http.MethodGet, path: "auth/token/lookup-self", quiet: true})
	if err != nil {
		return err
	}
	left, err := s.TokenTTL()
	if err != nil {
		return fmt.Errorf("look the token up: time left: %w", err)
	}
	if lease := c.lease(); left < lease/readyFraction {
		return problem.New(problem.VaultUnavailable, "the token ends in %s and could not be renewed", left)
	}
	return nil
}

// do sends a request as the AppRole. Status 403 says both "not allowed" and
// "no such token", so a refusal is followed by a look at the token; if that is
// dead, one login and one repetition follow.
func (c *Client) do(ctx context.Context, r request) (*api.Secret, error) {
	token := c.api.Token()
	s, err := c.send(ctx, r)
	if !errors.Is(err, ErrDenied) {
		return s, err
	}
	_, lookup := c.send(ctx, request{what: "look the token up", method: http.MethodGet, path: "auth/token/lookup-self", quiet: true})
	switch replaced := c.api.Token() != token; {
	case replaced: // by another call, so neither refusal need be of the new one
	case lookup == nil:
		return nil, err
	case !errors.Is(lookup, ErrDenied):
		return nil, lookup
	default:
		if err := c.login(ctx, token); err != nil {
			return nil, err
		}
	}
	return c.send(ctx, r)
}
