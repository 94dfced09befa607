package record

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Topic is the name of a product's topic in one province.
func Topic(region, product string, major int) string {
	return region + "." + product + ".v" + strconv.Itoa(major)
}

// PositionTopic holds where each connector of a province stands in its source.
func PositionTopic(region string) string { return region + ".position" }

// ManifestTopic holds the signed manifest of every batch of a province.
func ManifestTopic(region string) string { return region + ".manifest" }

// LedgerTopic holds what a province's gateway released and refused.
func LedgerTopic(region string) string { return region + ".ledger" }

// ControlTopic holds the orders of a province's operators, from which every
// replica of its gateway folds the same state.
func ControlTopic(region string) string { return region + ".control" }

// TransactionalID is the Kafka transactional id of the one connector that may
// publish a provider's records of a product: a second copy fences the first.
func TransactionalID(topic, provider string) string { return topic + "/" + provider }

// DigestSize is the length of a record's key and of its content digest.
const DigestSize = 32

// Digest is a keyed SHA-256.
type Digest [DigestSize]byte

// Key is the Kafka key of a business key: HMAC-SHA-256 under the product's
// secret over the parts, each preceded by its length, so that ("ab","c") and
// ("a","bc") differ.
func Key(productKey []byte, parts ...[]byte) Digest {
	return keyed(productKey, "key", parts)
}

// Content is the digest of a record's content, under the same secret: two
// records with the same key and the same content are duplicates.
func Content(productKey []byte, parts ...[]byte) Digest {
	return keyed(productKey, "content", parts)
}

func keyed(key []byte, domain string, parts [][]byte) Digest {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(domain))
	var n [binary.MaxVarintLen64]byte
	for _, p := range parts {
		h.Write(n[:binary.PutUvarint(n[:], uint64(len(p)))])
		h.Write(p)
	}
	var d Digest
	h.Sum(d[:0])
	return d
}

// Operation says what a record does to the state of its key.
type Operation string

// The operations. A removal is a full record with a decision of its own, never
// an empty value (invariant 4).
const (
	Upsert  Operation = "upsert"
	Removal Operation = "removal"
)

// Envelope is what the headers of a record say.
type Envelope struct {
	Product   string    // catalogue id, e.g. price_quote
	Provider  string    // participant id of the provider
	EventID   string    // 32 hex digits, the same for every attempt to publish the record
	Operation Operation //
	// DecisionTime orders the records of a key, then Version (invariant 4).
	// Microseconds, UTC.
	DecisionTime time.Time
	Version      uint32 // 1 for the first record of a key, counted by the connector
	Content      Digest
	Batch        string   // id of the batch, which its manifest names
	Warnings     []string // problem codes of what is doubtful about the record, see docs/reference/problems.md
}

// The names of the headers.
const (
	headerProduct      = "hub-product"
	headerProvider     = "hub-provider"
	headerEventID      = "hub-event-id"
	headerOperation    = "hub-operation"
	headerDecisionTime = "hub-decision-time"
	headerVersion      = "hub-version"
	headerContent      = "hub-content"
	headerBatch        = "hub-batch"
	headerWarnings     = "hub-warnings" // only where there are some
)

// EventID derives the id of a record's event from what makes it one: its key,
// its content and its version. A repeated attempt has the same id.
func EventID(key, content Digest, version uint32) string {
	var v [4]byte
	binary.BigEndian.PutUint32(v[:], version)
	h := sha256.New()
	h.Write(key[:])
	h.Write(content[:])
	h.Write(v[:])
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Headers yields the envelope as header names and values, in a fixed order.
func (e *Envelope) Headers() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		_ = yield(headerProduct, []byte(e.Product)) &&
			yield(headerProvider, []byte(e.Provider)) &&
			yield(headerEventID, []byte(e.EventID)) &&
			yield(headerOperation, []byte(e.Operation)) &&
			yield(headerDecisionTime, strconv.AppendInt(nil, e.DecisionTime.UnixMicro(), 10)) &&
			yield(headerVersion, strconv.AppendUint(nil, uint64(e.Version), 10)) &&
			yield(headerContent, e.Content[:]) &&
			yield(headerBatch, []byte(e.Batch)) &&
			(len(e.Warnings) == 0 || yield(headerWarnings, []byte(strings.Join(e.Warnings, ","))))
	}
}

// ErrEnvelope says that a record's headers are not an envelope.
var ErrEnvelope = errors.New("the record's headers are not an envelope")

// ParseEnvelope reads what Headers yields; names it does not know are passed
// over. A missing product, event id, operation, version or content is
// [ErrEnvelope].
func ParseEnvelope(headers iter.Seq2[string, []byte]) (Envelope, error) {
	var e Envelope
	var err error
	for name, v := range headers {
		if err = e.set(name, v); err != nil {
			return Envelope{}, fmt.Errorf("%w: header %s", ErrEnvelope, name)
		}
	}
	switch {
	case e.Product == "", e.Operation == "", e.Version == 0, e.Content == Digest{}, !isEventID(e.EventID):
		return Envelope{}, ErrEnvelope
	case e.DecisionTime.Year() < 0 || e.DecisionTime.Year() > 9999: // RFC 3339 cannot write it
		return Envelope{}, ErrEnvelope
	}
	return e, nil
}

func isEventID(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == ""
}

func (e *Envelope) set(name string, v []byte) (err error) {
	switch name {
	case headerProduct:
		e.Product = string(v)
	case headerProvider:
		e.Provider = string(v)
	case headerEventID:
		e.EventID = string(v)
	case headerBatch:
		e.Batch = string(v)
	case headerWarnings:
		e.Warnings, err = parseWarnings(v)
	case headerOperation:
		e.Operation, err = parseOperation(v)
	case headerDecisionTime:
		e.DecisionTime, err = parseTime(v)
	case headerVersion:
		e.Version, err = parseVersion(v)
	case headerContent:
		e.Content, err = parseDigest(v)
	}
	return err
}

func parseOperation(v []byte) (Operation, error) {
	if o := Operation(v); o == Upsert || o == Removal {
		return o, nil
	}
	return "", ErrEnvelope
}

// WarningChecks names, for each warning, the check of a schema's field that
// gives it: a warning says something about that field's value, so it is told
// only to whom the field is released.
func WarningChecks() map[string]string {
	return map[string]string{"check_character_doubtful": "deal_code", "region_abolished": "region"}
}

// maxWarnings bounds what a header may hold.
const maxWarnings = 32

func parseWarnings(v []byte) ([]string, error) {
	codes := strings.Split(string(v), ",")
	for _, code := range codes {
		if code == "" || len(code) > 64 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return nil, ErrEnvelope
		}
	}
	if len(codes) > maxWarnings {
		return nil, ErrEnvelope
	}
	return codes, nil
}

func parseTime(v []byte) (time.Time, error) {
	us, err := strconv.ParseInt(string(v), 10, 64)
	return time.UnixMicro(us).UTC(), err
}

func parseVersion(v []byte) (uint32, error) {
	n, err := strconv.ParseUint(string(v), 10, 32)
	return uint32(n), err
}

func parseDigest(v []byte) (Digest, error) {
	if len(v) != DigestSize {
		return Digest{}, ErrEnvelope
	}
	return Digest(v), nil
}
