package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Config says which Redis. URL may hold a password, so it is a secret: it comes
// from the environment or from Vault, never from a configuration file
// (invariant 8).
type Config struct {
	// URL is redis://, rediss:// (TLS) or unix://, as go-redis reads it:
	// rediss://user:password@host:6379/0. Timeouts and retries in it are not
	// heeded, skip_verify is refused.
	URL string
	// Timeout bounds every call, connecting included. 0 means 250 ms, at most
	// a minute.
	Timeout time.Duration
	// Prefix goes before every key, so that hubs can share a server. Empty
	// means "hub:".
	Prefix string
	// RootCAs are who may sign the server's certificate; nil for the system's.
	RootCAs *x509.CertPool
}

const (
	defaultTimeout = 250 * time.Millisecond
	longestTimeout = time.Minute
	defaultPrefix  = "hub:"
	longestPrefix  = 64
	// A connection that was idle longer is not trusted to be alive. go-redis
	// notices a dead one before use only without TLS.
	idle = time.Minute
)

// Client is a connection pool to one Redis server.
type Client struct {
	redis   *goredis.Client
	timeout time.Duration
	prefix  string
}

// Open makes a client. A server that does not answer is no error, because a
// gateway must start while Redis is down: [Client.Ping] tells. A wrong
// configuration is problem.ConfigInvalid, and so is a server that refuses the
// credentials or shows a wrong certificate. No error holds the URL.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	opt, err := options(cfg)
	if err != nil {
		return nil, err
	}
	// go-redis writes a line of its own for every dial that fails, once per
	// request while the server is down; the caller is told by the error.
	goredis.SetLogger(silent{})
	c := &Client{redis: goredis.NewClient(opt), timeout: opt.ReadTimeout, prefix: cfg.Prefix}
	if c.prefix == "" {
		c.prefix = defaultPrefix
	}
	if err := c.Ping(ctx); waitingCannotHelp(err) {
		return nil, errors.Join(
			problem.Wrap(problem.ConfigInvalid, err, "Redis answers, but not to these credentials or not with this certificate"),
			c.Close())
	}
	return c, nil
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func waitingCannotHelp(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	return goredis.IsAuthError(err) || goredis.IsPermissionError(err)
}

func options(cfg Config) (*goredis.Options, error) {
	opt, err := goredis.ParseURL(cfg.URL)
	switch {
	case err != nil: // its text may quote the URL, and with it the password
		return nil, problem.New(problem.ConfigInvalid,
			"the Redis URL cannot be read: use redis://, rediss:// or unix://, and check the port and the options")
	case opt.TLSConfig != nil && opt.TLSConfig.InsecureSkipVerify:
		return nil, problem.New(problem.ConfigInvalid,
			"the Redis URL says skip_verify: leave it out and name the authority of the certificate instead")
	case opt.TLSConfig == nil && cfg.RootCAs != nil:
		return nil, problem.New(problem.ConfigInvalid,
			"an authority is given for a Redis URL without TLS: use rediss://")
	case cfg.Timeout < 0 || cfg.Timeout > longestTimeout:
		return nil, problem.New(problem.ConfigInvalid,
			"the Redis timeout is %v: use one up to %v", cfg.Timeout, longestTimeout)
	case len(cfg.Prefix) > longestPrefix:
		return nil, problem.New(problem.ConfigInvalid,
			"the Redis key prefix has %d bytes: use at most %d", len(cfg.Prefix), longestPrefix)
	}
	if opt.TLSConfig != nil {
		opt.TLSConfig.RootCAs = cfg.RootCAs
	}
	timeout := cfg.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout, opt.PoolTimeout = timeout, timeout, timeout, timeout
	opt.ContextTimeoutEnabled = true
	// A call whose outcome is unknown is not repeated: a refund that took
	// effect twice would let a caller through.
	opt.MaxRetries = -1
	opt.DialerRetries = 1
	opt.ConnMaxIdleTime = idle
	opt.PipelinePoolSize = -1
	// What RESP3 and these notices offer is not used; without them a
	// connection is ready one or two round trips earlier.
	opt.Protocol = 2
	opt.DisableIdentity = true
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return opt, nil
}

// Ping says whether the server answers within the timeout.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := c.redis.Ping(ctx).Err(); err != nil {
		return unavailable(err)
	}
	return nil
}

// Close closes all connections.
func (c *Client) Close() error { return c.redis.Close() }

func unavailable(err error) error {
	return problem.Wrap(problem.QuotaUnavailable, err, "the shared quota store did not answer, or not as it should")
}
