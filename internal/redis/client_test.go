package redis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/redis"
)

const secret = "s3cret-Pa55"

func TestOpenRefusesWrongConfigurations(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]redis.Config{
		"no URL":             {},
		"another scheme":     {URL: "http://:" + secret + "@127.0.0.1:6379"},
		"no scheme":          {URL: secret + "@127.0.0.1:6379"},
		"a broken escape":    {URL: "redis://:" + secret + "%zz@127.0.0.1:6379"},
		"a broken port":      {URL: "redis://:" + secret + "@127.0.0.1:port"},
		"a broken database":  {URL: "redis://:" + secret + "@127.0.0.1:6379/" + secret},
		"an unknown option":  {URL: "redis://:" + secret + "@127.0.0.1:6379/0?" + secret + "=1"},
		"unverified":         {URL: "rediss://:" + secret + "@127.0.0.1:6379/0?skip_verify=true"},
		"authority, no TLS":  {URL: "redis://127.0.0.1:6379", RootCAs: x509.NewCertPool()},
		"negative timeout":   {URL: "redis://127.0.0.1:6379", Timeout: -1},
		"timeout of an hour": {URL: "redis://127.0.0.1:6379", Timeout: time.Hour},
		"an endless prefix":  {URL: "redis://127.0.0.1:6379", Prefix: strings.Repeat("p", 65)},
	} {
		c, err := redis.Open(t.Context(), cfg)
		if c != nil || problem.CodeOf(err) != problem.ConfigInvalid {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if log := problem.From(err).LogText(); strings.Contains(log, secret) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error tells the password: %s", name, log)
		}
	}
}

// A gateway must start while Redis is down; Ping tells.
func TestOpenWithoutAServer(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	addr := m.Addr()
	m.Close()
	c := open(t, redis.Config{URL: "redis://" + addr})
	if err := c.Ping(t.Context()); problem.CodeOf(err) != problem.QuotaUnavailable {
		t.Errorf("ping: %v", err)
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	m.RequireUserAuth("gateway", secret)
	c := open(t, redis.Config{URL: "redis://gateway:" + secret + "@" + m.Addr()})
	if d, err := c.QuotaStore().Spend(t.Context(), "k", quota.PerDay(1), 1); err != nil || !d.Allowed {
		t.Errorf("with the password: %+v, %v", d, err)
	}
	for name, user := range map[string]string{"none": "", "wrong": "gateway:" + secret + "x@", "wrong user": "other:" + secret + "@"} {
		c, err := redis.Open(t.Context(), redis.Config{URL: "redis://" + user + m.Addr()})
		if c != nil || problem.CodeOf(err) != problem.ConfigInvalid {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if log := problem.From(err).LogText(); strings.Contains(log, secret) {
			t.Errorf("%s: the error tells the password: %s", name, log)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, pool := certificate(t)
	m := miniredis.NewMiniRedis()
	if err := m.StartTLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	const timeout = 5 * time.Second // a handshake under the race detector
	c := open(t, redis.Config{URL: "rediss://" + m.Addr(), RootCAs: pool, Timeout: timeout})
	if d, err := c.QuotaStore().Spend(t.Context(), "k", quota.PerDay(1), 1); err != nil || !d.Allowed {
		t.Errorf("over TLS: %+v, %v", d, err)
	}
	_, stranger := certificate(t)
	for name, cfg := range map[string]redis.Config{
		"the system's authorities": {URL: "rediss://" + m.Addr(), Timeout: timeout},
		"another authority":        {URL: "rediss://" + m.Addr(), Timeout: timeout, RootCAs: stranger},
		"another name":             {URL: "rediss://localhost:" + m.Port(), Timeout: timeout, RootCAs: pool},
	} {
		if c, err := redis.Open(t.Context(), cfg); c != nil || problem.CodeOf(err) != problem.ConfigInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// certificate is one for 127.0.0.1 that signs itself, and the pool to trust it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
