package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/linkedin/goavro/v2"

	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Limits of a schema; they bound what a View or an Encoder can cost.
const (
	maxSchemaBytes = 256 << 10
	maxDepth       = 8
	maxLeaves      = 512
	maxPrecision   = 18 // an unscaled decimal fits an int64
)

// Schema is one published version of a record schema. It is immutable.
type Schema struct {
	Name   string // "price_quote.v1"
	ID     uint32 // id of the lock file; 0 before it is locked
	ZH     string // Chinese name
	Source []byte // the .avsc as published
	Leaves []Leaf // in the order of the schema, blocks flattened
	root   *node
	byPath map[string]int
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

// Parse reads a record schema. The errors name the path of the field and what
// is wrong with it.
func Parse(name string, source []byte) (*Schema, error) {
	if len(source) > maxSchemaBytes {
		return nil, fmt.Errorf("schema %s: %d bytes, at most %d are allowed", name, len(source), maxSchemaBytes)
	}
	var top struct {
		Type any    `json:"type"`
		ZH   string `json:"zh"`
	}
	if err := json.Unmarshal(source, &top); err != nil || top.Type != "record" {
		return nil, fmt.Errorf("schema %s: the outermost type must be a record", name)
	}
	s := &Schema{Name: name, ZH: top.ZH, Source: source, byPath: map[string]int{}}
	p := parser{schema: s, named: map[string]json.RawMessage{}}
	var err error
	if s.root, err = p.typ(source, at{}); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	if err := checkAvro(source); err != nil {
		return nil, fmt.Errorf("schema %s is not Avro: %w", name, err)
	}
	for i := range s.Leaves {
		s.byPath[s.Leaves[i].Path] = i
	}
	return s, nil
}

// checkAvro asks goavro for what Avro itself demands of names, defaults and
// references. It comes after our own parser, because goavro panics on some
// schemas that ours refuses (a decimal without precision).
func checkAvro(source []byte) error {
	_, err := goavro.NewCodec(string(source))
	return err
}

// at is where in the schema the parser stands, and what the field it is in
// says of itself.
type at struct {
	path  string
	depth int
	block string // path of the sealed block around it
	class redact.Sensitivity
	known bool // class was set by a field around it, which binds what lies in it
	leaf  Leaf // attributes of the field
	array bool
}

type parser struct {
	schema *Schema
	named  map[string]json.RawMessage
}

// object is a type written as a JSON object.
type object struct {
	Type        json.RawMessage   `json:"type"`
	Name        string            `json:"name"`
	LogicalType string            `json:"logicalType"`
	Precision   int               `json:"precision"`
	Scale       int               `json:"scale"`
	Symbols     []string          `json:"symbols"`
	ZH          json.RawMessage   `json:"zh"`
	Items       json.RawMessage   `json:"items"`
	Fields      []json.RawMessage `json:"fields"`
}

func (p *parser) typ(raw json.RawMessage, a at) (*node, error) {
	if a.depth > maxDepth {
		return nil, fmt.Errorf("field %s: nested deeper than %d", a.path, maxDepth)
	}
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil, fmt.Errorf("field %s has no type", a.path)
	case raw[0] == '"':
		return p.primitive(raw, a)
	case raw[0] == '[':
		return p.union(raw, a)
	}
	var o object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, fmt.Errorf("field %s: %w", a.path, err)
	}
	var name string
	if err := json.Unmarshal(o.Type, &name); err != nil {
		a.depth++
		return p.typ(o.Type, a) // {"type": {"type": …}}
	}
	switch name {
	case "record":
		return p.record(&o, a)
	case "enum":
		p.named[o.Name] = raw
		return p.enum(&o, a)
	case "array":
		return p.array(&o, a)
	case "int", "long", "bytes", "string", "boolean":
		return p.logical(&o, name, a)
	}
	return nil, fmt.Errorf("field %s: type %q is not used by the exchange", a.path, name)
}

func (p *parser) primitive(raw json.RawMessage, a at) (*node, error) {
	var name string
	if err := json.Unmarshal(raw, &name); err != nil {
		return nil, fmt.Errorf("field %s: %w", a.path, err)
	}
	if k, ok := primitives[name]; ok {
		return p.leaf(&node{kind: k}, a)
	}
	if enum, ok := p.named[name]; ok {
		return p.typ(enum, a)
	}
	return nil, fmt.Errorf("field %s: type %q is not used by the exchange (or refers to itself)", a.path, name)
}

var primitives = map[string]Kind{
	"boolean": Boolean, "int": Int, "long": Long, "bytes": Bytes, "string": String,
}

func (p *parser) enum(o *object, a at) (*node, error) {
	n := &node{kind: Enum, symbols: o.Symbols}
	for i, symbol := range o.Symbols {
		if !isName(symbol) || slices.Contains(o.Symbols[:i], symbol) {
			return nil, fmt.Errorf("field %s: symbol %q is not a name or stands twice", a.path, symbol)
		}
	}
	if len(o.ZH) > 0 {
		if err := json.Unmarshal(o.ZH, &n.symbolsZH); err != nil {
			return nil, fmt.Errorf("field %s: zh of an enum maps symbols to names: %w", a.path, err)
		}
	}
	return p.leaf(n, a)
}

// isName is Avro's rule for names. goavro checks most of them; it passes over
// doubled fields and symbols.
func isName(s string) bool {
	for i, c := range []byte(s) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

func (p *parser) logical(o *object, name string, a at) (*node, error) {
	switch {
	case o.LogicalType == "":
		return p.leaf(&node{kind: primitives[name]}, a)
	case o.LogicalType == "date" && name == "int":
		return p.leaf(&node{kind: Date}, a)
	case o.LogicalType == "timestamp-millis" && name == "long":
		return p.leaf(&node{kind: TimestampMillis}, a)
	case o.LogicalType == "decimal" && name == "bytes":
		if o.Precision < 1 || o.Precision > maxPrecision || o.Scale < 0 || o.Scale > o.Precision {
			return nil, fmt.Errorf("field %s: decimal(%d,%d): precision 1 to %d, scale 0 to precision", a.path, o.Precision, o.Scale, maxPrecision)
		}
		return p.leaf(&node{kind: Decimal, precision: o.Precision, scale: o.Scale}, a)
	}
	return nil, fmt.Errorf("field %s: logical type %q of %s is not used by the exchange", a.path, o.LogicalType, name)
}

// union accepts ["null", T], the one union that the exchange uses.
func (p *parser) union(raw json.RawMessage, a at) (*node, error) {
	var branches []json.RawMessage
	if err := json.Unmarshal(raw, &branches); err != nil {
		return nil, fmt.Errorf("field %s: %w", a.path, err)
	}
	if len(branches) != 2 || string(bytes.TrimSpace(branches[0])) != `"null"` || a.leaf.Nullable || a.array {
		return nil, fmt.Errorf(`field %s: the only union the exchange uses is ["null", T]`, a.path)
	}
	a.leaf.Nullable = true
	n, err := p.typ(branches[1], a)
	if err != nil {
		return nil, err
	}
	if n.kind == recordKind || n.kind == arrayKind {
		return nil, fmt.Errorf("field %s: a nullable %s is not used by the exchange", a.path, n.kind)
	}
	n.nullable = true
	return n, nil
}

func (p *parser) array(o *object, a at) (*node, error) {
	if a.array || a.leaf.Nullable {
		return nil, fmt.Errorf("field %s: an array of arrays or a nullable array is not used by the exchange", a.path)
	}
	a.array, a.leaf.Repeated = true, true
	items, err := p.typ(o.Items, a)
	if err != nil {
		return nil, err
	}
	if items.kind == recordKind || items.kind == sealedKind {
		return nil, fmt.Errorf("field %s: an array of records is not used by the exchange", a.path)
	}
	return &node{kind: arrayKind, items: items, leaf: items.leaf}, nil
}

// leaf enters a value of the schema into its list of leaves.
func (p *parser) leaf(n *node, a at) (*node, error) {
	if len(p.schema.Leaves) == maxLeaves {
		return nil, fmt.Errorf("field %s: more than %d fields", a.path, maxLeaves)
	}
	if a.class.MustSeal() && a.block == "" {
		return nil, fmt.Errorf("field %s is %s and lies outside a sealed block", a.path, a.class)
	}
	l := a.leaf
	l.Path, l.Kind, l.Sensitivity, l.Block = a.path, n.kind, a.class, a.block
	l.Precision, l.Scale, l.Symbols, l.SymbolsZH = n.precision, n.scale, n.symbols, n.symbolsZH
	n.leaf = len(p.schema.Leaves)
	p.schema.Leaves = append(p.schema.Leaves, l)
	return n, nil
}

// fieldAttributes is one field of a record as the .avsc writes it.
type fieldAttributes struct {
	Name        string          `json:"name"`
	Type        json.RawMessage `json:"type"`
	ZH          string          `json:"zh"`
	Source      string          `json:"source"`
	Sensitivity string          `json:"sensitivity"`
	Check       string          `json:"check"`
	Sealed      json.RawMessage `json:"sealed"`
}

func (p *parser) record(o *object, a at) (*node, error) {
	if a.array || a.leaf.Nullable {
		return &node{kind: recordKind}, nil // refused by the caller, with its reason
	}
	n := &node{kind: recordKind, leaf: -1}
	for _, raw := range o.Fields {
		var f fieldAttributes
		if err := json.Unmarshal(raw, &f); err != nil {
			return nil, fmt.Errorf("record %s: %w", o.Name, err)
		}
		if !isName(f.Name) || slices.ContainsFunc(n.fields, func(other field) bool { return other.name == f.Name }) {
			return nil, fmt.Errorf("record %s: field %q is not a name or stands twice", o.Name, f.Name)
		}
		fn, err := p.field(&f, a)
		if err != nil {
			return nil, err
		}
		n.fields = append(n.fields, field{name: f.Name, path: join(a.path, f.Name), zh: f.ZH, node: fn})
	}
	return n, nil
}

func (p *parser) field(f *fieldAttributes, outer at) (*node, error) {
	a := at{path: join(outer.path, f.Name), depth: outer.depth + 1, block: outer.block}
	switch {
	case f.ZH == "":
		return nil, fmt.Errorf("field %s has no Chinese name (zh)", a.path)
	case f.Source == "":
		return nil, fmt.Errorf("field %s has no source", a.path)
	}
	class, err := redact.ParseSensitivity(f.Sensitivity)
	if err != nil {
		return nil, fmt.Errorf("field %s: %w", a.path, err)
	}
	if outer.known {
		class = redact.Tighter(class, outer.class)
	}
	a.class, a.known = class, true
	a.leaf = Leaf{ZH: f.ZH, Source: f.Source, Check: f.Check}
	if f.Sealed == nil {
		return p.typ(f.Type, a)
	}
	return p.sealed(f, a)
}

func (p *parser) sealed(f *fieldAttributes, a at) (*node, error) {
	if string(bytes.TrimSpace(f.Type)) != `"bytes"` {
		return nil, fmt.Errorf("field %s: a sealed block has the type bytes", a.path)
	}
	if a.block != "" {
		return nil, fmt.Errorf("field %s: a sealed block within a sealed block", a.path)
	}
	a.block, a.leaf = a.path, Leaf{}
	n, err := p.typ(f.Sealed, a)
	if err != nil {
		return nil, err
	}
	if n.kind != recordKind || n.nullable {
		return nil, fmt.Errorf("field %s: what is sealed must be a record", a.path)
	}
	if err := checkAvro(f.Sealed); err != nil {
		return nil, fmt.Errorf("field %s: what is sealed is not Avro: %w", a.path, err)
	}
	n.kind = sealedKind
	return n, nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
