package instance

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// ManifestType is the media type in the header of a batch manifest.
const ManifestType = "hub-manifest+jws"

// Hooks are told what happens; each may be nil.
type Hooks struct {
	Progress func(connectors.Position)
	Refused  func(*problem.Problem)
}

// Connector is a connector with everything that it needs.
type Connector struct {
	File     *File
	Source   *dropdir.Source
	Pipeline *connectors.Pipeline
	Kafka    *kafkalog.Client
	Vault    *vault.Client
	identity *vault.Identity
}

// Open logs in, connects and opens. What fails names its part.
func (f *File) Open(ctx context.Context, logger *slog.Logger, now func() time.Time, h Hooks) (_ *Connector, err error) {
	off, err := f.Offline()
	if err != nil {
		return nil, err
	}
	c := &Connector{File: f}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if c.Vault, err = f.OpenVault(ctx, logger); err != nil {
		return nil, err
	}
	if c.identity, err = f.Certify(ctx, c.Vault); err != nil {
		return nil, err
	}
	if c.Kafka, err = f.OpenKafka(ctx, logger, c.Vault, c.identity); err != nil {
		return nil, err
	}
	keys, err := c.Vault.SharedKeys(ctx, vault.KeyRecord(f.Product))
	if err != nil {
		return nil, fmt.Errorf("record key of %s: %w", f.Product, err)
	}
	if c.Source, err = f.Source.open(off.Mapping.Columns(), now); err != nil {
		return nil, err
	}
	signer := manifestSigner{identity: c.identity}
	c.Pipeline, err = connectors.NewPipeline(connectors.Config{
		Region: f.Region, Provider: f.Provider, Product: off.Product, Schema: off.Schema, Mapping: off.Mapping, Source: c.Source,
		// The oldest version keys the records: another one would make new
		// keys of all that is known.
		Kafka: c.Kafka, ProductKey: keys[len(keys)-1].Key, DataKey: c.dataKey, Unwrap: c.Vault.UnwrapDataKey, Sign: signer.sign,
		QuarantineDir: f.Quarantine, Now: now, Logger: logger, ChunkRows: f.ChunkRows, MaxRowsPerSecond: f.MaxRowsPerSecond,
		Progress: h.Progress, Refused: h.Refused,
	})
	return c, err
}

func (f *File) role() vault.ConnectorRole {
	return vault.ConnectorRole{Provider: f.Provider, Product: f.Product}
}

// OpenVault logs in as the connector.
func (f *File) OpenVault(ctx context.Context, logger *slog.Logger) (*vault.Client, error) {
	var roots *x509.CertPool
	if f.Vault.CAFile != "" {
		var err error
		if roots, err = readRoots("vault", f.Vault.CAFile); err != nil {
			return nil, err
		}
	}
	secret := vault.SecretFiles{Role: f.role().Name(), Secret: f.Vault.SecretIDFile, Wrapped: f.Vault.WrappedSecretIDFile}
	cfg := vault.Config{
		Address: f.Vault.Address, Standby: f.Vault.Standby, Roots: roots, Mounts: vault.ProvinceMounts(f.Region),
		RoleID: f.Vault.RoleID, SecretID: secret.Read, Logger: logger,
	}
	if err := secret.Take(ctx, cfg); err != nil {
		return nil, fmt.Errorf("vault at %s: %w", f.Vault.Address, err)
	}
	c, err := vault.Open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("vault at %s: %w", f.Vault.Address, err)
	}
	return c, nil
}

// Certify takes a certificate for the connector: for its manifests, and for
// Kafka.
func (f *File) Certify(ctx context.Context, v *vault.Client) (*vault.Identity, error) {
	name := spiffe.Name{Region: f.Region, Role: spiffe.Connector, Participant: f.Provider, System: f.Product}
	id, err := v.NewIdentity(ctx, vault.CertificateSpec{Role: f.role().Name(), URIs: []*url.URL{name.URL()}, TTL: f.CertificateLife}, newKey)
	if err != nil {
		return nil, fmt.Errorf("certificate of the connector: %w", err)
	}
	return id, nil
}

// OpenKafka connects to the province's cluster. With TLS it shows the
// certificate in place at each connection, so that one that was exchanged needs
// no restart.
func (f *File) OpenKafka(ctx context.Context, logger *slog.Logger, v *vault.Client, id *vault.Identity) (*kafkalog.Client, error) {
	cfg := kafkalog.Config{Brokers: f.Kafka.Brokers, ClientID: "connector/" + f.Provider + "/" + f.Product, Logger: logger}
	if f.Kafka.TLS != nil {
		roots, err := f.kafkaRoots(ctx, v)
		if err != nil {
			return nil, err
		}
		cfg.TLS = KafkaTLSConfig(roots, id.TLSCertificate)
	}
	c, err := kafkalog.Open(ctx, cfg)
	if err != nil {
		return nil, problem.Wrap(problem.KafkaUnavailable, err, "kafka at %s", strings.Join(f.Kafka.Brokers, ", "))
	}
	return c, nil
}

// ReachKafka is OpenKafka for who looks in for a moment: it logs in and is
// certified where TLS asks for that.
func (f *File) ReachKafka(ctx context.Context, logger *slog.Logger) (_ *kafkalog.Client, err error) {
	if f.Kafka.TLS == nil {
		return f.OpenKafka(ctx, logger, nil, nil)
	}
	v, err := f.OpenVault(ctx, logger)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	id, err := f.Certify(ctx, v)
	if err != nil {
		return nil, err
	}
	return f.OpenKafka(ctx, logger, v, id)
}

// KafkaTLSConfig is TLS 1.3 to brokers that these authorities certified, with
// the client certificate of the moment.
func KafkaTLSConfig(roots *x509.CertPool, certificate func() *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate(), nil },
	}
}

// kafkaRoots are who may certify the brokers.
func (f *File) kafkaRoots(ctx context.Context, v *vault.Client) (*x509.CertPool, error) {
	if f.Kafka.TLS.CAFile != "" {
		return readRoots("kafka.tls", f.Kafka.TLS.CAFile)
	}
	authorities, err := v.Authorities(ctx)
	if err != nil {
		return nil, fmt.Errorf("authorities of the brokers: %w", err)
	}
	roots := x509.NewCertPool()
	for _, c := range authorities {
		roots.AddCert(c)
	}
	return roots, nil
}

func readRoots(of, file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "%s: caFile: %v", of, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, problem.New(problem.ConfigInvalid, "%s: %s holds no certificate", of, file)
	}
	return roots, nil
}

func newKey() (crypto.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

// dataKey makes the month's sealing key when it is first needed; the
// quarantine's is provisioned.
func (c *Connector) dataKey(ctx context.Context, name string) (plain, wrapped []byte, err error) {
	if strings.HasPrefix(name, sealed.Prefix(c.File.Product)) {
		if err := c.Vault.CreateSealKey(ctx, name); err != nil {
			return nil, nil, err
		}
	}
	return c.Vault.DataKey(ctx, name)
}

// manifestSigner signs with the identity in place.
type manifestSigner struct {
	identity *vault.Identity
}

func (m manifestSigner) sign(manifest []byte) (string, error) {
	current := m.identity.Current()
	s, err := jws.NewSigner(current.Key, current.Chain, ManifestType)
	if err != nil {
		return "", err
	}
	return s.Sign(manifest)
}

// Run carries until ctx ends or another connector takes over.
func (c *Connector) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var renewal sync.WaitGroup
	renewal.Go(func() { _ = c.identity.Run(ctx) }) // ends with ctx, and returns nothing else
	defer renewal.Wait()
	defer cancel()
	return connectors.Supervise(ctx, c.Pipeline)
}

// Position reads where the connector stands.
func (f *File) Position(ctx context.Context, k *kafkalog.Client, major int) (connectors.Position, error) {
	return connectors.ReadPosition(ctx, k, f.Region, record.TransactionalID(record.Topic(f.Region, f.Product, major), f.Provider))
}

// Opener opens this connector's own quarantined rows.
func Opener(v *vault.Client) *sealed.Opener {
	const keys = 64
	return sealed.NewOpener(v.UnwrapDataKey, keys)
}

// Close lets go of everything.
func (c *Connector) Close() error {
	var errs []error
	if c.Kafka != nil {
		errs = append(errs, c.Kafka.Close())
	}
	if c.Vault != nil {
		errs = append(errs, c.Vault.Close())
	}
	return errors.Join(errs...)
}
