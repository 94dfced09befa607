package avro

import (
	"bytes"
	"encoding/json"
)

// object is a JSON object of a schema. What is not taken out of it remains as
// Props. encoding/json would match names without regard to case and let the
// last of two equal names win; a schema must not be readable in two ways.
type object struct {
	place   place
	members map[string]json.RawMessage
}

func (p *parser) object(raw json.RawMessage, a place) (*object, error) {
	m, err := members(raw, a.path)
	if err != nil {
		return nil, err
	}
	return &object{place: a, members: m}, nil
}

// members reads an object. Its values are copies.
func members(raw json.RawMessage, path string) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	open, err := d.Token()
	if err != nil || open != json.Delim('{') {
		return nil, breach(path, RuleSyntax, "an object is expected")
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		key, err := d.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, breach(path, RuleSyntax, "the object cannot be read")
		}
		if _, twice := out[name]; twice {
			return nil, breach(path, RuleSyntax, "%q stands twice", name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, breach(path, RuleSyntax, "%q cannot be read", name)
		}
		out[name] = value
	}
	return out, nil
}

func (o *object) has(name string) bool { _, ok := o.members[name]; return ok }

func (o *object) drop(name string) { delete(o.members, name) }

func (o *object) take(name string) (json.RawMessage, bool) {
	raw, ok := o.members[name]
	delete(o.members, name)
	return raw, ok
}

func (o *object) text(name string, required bool) (string, error) {
	raw, ok := o.take(name)
	if !ok {
		if required {
			return "", breach(o.place.path, RuleSyntax, "%q is missing", name)
		}
		return "", nil
	}
	s, ok := text(raw)
	if !ok {
		return "", breach(o.place.path, RuleSyntax, "%q is not a string", name)
	}
	return s, nil
}

// text reads a JSON string; null is none.
func text(raw json.RawMessage) (string, bool) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

func (o *object) namespace() (string, bool, error) {
	given := o.has("namespace")
	s, err := o.text("namespace", false)
	return s, given, err
}

// number is a whole number; the member stays.
func (o *object) number(name string) (int, bool) {
	var n int
	raw, ok := o.members[name]
	if !ok || string(raw) == "null" || json.Unmarshal(raw, &n) != nil {
		return 0, false
	}
	return n, true
}

func (o *object) array(name string) ([]json.RawMessage, error) {
	raw, ok := o.take(name)
	var out []json.RawMessage
	if !ok || raw[0] != '[' || json.Unmarshal(raw, &out) != nil {
		return nil, breach(o.place.path, RuleSyntax, "%q is missing or no array", name)
	}
	return out, nil
}

func (o *object) strings(name string, required bool) ([]string, error) {
	if !required && !o.has(name) {
		return nil, nil
	}
	raws, err := o.array(name)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(raws))
	for i, raw := range raws {
		s, ok := text(raw)
		if !ok {
			return nil, breach(o.place.path, RuleSyntax, "%q holds what is no string", name)
		}
		out[i] = s
	}
	return out, nil
}

// aliases are names, made full within the namespace of the type they belong to.
func (o *object) aliases(namespace string, check func(string) string) ([]string, error) {
	out, err := o.strings("aliases", false)
	if err != nil {
		return nil, err
	}
	for i, alias := range out {
		out[i] = qualify(alias, namespace)
		if reason := check(out[i]); reason != "" {
			return nil, breach(o.place.path, RuleName, "alias %s", reason)
		}
	}
	return out, nil
}

func (o *object) order() (string, error) {
	switch s, err := o.text("order", false); {
	case err != nil:
		return "", err
	case s == "":
		return "ascending", nil
	case s == "ascending" || s == "descending" || s == "ignore":
		return s, nil
	}
	return "", breach(o.place.path, RuleSyntax, `"order" is ascending, descending or ignore`)
}

// annotate sets the logical type, where it is valid, and keeps the rest.
func (o *object) annotate(t *Type) {
	if raw, ok := o.members["logicalType"]; ok {
		if logical, ok := text(raw); ok && o.logical(t, logical) {
			t.Logical = logical
			o.drop("logicalType")
		}
	}
	t.Props = o.rest()
}

func (o *object) rest() map[string]json.RawMessage {
	if len(o.members) == 0 {
		return nil
	}
	return o.members
}

// plainLogical are the logical types without parameters, and what they annotate.
var plainLogical = map[string]Kind{
	"date": Int, "time-millis": Int, "time-micros": Long,
	"timestamp-millis": Long, "timestamp-micros": Long, "timestamp-nanos": Long,
	"local-timestamp-millis": Long, "local-timestamp-micros": Long, "local-timestamp-nanos": Long,
	"big-decimal": Bytes,
}

func (o *object) logical(t *Type, logical string) bool {
	switch logical {
	case "uuid":
		return t.Kind == String || t.Kind == Fixed && t.Size == 16
	case "duration":
		return t.Kind == Fixed && t.Size == 12
	case "decimal":
		return o.decimal(t)
	}
	k, ok := plainLogical[logical]
	return ok && t.Kind == k
}

func (o *object) decimal(t *Type) bool {
	if t.Kind != Bytes && t.Kind != Fixed {
		return false
	}
	precision, ok := o.number("precision")
	scale, scaled := o.number("scale")
	if !ok || o.has("scale") && !scaled || precision < 1 || scale < 0 || scale > precision {
		return false
	}
	if t.Kind == Fixed && precision > digits(t.Size) {
		return false
	}
	t.Precision, t.Scale = precision, scale
	o.drop("precision")
	o.drop("scale")
	return true
}

// digits is how many decimal digits surely fit size bytes of two's complement:
// floor((8·size − 1) · log10 2).
func digits(size int) int {
	if size == 0 {
		return 0
	}
	const log2of10thousandths = 30102999566 // log10(2) · 10^11, rounded down
	return int(int64(8*size-1) * log2of10thousandths / 100_000_000_000)
}
