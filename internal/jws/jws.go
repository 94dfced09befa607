package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

// What can be wrong with a signed message.
var (
	ErrMalformed = errors.New("not a signed message of the expected type")
	ErrUntrusted = errors.New("the signer's certificate is not issued by a trusted authority, or was not valid at the time of signing")
	ErrSignature = errors.New("the signature is wrong")
)

// maxSize bounds a message before it is parsed.
const maxSize = 64 << 10

var algorithms = []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256}

// Signer signs with one key and its certificates. It is safe for concurrent
// use.
type Signer struct {
	signer jose.Signer
	// Of an Ed25519 key: the library writes the same header each time, so it
	// is written once. Beside the signature itself it was most of the work.
	ed25519 ed25519.PrivateKey
	header  string // base64url, with the dot behind it
	buffers sync.Pool
}

// NewSigner takes a key and its certificate with its issuers, leaf first. The
// root is left out of the messages: who verifies must have it already. typ is
// the media type in the header.
func NewSigner(key crypto.Signer, chain []*x509.Certificate, typ string) (*Signer, error) {
	algorithm, signing := jose.EdDSA, any(key)
	switch key := key.(type) {
	case ed25519.PrivateKey:
	case *ecdsa.PrivateKey:
		algorithm = jose.ES256
	default: // elsewhere, as in Vault
		if _, ok := key.Public().(ed25519.PublicKey); !ok {
			return nil, fmt.Errorf("signing key of type %T: Ed25519 or P-256 is needed", key)
		}
		signing = cryptosigner.Opaque(key)
	}
	if len(chain) == 0 {
		return nil, errors.New("signing key without a certificate")
	}
	var x5c []string
	for _, c := range chain {
		if len(x5c) == 0 || !slices.Equal(c.RawIssuer, c.RawSubject) {
			x5c = append(x5c, base64.StdEncoding.EncodeToString(c.Raw))
		}
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("x5c", x5c)
	id := jose.JSONWebKey{Key: signing, KeyID: KeyID(chain[0])}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: id}, options)
	if err != nil {
		return nil, fmt.Errorf("signer: %w", err)
	}
	out := &Signer{signer: s}
	if private, ok := key.(ed25519.PrivateKey); ok {
		sample, err := out.Sign(nil)
		if err != nil {
			return nil, err
		}
		out.ed25519, out.header = private, sample[:strings.IndexByte(sample, '.')+1]
	}
	return out, nil
}

// KeyID is the id of a certified key: the SHA-256 of its certificate,
// base64url, as x5t#S256 of RFC 7517 writes it.
func KeyID(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// KeySet is the public keys of certificates as a JWK set (RFC 7517), for
// readers that look keys up instead of checking x5c.
func KeySet(certs []*x509.Certificate) jose.JSONWebKeySet {
	var set jose.JSONWebKeySet
	for _, c := range certs {
		set.Keys = append(set.Keys, jose.JSONWebKey{
			Key: c.PublicKey, KeyID: KeyID(c), Use: "sig", Certificates: []*x509.Certificate{c},
		})
	}
	return set
}

// Sign returns the message in compact form.
func (s *Signer) Sign(payload []byte) (string, error) {
	if s.ed25519 != nil {
		buffer, _ := s.buffers.Get().(*[]byte)
		if buffer == nil {
			buffer = new([]byte)
		}
		b := base64.RawURLEncoding.AppendEncode(append((*buffer)[:0], s.header...), payload)
		signature := ed25519.Sign(s.ed25519, b) // RFC 8037, section 3.1
		b = base64.RawURLEncoding.AppendEncode(append(b, '.'), signature)
		message := string(b)
		*buffer = b
		s.buffers.Put(buffer)
		return message, nil
	}
	object, err := s.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return object.CompactSerialize()
}

// Message is a signed message whose signature has not been checked.
type Message struct {
	Unverified []byte // the payload, not to be believed yet
	object     *jose.JSONWebSignature
}

// Parse takes a message apart. The algorithms are the two of this package; a
// message of another type, with another number of signatures or a critical
// header is malformed.
func Parse(compact, typ string) (*Message, error) {
	if len(compact) > maxSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(compact))
	}
	object, err := jose.ParseSignedCompact(compact, algorithms)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(object.Signatures) != 1 || object.Signatures[0].Protected.ExtraHeaders[jose.HeaderType] != typ {
		return nil, fmt.Errorf("%w: want typ %s", ErrMalformed, typ)
	}
	return &Message{Unverified: object.UnsafePayloadWithoutVerification(), object: object}, nil
}

// Verify checks the certificates of the header against roots at a time and the
// signature with the leaf's key, and returns the leaf. What the leaf may sign
// is for the caller to check, by its name.
func (m *Message) Verify(roots *x509.CertPool, at time.Time) (*x509.Certificate, error) {
	if roots == nil {
		return nil, ErrUntrusted // a nil pool would mean the machine's own authorities
	}
	chains, err := m.object.Signatures[0].Protected.Certificates(x509.VerifyOptions{
		Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil || len(chains) == 0 {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	leaf := chains[0][0]
	if leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 || leaf.IsCA {
		return nil, fmt.Errorf("%w: it may not sign", ErrUntrusted)
	}
	if kid := m.object.Signatures[0].Protected.KeyID; kid != "" && kid != KeyID(leaf) {
		return nil, fmt.Errorf("%w: kid names another key than the certificate's", ErrSignature)
	}
	if _, err := m.object.Verify(leaf.PublicKey); err != nil {
		return nil, ErrSignature
	}
	return leaf, nil
}
