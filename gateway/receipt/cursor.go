package receipt

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Cursor is where a consumer stands in a product: for each partition the next
// offset and the end of the range that is being read. The range is closed, so
// that the same cursor names the same records at every replica, however many
// were published since; behind its end the next range begins.
type Cursor struct {
	Partitions []CursorPartition
}

// CursorPartition is one partition of a cursor.
type CursorPartition struct {
	Partition int32
	Next      int64
	End       int64 // never below Next
}

// AtEnd says whether the range is read to its end.
func (c *Cursor) AtEnd() bool {
	for _, p := range c.Partitions {
		if p.Next < p.End {
			return false
		}
	}
	return true
}

// Owner is whom a cursor is issued for; nobody else can use it.
type Owner struct {
	Consumer, Region, Product, Purpose string
}

// CursorKey is a key of the province's gateways, by version; Vault holds it.
type CursorKey struct {
	Version int
	Key     []byte
}

const (
	cursorFormat  = 1
	ownerSize     = 16
	macSize       = 16
	maxPartitions = 1024
	maxCursor     = 64 << 10
)

// Seal writes a cursor with a key: format, key version, digest of
// the owner, partitions, HMAC-SHA-256 cut to 128 bits; base64url.
func (c *Cursor) Seal(key CursorKey, o Owner) string {
	b := binary.AppendUvarint([]byte{cursorFormat}, uint64(key.Version))
	b = append(b, o.digest()...)
	b = binary.AppendUvarint(b, uint64(len(c.Partitions)))
	for _, p := range c.Partitions {
		b = binary.AppendUvarint(b, uint64(p.Partition))
		b = binary.AppendUvarint(b, uint64(p.Next))
		b = binary.AppendUvarint(b, uint64(p.End-p.Next))
	}
	return base64.RawURLEncoding.EncodeToString(append(b, mac(key.Key, b)...))
}

func (o Owner) digest() []byte {
	h := sha256.New()
	for _, s := range []string{o.Consumer, o.Region, o.Product, o.Purpose} {
		var n [binary.MaxVarintLen64]byte
		h.Write(n[:binary.PutUvarint(n[:], uint64(len(s)))])
		h.Write([]byte(s))
	}
	return h.Sum(nil)[:ownerSize]
}

func mac(key, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("cursor"))
	h.Write(b)
	return h.Sum(nil)[:macSize]
}

// unseenVersions are how many versions a key may be ahead of those at hand and
// still count as rotated in, rather than made up.
const unseenVersions = 2

// OpenCursor reads what Seal wrote, with any of keys, of which there is one. Its
// error carries problem.CursorInvalid; problem.CursorForeign for a cursor that
// is genuine and belongs to another owner; problem.VaultUnavailable for one of
// a key version that this replica has not yet read and another one has.
func OpenCursor(text string, keys []CursorKey, o Owner) (Cursor, error) {
	invalid := problem.New(problem.CursorInvalid, "")
	b, ok := cursorBytes(text)
	if !ok {
		return Cursor{}, invalid
	}
	body, sum := b[:len(b)-macSize], b[len(b)-macSize:]
	version, n := binary.Uvarint(body[1:])
	key := keyOf(keys, version)
	if newest := newestVersion(keys); key == nil && version > newest && version <= newest+unseenVersions {
		return Cursor{}, problem.New(problem.VaultUnavailable, "the cursor's key is version %d, and this replica has read up to %d", version, newest)
	}
	if n <= 0 || key == nil || !hmac.Equal(sum, mac(key, body)) || len(body) < 1+n+ownerSize {
		return Cursor{}, invalid
	}
	rest := body[1+n:]
	if !hmac.Equal(rest[:ownerSize], o.digest()) {
		return Cursor{}, problem.New(problem.CursorForeign, "")
	}
	c, ok := readPartitions(rest[ownerSize:])
	if !ok {
		return Cursor{}, invalid
	}
	return c, nil
}

// cursorBytes are those of a text that has the shape of a cursor.
func cursorBytes(text string) ([]byte, bool) {
	if len(text) > maxCursor {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return b, err == nil && len(b) >= 1+1+ownerSize+1+macSize && b[0] == cursorFormat
}

func keyOf(keys []CursorKey, version uint64) []byte {
	for _, k := range keys {
		if uint64(k.Version) == version {
			return k.Key
		}
	}
	return nil
}

func newestVersion(keys []CursorKey) uint64 {
	var newest uint64
	for _, k := range keys {
		newest = max(newest, uint64(k.Version))
	}
	return newest
}

func readPartitions(b []byte) (Cursor, bool) {
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > 1<<62 {
			b = nil
			return 1 << 62
		}
		b = b[n:]
		return v
	}
	count := next()
	if count > maxPartitions {
		return Cursor{}, false
	}
	var c Cursor
	for range count {
		partition, from, length := next(), next(), next()
		if b == nil || partition > 1<<31-1 || from+length > 1<<62 {
			return Cursor{}, false
		}
		c.Partitions = append(c.Partitions, CursorPartition{int32(partition), int64(from), int64(from + length)})
	}
	return c, len(b) == 0
}
