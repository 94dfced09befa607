//go:build live

package kafkalog

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/kafkatest"
)

// Kafka itself with mutual TLS 1.3, all three mechanisms and rules: who gets
// in, who does not, and what a limited session (KIP-368) does to calls.
func TestLiveSecurity(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	brokers := kafkatest.Start(t, kafkatest.Options{
		Listener: "SASL_SSL", Properties: securityProperties(t, ours),
		Format: scramUsers("admin", testUser),
	}).Brokers
	mine := func(a authority) *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: ours.pool, Certificates: []tls.Certificate{a.issue(t, x509.ExtKeyUsageClientAuth)}}
	}
	config := mine(ours)
	as := func(mechanism, user, password string) Config {
		return Config{
			Brokers: brokers, TLS: config, Timeout: 15 * time.Second,
			SASL: &SASL{Mechanism: mechanism, Credentials: credentials(user, password)},
		}
	}
	for _, mechanism := range []string{Plain, ScramSHA256, ScramSHA512} {
		t.Run(mechanism, func(t *testing.T) {
			c := open(t, brokers, func(cfg *Config) { *cfg = as(mechanism, "admin", testPassword) })
			topic := create(t, c, 1)
			mustSend(t, producer(t, c, ProducerConfig{}), numbered(topic, 0, 0, 3))
			same(t, stored(t, c, topic, 0), span(0, 3))
			began := time.Now()
			if _, err := Open(t.Context(), as(mechanism, "admin", "wrong")); !errors.Is(err, ErrNotAuthorised) || time.Since(began) > 10*time.Second {
				t.Errorf("a wrong password, after %v: %v", time.Since(began), err)
			}
		})
	}
	t.Run("rules", func(t *testing.T) {
		admin := open(t, brokers, func(cfg *Config) { *cfg = as(ScramSHA512, "admin", testPassword) })
		conformACLs(t, admin, open(t, brokers, func(cfg *Config) { *cfg = as(ScramSHA512, testUser, testPassword) }))
	})
	t.Run("another's certificate", func(t *testing.T) {
		cfg := as(ScramSHA512, "admin", testPassword)
		cfg.TLS, cfg.Timeout = mine(others), time.Second
		if _, err := Open(t.Context(), cfg); err == nil {
			t.Error("it got in")
		}
	})
	t.Run("a mechanism not offered", func(t *testing.T) {
		d := &dialer{timeout: 10 * time.Second, tls: func() *tls.Config { return config }}
		conn, err := d.dial(within(t, 10*time.Second), brokers[0])
		must(t, "dial", err)
		defer conn.close()
		if err := conn.handshake(within(t, 10*time.Second), "GSSAPI"); !hopeless(err) || !strings.Contains(err.Error(), ScramSHA512) {
			t.Errorf("it does not end, or does not name what there is: %v", err)
		}
	})
	t.Run("a limited session", func(t *testing.T) {
		var log bytes.Buffer
		cfg := as(ScramSHA512, "admin", testPassword)
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c := open(t, brokers, func(to *Config) { *to = cfg })
		for until := time.Now().Add(4 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
			must(t, "Ping", c.Ping(t.Context()))
		}
		if strings.Contains(log.String(), "repeating") {
			t.Errorf("the broker ended sessions under us: %s", log.String())
		}
	})
}

func scramUsers(names ...string) string {
	var args []string
	for _, name := range names {
		for _, mechanism := range []string{ScramSHA256, ScramSHA512} {
			args = append(args, fmt.Sprintf("--add-scram %s=[name=%s,password=%s]", mechanism, name, testPassword))
		}
	}
	return strings.Join(args, " ")
}

func securityProperties(t *testing.T, a authority) string {
	t.Helper()
	dir := t.TempDir()
	keys, roots := filepath.Join(dir, "broker.pem"), filepath.Join(dir, "roots.pem")
	cert := a.issue(t, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth) // it checks itself as a client
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	must(t, "MarshalPKCS8PrivateKey", err)
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	must(t, "WriteFile", os.WriteFile(keys, append(block("PRIVATE KEY", key), block("CERTIFICATE", cert.Certificate[0])...), 0o600))
	must(t, "WriteFile", os.WriteFile(roots, block("CERTIFICATE", a.cert.Raw), 0o600))
	scram := fmt.Sprintf(`org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="%s";`, testPassword)
	plain := fmt.Sprintf(`org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="%s" user_admin="%[1]s";`, testPassword)
	return fmt.Sprintf(`
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=%[1]s
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=%[1]s
listener.name.sasl_ssl.plain.sasl.jaas.config=%[2]s
connections.max.reauth.ms=1500
ssl.enabled.protocols=TLSv1.3
listener.name.sasl_ssl.ssl.client.auth=required
ssl.endpoint.identification.algorithm=
ssl.keystore.type=PEM
ssl.keystore.location=%[3]s
ssl.truststore.type=PEM
ssl.truststore.location=%[4]s
`, scram, plain, keys, roots)
}
