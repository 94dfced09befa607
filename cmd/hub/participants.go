package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// demoSystem is the name of every participant's one system in the demo.
const demoSystem = "demo"

// issueProfiles gives every participant of the province a certificate and a
// profile: what an operator would hand to its integrator.
func (p *province) issueProfiles(ctx context.Context) error {
	for _, participant := range p.world.participants(p.region) {
		if err := p.issueProfile(ctx, participant); err != nil {
			return fmt.Errorf("%s: %w", participant.ID, err)
		}
	}
	return nil
}

func (p *province) profileDir(participant string) string {
	return filepath.Join(p.dir, "participants", participant)
}

func (p *province) issueProfile(ctx context.Context, participant *catalogue.Participant) error {
	dir := p.profileDir(participant.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	name := spiffe.Name{Region: p.region, Role: spiffe.System, Participant: participant.ID, System: demoSystem}
	// As a participant enrols itself: nobody else may have its keys certified.
	token, err := p.operator.Admit(ctx, participant.ID, time.Minute)
	if err != nil {
		return err
	}
	chain, err := vault.Enrol(ctx, vault.Config{Address: p.vault.address, Mounts: vault.ProvinceMounts(p.region)}, token.Token, key, name)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, "key.pem"), 0o600, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, "cert.pem"), 0o644, certificates(chain)...); err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, "profile.yaml"), []byte(p.profile(participant)), 0o600)
}

// profile is client.Profile as YAML.
func (p *province) profile(participant *catalogue.Participant) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s %s\n", participant.NameZH, participant.NameEN)
	fmt.Fprintf(&b, "participant: %s\nregion: %s\ncertificate: cert.pem\nkey: key.pem\ngateways:\n", participant.ID, p.region)
	for _, other := range p.provinces {
		fmt.Fprintf(&b, "  - {region: %s, url: %q, roots: ../../../%s/root.pem}\n", other.region, other.gateway.url, other.region)
	}
	return b.String()
}
