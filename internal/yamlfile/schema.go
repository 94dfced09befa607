package yamlfile

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
)

// Known describes, for [JSONSchema], what a Scalar of a Go type accepts: one of
// some words, or text of a pattern.
type Known struct {
	Type    reflect.Type
	Enum    []string
	Pattern string
	About   string
}

// JSONSchema is what Decode accepts for a shape, as a JSON Schema (draft
// 2020-12) for editors. It knows keys, what is required, types and vocabulary;
// the checks of the reader beyond that are not in it.
func JSONSchema(title, description string, shape any, known ...Known) []byte {
	s := schemaWriter{known: known}
	out := s.of(reflect.TypeOf(shape).Elem())
	out["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	out["title"], out["description"] = title, description
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil // maps of strings, numbers and bools always marshal
	}
	return append(text, '\n')
}

type node = map[string]any

type schemaWriter struct{ known []Known }

func (s *schemaWriter) of(t reflect.Type) node {
	if i := slices.IndexFunc(s.known, func(k Known) bool { return k.Type == t }); i >= 0 {
		return s.known[i].node()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Struct:
		return s.structure(t)
	case reflect.Map:
		out := node{"type": "object", "additionalProperties": s.of(t.Elem())}
		if t.Key() != reflect.TypeFor[string]() {
			out["propertyNames"] = s.of(t.Key())
		}
		return out
	case reflect.Slice:
		return node{"type": "array", "items": s.of(t.Elem())}
	case reflect.Bool:
		return node{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return node{"type": "integer"}
	default: // text, for which digits serve too
		return node{"type": []string{"string", "integer"}}
	}
}

func (s *schemaWriter) structure(t reflect.Type) node {
	fields, names := shapeOf(t)
	properties, required := node{}, []string{}
	for _, name := range names {
		f := t.FieldByIndex(fields[name].index)
		property := s.of(f.Type)
		if about := f.Tag.Get("about"); about != "" {
			property["description"] = about
		}
		properties[name] = property
		if !fields[name].optional {
			required = append(required, name)
		}
	}
	return node{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

func (k *Known) node() node {
	out := node{"type": "string"}
	if k.Enum != nil {
		out["enum"] = k.Enum
	}
	if k.Pattern != "" {
		out["pattern"] = regexp.MustCompile(k.Pattern).String() // a pattern that is none is a fault of the program
	}
	if k.About != "" {
		out["description"] = k.About
	}
	return out
}
