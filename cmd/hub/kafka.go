package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"path/filepath"

	"github.com/chuanyu-exchange/hub/connectors/instance"
	"github.com/chuanyu-exchange/hub/internal/embedded"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
)

// startKafka starts the province's broker and connects the gateway to it. Both
// show certificates of the province's own authority, which are exchanged while
// they run; connectors bring theirs.
func (p *province) startKafka(ctx context.Context) error {
	secrets, err := p.login(ctx, vault.RoleKafka)
	if err != nil {
		return err
	}
	p.closing("vault login of the broker of "+p.region, func(context.Context) error { return secrets.Close() })
	serving, err := secrets.NewIdentity(ctx, vault.CertificateSpec{
		Role: vault.CertKafkaBroker, URIs: []*url.URL{spiffe.Name{Region: p.region, Role: spiffe.Broker}.URL()},
		DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, TTL: p.cmd.Rotation.Certificates,
	}, newKey)
	if err != nil {
		return fmt.Errorf("certificate of the broker: %w", err)
	}
	broker, err := embedded.StartKafka(embedded.KafkaOptions{
		DataDir: filepath.Join(p.dir, "kafka"), Port: p.port + kafkaOffset, TLS: p.brokerTLS(serving.TLSCertificate), Logger: p.logger,
	})
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	p.closing("kafka of "+p.region, func(context.Context) error { return broker.Close() })
	broker.DelayCommits(p.cmd.Commits)
	p.broker = broker.Address()
	p.tellPort("Kafka", p.port+kafkaOffset, p.broker)

	if p.kafkaIdentity, err = p.secrets.NewIdentity(ctx, vault.CertificateSpec{
		Role: vault.CertGatewayKafka, URIs: []*url.URL{spiffe.Name{Region: p.region, Role: spiffe.GatewayKafka}.URL()}, TTL: p.cmd.Rotation.Certificates,
	}, newKey); err != nil {
		return fmt.Errorf("certificate for Kafka: %w", err)
	}
	p.kafka, err = kafkalog.Open(ctx, kafkalog.Config{
		Brokers: []string{p.broker}, ClientID: "hub/" + p.region, Logger: p.logger,
		TLS: instance.KafkaTLSConfig(p.pool(), p.kafkaIdentity.TLSCertificate),
	})
	if err != nil {
		return err
	}
	p.closing("kafka client of "+p.region, func(context.Context) error { return p.kafka.Close() })
	p.background(func(ctx context.Context) { _ = serving.Run(ctx) }, func(ctx context.Context) { _ = p.kafkaIdentity.Run(ctx) })
	return nil
}

// brokerTLS lets in the gateway and connectors of the province, and none of
// the others that its authority certifies.
func (p *province) brokerTLS(certificate func() *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: p.pool(),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate(), nil },
		VerifyConnection: func(c tls.ConnectionState) error {
			name, err := spiffe.Of(c.PeerCertificates[0])
			if err != nil || name.Region != p.region || name.Role != spiffe.GatewayKafka && name.Role != spiffe.Connector {
				return fmt.Errorf("kafka of %s is for its gateway and its connectors", p.region)
			}
			return nil
		},
	}
}

func (p *province) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range p.roots {
		pool.AddCert(c)
	}
	return pool
}
