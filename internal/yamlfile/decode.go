package yamlfile

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Scalar reads values of one Go type from the text of a YAML scalar.
type Scalar struct {
	typ   reflect.Type
	parse func(string) (any, error)
}

// Text makes a Scalar of a parsing function. Its error is shown to whoever
// wrote the file, with the line.
func Text[T any](parse func(string) (T, error)) Scalar {
	return Scalar{
		typ:   reflect.TypeFor[T](),
		parse: func(s string) (any, error) { return parse(s) },
	}
}

type decoder struct {
	doc     *Document
	scalars []Scalar
	faults  Faults
	path    []any
}

func (d *decoder) decode(body ast.Node, shape any) {
	v := reflect.ValueOf(shape)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		d.fault(body, "the program asks for %T, which is not a pointer to a struct", shape)
		return
	}
	d.value(body, v.Elem())
}

func (d *decoder) fault(n ast.Node, format string, args ...any) {
	p := place(n)
	d.faults = append(d.faults, Fault{File: d.doc.File, Line: p.line, Column: p.column, Text: fmt.Sprintf(format, args...)})
}

// within decodes below a key or an index.
func (d *decoder) within(step any, n ast.Node, v reflect.Value) {
	d.path = append(d.path, step)
	d.value(n, v)
	d.path = d.path[:len(d.path)-1]
}

func (d *decoder) value(n ast.Node, v reflect.Value) {
	d.doc.positions[pathKey(d.path)] = place(n)
	if what := refused(n); what != "" {
		d.fault(n, "%s", what)
		return
	}
	for _, s := range d.scalars {
		if s.typ == v.Type() {
			d.scalar(n, v, s)
			return
		}
	}
	d.ofKind(n, v)
}

func (d *decoder) ofKind(n ast.Node, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem())
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Map:
		d.mapping(n, v)
	case reflect.Slice:
		d.sequence(n, v)
	case reflect.String:
		if s, ok := d.text(n); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		d.boolean(n, v)
	case reflect.Int, reflect.Int64:
		d.integer(n, v)
	default:
		d.fault(n, "the program cannot read a %s here", v.Type())
	}
}

// refused says why a node is never accepted, whatever is asked for.
func refused(n ast.Node) string {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode:
		return "anchors and aliases are not read: write the value out"
	case *ast.TagNode:
		return "tags are not read: write the plain value"
	case *ast.NullNode:
		return "there is no value: fill it in or remove the key"
	}
	return ""
}

func (d *decoder) structure(n ast.Node, v reflect.Value) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		d.fault(n, "keys and values belong here, not %s", kind(n))
		return
	}
	fields, known := shapeOf(v.Type())
	seen := d.entries(m, func(key string, e *ast.MappingValueNode) {
		f, ok := fields[key]
		if !ok {
			d.fault(e.Key, "unknown key %q: the keys here are %s", key, strings.Join(known, ", "))
			return
		}
		d.within(key, e.Value, v.FieldByIndex(f.index))
	})
	for _, key := range known {
		if !seen[key] && !fields[key].optional {
			d.fault(n, "%q is missing", key)
		}
	}
}

// entries calls each for the keys of a mapping, once for each, and says which
// there were.
func (d *decoder) entries(m *ast.MappingNode, each func(key string, e *ast.MappingValueNode)) map[string]bool {
	seen := make(map[string]bool, len(m.Values))
	for _, e := range m.Values {
		switch e.Key.(type) {
		case *ast.StringNode, *ast.IntegerNode:
		default:
			d.fault(e.Key, "a key is a plain word here")
			continue
		}
		key := scalarText(e.Key)
		if seen[key] {
			d.fault(e.Key, "%q stands twice", key)
			continue
		}
		seen[key] = true
		each(key, e)
	}
	return seen
}

type field struct {
	index    []int
	optional bool
}

// shapeOf is the keys of a struct; those of an embedded struct are its own.
func shapeOf(t reflect.Type) (fields map[string]field, names []string) {
	fields = map[string]field{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || !f.IsExported() {
			continue
		}
		fields[name] = field{index: f.Index, optional: options == "optional"}
		names = append(names, name)
	}
	return fields, names
}

func (d *decoder) mapping(n ast.Node, v reflect.Value) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		d.fault(n, "keys and values belong here, not %s", kind(n))
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(m.Values)))
	d.entries(m, func(key string, e *ast.MappingValueNode) {
		k := reflect.New(v.Type().Key()).Elem()
		if !d.key(e.Key, key, k) {
			return
		}
		item := reflect.New(v.Type().Elem()).Elem()
		d.within(key, e.Value, item)
		v.SetMapIndex(k, item)
	})
}

// key reads a map's key: text, or what a Scalar makes of it.
func (d *decoder) key(n ast.Node, text string, k reflect.Value) bool {
	for _, s := range d.scalars {
		if s.typ == k.Type() {
			return d.parsed(n, text, k, s)
		}
	}
	if k.Kind() != reflect.String {
		d.fault(n, "the program cannot read a %s here", k.Type())
		return false
	}
	k.SetString(text)
	return true
}

func (d *decoder) sequence(n ast.Node, v reflect.Value) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fault(n, "a list belongs here, not %s", kind(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(s.Values), len(s.Values)))
	for i, item := range s.Values {
		d.within(i, item, v.Index(i))
	}
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, s Scalar) {
	if text, ok := d.text(n); ok {
		d.parsed(n, text, v, s)
	}
}

func (d *decoder) parsed(n ast.Node, text string, v reflect.Value, s Scalar) bool {
	x, err := s.parse(text)
	if err != nil {
		d.fault(n, "%s", err.Error())
		return false
	}
	v.Set(reflect.ValueOf(x))
	return true
}

func (d *decoder) text(n ast.Node) (string, bool) {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode, *ast.IntegerNode:
	default:
		d.fault(n, "text belongs here, not %s: put it in quotes if it is meant as text", kind(n))
		return "", false
	}
	s := strings.TrimSpace(scalarText(n))
	if s == "" {
		d.fault(n, "the text is empty: fill it in or remove the key")
		return "", false
	}
	return s, true
}

func (d *decoder) boolean(n ast.Node, v reflect.Value) {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		d.fault(n, "true or false belongs here, not %s", kind(n))
		return
	}
	v.SetBool(b.Value)
}

func (d *decoder) integer(n ast.Node, v reflect.Value) {
	text := scalarText(n)
	if _, ok := n.(*ast.IntegerNode); !ok || len(text) > 1 && text[0] == '0' {
		d.fault(n, "a whole number in plain digits belongs here, not %s", kind(n))
		return
	}
	i, err := strconv.ParseInt(text, 10, v.Type().Bits())
	if err != nil {
		d.fault(n, "a whole number in plain digits belongs here")
		return
	}
	v.SetInt(i)
}

func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.BoolNode:
		return "a boolean"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	}
	return "this"
}

// place is where a node begins. A mapping's own token is the colon behind its
// first key, so the key is asked instead.
func place(n ast.Node) position {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{line: t.Position.Line, column: t.Position.Column}
}

func syntaxFault(file string, err error) *Fault {
	f := &Fault{File: file, Text: "this is not YAML"}
	if y, ok := errors.AsType[yaml.Error](err); ok {
		f.Text = y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			f.Line, f.Column = t.Position.Line, t.Position.Column
		}
	}
	return f
}
