package vault

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const (
	dataKeySize = 32   // AES-256
	maxWrapped  = 1024 // a wrapped data key is some 90 bytes
	maxSigned   = 1 << 20
)

// wrappedPrefix begins all that Transit gives out: vault:v<version>:<base64>.
var wrappedPrefix = []byte("vault:v")

// CreateSealKey makes sure that the named AES-256-GCM key is there and may be
// deleted: destroying it erases whatever was sealed with its data keys. It may
// be repeated.
func (c *Client) CreateSealKey(ctx context.Context, name string) error {
	if err := checkSegment("sealing key", name); err != nil {
		return err
	}
	path := c.cfg.Mounts.Transit + "/keys/" + name
	for _, r := range []request{
		{what: "create a sealing key", method: http.MethodPost, path: path, body: sealKeyType},
		{what: "let a sealing key be deleted", method: http.MethodPost, path: path + "/config", body: sealKeyConfig},
	} {
		if _, err := c.do(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// sealKeyType and sealKeyConfig are those of every sealing key.
var (
	sealKeyType   = map[string]any{"type": "aes256-gcm96"}
	sealKeyConfig = map[string]any{"deletion_allowed": true}
)

// DataKey returns a new 32-byte data key and the form of it that the named key
// wrapped, to be kept beside what it seals. [ErrNotFound]: there is no such
// key.
func (c *Client) DataKey(ctx context.Context, name string) (plain, wrapped []byte, err error) {
	if err := checkSegment("sealing key", name); err != nil {
		return nil, nil, err
	}
	s, err := c.transit(ctx, request{
		what: "make a data key", path: "/datakey/plaintext/" + name,
		body: map[string]any{"bits": dataKeySize * 8}, quiet: true,
	})
	if err != nil {
		return nil, nil, err
	}
	plain, err = dataKeyField(s)
	if err != nil {
		return nil, nil, err
	}
	text, _ := s.Data["ciphertext"].(string)
	if wrapped = []byte(text); !bytes.HasPrefix(wrapped, wrappedPrefix) || len(wrapped) > maxWrapped {
		return nil, nil, errAnswer("make a data key", "no wrapped key")
	}
	return plain, wrapped, nil
}

// UnwrapDataKey returns the data key that the named key wrapped.
// [ErrNotFound]: the key was destroyed, so what it sealed is erased; or it
// never wrapped this. A server that does not let us ask at all, because its
// engine or our policy is not as it was set up, is problem.VaultUnavailable:
// what is sealed is not gone.
func (c *Client) UnwrapDataKey(ctx context.Context, name string, wrapped []byte) ([]byte, error) {
	if err := checkSegment("sealing key", name); err != nil {
		return nil, err
	}
	if len(wrapped) > maxWrapped || !bytes.HasPrefix(wrapped, wrappedPrefix) {
		return nil, fmt.Errorf("unwrap a data key: %d bytes that Transit cannot have wrapped: %w", len(wrapped), ErrNotFound)
	}
	s, err := c.transit(ctx, request{
		what: "unwrap a data key", path: "/decrypt/" + name,
		body: map[string]any{"ciphertext": string(wrapped)}, quiet: true,
	})
	if errors.Is(err, ErrDenied) || errors.Is(err, ErrNotFound) && !errors.Is(err, errRejected) {
		return nil, problem.Wrap(problem.VaultUnavailable, err, "unwrap a data key: is the province set up? hubctl vault bootstrap --dry-run says what is missing")
	}
	if err != nil {
		return nil, err
	}
	return dataKeyField(s)
}

// Sign returns the Ed25519 signature of at most 1 MiB of data by the latest
// version of the named key. It costs a round trip and belongs to what is rare
// and long-lived, such as trust bundles; everything else is signed with an
// [Identity].
func (c *Client) Sign(ctx context.Context, key string, data []byte) ([]byte, error) {
	return c.sign(ctx, key, 0, data)
}

// sign is Sign by one version of a key; 0 is the latest.
func (c *Client) sign(ctx context.Context, key string, version int, data []byte) ([]byte, error) {
	if err := checkSegment("signing key", key); err != nil {
		return nil, err
	}
	if len(data) > maxSigned {
		return nil, fmt.Errorf("sign %d bytes with %s: at most %d", len(data), key, maxSigned)
	}
	body := map[string]any{"input": base64.StdEncoding.EncodeToString(data)}
	if version > 0 {
		body["key_version"] = version
	}
	s, err := c.transit(ctx, request{what: "sign", path: "/sign/" + key, body: body, quiet: true})
	if err != nil {
		return nil, err
	}
	text, _ := s.Data["signature"].(string)
	signature, err := base64.StdEncoding.DecodeString(text[strings.LastIndexByte(text, ':')+1:])
	if err != nil || len(signature) != ed25519.SignatureSize {
		return nil, errAnswer("sign", "no Ed25519 signature; is the key of another type?")
	}
	return signature, nil
}

// PublicKey returns the public half of the latest version of an Ed25519 key.
func (c *Client) PublicKey(ctx context.Context, key string) (ed25519.PublicKey, error) {
	public, _, err := c.latest(ctx, key)
	return public, err
}

// latest is the public half of the latest version of a key, and which that is.
func (c *Client) latest(ctx context.Context, key string) (public ed25519.PublicKey, version int, err error) {
	if err := checkSegment("signing key", key); err != nil {
		return nil, 0, err
	}
	s, err := c.do(ctx, request{what: "read a public key", method: http.MethodGet, path: c.cfg.Mounts.Transit + "/keys/" + key})
	if err != nil {
		return nil, 0, err
	}
	number, _ := s.Data["latest_version"].(json.Number)
	versions, _ := s.Data["keys"].(map[string]any)
	one, _ := versions[number.String()].(map[string]any)
	text, _ := one["public_key"].(string)
	// Ed25519 comes as bare base64, where other types come as PEM.
	public, err = base64.StdEncoding.DecodeString(text)
	if err != nil || len(public) != ed25519.PublicKeySize {
		return nil, 0, errAnswer("read a public key", "no Ed25519 key; is the key of another type?")
	}
	if version, err = strconv.Atoi(number.String()); err != nil {
		return nil, 0, errAnswer("read a public key", "no version")
	}
	return public, version, nil
}

// transit posts to the Transit engine, which answers 400 both to a key that is
// not there and to a ciphertext that is not of it.
func (c *Client) transit(ctx context.Context, r request) (*api.Secret, error) {
	r.method, r.path = http.MethodPost, c.cfg.Mounts.Transit+r.path
	s, err := c.do(ctx, r)
	if errors.Is(err, errRejected) {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err == nil && s == nil {
		return nil, errAnswer(r.what, "an empty answer")
	}
	return s, err
}

func dataKeyField(s *api.Secret) ([]byte, error) {
	text, _ := s.Data["plaintext"].(string)
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != dataKeySize {
		return nil, errAnswer("read a data key", "not a key of 32 bytes")
	}
	return key, nil
}

// errAnswer says that the server did not answer as the engine does.
func errAnswer(what, got string) error {
	return problem.New(problem.VaultUnavailable, "%s: Vault answered with %s", what, got)
}
