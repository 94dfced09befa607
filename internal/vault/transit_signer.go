package vault

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
)

// transitSigner signs with one version of a key that never leaves Vault.
type transitSigner struct {
	client  *Client
	key     string
	version int
	public  ed25519.PublicKey
}

// TransitSigner is the latest version of an Ed25519 key of Transit, as a key
// that [Client.NewIdentity] has certified like one of its own: for gateways that
// must not hold the key that they sign with. Each signature then costs a round
// trip, and there is none while Vault is away (problem.VaultUnavailable).
func (c *Client) TransitSigner(ctx context.Context, key string) (crypto.Signer, error) {
	public, version, err := c.latest(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", key, err)
	}
	return &transitSigner{client: c, key: key, version: version, public: public}, nil
}

// Public is the key's public half.
func (s *transitSigner) Public() crypto.PublicKey { return s.public }

// Sign signs a message, which is not hashed before (RFC 8032, Ed25519). It has
// no context to be ended by; the client's own deadline bounds it. A signature
// that is not of the key is an error: Vault is not believed.
func (s *transitSigner) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != crypto.Hash(0) {
		return nil, errors.New("Ed25519 signs messages, not their hashes")
	}
	signature, err := s.client.sign(context.Background(), s.key, s.version, message)
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(s.public, message, signature) {
		return nil, errAnswer("sign", "the signature is not of the key")
	}
	return signature, nil
}
