package kafkalog

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The vectors of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
func TestMurmur2(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
	// And the partition that kafka-go's own implementation chooses.
	java := kafka.Murmur2Balancer{Consistent: true}
	partitions := []int{0, 1, 2, 3, 4, 5, 6}
	key := []byte{}
	for i := range 300 {
		want := java.Balance(kafka.Message{Key: key}, partitions...)
		if got := keyPartition(key, len(partitions)); int(got) != want {
			t.Fatalf("a key of %d bytes: partition %d, want %d", len(key), got, want)
		}
		key = append(key, byte(i*7))
	}
}

// server answers whatever connects with what it is given.
func server(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, "Listen", err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				answer(c)
			}()
		}
	}()
	return l.Addr().String()
}

// frame answers the first request with these bytes, after their size.
func frame(claimed int, body ...byte) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 14))
		_, _ = c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(claimed)), body...))
		_, _ = io.Copy(io.Discard, c)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	for name, address := range map[string]string{
		"nobody listens":      "127.0.0.1:1",
		"a web server":        strings.TrimPrefix(web.URL, "http://"),
		"silence":             server(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }),
		"hangs up":            server(t, func(net.Conn) {}),
		"enormous size":       server(t, frame(1<<30, 0, 0, 0, 1)),
		"no size":             server(t, frame(0, 0, 0, 0, 1)),
		"another's answer":    server(t, frame(10, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0)),
		"false array length":  server(t, frame(10, 0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff)),
		"error code":          server(t, frame(10, 0, 0, 0, 1, 0, 35, 0, 0, 0, 0)),
		"speaks nothing else": server(t, frame(10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := Open(t.Context(), Config{Brokers: []string{address}, Timeout: 400 * time.Millisecond})
			if err == nil {
				t.Fatal("Open succeeded")
			}
			if name != "speaks nothing else" && name != "error code" && !errors.Is(err, ErrUnavailable) {
				t.Errorf("Open: %v", err)
			}
			if !strings.Contains(err.Error(), address) {
				t.Errorf("the error does not name the broker: %v", err)
			}
			if strings.HasSuffix(name, "size") && !strings.Contains(err.Error(), "claims") {
				t.Errorf("the size was believed: %v", err)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	for _, brokers := range [][]string{nil, {"no port"}} {
		if _, err := Open(t.Context(), Config{Brokers: brokers}); err == nil {
			t.Errorf("Open with %q succeeded", brokers)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Config{Brokers: []string{"127.0.0.1:1"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with a cancelled context: %v", err)
	}
}

func TestOpenPassesDeadBrokers(t *testing.T) {
	t.Parallel()
	silent := server(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	alive := startCluster(t).ListenAddrs()[0]
	c := open(t, []string{"127.0.0.1:1", silent, alive}, timeout(4*time.Second))
	must(t, "Ping", c.Ping(t.Context()))
}

func TestBrokersRestart(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t, kfake.NumBrokers(3))
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 3)
	p := producer(t, c, ProducerConfig{})
	sent := 0
	for round := range 3 {
		node := int32(round)
		must(t, "RemoveNode", cluster.RemoveNode(node))
		for partition := range int32(3) {
			began := time.Now()
			mustSend(t, p, numbered(topic, partition, sent, sent+5))
			if took := time.Since(began); took > time.Second {
				t.Errorf("round %d: it took %v", round, took)
			}
		}
		sent += 5
		_, _, err := cluster.AddNode(node, 0)
		must(t, "AddNode", err)
		must(t, "Ping", c.Ping(t.Context()))
	}
	for partition := range int32(3) {
		same(t, stored(t, c, topic, partition), span(0, sent))
	}
}

// What happened to one connection happened to those that lie idle beside it.
func TestPoolDropsIdle(t *testing.T) {
	t.Parallel()
	d := &dialer{timeout: time.Second}
	p := newPool(startCluster(t).ListenAddrs()[0], d)
	var idle []*conn
	for range 3 {
		c, err := p.take(t.Context())
		must(t, "take", err)
		idle = append(idle, c)
	}
	for _, c := range idle {
		p.put(c)
	}
	var used *conn
	must(t, "with", p.with(t.Context(), p.calls, func(c *conn) error { used = c; return nil }))
	if used != idle[2] || len(p.idle) != 3 {
		t.Errorf("the connection used last is not used again; %d are idle", len(p.idle))
	}
	broken := errors.New("broken")
	if err := p.with(t.Context(), p.calls, func(*conn) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("with: %v", err)
	}
	if len(p.idle) != 0 {
		t.Errorf("%d connections are kept", len(p.idle))
	}
	c, err := p.take(t.Context())
	must(t, "take", err)
	p.put(c)
	c.idleSince = time.Now().Add(-maxIdle)
	fresh, err := p.take(t.Context())
	must(t, "take", err)
	if fresh == c {
		t.Error("a connection is used that was idle for too long")
	}
	p.close()
	p.put(fresh)
	if len(p.idle) != 0 {
		t.Error("a closed pool keeps a connection")
	}
}

func TestClientClose(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{})
	waiting := make(chan error, 1)
	go func() {
		_, err := c.NewFetcher(FetcherConfig{Topic: topic, MaxWait: time.Minute}).Fetch(t.Context(), PartitionOffset{})
		waiting <- err
	}()
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	must(t, "Close", c.Close())
	if err := <-waiting; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the Fetch in progress: %v", err)
	}
	if err := p.Send(t.Context(), numbered(topic, 0, 0, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send: %v", err)
	}
	if err := c.Ping(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Ping: %v", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

// Differences between a topic and its declaration are told to the operator.
func TestDeclarationDiffers(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs(), func(cfg *Config) { cfg.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	topic := Topic{Name: "declared", Partitions: 1, Config: map[string]string{"retention.ms": "1000", "cleanup.policy": "delete"}}
	must(t, "CreateTopics", c.CreateTopics(t.Context(), topic))
	must(t, "CreateTopics", c.CreateTopics(t.Context(), topic))
	if log.Len() > 0 {
		t.Errorf("without a difference: %s", &log)
	}
	topic.Config["retention.ms"] = "2000"
	topic.Replicas = 7
	must(t, "CreateTopics", c.CreateTopics(t.Context(), topic))
	for _, s := range []string{"topic=declared", "config=retention.ms", "value=1000", "declared=2000", "replicas=1", "declared=7"} {
		if !strings.Contains(log.String(), s) {
			t.Errorf("the log does not say %s: %s", s, &log)
		}
	}
	if strings.Contains(log.String(), "cleanup") {
		t.Errorf("the log names what does not differ: %s", &log)
	}
}

// Two declare the same topic at the same time.
func TestDeclaredMeanwhile(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	cluster.ControlKey(int16(kmsg.CreateTopics), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.DropControl()
		go func() { _ = cluster.CreateTopic("shared", 3, nil) }()
		cluster.SleepControl(func() {
			for cluster.TopicInfo("shared") == nil {
				time.Sleep(time.Millisecond)
			}
		})
		return nil, nil, false
	})
	if err := c.CreateTopics(t.Context(), Topic{Name: "shared", Partitions: 2}); err == nil || !strings.Contains(err.Error(), "3") {
		t.Errorf("CreateTopics: %v", err)
	}
}

// authority issues certificates for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, "GenerateKey", err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, "CreateCertificate", err)
	cert, err := x509.ParseCertificate(der)
	must(t, "ParseCertificate", err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return authority{cert, key, pool}
}

func (a authority) issue(t *testing.T, usage ...x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, "GenerateKey", err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: usage,
	}, a.cert, &key.PublicKey, a.key)
	must(t, "CreateCertificate", err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	cluster := startCluster(t, kfake.TLS(&tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ours.pool,
		Certificates: []tls.Certificate{ours.issue(t, x509.ExtKeyUsageServerAuth)},
	}))
	good := &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: ours.pool,
		Certificates: []tls.Certificate{ours.issue(t, x509.ExtKeyUsageClientAuth)},
	}
	c := open(t, cluster.ListenAddrs(), func(cfg *Config) { cfg.TLS = good })
	topic := create(t, c, 1)
	mustSend(t, producer(t, c, ProducerConfig{}), numbered(topic, 0, 0, 3))
	same(t, stored(t, c, topic, 0), span(0, 3))

	for name, config := range map[string]*tls.Config{
		"plaintext":             nil,
		"server not trusted":    {MinVersion: tls.VersionTLS13, RootCAs: others.pool, Certificates: good.Certificates},
		"no client certificate": {MinVersion: tls.VersionTLS13, RootCAs: ours.pool},
		"another's certificate": {
			MinVersion: tls.VersionTLS13, RootCAs: ours.pool,
			Certificates: []tls.Certificate{others.issue(t, x509.ExtKeyUsageClientAuth)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := Open(t.Context(), Config{Brokers: cluster.ListenAddrs(), TLS: config, Timeout: 600 * time.Millisecond})
			if err == nil {
				t.Fatal("Open succeeded")
			}
			// A wrong certificate is not mended by waiting.
			if name == "server not trusted" && (time.Since(began) > 400*time.Millisecond || errors.Is(err, ErrUnavailable)) {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		})
	}
}
