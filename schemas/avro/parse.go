package avro

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Limits of a schema; they bound the time and memory of everything that is
// built from one.
const (
	maxBytes   = 256 << 10
	maxDepth   = 64 // types within types
	maxNames   = 1024
	maxFields  = 4096 // of all records together
	maxSymbols = 16384
	maxSize    = 1 << 20 // bytes of a fixed type
)

// Parse reads a schema. Every error is an *Error.
func Parse(source []byte) (*Type, error) {
	switch {
	case len(source) > maxBytes:
		return nil, breach("", RuleLimit, "%d bytes, at most %d are read", len(source), maxBytes)
	case !utf8.Valid(source):
		return nil, breach("", RuleSyntax, "not UTF-8")
	case !json.Valid(source):
		return nil, breach("", RuleSyntax, "not JSON")
	}
	p := parser{named: map[string]*Type{}}
	t, err := p.typ(source, place{})
	if err != nil {
		return nil, err
	}
	if err := p.checkDefaults(); err != nil {
		return nil, err
	}
	return t, nil
}

// place is where in the schema the parser stands.
type place struct {
	path      string
	namespace string
	depth     int
}

func (a place) below(suffix string) place {
	if a.path == "" && suffix[0] == '.' {
		suffix = suffix[1:]
	}
	return place{path: a.path + suffix, namespace: a.namespace, depth: a.depth + 1}
}

type parser struct {
	named   map[string]*Type
	fields  int
	symbols int
	pending []defaulted // checked at the end: a default may be of a type not yet whole
}

func (p *parser) typ(raw json.RawMessage, a place) (*Type, error) {
	if a.depth > maxDepth {
		return nil, breach(a.path, RuleLimit, "types nested deeper than %d", maxDepth)
	}
	switch raw = bytes.TrimSpace(raw); raw[0] {
	case '"':
		var name string
		if err := json.Unmarshal(raw, &name); err != nil {
			return nil, breach(a.path, RuleSyntax, "a type's name cannot be read")
		}
		return p.reference(name, a)
	case '[':
		return p.union(raw, a)
	case '{':
		o, err := p.object(raw, a)
		if err != nil {
			return nil, err
		}
		return p.complex(o, a)
	}
	return nil, breach(a.path, RuleSyntax, "a type is a string, an object or an array")
}

var primitives = map[string]Kind{
	"null": Null, "boolean": Boolean, "int": Int, "long": Long, "float": Float, "double": Double, "bytes": Bytes, "string": String,
}

// reference is a type by its name. A primitive is a new Type each time, so
// that nothing is shared by chance.
func (p *parser) reference(name string, a place) (*Type, error) {
	if k, ok := primitives[name]; ok {
		return &Type{Kind: k}, nil
	}
	full := qualify(name, a.namespace)
	if t, ok := p.named[full]; ok {
		return t, nil
	}
	return nil, breach(a.path, RuleName, "type %q is not defined before this place", full)
}

func (p *parser) complex(o *object, a place) (*Type, error) {
	name, err := o.text("type", true)
	if err != nil {
		return nil, err
	}
	var t *Type
	switch name {
	case "record":
		t, err = p.record(o, a)
	case "enum":
		t, err = p.enum(o, a)
	case "fixed":
		t, err = p.fixed(o, a)
	case "array":
		t = &Type{Kind: Array}
		t.Items, err = p.child(o, "items", "[]", a)
	case "map":
		t = &Type{Kind: Map}
		t.Values, err = p.child(o, "values", "{}", a)
	default:
		k, ok := primitives[name]
		if !ok {
			return p.reference(name, a) // what else the object says is of no account, as in Java
		}
		t = &Type{Kind: k}
	}
	if err != nil {
		return nil, err
	}
	if !t.Named() { // named types had their attributes read before their fields
		o.annotate(t)
	}
	return t, nil
}

func (p *parser) child(o *object, attribute, suffix string, a place) (*Type, error) {
	raw, ok := o.take(attribute)
	if !ok {
		return nil, breach(a.path, RuleSyntax, "%q is missing", attribute)
	}
	return p.typ(raw, a.below(suffix))
}

func (p *parser) union(raw json.RawMessage, a place) (*Type, error) {
	var branches []json.RawMessage
	if err := json.Unmarshal(raw, &branches); err != nil {
		return nil, breach(a.path, RuleSyntax, "the union cannot be read")
	}
	if len(branches) == 0 {
		return nil, breach(a.path, RuleUnion, "a union of nothing has no value")
	}
	t := &Type{Kind: Union}
	seen := map[string]bool{}
	for i, branch := range branches {
		b, err := p.typ(branch, a.below("("+strconv.Itoa(i)+")"))
		switch {
		case err != nil:
			return nil, err
		case b.Kind == Union:
			return nil, breach(a.path, RuleUnion, "a union directly in a union")
		case seen[b.String()]:
			return nil, breach(a.path, RuleUnion, "%s stands twice in the union", b)
		}
		seen[b.String()] = true
		t.Branches = append(t.Branches, b)
	}
	return t, nil
}

// define gives a type its name and makes it known.
func (p *parser) define(kind Kind, o *object, a place) (*Type, place, error) {
	t := &Type{Kind: kind}
	name, err := o.text("name", true)
	if err != nil {
		return nil, a, err
	}
	namespace, given, err := o.namespace()
	if err != nil {
		return nil, a, err
	}
	if !given {
		namespace = a.namespace
	}
	t.Name = qualify(name, namespace)
	if err := checkFullName(t.Name); err != "" {
		return nil, a, breach(a.path, RuleName, "%s", err)
	}
	if p.named[t.Name] != nil {
		return nil, a, breach(a.path, RuleName, "%s is defined twice", t.Name)
	}
	if len(p.named) == maxNames {
		return nil, a, breach(a.path, RuleLimit, "more than %d names", maxNames)
	}
	a.namespace = namespaceOf(t.Name)
	if t.Aliases, err = o.aliases(a.namespace, checkFullName); err != nil {
		return nil, a, err
	}
	if t.Doc, err = o.text("doc", false); err != nil {
		return nil, a, err
	}
	p.named[t.Name] = t
	return t, a, nil
}

func (p *parser) record(o *object, a place) (*Type, error) {
	t, a, err := p.define(Record, o, a)
	if err != nil {
		return nil, err
	}
	fields, err := o.array("fields")
	if err != nil {
		return nil, err
	}
	o.annotate(t)
	if p.fields += len(fields); p.fields > maxFields {
		return nil, breach(a.path, RuleLimit, "more than %d fields", maxFields)
	}
	t.Fields = make([]Field, 0, len(fields))
	seen := make(map[string]bool, len(fields))
	for _, raw := range fields {
		f, err := p.field(raw, a)
		if err != nil {
			return nil, err
		}
		if seen[f.Name] {
			return nil, breach(a.path, RuleField, "field %q stands twice in %s", f.Name, t.Name)
		}
		seen[f.Name] = true
		t.Fields = append(t.Fields, f)
	}
	for i := range t.Fields {
		if f := &t.Fields[i]; f.Default != nil {
			p.pending = append(p.pending, defaulted{field: f, path: a.below("." + f.Name).path})
		}
	}
	return t, nil
}

func (p *parser) field(raw json.RawMessage, a place) (Field, error) {
	var f Field
	o, err := p.object(raw, a)
	if err != nil {
		return f, err
	}
	if f.Name, err = o.text("name", true); err != nil {
		return f, err
	}
	if !isName(f.Name) {
		return f, breach(a.path, RuleName, "field %q: %s", f.Name, nameRule)
	}
	inner := a.below("." + f.Name)
	inner.depth = a.depth // the field's type is what counts
	o.place = inner
	if f.Type, err = p.child(o, "type", "", inner); err != nil {
		return f, err
	}
	if f.Aliases, err = o.aliases("", checkName); err != nil {
		return f, err
	}
	if f.Doc, err = o.text("doc", false); err != nil {
		return f, err
	}
	f.Default, _ = o.take("default")
	if f.Order, err = o.order(); err != nil {
		return f, err
	}
	f.Props = o.rest()
	return f, nil
}

func (p *parser) enum(o *object, a place) (*Type, error) {
	t, a, err := p.define(Enum, o, a)
	if err != nil {
		return nil, err
	}
	if t.Symbols, err = o.strings("symbols", true); err != nil {
		return nil, err
	}
	if p.symbols += len(t.Symbols); p.symbols > maxSymbols {
		return nil, breach(a.path, RuleLimit, "more than %d symbols", maxSymbols)
	}
	if len(t.Symbols) == 0 {
		return nil, breach(a.path, RuleSymbol, "an enum of no symbols has no value")
	}
	seen := make(map[string]bool, len(t.Symbols))
	for _, symbol := range t.Symbols {
		if !isName(symbol) {
			return nil, breach(a.path, RuleSymbol, "symbol %q: %s", symbol, nameRule)
		}
		if seen[symbol] {
			return nil, breach(a.path, RuleSymbol, "symbol %q stands twice", symbol)
		}
		seen[symbol] = true
	}
	if o.has("default") {
		symbol, err := o.text("default", true)
		if err != nil {
			return nil, err
		}
		if !seen[symbol] {
			return nil, breach(a.path, RuleDefault, "default %q is no symbol of the enum", symbol)
		}
		t.Default = &symbol
	}
	o.annotate(t)
	return t, nil
}

func (p *parser) fixed(o *object, a place) (*Type, error) {
	t, a, err := p.define(Fixed, o, a)
	if err != nil {
		return nil, err
	}
	n, ok := o.number("size")
	if !ok || n < 0 || n > maxSize {
		return nil, breach(a.path, RuleSize, "the size of a fixed type is a whole number of bytes from 0 to %d", maxSize)
	}
	t.Size = n
	o.drop("size")
	o.annotate(t)
	return t, nil
}
