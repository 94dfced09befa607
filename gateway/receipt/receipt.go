package receipt

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"hash"
	"time"

	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// Type is the media type in a receipt's header.
const Type = "hub-receipt+jws"

// Receipt says what one answer released. Once issued it never changes
// (invariant 7).
type Receipt struct {
	ID       string    `json:"id"`     // UUIDv7: holds the time to the millisecond
	Region   string    `json:"region"` // of the gateway
	IssuedAt time.Time `json:"issued_at"`
	Product  string    `json:"product"`
	Schemas  []string  `json:"schemas"` // of the records, e.g. price_quote.v1
	// Reader is the version of the schema that the records were resolved into,
	// if it is not that of all of them.
	Reader    string `json:"reader,omitempty"`
	Agreement string `json:"agreement,omitempty"`
	Emergency string `json:"emergency,omitempty"` // emergency access in the agreement's place
	Purpose   string `json:"purpose"`
	// Delivery is query for the one record of a key, and verify for a yes or no,
	// which releases no record; "" for a page.
	Delivery string `json:"delivery,omitempty"`
	Provider string `json:"provider"` // participant ids of the two parties
	Consumer string `json:"consumer"`
	System   string `json:"system"` // of the consumer, as its certificate names it
	Policy   string `json:"policy"` // version of the policies that decided
	// Obligations is the digest of what was asked of each field and of the records.
	Obligations string  `json:"obligations"`
	Topic       string  `json:"topic"`
	Ranges      []Range `json:"ranges"`
	Records     int64   `json:"records"` // released
	// Withheld counts records of the ranges that could not be released, by
	// reason.
	Withheld map[problem.Code]int64 `json:"withheld,omitempty"`
	Body     Body                   `json:"body"`
}

// Range is the offsets of one partition that an answer covers: From is the
// first, To the one behind the last.
type Range struct {
	Partition int32 `json:"partition"`
	From      int64 `json:"from"`
	To        int64 `json:"to"`
}

// Body describes the bytes of the answer.
type Body struct {
	MediaType string `json:"media_type"`
	Bytes     int64  `json:"bytes"`
	Salt      []byte `json:"salt"`   // 16 random bytes, base64
	Digest    []byte `json:"digest"` // SHA-256(salt, body), base64
}

// NewDigest returns a random salt and the hash that a body is written to.
func NewDigest() (salt []byte, h hash.Hash, err error) {
	salt = make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return nil, nil, fmt.Errorf("random salt: %w", err)
	}
	return salt, Digest(salt), nil
}

// Digest begins the salted digest of a body.
func Digest(salt []byte) hash.Hash {
	h := sha256.New()
	h.Write(salt)
	return h
}

// Matches says whether a body is the one that the receipt was issued for.
func (r *Receipt) Matches(body []byte) error {
	h := Digest(r.Body.Salt)
	h.Write(body)
	return r.MatchesSum(h.Sum(nil), int64(len(body)))
}

// MatchesSum is Matches for a body that was hashed while it arrived.
func (r *Receipt) MatchesSum(sum []byte, size int64) error {
	if r.Body.Bytes != size || subtle.ConstantTimeCompare(sum, r.Body.Digest) != 1 {
		return problem.New(problem.AnswerInvalid, "the body is not the one that receipt %s was issued for: %d bytes, the receipt says %d", r.ID, size, r.Body.Bytes)
	}
	return nil
}

// Read reads a receipt that lies in one's own ledger, without checking who
// signed it.
func Read(compact string) (*Receipt, error) {
	m, err := jws.Parse(compact, Type)
	if err != nil {
		return nil, problem.Wrap(problem.ReceiptInvalid, err, "%v", err)
	}
	var r Receipt
	if err := json.Unmarshal(m.Unverified, &r); err != nil {
		return nil, problem.Wrap(problem.ReceiptInvalid, err, "its payload cannot be read")
	}
	return &r, nil
}

// Verify reads a receipt and checks it against the root certificates of the
// province that issued it: its signer's certificate must name the gateway of
// the receipt's region and have been valid when the receipt was issued. It
// works offline and for as long as the receipt is kept.
func Verify(compact string, roots func(region string) *x509.CertPool) (*Receipt, error) {
	m, err := jws.Parse(compact, Type)
	if err != nil {
		return nil, problem.Wrap(problem.ReceiptInvalid, err, "%v", err)
	}
	var r Receipt
	if err := json.Unmarshal(m.Unverified, &r); err != nil {
		return nil, problem.Wrap(problem.ReceiptInvalid, err, "its payload cannot be read")
	}
	leaf, err := m.Verify(roots(r.Region), r.IssuedAt)
	if err != nil {
		return nil, problem.Wrap(problem.ReceiptInvalid, err, "%v", err)
	}
	name, err := spiffe.Of(leaf)
	if err != nil || name != (spiffe.Name{Region: r.Region, Role: spiffe.Signing}) {
		return nil, problem.New(problem.ReceiptInvalid, "its signer is not the gateway of %s", r.Region)
	}
	return &r, nil
}
