package kafkalog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

const (
	defaultTimeout = 10 * time.Second
	firstPause     = 5 * time.Millisecond
	longestPause   = 500 * time.Millisecond
	// freshShare of a call's timeout is how long a topic is looked for that is
	// not there: by default one second.
	freshShare = 10
)

// Config says which cluster to use.
type Config struct {
	Brokers  []string // host:port of any of the cluster's brokers, at least one
	ClientID string   // shown in the brokers' logs and quotas
	// TLS is nil for plaintext. Its GetClientCertificate is asked for every
	// connection, so certificates can change while the client runs. TLS 1.3 is
	// the least that is spoken, whatever it says.
	TLS *tls.Config
	// TLSNow, if it is not nil, is asked for every connection in place of TLS,
	// so that the roots can change too. What it returns is not changed.
	TLSNow func() *tls.Config
	SASL   *SASL // nil: none
	// Timeout bounds one call with all its repetitions, and one batch of Send;
	// a context with a sooner deadline wins. 0: 10 s.
	Timeout time.Duration
	Logger  *slog.Logger // nil: none. Holds no record content.
	Metrics *Metrics     // nil: none
}

// Client is a connection to one cluster. It is safe for concurrent use.
type Client struct {
	cluster *cluster
	codecs  *codecs
	buffers *buffers
	log     *slog.Logger
	metrics *Metrics
	timeout time.Duration
	attempt time.Duration // limit of one of a call's repetitions
	now     func() time.Time

	base  context.Context // ends with Close
	close context.CancelCauseFunc
}

// Open reaches the cluster or fails, within ctx and the configured timeout.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("kafkalog: no broker is configured: set at least one host:port")
	}
	for _, address := range cfg.Brokers {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("kafkalog: broker %q is not host:port: %w", address, err)
		}
	}
	if cfg.SASL != nil {
		if err := cfg.SASL.check(cfg.TLS != nil || cfg.TLSNow != nil); err != nil {
			return nil, err
		}
	}
	c := newClient(cfg)
	what := "reaching the cluster at " + strings.Join(cfg.Brokers, ", ")
	err := c.retry(ctx, what, func(ctx context.Context) error {
		return c.cluster.refresh(ctx, "")
	})
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func newClient(cfg Config) *Client {
	c := &Client{
		codecs: newCodecs(), buffers: new(buffers),
		log: cfg.Logger, timeout: cfg.Timeout, now: time.Now, metrics: cfg.Metrics,
	}
	if c.metrics == nil {
		c.metrics = NewMetrics()
	}
	c.buffers.leased = c.metrics.leases
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	// Four tries fit into the budget even when a broker swallows requests.
	c.attempt = min(c.timeout, max(c.timeout/4, 250*time.Millisecond))
	c.base, c.close = context.WithCancelCause(context.Background())
	// Half of a try, so that a try gets past one broker that does not answer.
	d := &dialer{clientID: cfg.ClientID, timeout: c.attempt / 2, tls: cfg.TLSNow}
	if cfg.TLS != nil && d.tls == nil {
		fixed := cfg.TLS.Clone()
		d.tls = func() *tls.Config { return fixed }
	}
	if cfg.SASL != nil {
		once := *cfg.SASL
		d.sasl = &once
	}
	c.cluster = newCluster(c.base, d, append([]string(nil), cfg.Brokers...), c.attempt)
	return c
}

// Close ends every call in progress and closes the connections. Close the
// producers first: what they have in flight is lost otherwise.
func (c *Client) Close() error {
	c.close(net.ErrClosed)
	c.cluster.close()
	return nil
}

// Ping asks the cluster for its brokers.
func (c *Client) Ping(ctx context.Context) error {
	return c.retry(ctx, "ping", func(ctx context.Context) error {
		return c.cluster.refresh(ctx, "")
	})
}

// within is ctx, ended also by a limit and by the client's Close.
func (c *Client) within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	ctx, cancel := context.WithTimeout(ctx, limit)
	stop := context.AfterFunc(c.base, func() { end(net.ErrClosed) })
	return ctx, func() {
		stop()
		cancel()
		end(nil)
	}
}

// retry repeats attempt until it succeeds, fails for good, or ctx or the
// client's timeout ends. what names the call in errors.
func (c *Client) retry(ctx context.Context, what string, attempt func(context.Context) error) error {
	return c.retryWithin(ctx, what, c.timeout, c.attempt, attempt)
}

func (c *Client) retryWithin(ctx context.Context, what string, total, each time.Duration,
	attempt func(context.Context) error,
) (err error) {
	ctx, cancel := c.within(ctx, total)
	defer cancel()
	began, repeated := time.Now(), -1
	defer func() { c.metrics.call(what, time.Since(began), repeated, err) }()
	var before error
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		repeated++
		err := once(ctx, each, attempt)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			if before != nil {
				err = before // says more than that this attempt was cut short
			}
			return unavailable(ctx, what, err)
		}
		before = err
		if !worthRetrying(err, time.Since(began) < c.timeout/freshShare) {
			return fmt.Errorf("kafkalog: %s: %w", what, err)
		}
		c.log.DebugContext(ctx, "kafkalog: repeating", slog.String("call", what), slog.Any("cause", err))
		// Between half and three halves, so that clients that failed together
		// do not come back together.
		timer := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // nobody gains by guessing it
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return unavailable(ctx, what, err)
		}
	}
}

func once(ctx context.Context, limit time.Duration, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return attempt(ctx)
}
