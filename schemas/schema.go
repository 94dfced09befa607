package schemas

import (
	"fmt"
	"slices"

	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Schema is one published version of a record schema. It is immutable.
type Schema struct {
	Name   string // "price_quote.v1"
	ID     uint32 // id of the lock file; 0 before it is locked
	ZH     string // Chinese name
	Source []byte // the .avsc as published
	Leaves []Leaf // in the order of the schema, blocks flattened
	Type   *avro.Type

	encoding []encodeStep
	sealed   map[*avro.Field]*avro.Type // what lies in a sealed block
	byPath   map[string]int
}

// Leaf finds a leaf by its path.
func (s *Schema) Leaf(path string) (int, *Leaf, bool) {
	i, ok := s.byPath[path]
	if !ok {
		return 0, nil, false
	}
	return i, &s.Leaves[i], true
}

// Seals says whether the schema has sealed blocks.
func (s *Schema) Seals() bool {
	return slices.ContainsFunc(s.Leaves, func(l Leaf) bool { return l.Block != "" })
}

// Sensitivities is the class of every leaf by its path.
func (s *Schema) Sensitivities() map[string]redact.Sensitivity {
	out := make(map[string]redact.Sensitivity, len(s.Leaves))
	for i := range s.Leaves {
		out[s.Leaves[i].Path] = s.Leaves[i].Sensitivity
	}
	return out
}

func (s *Schema) index() {
	s.byPath = make(map[string]int, len(s.Leaves))
	for i := range s.Leaves {
		s.byPath[s.Leaves[i].Path] = i
	}
}

// ParseAvro reads a record schema that is not the exchange's: all of Avro
// 1.12, no attributes of ours. Its leaves have the worst class, so that nobody
// releases them by their class, and it has no Encoder; a View reads it.
//
// What lies in arrays, maps and the branches of unions has the path of the
// field around it. A map's path stands for its keys, and for its values if
// these are no records. A record that contains itself has the paths of its
// first occurrence, however deep it lies.
func ParseAvro(name string, source []byte) (*Schema, error) {
	t, err := avro.Parse(source)
	switch {
	case err != nil:
		return nil, fmt.Errorf("schema %s: %w", name, err)
	case t.Kind != avro.Record:
		return nil, fmt.Errorf("schema %s: the outermost type must be a record", name)
	}
	s := &Schema{Name: name, Source: source, Type: t}
	w := leafWalk{seen: map[string]int{}}
	if err := w.walk(t, "", false); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	s.Leaves = w.leaves
	s.index()
	return s, nil
}

// maxForeignLeaves bounds what a schema costs that is not the exchange's: one
// that names its types again and again stands for paths without number.
const maxForeignLeaves = 4096

// leafWalk lists the leaves of a schema. A path that several branches of a
// union share is one leaf, of the kind of the first.
type leafWalk struct {
	leaves []Leaf
	seen   map[string]int // path → index
	within []*avro.Type   // records around
	steps  int
}

func (w *leafWalk) walk(t *avro.Type, path string, repeated bool) error {
	if w.steps++; w.steps > 4*maxForeignLeaves {
		return fmt.Errorf("field %s: more than %d fields", path, maxForeignLeaves)
	}
	switch t.Kind {
	case avro.Record:
		return w.record(t, path)
	case avro.Array:
		return w.walk(t.Items, path, true)
	case avro.Map:
		w.add(Leaf{Path: path, Kind: Keys})
		return w.walk(t.Values, path, true)
	case avro.Union:
		for _, b := range t.Branches {
			if b.Kind == avro.Null && holdsRecord(t) { // no value of its own
				continue
			}
			if err := w.walk(b, path, repeated); err != nil {
				return err
			}
		}
		return nil
	}
	w.add(Leaf{
		Path: path, Kind: kindOf(t), Nullable: t.Kind == avro.Null, Repeated: repeated,
		Precision: t.Precision, Scale: t.Scale, Symbols: t.Symbols,
	})
	return nil
}

func (w *leafWalk) record(t *avro.Type, path string) error {
	if slices.Contains(w.within, t) {
		return nil
	}
	w.within = append(w.within, t)
	for i := range t.Fields {
		if err := w.walk(t.Fields[i].Type, joinPath(path, t.Fields[i].Name), false); err != nil {
			return err
		}
	}
	w.within = w.within[:len(w.within)-1]
	return nil
}

func (w *leafWalk) add(l Leaf) {
	i, there := w.seen[l.Path]
	switch {
	case !there:
		w.seen[l.Path] = len(w.leaves)
		w.leaves = append(w.leaves, l)
	case w.leaves[i].Kind == Null: // ["null", T]: the kind is T's
		l.Nullable = true
		w.leaves[i] = l
	case l.Kind == Null:
		w.leaves[i].Nullable = true
	}
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
