package kafkalog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	testUser     = "connector-cq"
	testPassword = "planted-password-4711"
)

func credentials(user, password string) func(context.Context) (string, string, error) {
	return func(context.Context) (string, string, error) { return user, password, nil }
}

// secured is a cluster that asks for TLS and for a name and password.
func secured(t *testing.T, mechanism string) (brokers []string, config *tls.Config) {
	t.Helper()
	ours := newAuthority(t)
	cluster := startCluster(t, kfake.EnableSASL(), kfake.Superuser(mechanism, testUser, testPassword),
		kfake.TLS(&tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{ours.issue(t, x509.ExtKeyUsageServerAuth)}}))
	return cluster.ListenAddrs(), &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ours.pool}
}

func TestSASL(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{Plain, ScramSHA256, ScramSHA512} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			brokers, config := secured(t, mechanism)
			with := func(user, password string) Config {
				return Config{
					Brokers: brokers, TLS: config, Timeout: 5 * time.Second,
					SASL: &SASL{Mechanism: mechanism, Credentials: credentials(user, password)},
				}
			}
			c := open(t, brokers, func(cfg *Config) { *cfg = with(testUser, testPassword) })
			topic := create(t, c, 1)
			mustSend(t, producer(t, c, ProducerConfig{}), numbered(topic, 0, 0, 3))
			same(t, stored(t, c, topic, 0), span(0, 3))

			var log strings.Builder
			for name, wrong := range map[string]Config{
				"password": with(testUser, testPassword+"x"),
				"user":     with("somebody", testPassword),
			} {
				wrong.Timeout = 300 * time.Millisecond // kfake hangs up
				wrong.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				_, err := Open(t.Context(), wrong)
				if err == nil {
					t.Errorf("a wrong %s got in", name)
				} else if text := log.String() + err.Error(); strings.Contains(text, testPassword) {
					t.Errorf("the password is told: %s", text)
				}
			}
			none := with("", "")
			none.SASL, none.Timeout = nil, 500*time.Millisecond
			if _, err := Open(t.Context(), none); err == nil {
				t.Error("a client without a name got in")
			}
		})
	}
}

// What a broker refuses for good is not tried again.
func TestSASLRefused(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t, kfake.EnableSASL(), kfake.Superuser(ScramSHA512, testUser, testPassword))
	tries := 0
	cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		tries++
		answer := req.ResponseKind().(*kmsg.SASLAuthenticateResponse) //nolint:forcetypeassert // it is that request
		answer.ErrorCode = kerr.SaslAuthenticationFailed.Code
		answer.ErrorMessage = new("no")
		return answer, nil, true
	})
	_, err := Open(t.Context(), Config{
		Brokers: cluster.ListenAddrs(), Timeout: 20 * time.Second,
		SASL: &SASL{Mechanism: ScramSHA512, Credentials: credentials(testUser, "wrong")},
	})
	if !errors.Is(err, ErrNotAuthorised) || tries != 1 {
		t.Errorf("after %d tries: %v", tries, err)
	}
}

// A session that the broker limits is left before the broker ends it (KIP-368).
func TestSASLSessionEnds(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t, kfake.EnableSASL(), kfake.Superuser(ScramSHA512, testUser, testPassword))
	var asked atomic.Int64
	c := open(t, cluster.ListenAddrs(), func(cfg *Config) {
		cfg.SASL = &SASL{Mechanism: ScramSHA512, Credentials: func(context.Context) (string, string, error) {
			asked.Add(1)
			return testUser, testPassword, nil
		}}
	})
	must(t, "Ping", c.Ping(t.Context()))
	if n := asked.Load(); n != 1 {
		t.Errorf("%d connections for two calls", n)
	}
	conn, err := c.cluster.dialer.dial(within(t, 10*time.Second), cluster.ListenAddrs()[0])
	must(t, "dial", err)
	defer conn.close()
	if left := time.Until(conn.until); left > maxLife || left < maxLife/2 {
		t.Errorf("without a limit of the broker a connection is used for %v", left)
	}
	limited := startCluster(t, kfake.EnableSASL(), kfake.Superuser(Plain, testUser, testPassword))
	limited.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		answer := req.ResponseKind().(*kmsg.SASLAuthenticateResponse) //nolint:forcetypeassert // it is that request
		answer.SessionLifetimeMillis = 10_000
		return answer, nil, true
	})
	d := &dialer{timeout: 10 * time.Second, sasl: &SASL{Mechanism: Plain, Credentials: credentials(testUser, testPassword)}}
	short, err := d.dial(within(t, 10*time.Second), limited.ListenAddrs()[0])
	must(t, "dial", err)
	defer short.close()
	if left := time.Until(short.until); left > 8*time.Second {
		t.Errorf("a session of 10 s is used for %v", left)
	}
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func TestSASLRefuses(t *testing.T) {
	t.Parallel()
	brokers, config := secured(t, ScramSHA512)
	good := credentials(testUser, testPassword)
	failing := func(context.Context) (string, string, error) { return "", "", errors.New("the vault is sealed") }
	for name, test := range map[string]struct {
		cfg  Config
		says string
	}{
		"plain in the clear":       {Config{SASL: &SASL{Mechanism: Plain, Credentials: good}}, "set TLS"},
		"no credentials":           {Config{TLS: config, SASL: &SASL{Mechanism: Plain}}, "without credentials"},
		"a mechanism nobody knows": {Config{TLS: config, SASL: &SASL{Mechanism: "GSSAPI", Credentials: good}}, "not one of"},
		"a mechanism not offered":  {Config{TLS: config, Timeout: 300 * time.Millisecond, SASL: &SASL{Mechanism: ScramSHA256, Credentials: good}}, ScramSHA256},
		"credentials not to be had": {
			Config{TLS: config, Timeout: 300 * time.Millisecond, SASL: &SASL{Mechanism: ScramSHA512, Credentials: failing}}, "the vault is sealed",
		},
		"a broker without SASL": {
			Config{
				Brokers: startCluster(t).ListenAddrs(), Timeout: 300 * time.Millisecond,
				SASL: &SASL{Mechanism: ScramSHA512, Credentials: good},
			}, "SASL",
		},
		"no TLS configuration now": {Config{TLSNow: func() *tls.Config { return nil }, Timeout: 300 * time.Millisecond}, "no TLS configuration"},
	} {
		if test.cfg.Brokers == nil {
			test.cfg.Brokers = brokers
		}
		if _, err := Open(t.Context(), test.cfg); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Authority, certificates and password change while a producer writes: it goes
// on, and what was valid before is not used any more.
func TestSecretsAreExchanged(t *testing.T) {
	t.Parallel()
	first, second := newAuthority(t), newAuthority(t)
	var now atomic.Pointer[authority]
	now.Store(&first)
	server := map[*authority]*tls.Config{}
	client := map[*authority]*tls.Config{}
	for _, a := range []*authority{&first, &second} {
		server[a] = &tls.Config{
			MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool,
			Certificates: []tls.Certificate{a.issue(t, x509.ExtKeyUsageServerAuth)}, SessionTicketsDisabled: true,
		}
		client[a] = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: a.pool, Certificates: []tls.Certificate{a.issue(t, x509.ExtKeyUsageClientAuth)}}
	}
	var asked atomic.Int64
	cluster := startCluster(t, kfake.EnableSASL(), kfake.Superuser(ScramSHA512, testUser, testPassword), kfake.TLS(&tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return server[now.Load()], nil },
	}))
	c := open(t, cluster.ListenAddrs(), func(cfg *Config) {
		cfg.TLSNow = func() *tls.Config { return client[now.Load()] }
		cfg.SASL = &SASL{Mechanism: ScramSHA512, Credentials: func(context.Context) (string, string, error) {
			asked.Add(1)
			return testUser, testPassword, nil
		}}
	})
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{})
	mustSend(t, p, numbered(topic, 0, 0, 10))
	before := asked.Load()
	now.Store(&second)
	mustSend(t, p, numbered(topic, 0, 10, 20)) // on the connections there are
	c.ageConnections()
	mustSend(t, p, numbered(topic, 0, 20, 30)) // on new ones, under the new authority
	if asked.Load() == before {
		t.Error("no connection was made anew: the old certificate is still in use")
	}
	same(t, stored(t, c, topic, 0), span(0, 30))
	if c.cluster.dialer.tls().RootCAs != second.pool {
		t.Error("the roots did not change")
	}
}

// ageConnections makes every idle connection as old as one may get.
func (c *Client) ageConnections() {
	c.cluster.mu.Lock()
	defer c.cluster.mu.Unlock()
	for _, p := range c.cluster.pools {
		p.mu.Lock()
		for _, idle := range p.idle {
			idle.until = time.Time{}
		}
		p.mu.Unlock()
	}
}

// Nothing below TLS 1.3 is spoken, whatever the configuration says.
func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	cluster := startCluster(t, kfake.TLS(&tls.Config{
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12,
		Certificates: []tls.Certificate{ours.issue(t, x509.ExtKeyUsageServerAuth)},
	}))
	_, err := Open(t.Context(), Config{
		Brokers: cluster.ListenAddrs(), Timeout: 500 * time.Millisecond,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ours.pool},
	})
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("a broker with TLS 1.2: %v", err)
	}
}
