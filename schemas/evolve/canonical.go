package evolve

import (
	"crypto/md5" //nolint:gosec // Avro names it; it identifies a schema and protects nothing
	"crypto/sha256"
	"hash/crc64"
	"strconv"

	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// Canonical is the schema's Parsing Canonical Form (Avro 1.12, "Transforming
// into Parsing Canonical Form"): what a decoder of the writer's bytes must
// know, and nothing else. Two schemas with the same form are the same on the
// wire. Logical types, defaults, aliases, docs and foreign attributes are not
// in it.
func Canonical(t *avro.Type) []byte {
	return canonical(nil, t, map[*avro.Type]bool{})
}

func canonical(dst []byte, t *avro.Type, named map[*avro.Type]bool) []byte {
	switch {
	case t.Kind == avro.Union:
		dst = append(dst, '[')
		for i, b := range t.Branches {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = canonical(dst, b, named)
		}
		return append(dst, ']')
	case t.Kind == avro.Array:
		dst = append(dst, `{"type":"array","items":`...)
		return append(canonical(dst, t.Items, named), '}')
	case t.Kind == avro.Map:
		dst = append(dst, `{"type":"map","values":`...)
		return append(canonical(dst, t.Values, named), '}')
	case !t.Named():
		return quoted(dst, t.Kind.String())
	case named[t]:
		return quoted(dst, t.Name)
	}
	named[t] = true
	return definition(dst, t, named)
}

// definition is a named type where it stands for the first time.
func definition(dst []byte, t *avro.Type, named map[*avro.Type]bool) []byte {
	dst = quoted(append(dst, `{"name":`...), t.Name)
	dst = quoted(append(dst, `,"type":`...), t.Kind.String())
	switch t.Kind {
	case avro.Record:
		dst = append(dst, `,"fields":[`...)
		for i := range t.Fields {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = quoted(append(dst, `{"name":`...), t.Fields[i].Name)
			dst = append(dst, `,"type":`...)
			dst = append(canonical(dst, t.Fields[i].Type, named), '}')
		}
		dst = append(dst, ']')
	case avro.Enum:
		dst = append(dst, `,"symbols":[`...)
		for i, symbol := range t.Symbols {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = quoted(dst, symbol)
		}
		dst = append(dst, ']')
	default:
		dst = strconv.AppendInt(append(dst, `,"size":`...), int64(t.Size), 10)
	}
	return append(dst, '}')
}

// quoted writes a name, which is ASCII without anything to escape.
func quoted(dst []byte, name string) []byte {
	return append(append(append(dst, '"'), name...), '"')
}

// Fingerprints identify a schema by its canonical form.
type Fingerprints struct {
	CRC64  uint64 // CRC-64-AVRO, as in the head of a single-object encoding
	MD5    [md5.Size]byte
	SHA256 [sha256.Size]byte
}

// emptyCRC64 is the CRC-64-AVRO of nothing, and its polynomial.
const emptyCRC64 = 0xc15d213aa4d7a795

// Fingerprint computes a schema's fingerprints.
func Fingerprint(t *avro.Type) Fingerprints {
	form := Canonical(t)
	return Fingerprints{
		// Avro starts from emptyCRC64 and inverts nothing; hash/crc64 inverts on the way in and out.
		CRC64:  ^crc64.Update(^uint64(emptyCRC64), crc64.MakeTable(emptyCRC64), form),
		MD5:    md5.Sum(form), //nolint:gosec // see above
		SHA256: sha256.Sum256(form),
	}
}
