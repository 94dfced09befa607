package schemas

import (
	"encoding/binary"
	"fmt"
)

// Value is the value of one leaf. The zero Value is null.
//
// Int holds booleans (0, 1), ints, longs, the index of an enum's symbol,
// decimals (unscaled), dates (days) and timestamps (milliseconds). Bytes holds
// strings and bytes; it is not copied. Ints and Texts hold the items of a
// repeated leaf.
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

// TextValue is a string's value.
func TextValue(s string) Value { return Value{Set: true, Bytes: []byte(s)} }

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
	w := writer{schema: e.schema, values: values, key: key, sealer: sealer}
	out, err := w.record(dst, e.schema.root)
	if err != nil {
		return dst, err
	}
	return out, nil
}

type writer struct {
	schema *Schema
	values []Value
	key    []byte
	sealer Sealer
}

func (w *writer) record(dst []byte, n *node) (_ []byte, err error) {
	for i := range n.fields {
		f := &n.fields[i]
		switch f.node.kind {
		case recordKind:
			dst, err = w.record(dst, f.node)
		case sealedKind:
			dst, err = w.block(dst, f)
		case arrayKind:
			dst, err = w.array(dst, f.node)
		default:
			dst, err = w.leaf(dst, f.node)
		}
		if err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// block seals a record: personal data enter Kafka encrypted or not at all.
func (w *writer) block(dst []byte, f *field) ([]byte, error) {
	if w.sealer == nil {
		return nil, fmt.Errorf("field %s is a sealed block, and there is no sealer", f.path)
	}
	plain, err := w.record(nil, f.node)
	if err != nil {
		return nil, err
	}
	sealed, err := w.sealer.Seal(nil, plain, blockBinding(w.key, f.path))
	if err != nil {
		return nil, fmt.Errorf("field %s: %w", f.path, err)
	}
	return appendBytes(dst, sealed), nil
}

// blockBinding is the additional data of a sealed block: the record it belongs
// to and the field it stands in.
func blockBinding(key []byte, path string) []byte {
	return append(append(make([]byte, 0, len(key)+1+len(path)), key...), "/"+path...)
}

func (w *writer) array(dst []byte, n *node) ([]byte, error) {
	v := &w.values[n.leaf]
	count := max(len(v.Ints), len(v.Texts))
	if count == 0 {
		return append(dst, 0), nil
	}
	dst = binary.AppendVarint(dst, int64(count))
	for i := range count {
		item := Value{Set: true}
		if len(v.Ints) > 0 {
			item.Int = v.Ints[i]
		} else {
			item.Bytes = v.Texts[i]
		}
		var err error
		if dst, err = w.scalar(dst, n.items, &item); err != nil {
			return nil, err
		}
	}
	return append(dst, 0), nil
}

func (w *writer) leaf(dst []byte, n *node) ([]byte, error) {
	v := &w.values[n.leaf]
	switch {
	case n.nullable && !v.Set:
		return append(dst, 0), nil // branch 0: null
	case n.nullable:
		dst = append(dst, 2) // branch 1, zigzag
	case !v.Set:
		return nil, fmt.Errorf("field %s is required and has no value", w.schema.Leaves[n.leaf].Path)
	}
	return w.scalar(dst, n, v)
}

func (w *writer) scalar(dst []byte, n *node, v *Value) ([]byte, error) {
	switch n.kind {
	case Boolean:
		return append(dst, byte(v.Int&1)), nil
	case Int, Date:
		if v.Int != int64(int32(v.Int)) {
			return nil, w.misfit(n, "exceeds 32 bits")
		}
		return binary.AppendVarint(dst, v.Int), nil
	case Long, TimestampMillis:
		return binary.AppendVarint(dst, v.Int), nil
	case Enum:
		if v.Int < 0 || v.Int >= int64(len(n.symbols)) {
			return nil, w.misfit(n, "is not a symbol's index")
		}
		return binary.AppendVarint(dst, v.Int), nil
	case Decimal:
		if max(v.Int, -v.Int) >= pow10(n.precision) {
			return nil, w.misfit(n, fmt.Sprintf("has more than %d digits", n.precision))
		}
		return appendDecimal(dst, v.Int), nil
	case String, Bytes:
		return appendBytes(dst, v.Bytes), nil
	case recordKind, arrayKind, sealedKind: // written by record, array and block
	}
	return nil, w.misfit(n, "has a kind that cannot be written")
}

// misfit names the field and never the value (invariant 5).
func (w *writer) misfit(n *node, why string) error {
	return fmt.Errorf("field %s: the value %s", w.schema.Leaves[n.leaf].Path, why)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

// appendDecimal writes an unscaled decimal as the shortest big-endian two's
// complement, as Avro's specification asks.
func appendDecimal(dst []byte, v int64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(v))
	i := 0
	for i < 7 && (b[i] == 0 && b[i+1] < 0x80 || b[i] == 0xff && b[i+1] >= 0x80) {
		i++
	}
	return appendBytes(dst, b[i:])
}

func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}
