package evolve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// Change is one difference between two schemas.
type Change struct {
	Path string // as in errors; "" is the outermost type
	What string // "field added", "type", "default", "attribute zh" …
	From string // "" if it was not there
	To   string // "" if it is gone
}

// String is the change as one line.
func (c Change) String() string {
	at := c.Path
	if at == "" {
		at = "(record)"
	}
	switch {
	case c.From == "" && c.To == "":
		return fmt.Sprintf("%s: %s", at, c.What)
	case c.From == "":
		return fmt.Sprintf("%s: %s: %s", at, c.What, c.To)
	case c.To == "":
		return fmt.Sprintf("%s: %s, was %s", at, c.What, c.From)
	}
	return fmt.Sprintf("%s: %s: %s → %s", at, c.What, c.From, c.To)
}

// Diff lists what differs between two schemas, in the order of the new one,
// whether or not a reader would notice: docs and foreign attributes, too.
// Fields are matched by name, branches of unions by type.
func Diff(from, to *avro.Type) []Change {
	d := differ{seen: map[pair]bool{}}
	d.types(from, to, "")
	return d.changes
}

type differ struct {
	changes []Change
	seen    map[pair]bool
}

func (d *differ) note(path, what, from, to string) {
	d.changes = append(d.changes, Change{Path: path, What: what, From: from, To: to})
}

// text notes a difference of two texts.
func (d *differ) text(path, what, from, to string) {
	if from != to {
		d.note(path, what, from, to)
	}
}

func (d *differ) types(from, to *avro.Type, path string) {
	if d.seen[pair{from, to}] {
		return
	}
	d.seen[pair{from, to}] = true
	if from.Kind != to.Kind {
		d.note(path, "type", describe(from), describe(to))
		return
	}
	d.text(path, "name", from.Name, to.Name)
	d.text(path, "doc", from.Doc, to.Doc)
	d.text(path, "aliases", strings.Join(from.Aliases, ", "), strings.Join(to.Aliases, ", "))
	d.text(path, "logical type", meaning(from), meaning(to))
	d.props(path, from.Props, to.Props)
	switch to.Kind {
	case avro.Record:
		d.fields(from, to, path)
	case avro.Enum:
		d.symbols(from, to, path)
	case avro.Fixed:
		d.text(path, "size", fmt.Sprint(from.Size), fmt.Sprint(to.Size))
	case avro.Array:
		d.types(from.Items, to.Items, path+"[]")
	case avro.Map:
		d.types(from.Values, to.Values, path+"{}")
	case avro.Union:
		d.branches(from, to, path)
	}
}

func describe(t *avro.Type) string {
	if t.Kind == avro.Union {
		var names []string
		for _, b := range t.Branches {
			names = append(names, describe(b))
		}
		return "union of " + strings.Join(names, ", ")
	}
	if t.Logical != "" {
		return meaning(t) + " (" + t.String() + ")"
	}
	return t.String()
}

func (d *differ) fields(from, to *avro.Type, path string) {
	old := map[string]int{}
	for i := range from.Fields {
		old[from.Fields[i].Name] = i
	}
	order := -1
	moved := false
	for i := range to.Fields {
		f := &to.Fields[i]
		at := join(path, f.Name)
		was, ok := old[f.Name]
		if !ok {
			d.note(at, "field added", "", describe(f.Type)+defaultNote(f))
			continue
		}
		moved = moved || was < order
		order = was
		delete(old, f.Name)
		d.field(&from.Fields[was], f, at)
	}
	for i := range from.Fields {
		if _, gone := old[from.Fields[i].Name]; gone {
			d.note(join(path, from.Fields[i].Name), "field removed", describe(from.Fields[i].Type), "")
		}
	}
	if moved {
		d.note(path, "order of the fields changed", "", "")
	}
}

func defaultNote(f *avro.Field) string {
	if f.Default == nil {
		return ", no default"
	}
	return ", default " + compact(f.Default)
}

func (d *differ) field(from, to *avro.Field, path string) {
	d.text(path, "default", compact(from.Default), compact(to.Default))
	d.text(path, "doc", from.Doc, to.Doc)
	d.text(path, "aliases", strings.Join(from.Aliases, ", "), strings.Join(to.Aliases, ", "))
	d.text(path, "order", from.Order, to.Order)
	d.props(path, from.Props, to.Props)
	d.types(from.Type, to.Type, path)
}

func (d *differ) symbols(from, to *avro.Type, path string) {
	for _, s := range to.Symbols {
		if !slices.Contains(from.Symbols, s) {
			d.note(path, "symbol added", "", s)
		}
	}
	for _, s := range from.Symbols {
		if !slices.Contains(to.Symbols, s) {
			d.note(path, "symbol removed", s, "")
		}
	}
	kept := func(t, other *avro.Type) []string {
		return slices.DeleteFunc(slices.Clone(t.Symbols), func(s string) bool { return !slices.Contains(other.Symbols, s) })
	}
	if !slices.Equal(kept(from, to), kept(to, from)) {
		d.note(path, "order of the symbols changed", "", "")
	}
	symbol := func(t *avro.Type) string {
		if t.Default == nil {
			return ""
		}
		return *t.Default
	}
	d.text(path, "default symbol", symbol(from), symbol(to))
}

func (d *differ) branches(from, to *avro.Type, path string) {
	find := func(t *avro.Type, name string) int {
		return slices.IndexFunc(t.Branches, func(b *avro.Type) bool { return b.String() == name })
	}
	for i, b := range to.Branches {
		was := find(from, b.String())
		if was < 0 {
			d.note(path, "branch added", "", describe(b))
			continue
		}
		if was != i {
			d.note(path, "branch "+b.String()+" moved", fmt.Sprint(was), fmt.Sprint(i))
		}
		d.types(from.Branches[was], b, path)
	}
	for _, b := range from.Branches {
		if find(to, b.String()) < 0 {
			d.note(path, "branch removed", describe(b), "")
		}
	}
}

func (d *differ) props(path string, from, to map[string]json.RawMessage) {
	names := maps.Clone(from)
	if names == nil {
		names = map[string]json.RawMessage{}
	}
	maps.Copy(names, to)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d.text(path, "attribute "+name, compact(from[name]), compact(to[name]))
	}
}

// compact is a JSON value in one way of writing it, "" for none: members
// sorted, no spaces, no escapes but the necessary ones.
func compact(raw json.RawMessage) string {
	if raw == nil {
		return ""
	}
	var b bytes.Buffer
	var v any
	in, out := json.NewDecoder(bytes.NewReader(raw)), json.NewEncoder(&b)
	in.UseNumber()
	out.SetEscapeHTML(false)
	if in.Decode(&v) != nil || out.Encode(v) != nil {
		return string(raw)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
