package schemas

import (
	"encoding/json"
	"fmt"

	"github.com/linkedin/goavro/v2"

	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Limits of the exchange's schemas; they bound what a View or an Encoder can
// cost.
const (
	maxDepth     = 8
	maxLeaves    = 512
	maxPrecision = 18 // an unscaled decimal fits an int64
)

// Parse reads a record schema of the exchange: package avro reads it as Avro,
// and this holds it against the part of Avro and the attributes that the
// exchange uses. The errors name the path of the field and what is wrong with
// it.
func Parse(name string, source []byte) (*Schema, error) {
	t, err := avro.Parse(source)
	switch {
	case err != nil:
		return nil, fmt.Errorf("schema %s: not Avro: %w", name, err)
	case t.Kind != avro.Record:
		return nil, fmt.Errorf("schema %s: the outermost type must be a record", name)
	}
	s := &Schema{Name: name, Source: source, Type: t, sealed: map[*avro.Field]*avro.Type{}}
	if raw, ok := t.Props["zh"]; ok {
		if err := json.Unmarshal(raw, &s.ZH); err != nil {
			return nil, fmt.Errorf("schema %s: zh: %w", name, err)
		}
	}
	p := profile{schema: s}
	if s.encoding, err = p.record(t, at{}); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	if err := readByOthers(source); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	s.index()
	return s, nil
}

// readByOthers asks goavro, which consumers use, for its opinion. It comes
// after our own parser, because goavro panics on some schemas that ours refuses
// (a decimal without precision).
func readByOthers(source []byte) (err error) {
	// It panics on some decimals without a precision, which Avro takes for plain bytes.
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("another Avro library cannot read it: %v", fault)
		}
	}()
	if _, err = goavro.NewCodec(string(source)); err != nil {
		return fmt.Errorf("goavro cannot read it: %w", err)
	}
	return nil
}

// at is where in the schema the check stands, and what the field it is in says
// of itself.
type at struct {
	path  string
	depth int
	block string // path of the sealed block around it
	class redact.Sensitivity
	known bool // class was set by a field around it, which binds what lies in it
	leaf  Leaf // attributes of the field
}

// profile checks a schema, lists its leaves, and notes how they are encoded.
type profile struct{ schema *Schema }

// attributes are those of a field beyond Avro's.
type attributes struct {
	zh, source, sensitivity, check string
	sealed                         json.RawMessage
}

func readAttributes(f *avro.Field) (a attributes, err error) {
	for name, into := range map[string]*string{"zh": &a.zh, "source": &a.source, "sensitivity": &a.sensitivity, "check": &a.check} {
		if raw, ok := f.Props[name]; ok {
			if err := json.Unmarshal(raw, into); err != nil {
				return a, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	a.sealed = f.Props["sealed"]
	return a, nil
}

func (p *profile) record(t *avro.Type, outer at) (steps []encodeStep, err error) {
	if outer.depth > maxDepth {
		return nil, fmt.Errorf("field %s: nested deeper than %d, or in itself", outer.path, maxDepth)
	}
	for i := range t.Fields {
		more, err := p.field(&t.Fields[i], outer)
		if err != nil {
			return nil, err
		}
		steps = append(steps, more...)
	}
	return steps, nil
}

func (p *profile) field(f *avro.Field, outer at) ([]encodeStep, error) {
	a := at{path: joinPath(outer.path, f.Name), depth: outer.depth + 1, block: outer.block}
	attrs, err := readAttributes(f)
	switch {
	case err != nil:
		return nil, fmt.Errorf("field %s: %w", a.path, err)
	case attrs.zh == "":
		return nil, fmt.Errorf("field %s has no Chinese name (zh)", a.path)
	case attrs.source == "":
		return nil, fmt.Errorf("field %s has no source", a.path)
	}
	if a.class, err = redact.ParseSensitivity(attrs.sensitivity); err != nil {
		return nil, fmt.Errorf("field %s: %w", a.path, err)
	}
	if outer.known {
		a.class = redact.Tighter(a.class, outer.class)
	}
	a.known = true
	if attrs.sealed != nil {
		return p.block(f, attrs.sealed, a)
	}
	a.leaf = Leaf{ZH: attrs.zh, Source: attrs.source, Check: attrs.check}
	return p.value(f.Type, a)
}

// block checks a sealed record.
func (p *profile) block(f *avro.Field, sealed json.RawMessage, a at) ([]encodeStep, error) {
	switch {
	case f.Type.Kind != avro.Bytes || f.Type.Logical != "":
		return nil, fmt.Errorf("field %s: a sealed block has the type bytes", a.path)
	case a.block != "":
		return nil, fmt.Errorf("field %s: a sealed block within a sealed block", a.path)
	}
	t, err := avro.Parse(sealed)
	switch {
	case err != nil:
		return nil, fmt.Errorf("field %s: what is sealed is not Avro: %w", a.path, err)
	case t.Kind != avro.Record:
		return nil, fmt.Errorf("field %s: what is sealed must be a record", a.path)
	}
	a.block = a.path
	steps, err := p.record(t, a)
	if err != nil {
		return nil, err
	}
	if err := readByOthers(sealed); err != nil {
		return nil, fmt.Errorf("field %s: %w", a.path, err)
	}
	p.schema.sealed[f] = t
	return []encodeStep{{path: a.path, block: steps}}, nil
}

// value checks what the exchange puts into a field: a scalar, one that may be
// null, a list of scalars, or a record.
func (p *profile) value(t *avro.Type, a at) ([]encodeStep, error) {
	switch t.Kind {
	case avro.Record:
		return p.record(t, a)
	case avro.Array:
		if t.Items.Kind == avro.Array || t.Items.Kind == avro.Record || t.Items.Kind == avro.Union {
			return nil, fmt.Errorf("field %s: an array of %s is not used by the exchange", a.path, t.Items)
		}
		a.leaf.Repeated = true
		return p.leaf(t.Items, a)
	case avro.Union:
		if len(t.Branches) != 2 || t.Branches[0].Kind != avro.Null {
			return nil, fmt.Errorf(`field %s: the only union the exchange uses is ["null", T]`, a.path)
		}
		if k := t.Branches[1].Kind; k == avro.Record || k == avro.Array {
			return nil, fmt.Errorf("field %s: a nullable %s is not used by the exchange", a.path, k)
		}
		a.leaf.Nullable = true
		return p.leaf(t.Branches[1], a)
	}
	return p.leaf(t, a)
}

// leaf enters a value of the schema into its list of leaves.
func (p *profile) leaf(t *avro.Type, a at) ([]encodeStep, error) {
	k := kindOf(t)
	if raw, ok := t.Props["logicalType"]; ok {
		return nil, fmt.Errorf("field %s: logical type %s of %s is not used by the exchange", a.path, raw, t)
	}
	if err := p.checkLeaf(t, k, a); err != nil {
		return nil, err
	}
	l := a.leaf
	l.Path, l.Kind, l.Sensitivity, l.Block = a.path, k, a.class, a.block
	l.Precision, l.Scale, l.Symbols = t.Precision, t.Scale, t.Symbols
	if raw, ok := t.Props["zh"]; ok && k == Enum {
		if err := json.Unmarshal(raw, &l.SymbolsZH); err != nil {
			return nil, fmt.Errorf("field %s: zh of an enum maps symbols to names: %w", a.path, err)
		}
	}
	step := newEncodeStep(&l, len(p.schema.Leaves))
	p.schema.Leaves = append(p.schema.Leaves, l)
	return []encodeStep{step}, nil
}

func (p *profile) checkLeaf(t *avro.Type, k Kind, a at) error {
	switch {
	case k == 0 || k > TimestampMillis || k == Decimal && t.Kind != avro.Bytes:
		return fmt.Errorf("field %s: %s is not used by the exchange", a.path, typeName(t))
	case k == Decimal && t.Precision > maxPrecision:
		return fmt.Errorf("field %s: decimal(%d,%d): precision 1 to %d", a.path, t.Precision, t.Scale, maxPrecision)
	case len(p.schema.Leaves) == maxLeaves:
		return fmt.Errorf("field %s: more than %d fields", a.path, maxLeaves)
	case a.class.MustSeal() && a.block == "":
		return fmt.Errorf("field %s is %s and lies outside a sealed block", a.path, a.class)
	}
	return nil
}

func typeName(t *avro.Type) string {
	if t.Logical != "" {
		return fmt.Sprintf("logical type %q of %s", t.Logical, t.Kind)
	}
	return fmt.Sprintf("type %q", t.Kind)
}
