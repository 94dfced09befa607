package schemas

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/big"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Limits of one record.
const (
	maxOutput  = 1 << 20 // bytes that it may become
	maxItems   = 1 << 20 // items of arrays and maps, all together
	maxNesting = 64      // records within records
)

// Unsealer opens sealed blocks; see package sealed. An error with
// problem.VaultUnavailable is passing, any other is for good.
type Unsealer interface {
	Open(dst, block, additional []byte) ([]byte, error)
}

// Run holds the arguments of running a View, which are never compiled in, and
// the state and buffers of one goroutine: where in the record it stands. After
// the first error it no longer moves. Its zero value can run a View that
// neither hashes nor opens sealed blocks.
type Run struct {
	hash     hash.Hash
	unsealer Unsealer

	b     []byte // the record, or what lay sealed in it
	i     int
	key   []byte // the record's Kafka key
	err   error
	limit int // length that the output may have
	items int // left of maxItems
	depth int

	plain   []byte // of the block that was opened last
	opened  int    // where in the record that block ends; 0: none was
	binding []byte
	scratch []byte // one value, before it is written as text
	sum     []byte
	cell    []byte  // one cell of CSV, as JSON
	starts  []int   // of fields that are written in another order, innermost record last
	tests   []truth // of the predicate
	big     big.Int
}

// NewRun takes the key of hashed fields, which the caller derives for one
// agreement, and what opens sealed blocks; each may be nil.
func NewRun(hashKey []byte, unsealer Unsealer) *Run {
	r := &Run{unsealer: unsealer}
	if len(hashKey) > 0 {
		r.hash = hmac.New(sha256.New, hashKey)
	}
	return r
}

// begin puts the run before the first byte of a record.
func (r *Run) begin(body, key []byte, written int) {
	r.b, r.i, r.key, r.err = body, 0, key, nil
	r.limit, r.items, r.depth = written+maxOutput, maxItems, 0
	r.starts, r.opened = r.starts[:0], 0
}

// fail notes the first error. It names fields and positions, never values.
func (r *Run) fail(code problem.Code, format string, args ...any) {
	if r.err == nil {
		r.err = problem.New(code, format, args...)
	}
}

func (r *Run) short() { r.fail(problem.RecordUnreadable, "the record ends early, at byte %d", r.i) }

// varint reads a number as it is stored: zigzag, 7 bits a byte.
func (r *Run) varint() uint64 {
	if i := r.i; i < len(r.b) && r.b[i] < 0x80 {
		r.i = i + 1
		return uint64(r.b[i])
	}
	return r.longVarint()
}

func (r *Run) longVarint() uint64 {
	if i := r.i; len(r.b)-i > 1 && r.b[i+1] < 0x80 {
		r.i = i + 2
		return uint64(r.b[i]&0x7f) | uint64(r.b[i+1])<<7
	}
	u, n := binary.Uvarint(r.b[r.i:])
	if n <= 0 {
		r.short()
		return 0
	}
	r.i += n
	return u
}

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func (r *Run) long() int64 { return unzigzag(r.varint()) }

func (r *Run) int32() int64 {
	u := r.varint()
	if u > maxInt {
		r.fail(problem.RecordUnreadable, "an int exceeds 32 bits, at byte %d", r.i)
		return 0
	}
	return unzigzag(u)
}

// bytes returns a slice of the record: length-prefixed bytes or text.
func (r *Run) bytes() []byte {
	u := r.varint()
	n := u >> 1
	if u&1 != 0 || n > uint64(len(r.b)-r.i) {
		r.short()
		return nil
	}
	return r.take(int(n))
}

// take returns the next n bytes.
func (r *Run) take(n int) []byte {
	if n > len(r.b)-r.i {
		r.short()
		return nil
	}
	r.i += n
	return r.b[r.i-n : r.i]
}

// branch reads which of n branches of a union follows, or -1.
func (r *Run) branch(n int) int {
	u := r.varint()
	if r.err != nil {
		return -1
	}
	if u&1 != 0 || u>>1 >= uint64(n) {
		r.fail(problem.RecordUnreadable, "a union names a branch that it does not have, at byte %d", r.i)
		return -1
	}
	return int(u >> 1)
}

// count reads how many items the next block of an array or map has; 0 ends
// it. An item takes at least so many bytes, so a count beyond the remaining
// bytes is refused before anything is done, and items that take none are
// bounded by maxItems like all others.
func (r *Run) count(least int) int {
	n := r.long()
	if n < 0 { // a block that states its length in bytes
		n = -n
		r.long()
	}
	switch {
	case r.err != nil || n == 0:
		return 0
	case n < 0 || least > 0 && n > int64((len(r.b)-r.i)/least):
		r.short()
		return 0
	case n > int64(r.items):
		r.fail(problem.RecordUnreadable, "a record has more than %d items in arrays and maps", maxItems)
		return 0
	}
	r.items -= int(n)
	return int(n)
}

// enter and leave count how deep the record nests.
func (r *Run) enter() bool {
	if r.depth++; r.depth > maxNesting {
		r.fail(problem.RecordUnreadable, "records are nested deeper than %d", maxNesting)
		return false
	}
	return true
}

func (r *Run) leave() { r.depth-- }

// grown says whether the output has become longer than a record may.
func (r *Run) grown(dst []byte) bool {
	if len(dst) > r.limit {
		r.fail(problem.RecordUnredactable, "the record is longer than %d bytes", maxOutput)
		return true
	}
	return false
}
