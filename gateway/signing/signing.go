package signing

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"

	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Source is the key to sign with now, and its certificates, leaf first. It may
// answer another key each time.
type Source func() (crypto.Signer, []*x509.Certificate)

// Signer signs with the key of its source.
type Signer struct {
	source Source
	now    func() time.Time

	mu      sync.Mutex
	current *keyed
	former  []*x509.Certificate // not yet expired, newest first
}

type keyed struct {
	leaf                               *x509.Certificate
	receipts, acknowledgements, grants *jws.Signer
}

// New returns a signer. It does not ask the source yet.
func New(source Source, now func() time.Time) *Signer { return &Signer{source: source, now: now} }

// use returns the signers of the current key, made anew when it was exchanged.
func (s *Signer) use() (*keyed, error) {
	key, chain := s.source()
	if key == nil || len(chain) == 0 || !s.now().Before(chain[0].NotAfter) {
		return nil, problem.New(problem.VaultUnavailable, "the signing key's certificate has expired and could not be renewed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.current.leaf == chain[0] {
		return s.current, nil
	}
	receipts, err := jws.NewSigner(key, chain, receipt.Type)
	if err != nil {
		return nil, err
	}
	acknowledgements, err := jws.NewSigner(key, chain, receipt.AcknowledgementType)
	if err != nil {
		return nil, err
	}
	grants, err := jws.NewSigner(key, chain, identity.GrantType)
	if err != nil {
		return nil, err
	}
	if s.current != nil {
		s.former = append([]*x509.Certificate{s.current.leaf}, s.former...)
	}
	s.current = &keyed{leaf: chain[0], receipts: receipts, acknowledgements: acknowledgements, grants: grants}
	return s.current, nil
}

// Receipt gives the receipt its id and time and signs it.
func (s *Signer) Receipt(r *receipt.Receipt) (string, error) {
	k, err := s.use()
	if err != nil {
		return "", err
	}
	if err := s.stamp(&r.ID, &r.IssuedAt); err != nil {
		return "", err
	}
	return signed(k.receipts, r)
}

// Acknowledgement gives the acknowledgement its id and time and signs it.
func (s *Signer) Acknowledgement(a *receipt.Acknowledgement) (string, error) {
	k, err := s.use()
	if err != nil {
		return "", err
	}
	if err := s.stamp(&a.ID, &a.IssuedAt); err != nil {
		return "", err
	}
	return signed(k.acknowledgements, a)
}

func (s *Signer) stamp(id *string, at *time.Time) (err error) {
	*at = s.now().UTC().Truncate(time.Millisecond)
	*id, err = NewID(*at)
	return err
}

func signed(by *jws.Signer, v any) (string, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("receipt: %w", err)
	}
	return by.Sign(payload)
}

// Grant signs the claims of an access token.
func (s *Signer) Grant(payload []byte) (string, error) {
	k, err := s.use()
	if err != nil {
		return "", err
	}
	return k.grants.Sign(payload)
}

// Keys is the public keys that may have signed something that is still valid.
func (s *Signer) Keys() (jose.JSONWebKeySet, error) {
	k, err := s.use()
	if err != nil {
		return jose.JSONWebKeySet{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	live := s.former[:0]
	for _, c := range s.former {
		if s.now().Before(c.NotAfter) {
			live = append(live, c)
		}
	}
	s.former = live
	return jws.KeySet(append([]*x509.Certificate{k.leaf}, live...)), nil
}

// NewID is a UUIDv7 (RFC 9562) of a time: the ledger finds an entry by the
// time in its id.
func NewID(at time.Time) (string, error) {
	var id uuid.UUID
	if _, err := rand.Read(id[:]); err != nil {
		return "", fmt.Errorf("random id: %w", err)
	}
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i)) //nolint:gosec // the 48 bits of RFC 9562, 5.7
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id.String(), nil
}
