package main

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/ledger"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
)

// province is one side of the border: everything that it has of its own.
type province struct {
	*dev
	region string
	name   string
	port   int
	dir    string
	vault  vaultServer

	operator *vault.Client
	secrets  *vault.Client // the gateway's
	broker   string        // address of its Kafka
	kafka    *kafkalog.Client

	kafkaIdentity *vault.Identity // that the gateway shows to Kafka

	roots   []*x509.Certificate
	bundle  string            // signed trust bundle, for the other side
	key     ed25519.PublicKey // that the other side checks the bundle with
	gateway *gatewayProcess
}

// role is what Vault is provisioned with for the province.
func (p *province) role() vault.Province {
	v := vault.Province{Region: p.region, TrustDomain: spiffe.TrustDomain(p.region)}
	for _, product := range p.world.products(p.region) {
		v.Products = append(v.Products, product.ID)
		v.Connectors = append(v.Connectors, vault.ConnectorRole{Provider: product.Providers[p.region], Product: product.ID})
	}
	return v
}

// prepare sets up what Vault holds for the province, starts its Kafka and sets
// up what that holds. All of it can be repeated on the state of an earlier run.
func (p *province) prepare(ctx context.Context) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	if err := vault.Provision(ctx, p.vault.address, p.vault.token, p.role()); err != nil {
		return err
	}
	var err error
	if p.operator, err = p.login(ctx, vault.RoleOperator); err != nil {
		return err
	}
	p.closing("operator of "+p.region, func(context.Context) error { return p.operator.Close() })
	if p.secrets, err = p.login(ctx, vault.RoleGateway); err != nil {
		return err
	}
	p.closing("vault login of the gateway of "+p.region, func(context.Context) error { return p.secrets.Close() })
	if _, _, err := p.secret(ctx, vault.RoleAuditor); err != nil { // for `hubctl credentials`
		return err
	}
	if err := p.publishTrust(ctx); err != nil {
		return err
	}
	if err := p.startKafka(ctx); err != nil {
		return err
	}
	return p.kafka.CreateTopics(ctx, p.topics()...)
}

// topics are declared, never made by being named.
func (p *province) topics() []kafkalog.Topic {
	topics := []kafkalog.Topic{
		ledger.Topic(p.region, 1), control.Topic(p.region, 1),
		{Name: record.ManifestTopic(p.region), Partitions: 1, Replicas: 1, Config: map[string]string{"retention.ms": "-1"}},
		{Name: record.PositionTopic(p.region), Partitions: 1, Replicas: 1, Config: map[string]string{"cleanup.policy": "compact"}},
	}
	for _, product := range p.world.products(p.region) {
		keep := time.Duration(product.RetentionDays) * 24 * time.Hour
		topics = append(topics, kafkalog.Topic{
			Name: record.Topic(p.region, product.ID, product.Major), Partitions: product.Partitions, Replicas: 1,
			Config: map[string]string{"cleanup.policy": "delete", "retention.ms": strconv.FormatInt(keep.Milliseconds(), 10)},
		})
	}
	return topics
}

// login makes a new secret id for a role and logs in with it. The secret is
// kept in a file for the owner alone, from which it is read at each login.
func (p *province) login(ctx context.Context, role string) (*vault.Client, error) {
	roleID, file, err := p.secret(ctx, role)
	if err != nil {
		return nil, err
	}
	return vault.Open(ctx, vault.Config{
		Address: p.vault.address, Standby: p.vault.standby, Mounts: vault.ProvinceMounts(p.region), RoleID: roleID, Logger: p.logger,
		SecretID: func() (string, error) { b, err := os.ReadFile(file); return string(b), err }, //nolint:gosec // written just below
	})
}

func (p *province) secret(ctx context.Context, role string) (roleID, file string, err error) {
	roleID, secretID, err := vault.NewSecretID(ctx, p.vault.address, p.vault.token, p.role(), role)
	if err != nil {
		return "", "", fmt.Errorf("secret id of %s: %w", role, err)
	}
	file = filepath.Join(p.dir, "secrets", role)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", "", err
	}
	if err := os.WriteFile(file, []byte(secretID), 0o600); err != nil {
		return "", "", err
	}
	// For hubctl, which logs in as the same people.
	login := fmt.Sprintf("address: %q\nstandby: %s\nroleID: %q\nsecretIDFile: %s\n", p.vault.address, p.vault.standbyYAML(), roleID, role)
	return roleID, file, replaceFile(file+".yaml", []byte(login), 0o600)
}

// publishTrust writes the province's roots down and signs the bundle that the
// other side will believe.
func (p *province) publishTrust(ctx context.Context) (err error) {
	if p.roots, err = p.operator.Authorities(ctx); err != nil {
		return err
	}
	if err := writePEM(filepath.Join(p.dir, "root.pem"), 0o644, certificates(p.roots)...); err != nil {
		return err
	}
	if p.key, err = p.operator.PublicKey(ctx, vault.KeyTrustBundle); err != nil {
		return err
	}
	now := time.Now()
	b := identity.Bundle{Region: p.region, Version: now.Unix(), IssuedAt: now.UTC(), NotAfter: now.AddDate(1, 0, 0).UTC(), Names: p.names(), Status: p.status()}
	for _, c := range p.roots {
		b.Roots = append(b.Roots, c.Raw)
	}
	p.bundle, err = b.Sign(func(data []byte) ([]byte, error) { return p.operator.Sign(ctx, vault.KeyTrustBundle, data) })
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.dir, "trust-bundle.jws"), []byte(p.bundle+"\n"), 0o600)
}

// names are the participants of the province: whom its authorities may name.
func (p *province) names() []string {
	var out []string
	for _, participant := range p.world.participants(p.region) {
		out = append(out, participant.ID)
	}
	return out
}

// status is where the province's Vault publishes what it revoked: at each of
// its nodes, any of which is enough.
func (p *province) status() identity.Sources {
	var s identity.Sources
	for _, node := range p.vault.nodes() {
		s.CRL = append(s.CRL, node+"/v1/"+vault.ProvinceMounts(p.region).PKI+"/crl")
	}
	return s
}

func (p *province) tellPort(what string, wanted int, address string) {
	if address != "127.0.0.1:"+strconv.Itoa(wanted) {
		p.say("port %d is in use: %s of %s is at %s", wanted, what, p.name, address)
	}
}

func certificates(certs []*x509.Certificate) []*pem.Block {
	var out []*pem.Block
	for _, c := range certs {
		out = append(out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return out
}

// writePEM replaces a file in one step, so that a reader never sees half.
func writePEM(path string, mode os.FileMode, blocks ...*pem.Block) error {
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	return replaceFile(path, text, mode)
}

func replaceFile(path string, content []byte, mode os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(content)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

func newKey() (crypto.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}
