package bench

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/signing"
	"github.com/chuanyu-exchange/hub/internal/embedded"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
)

// mostGrants of one pass: Transit makes some thousand a second.
const mostGrants = 2_000

// granter issues grants as a gateway does; only who signs differs.
type granter struct {
	caller    identity.Caller
	authority identity.Authority
	count     int
}

// pass issues all grants, each with an id of its own.
func (g *granter) pass(sign func(payload []byte) (string, error)) pass {
	return pass{
		run: func(ctx context.Context) (int, error) {
			for n := range g.count {
				now := time.Now()
				id, err := signing.NewID(now)
				if err != nil {
					return n, err
				}
				if token, err := g.authority.Grant(g.caller, id, now, sign); err != nil || token == "" {
					return n, errors.Join(errors.New("a grant was not signed"), err)
				}
				if err := ctx.Err(); err != nil {
					return n, err
				}
			}
			return g.count, nil
		},
		close: func() error { return nil },
	}
}

// openSignGrant starts a devvault for the reference, or uses the server of
// VAULT_ADDR and VAULT_TOKEN.
func openSignGrant(ctx context.Context, w *world, _ Frontend) (*contest, error) {
	now := time.Now()
	ca, err := newAuthority("sign/grant", now)
	if err != nil {
		return nil, err
	}
	own, err := ca.issue(spiffe.Name{Region: region, Role: spiffe.Signing}, now)
	if err != nil {
		return nil, err
	}
	remote, err := ca.issue(spiffe.Name{Region: region, Role: spiffe.System, Participant: "cq-commerce", System: "bench"}, now)
	if err != nil {
		return nil, err
	}
	g := &granter{
		caller:    identity.Caller{Participant: "cq-commerce", Region: region, System: "bench", Thumbprint: jws.KeyID(remote.chain[0])},
		authority: identity.Authority{Region: region, Issuer: "https://bench.invalid", Roots: ca.pool()},
		count:     min(w.rows, mostGrants),
	}
	local := signing.New(func() (crypto.Signer, []*x509.Certificate) { return own.key, own.chain }, time.Now)
	client, closeAll, err := openTransit(ctx, w.dir)
	if err != nil {
		return nil, err
	}
	side := func(sign func([]byte) (string, error)) func(context.Context) (pass, error) {
		return func(context.Context) (pass, error) { return g.pass(sign), nil }
	}
	return &contest{
		ours:       contestant{name: "signed in the process", prepare: side(local.Grant)},
		references: []contestant{{name: "Transit", prepare: side(transitGrant(ctx, client, own.chain))}},
		close:      closeAll,
	}, nil
}

// transitGrant signs the same token with a key that never leaves Vault.
func transitGrant(ctx context.Context, c *vault.Client, chain []*x509.Certificate) func([]byte) (string, error) {
	return func(payload []byte) (string, error) {
		header, err := json.Marshal(map[string]any{"alg": "EdDSA", "typ": identity.GrantType, "x5c": [][]byte{chain[0].Raw}})
		if err != nil {
			return "", err
		}
		input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
		signature, err := c.Sign(ctx, vault.KeyTrustBundle, []byte(input))
		if err != nil {
			return "", err
		}
		return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
	}
}

// openTransit logs in to a server that is provisioned for it.
func openTransit(ctx context.Context, dir string) (c *vault.Client, closeAll func() error, err error) {
	address, token, stop := os.Getenv("VAULT_ADDR"), os.Getenv("VAULT_TOKEN"), func() error { return nil }
	if address == "" {
		source, err := embedded.FindSource()
		if err != nil {
			return nil, nil, err
		}
		v, err := embedded.StartVault(ctx, embedded.VaultOptions{SourceDir: source, DataDir: filepath.Join(dir, "vault")})
		if err != nil {
			return nil, nil, fmt.Errorf("devvault: %w", err)
		}
		address, token, stop = v.Address(), v.RootToken(), v.Close
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, stop())
		}
	}()
	p := vault.Province{Region: region, TrustDomain: spiffe.TrustDomain(region)}
	if err := vault.Provision(ctx, address, token, p); err != nil {
		return nil, nil, err
	}
	roleID, secretID, err := vault.NewSecretID(ctx, address, token, p, vault.RoleOperator)
	if err != nil {
		return nil, nil, err
	}
	c, err = vault.Open(ctx, vault.Config{
		Address: address, Mounts: vault.ProvinceMounts(region), RoleID: roleID, SecretID: func() (string, error) { return secretID, nil },
	})
	if err != nil {
		return nil, nil, err
	}
	return c, func() error { return errors.Join(c.Close(), stop()) }, nil
}
