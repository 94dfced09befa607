package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/signing"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
)

// demoOperators are the people of a province's platform: two for security,
// because policies need two, and one each for administration and audit.
var demoOperators = []struct {
	name string
	duty spiffe.Duty
}{
	{"wu", spiffe.Administration}, {"liang", spiffe.Security}, {"zheng", spiffe.Security}, {"zhou", spiffe.Audit},
}

// certified is a key and its certificates, leaf first.
type certified struct {
	key   crypto.Signer
	chain []*x509.Certificate
}

// startControl opens the control log, gives the orders that a hub begins with,
// and follows the log from then on.
func (p *province) startControl(ctx context.Context, started *gateway.Snapshot, vouching *vault.Identity) (*control.Log, *gateway.Composer, error) {
	var composer *gateway.Composer
	log, err := control.Open(ctx, control.Config{
		Check: func(s *control.State) error { return composer.Check(s) },
		Kafka: p.kafka, Now: time.Now, Logger: p.logger,
		Rules: control.Rules{Region: p.region, Roots: started.Trust.Roots(p.region), OpenBundle: func(compact, region string, at time.Time) (int64, error) {
			b, err := p.openBundle(compact, region, at)
			if err != nil {
				return 0, err
			}
			return b.Version, nil
		}},
	})
	if err != nil {
		return nil, nil, err
	}
	p.closing("control log of "+p.region, log.Close)
	composer = &gateway.Composer{Region: p.region, Started: *started, State: log.State, Now: time.Now, Logger: p.logger, Open: p.openBundle}
	p.background(log.Run, func(ctx context.Context) { p.announce(ctx, log, vouching) })
	return log, composer, p.firstOrders(ctx, log)
}

// openBundle checks a bundle with the key that the two provinces exchanged; one
// of the province's own, with its own.
func (p *province) openBundle(compact, region string, at time.Time) (*identity.Bundle, error) {
	for _, other := range p.provinces {
		if other.region == region {
			return identity.OpenBundle(compact, region, other.key, at)
		}
	}
	return nil, problem.New(problem.ConfigInvalid, "trust bundle of %s: no key was exchanged with that province", region)
}

// firstOrders has the demo's operators adopt what it was started with: the
// policies, by two of them, and the other province's trust bundle.
func (p *province) firstOrders(ctx context.Context, log *control.Log) error {
	people, err := p.issueOperators(ctx)
	if err != nil {
		return err
	}
	give := func(who string, kind control.Kind, subject, bundle string) (control.Outcome, error) {
		signed, err := people[who].order(control.Order{
			Kind: kind, Region: p.region, Subject: subject, Bundle: bundle, Reason: "hub dev was started",
		})
		if err != nil {
			return control.Outcome{}, err
		}
		return log.Submit(ctx, signed)
	}
	state, err := log.State()
	if err != nil {
		return err
	}
	if held := p.world.policies.Version(); state.Policy().Policy != held {
		proposed, err := give("liang", control.ProposePolicy, held, "")
		if err == nil {
			_, err = give("zheng", control.ApprovePolicy, proposed.Order.ID, "")
		}
		if err != nil {
			return fmt.Errorf("policies: %w", err)
		}
	}
	for _, other := range p.provinces {
		if other == p {
			continue
		}
		if _, err := give("wu", control.AdoptBundle, other.region, other.bundle); err != nil && problem.CodeOf(err) != problem.OrderConflict {
			return fmt.Errorf("trust bundle of %s: %w", other.region, err)
		}
	}
	return nil
}

// order signs an order of now.
func (c certified) order(o control.Order) (_ string, err error) {
	now := time.Now()
	if o.ID, err = signing.NewID(now); err != nil {
		return "", err
	}
	return o.Sign(now, c.key, c.chain)
}

// announce tells the other replicas of this one's signing key, at the start
// and whenever it was exchanged.
func (p *province) announce(ctx context.Context, log *control.Log, vouching *vault.Identity) {
	announced := ""
	for ctx.Err() == nil {
		current := vouching.Current()
		if id := jws.KeyID(current.Chain[0]); id != announced {
			signed, err := certified{current.Key, current.Chain}.order(control.Order{Kind: control.AnnounceKey, Region: p.region})
			if err == nil {
				_, err = log.Submit(ctx, signed)
			}
			if err == nil || problem.CodeOf(err) == problem.OrderConflict {
				announced = id
			} else if ctx.Err() == nil {
				p.logger.WarnContext(ctx, "the signing key was not announced, will try again", slog.String("region", p.region), slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
}

// issueOperators gives each of the demo's operators a certificate and a
// profile, as issueProfiles does for participants.
func (p *province) issueOperators(ctx context.Context) (map[string]certified, error) {
	registrar, err := p.login(ctx, vault.RoleRegistrar)
	if err != nil {
		return nil, err
	}
	people := map[string]certified{}
	for _, o := range demoOperators {
		c, err := p.issueOperator(ctx, registrar, o.name, o.duty)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("operator %s: %w", o.name, err), registrar.Close())
		}
		people[o.name] = c
	}
	return people, registrar.Close()
}

func (p *province) issueOperator(ctx context.Context, registrar *vault.Client, name string, duty spiffe.Duty) (certified, error) {
	key, err := newKey()
	if err != nil {
		return certified{}, err
	}
	id := spiffe.Name{Region: p.region, Role: spiffe.Operator, Duty: duty, System: name}
	chain, err := registrar.Certify(ctx, key, vault.CertificateSpec{Role: vault.CertOperator(duty), URIs: []*url.URL{id.URL()}})
	if err != nil {
		return certified{}, err
	}
	dir := filepath.Join(p.dir, "operators", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return certified{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err == nil {
		err = writePEM(filepath.Join(dir, "key.pem"), 0o600, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	if err == nil {
		err = writePEM(filepath.Join(dir, "cert.pem"), 0o644, certificates(chain)...)
	}
	return certified{key, chain}, err
}

// writeOperatorProfiles says where the gateway is, once that is known.
func (p *province) writeOperatorProfiles() error {
	for _, o := range demoOperators {
		text := fmt.Sprintf("# %s of %s\nparticipant: %s\nregion: %q\ncertificate: cert.pem\nkey: key.pem\ngateways:\n  - {region: %q, url: %q, roots: ../../root.pem}\n",
			o.duty, p.name, o.name, p.region, p.region, p.gateway.url)
		if err := replaceFile(filepath.Join(p.dir, "operators", o.name, "profile.yaml"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
