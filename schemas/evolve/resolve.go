package evolve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// Resolution is how bytes that were written as one type are read as another:
// the writer's bytes in their order, with what becomes of each part. Types
// that contain themselves give a Resolution that does, too.
//
//	Writer is a union         Branches, one for each of its branches
//	only Reader is a union    Branch, which of its branches is taken, and Chosen, how
//	both are records          Fields in the order of the writer, Defaults for the rest
//	both are enums            Symbols
//	arrays, maps              Items
//	all else                  the same kind, or a promotion of Writer.Kind to Reader.Kind
type Resolution struct {
	Writer, Reader *avro.Type

	Branches []*Resolution
	Branch   int
	Chosen   *Resolution
	Fields   []FieldResolution
	Defaults []Default
	Symbols  []int // the writer's index → the reader's
	Items    *Resolution
}

// FieldResolution is what becomes of one field of the writer.
type FieldResolution struct {
	Writer *avro.Field
	Reader int         // index of the reader's field, or -1: the field is passed over
	How    *Resolution // nil if it is passed over
}

// Default is a field that the writer does not have.
type Default struct {
	Reader int    // index of the reader's field
	Value  []byte // its default, encoded as the reader's type
}

// The rules of resolution that a pair of types can break.
const (
	MismatchKind    = "kind"    // no type is promoted so
	MismatchName    = "name"    // named types that are not each other's, nor by an alias
	MismatchSize    = "size"    // fixed types of different sizes
	MismatchLogical = "logical" // the same bytes would mean something else: decimals of another scale, other units of time
	MismatchDefault = "default" // the writer lacks a field that has no default
	MismatchField   = "field"   // two fields of the writer are one of the reader's
	MismatchSymbol  = "symbol"  // an enum's symbol that the reader does not have, and no default
	MismatchUnion   = "union"   // a branch that the reader does not have
	MismatchLimit   = "limit"   // the two schemas are too large to be resolved
)

// MismatchError says why bytes of the writer cannot be read by the reader.
type MismatchError struct {
	Path   string // of the reader's fields; "" is the outermost type
	Rule   string // one of the Mismatch constants
	Detail string
}

func (e *MismatchError) Error() string {
	at := "the outermost type"
	if e.Path != "" {
		at = e.Path
	}
	return fmt.Sprintf("%s cannot be read: %s (rule: %s)", at, e.Detail, e.Rule)
}

// maxPairs bounds what two schemas cost each other.
const maxPairs = 16384

// Resolve finds how a value of the writer's schema is read with the reader's,
// by Avro 1.12, "Schema Resolution". What would fail for some values only (a
// branch of a union or a symbol that the reader does not have) is refused for
// all, so that it is seen before a record is. The error is a *MismatchError.
//
// Stricter than the specification, which leaves it open: two logical types on
// the same bytes must be the same one. A field without a logical type is read
// as what the reader says.
func Resolve(writer, reader *avro.Type) (*Resolution, error) {
	r := resolver{known: map[pair]*Resolution{}}
	out := r.resolve(writer, reader, "")
	if len(r.faults) > 0 {
		return nil, r.faults[0]
	}
	return out, nil
}

// Mismatches lists why bytes of the writer cannot be read by the reader, all
// reasons up to a limit; none if [Resolve] succeeds.
func Mismatches(writer, reader *avro.Type) []*MismatchError {
	r := resolver{known: map[pair]*Resolution{}}
	r.resolve(writer, reader, "")
	return r.faults
}

// maxFaults is how many mismatches are told; who has that many changed the
// schema for another.
const maxFaults = 100

type pair struct{ writer, reader *avro.Type }

type resolver struct {
	known  map[pair]*Resolution
	faults []*MismatchError // what does not resolve; the rest is looked at all the same
}

func (r *resolver) mismatch(path, rule, format string, args ...any) {
	if len(r.faults) < maxFaults {
		r.faults = append(r.faults, &MismatchError{Path: path, Rule: rule, Detail: fmt.Sprintf(format, args...)})
	}
}

func (r *resolver) resolve(w, t *avro.Type, path string) *Resolution {
	if known, ok := r.known[pair{w, t}]; ok {
		return known
	}
	out := &Resolution{Writer: w, Reader: t}
	if len(r.known) >= maxPairs {
		r.mismatch(path, MismatchLimit, "more than %d pairs of types", maxPairs)
		return out
	}
	r.known[pair{w, t}] = out
	r.fill(out, path)
	return out
}

func (r *resolver) fill(out *Resolution, path string) {
	w, t := out.Writer, out.Reader
	switch {
	case w.Kind == avro.Union:
		for _, b := range w.Branches {
			out.Branches = append(out.Branches, r.resolve(b, t, path))
		}
		return
	case t.Kind == avro.Union:
		if out.Branch = branchFor(w, t); out.Branch < 0 {
			r.mismatch(path, MismatchUnion, "%s has no branch for %s", t, w)
			return
		}
		out.Chosen = r.resolve(w, t.Branches[out.Branch], path)
		return
	case w.Kind != t.Kind && !promotes(w.Kind, t.Kind):
		r.mismatch(path, MismatchKind, "%s is not read as %s", w, t)
		return
	case w.Named() && !sameName(w, t):
		r.mismatch(path, MismatchName, "%s is not read as %s", w, t)
		return
	case !sameMeaning(w, t):
		r.mismatch(path, MismatchLogical, "%s is not read as %s", meaning(w), meaning(t))
	}
	r.parts(out, path)
}

// parts resolves what lies in two types of the same kind.
func (r *resolver) parts(out *Resolution, path string) {
	w, t := out.Writer, out.Reader
	switch t.Kind {
	case avro.Record:
		r.record(out, path)
	case avro.Enum:
		r.symbols(out, path)
	case avro.Array:
		out.Items = r.resolve(w.Items, t.Items, path+"[]")
	case avro.Map:
		out.Items = r.resolve(w.Values, t.Values, path+"{}")
	case avro.Fixed:
		if w.Size != t.Size {
			r.mismatch(path, MismatchSize, "%d bytes are not read as %d", w.Size, t.Size)
		}
	}
}

func (r *resolver) record(out *Resolution, path string) {
	w, t := out.Writer, out.Reader
	byName := readerFields(t)
	claimed := make([]*avro.Field, len(t.Fields))
	for i := range w.Fields {
		field := FieldResolution{Writer: &w.Fields[i], Reader: -1}
		if at, ok := byName[field.Writer.Name]; ok {
			into := &t.Fields[at]
			if other := claimed[at]; other != nil {
				r.mismatch(join(path, into.Name), MismatchField, "%q and %q of the writer are both this field", other.Name, field.Writer.Name)
				continue
			}
			claimed[at] = field.Writer
			field.Reader, field.How = at, r.resolve(field.Writer.Type, into.Type, join(path, into.Name))
		}
		out.Fields = append(out.Fields, field)
	}
	for i := range t.Fields {
		if claimed[i] != nil {
			continue
		}
		f := &t.Fields[i]
		if f.Default == nil {
			r.mismatch(join(path, f.Name), MismatchDefault, "the writer does not have the field, and it has no default")
			continue
		}
		value, err := AppendDefault(nil, f.Type, f.Default)
		if err != nil {
			r.mismatch(join(path, f.Name), MismatchDefault, "%v", err)
			continue
		}
		out.Defaults = append(out.Defaults, Default{Reader: i, Value: value})
	}
}

// readerFields is the reader's field of every name that the writer may use:
// names go before aliases.
func readerFields(t *avro.Type) map[string]int {
	out := make(map[string]int, len(t.Fields))
	for i := range t.Fields {
		out[t.Fields[i].Name] = i
	}
	for i := range t.Fields {
		for _, alias := range t.Fields[i].Aliases {
			if _, taken := out[alias]; !taken {
				out[alias] = i
			}
		}
	}
	return out
}

func (r *resolver) symbols(out *Resolution, path string) {
	t := out.Reader
	for _, symbol := range out.Writer.Symbols {
		i := slices.Index(t.Symbols, symbol)
		if i < 0 && t.Default != nil {
			i = slices.Index(t.Symbols, *t.Default)
		}
		if i < 0 {
			r.mismatch(path, MismatchSymbol, "%s has no symbol %q and no default", t, symbol)
		}
		out.Symbols = append(out.Symbols, i)
	}
}

// branchFor is the branch of a union that a type is read as: the first that is
// the same type, else the first of the same kind by a looser name, else the
// first that it is promoted to. -1 if there is none.
func branchFor(w *avro.Type, union *avro.Type) int {
	for _, same := range []func(t *avro.Type) bool{
		func(t *avro.Type) bool { return t.Kind == w.Kind && t.Name == w.Name && t.Size == w.Size },
		func(t *avro.Type) bool {
			return t.Kind == w.Kind && t.Size == w.Size && w.Named() && slices.Contains(t.Aliases, w.Name)
		},
		func(t *avro.Type) bool { return t.Kind == w.Kind && t.Size == w.Size && w.Named() && sameName(w, t) },
		func(t *avro.Type) bool { return promotes(w.Kind, t.Kind) },
	} {
		if i := slices.IndexFunc(union.Branches, same); i >= 0 {
			return i
		}
	}
	return -1
}

// sameName says whether the reader's type is the writer's: by its name without
// namespace, or because an alias says so.
func sameName(w, t *avro.Type) bool {
	return unqualified(w.Name) == unqualified(t.Name) || slices.Contains(t.Aliases, w.Name)
}

func unqualified(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// promotes says whether a primitive type is read as another.
func promotes(w, t avro.Kind) bool {
	switch t {
	case avro.Long:
		return w == avro.Int
	case avro.Float:
		return w == avro.Int || w == avro.Long
	case avro.Double:
		return w == avro.Int || w == avro.Long || w == avro.Float
	case avro.String:
		return w == avro.Bytes
	case avro.Bytes:
		return w == avro.String
	}
	return false
}

// sameMeaning compares logical types where both sides have one.
func sameMeaning(w, t *avro.Type) bool {
	return w.Logical == "" || t.Logical == "" || w.Logical == t.Logical && w.Precision == t.Precision && w.Scale == t.Scale
}

func meaning(t *avro.Type) string {
	if t.Logical == "decimal" {
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	}
	return t.Logical
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
