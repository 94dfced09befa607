package schemas

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unsafe"
)

// Value is the value of one leaf. The zero Value is null.
//
// Int holds booleans (0, 1), ints, longs, the index of an enum's symbol,
// decimals (unscaled), dates (days) and timestamps (milliseconds). Bytes holds
// strings and bytes; it is not copied, and nobody may write to it. Ints and
// Texts hold the items of a repeated leaf.
type Value struct {
	Set   bool
	Int   int64
	Bytes []byte
	Ints  []int64
	Texts [][]byte
}

// IntValue is a value of a kind that Value keeps in Int.
func IntValue(v int64) Value { return Value{Set: true, Int: v} }

// BytesValue is a value of a kind that Value keeps in Bytes.
func BytesValue(b []byte) Value { return Value{Set: true, Bytes: b} }

// TextValue is a string's value. It shares the string's memory, so that a row's
// texts are not copied before they are encoded: Bytes is only read.
func TextValue(s string) Value {
	return Value{Set: true, Bytes: unsafe.Slice(unsafe.StringData(s), len(s))} //nolint:gosec // nobody writes to it
}

// Sealer encrypts the Avro body of a block, bound to additional; see package
// sealed.
type Sealer interface {
	Seal(dst, plain, additional []byte) ([]byte, error)
}

// Encoder writes the Avro body of one schema from its leaves' values. It is
// immutable and safe for concurrent use.
type Encoder struct {
	schema *Schema
}

// NewEncoder returns the encoder of a schema.
func NewEncoder(s *Schema) *Encoder { return &Encoder{schema: s} }

// Append appends the body of the record whose leaves have these values, in the
// order of Schema.Leaves. key is the record's Kafka key, to which sealed
// blocks are bound. The error names the field that its value does not fit;
// dst is then returned unchanged.
func (e *Encoder) Append(dst []byte, values []Value, key []byte, sealer Sealer) ([]byte, error) {
	if len(values) != len(e.schema.Leaves) {
		return dst, fmt.Errorf("schema %s has %d leaves, got %d values", e.schema.Name, len(e.schema.Leaves), len(values))
	}
	out, err := appendRecord(dst, e.schema.encoding, values, key, sealer)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// encodeStep writes one leaf, or one sealed block with all its leaves. Records
// have no bytes of their own in Avro, so their leaves stand in line.
type encodeStep struct {
	kind     Kind // 0: a sealed block
	nullable bool
	repeated bool
	leaf     int // index of its value
	path     string
	limit    int64 // of an enum: how many symbols; of a decimal: the first unscaled value that is too large
	block    []encodeStep
}

func newEncodeStep(l *Leaf, index int) encodeStep {
	s := encodeStep{kind: l.Kind, nullable: l.Nullable, repeated: l.Repeated, leaf: index, path: l.Path}
	switch l.Kind {
	case Enum:
		s.limit = int64(len(l.Symbols))
	case Decimal:
		s.limit = int64(powers[l.Precision])
	}
	return s
}

// appendRecord returns nil with an error.
func appendRecord(dst []byte, steps []encodeStep, values []Value, key []byte, sealer Sealer) (_ []byte, err error) {
	for i := range steps {
		if s := &steps[i]; s.kind == 0 {
			dst, err = s.appendBlock(dst, values, key, sealer)
		} else {
			dst, err = s.appendLeaf(dst, &values[s.leaf])
		}
		if err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (s *encodeStep) appendLeaf(dst []byte, v *Value) ([]byte, error) {
	switch {
	case s.repeated:
		return s.appendItems(dst, v)
	case !v.Set && s.nullable:
		return append(dst, 0), nil // branch 0: null
	case !v.Set:
		return nil, fmt.Errorf("field %s is required and has no value", s.path)
	case s.nullable:
		dst = append(dst, 2) // branch 1, zigzag
	}
	return s.append(dst, v.Int, v.Bytes)
}

// appendBlock seals a record: personal data enter Kafka encrypted or not at
// all. Behind dst it makes room for the length, the record in clear and what
// the block is bound to; the sealed bytes then take their place.
func (s *encodeStep) appendBlock(dst []byte, values []Value, key []byte, sealer Sealer) ([]byte, error) {
	if sealer == nil {
		return nil, fmt.Errorf("field %s is a sealed block, and there is no sealer", s.path)
	}
	start := len(dst)
	var head [binary.MaxVarintLen64]byte
	work, err := appendRecord(append(dst, head[:]...), s.block, values, key, sealer)
	if err != nil {
		return nil, err
	}
	plain := len(work)
	work = appendBlockBinding(work, key, s.path)
	bound := len(work)
	work, err = sealer.Seal(work, work[start+len(head):plain], work[plain:bound])
	if err != nil {
		return nil, fmt.Errorf("field %s: %w", s.path, err)
	}
	out := work[:start+binary.PutVarint(head[:], int64(len(work)-bound))]
	copy(out[start:], head[:])
	out = append(out, work[bound:]...)
	clear(work[len(out):]) // no personal data in what is left of the buffer
	return out, nil
}

// appendBlockBinding is the additional data of a sealed block: the record it
// belongs to and the field it stands in.
func appendBlockBinding(dst, key []byte, path string) []byte {
	return append(append(append(dst, key...), '/'), path...)
}

func (s *encodeStep) appendItems(dst []byte, v *Value) (_ []byte, err error) {
	count := max(len(v.Ints), len(v.Texts))
	if count == 0 {
		return append(dst, 0), nil
	}
	dst = binary.AppendVarint(dst, int64(count))
	for i := range count {
		if len(v.Ints) > 0 {
			dst, err = s.append(dst, v.Ints[i], nil)
		} else {
			dst, err = s.append(dst, 0, v.Texts[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return append(dst, 0), nil
}

// append writes a scalar: number is its value, or text.
func (s *encodeStep) append(dst []byte, number int64, text []byte) ([]byte, error) {
	switch s.kind {
	case String:
		if !validText(text) {
			return nil, s.misfit("is not UTF-8")
		}
		return appendBytes(dst, text), nil
	case Bytes:
		return appendBytes(dst, text), nil
	case Boolean:
		return append(dst, byte(number&1)), nil
	}
	if why := s.excess(number); why != "" {
		return nil, s.misfit(why)
	}
	if s.kind == Decimal {
		return appendDecimal(dst, number), nil
	}
	return binary.AppendVarint(dst, number), nil
}

// excess says why a number is none of the step's, or "".
func (s *encodeStep) excess(number int64) string {
	switch s.kind {
	case Decimal:
		if number >= s.limit || number <= -s.limit {
			return "has more digits than its precision"
		}
	case Enum:
		if number < 0 || number >= s.limit {
			return "is not a symbol's index"
		}
	case Int, Date:
		if number != int64(int32(number)) {
			return "exceeds 32 bits"
		}
	}
	return ""
}

// misfit names the field and never the value (invariant 5).
func (s *encodeStep) misfit(why string) error {
	return fmt.Errorf("field %s: the value %s", s.path, why)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

// appendDecimal writes an unscaled decimal as the shortest big-endian two's
// complement, as Avro's specification asks.
func appendDecimal(dst []byte, v int64) []byte {
	size := 64 - bits.LeadingZeros64(uint64(v^v>>63)) // without the sign
	n := size/8 + 1
	dst = append(dst, byte(2*n))
	for n--; n >= 0; n-- {
		dst = append(dst, byte(v>>(8*n)))
	}
	return dst
}
