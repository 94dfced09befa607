//go:build e2e

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/chuanyu-exchange/hub/connectors/instance"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// The broker is for the province's gateway and its connectors, and for nobody
// else whom the province's authority certifies.
func TestBrokerLetsInGatewayAndConnectors(t *testing.T) {
	t.Parallel()
	ca, other := pkitest.New(t, "500000"), pkitest.New(t, "510000")
	p := &province{region: "500000", roots: []*x509.Certificate{ca.Root}}
	serving := ca.Issue(spiffe.Name{Region: "500000", Role: spiffe.Broker}).TLS()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", p.brokerTLS(func() *tls.Certificate { return &serving }))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			c, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, _ = c.Write([]byte("in")) // after the handshake; refused, it is not written
				_ = c.Close()
			}
		}
	}()
	connector := spiffe.Name{Region: "500000", Role: spiffe.Connector, Participant: "cq-commerce", System: "price_quote"}
	for title, c := range map[string]struct {
		shown tls.Certificate
		in    bool
	}{
		"the gateway":              {ca.Issue(spiffe.Name{Region: "500000", Role: spiffe.GatewayKafka}).TLS(), true},
		"a connector":              {ca.Issue(connector).TLS(), true},
		"nobody":                   {tls.Certificate{}, false},
		"a participant's system":   {ca.Issue(spiffe.Name{Region: "500000", Role: spiffe.System, Participant: "cq-commerce", System: "x"}).TLS(), false},
		"an operator":              {ca.Issue(spiffe.Name{Region: "500000", Role: spiffe.Operator, Duty: spiffe.Audit, System: "x"}).TLS(), false},
		"a connector by the other": {other.Issue(connector).TLS(), false},
		"a connector of the other": {ca.Issue(spiffe.Name{Region: "510000", Role: spiffe.Connector, Participant: "sc-commerce", System: "price_quote"}).TLS(), false},
	} {
		config := instance.KafkaTLSConfig(ca.Pool(), func() *tls.Certificate { return &c.shown })
		conn, err := tls.Dial("tcp", listener.Addr().String(), config)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(conn)
		_ = conn.Close()
		if got := string(said) == "in"; got != c.in {
			t.Errorf("%s: let in %v, want %v", title, got, c.in)
		}
	}
}
