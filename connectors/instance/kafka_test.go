package instance

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// A connector shows Kafka the certificate of the moment: one that was exchanged
// is shown at the next connection, without a restart, and without one it is
// not let in.
func TestKafkaTLS(t *testing.T) {
	t.Parallel()
	ca := pkitest.New(t, "Chongqing")
	server := ca.Issue(spiffe.Name{Region: "500000", Role: spiffe.Broker}).TLS()
	var mu sync.Mutex
	seen := map[string]bool{} // serial numbers of clients
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
		VerifyPeerCertificate: func(_ [][]byte, chains [][]*x509.Certificate) error {
			mu.Lock()
			defer mu.Unlock()
			seen[chains[0][0].SerialNumber.String()] = true
			return nil
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	name := spiffe.Name{Region: "500000", Role: spiffe.Connector, Participant: "cq-commerce", System: "price_quote"}
	current := ca.Issue(name)
	reach := func(certificate func() *tls.Certificate) error {
		c, err := kafkalog.Open(t.Context(), kafkalog.Config{
			Brokers: cluster.ListenAddrs(), TLS: KafkaTLSConfig(ca.Pool(), certificate), Timeout: 2 * time.Second,
		})
		if err != nil {
			return err
		}
		return c.Close()
	}
	shown := func() *tls.Certificate { cert := current.TLS(); return &cert }
	for range 2 {
		if err := reach(shown); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		if !seen[current.Chain[0].SerialNumber.String()] {
			t.Error("another certificate was shown than the one in place")
		}
		mu.Unlock()
		current = ca.Issue(name) // exchanged
	}
	if err := reach(func() *tls.Certificate { return &tls.Certificate{} }); err == nil {
		t.Error("it got in without a certificate")
	}
	current = pkitest.New(t, "another").Issue(name)
	if err := reach(shown); err == nil {
		t.Error("it got in with a stranger's certificate")
	}
}

// The file of the brokers' authority is found beside the configuration.
func TestKafkaTLSFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "config", "connector.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for tlsLine, want := range map[string]string{
		"  # none": "", "  tls: {}": "", "  tls: {caFile: kafka-ca.pem}": filepath.Join(dir, "kafka-ca.pem"), "  tls: {caFile: /etc/hub/ca.pem}": "/etc/hub/ca.pem",
	} {
		file := filepath.Join(dir, "connector.yaml")
		changed := strings.Replace(string(text), `  brokers: ["127.0.0.1:9092"]`, `  brokers: ["127.0.0.1:9092"]`+"\n"+tlsLine, 1)
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if on := f.Kafka.TLS != nil; on != strings.Contains(tlsLine, "tls:") || on && f.Kafka.TLS.CAFile != want {
			t.Errorf("%s: %+v", tlsLine, f.Kafka.TLS)
		}
	}
}
