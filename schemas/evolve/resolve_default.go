package evolve

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// AppendDefault appends a default, JSON as a schema writes it, as Avro bytes of
// its type. Of a union it takes the first branch that the value fits. The
// schema's parser has checked that the value fits and how much it stands for;
// a value that does not fit is an error.
func AppendDefault(dst []byte, t *avro.Type, value json.RawMessage) ([]byte, error) {
	if err := avro.Fits(t, value); err != nil {
		return dst, err
	}
	return appendDefault(dst, t, value)
}

func appendDefault(dst []byte, t *avro.Type, value json.RawMessage) ([]byte, error) {
	switch t.Kind {
	case avro.Null:
		return dst, nil
	case avro.Boolean:
		if string(value) == "true" {
			return append(dst, 1), nil
		}
		return append(dst, 0), nil
	case avro.Int, avro.Long, avro.Float, avro.Double:
		return appendNumber(dst, t.Kind, value)
	case avro.Bytes, avro.String, avro.Fixed, avro.Enum:
		return appendTextual(dst, t, value)
	case avro.Array:
		return appendItems(dst, t.Items, value)
	case avro.Map:
		return appendEntries(dst, t.Values, value)
	case avro.Record:
		return appendRecord(dst, t, value)
	case avro.Union:
		for i, b := range t.Branches {
			if avro.Fits(b, value) == nil {
				return appendDefault(binary.AppendVarint(dst, int64(i)), b, value)
			}
		}
	}
	return dst, fmt.Errorf("the default fits no branch of the union")
}

func appendNumber(dst []byte, k avro.Kind, value json.RawMessage) ([]byte, error) {
	if k == avro.Int || k == avro.Long {
		n, err := strconv.ParseInt(string(value), 10, 64)
		return binary.AppendVarint(dst, n), err
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if k == avro.Float {
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(f))), err
	}
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f)), err
}

func appendTextual(dst []byte, t *avro.Type, value json.RawMessage) ([]byte, error) {
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return dst, err
	}
	switch t.Kind {
	case avro.Enum:
		return binary.AppendVarint(dst, int64(slices.Index(t.Symbols, s))), nil
	case avro.String:
		return append(binary.AppendVarint(dst, int64(len(s))), s...), nil
	}
	raw := make([]byte, 0, len(s))
	for _, r := range s {
		raw = append(raw, byte(r)) // a code point for each byte
	}
	if t.Kind == avro.Bytes {
		dst = binary.AppendVarint(dst, int64(len(raw)))
	}
	return append(dst, raw...), nil
}

func appendItems(dst []byte, t *avro.Type, value json.RawMessage) (_ []byte, err error) {
	var items []json.RawMessage
	if err := json.Unmarshal(value, &items); err != nil {
		return dst, err
	}
	if len(items) > 0 {
		dst = binary.AppendVarint(dst, int64(len(items)))
	}
	for _, item := range items {
		if dst, err = appendDefault(dst, t, item); err != nil {
			return dst, err
		}
	}
	return append(dst, 0), nil
}

// appendEntries writes a map in the order of its keys, so that the same
// default is always the same bytes.
func appendEntries(dst []byte, t *avro.Type, value json.RawMessage) (_ []byte, err error) {
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(value, &entries); err != nil {
		return dst, err
	}
	if len(entries) > 0 {
		dst = binary.AppendVarint(dst, int64(len(entries)))
	}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		dst = append(binary.AppendVarint(dst, int64(len(key))), key...)
		if dst, err = appendDefault(dst, t, entries[key]); err != nil {
			return dst, err
		}
	}
	return append(dst, 0), nil
}

func appendRecord(dst []byte, t *avro.Type, value json.RawMessage) (_ []byte, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(value, &members); err != nil {
		return dst, err
	}
	for i := range t.Fields {
		f := &t.Fields[i]
		given, ok := members[f.Name]
		if !ok {
			given = f.Default
		}
		if dst, err = appendDefault(dst, f.Type, given); err != nil {
			return dst, err
		}
	}
	return dst, nil
}
