package schematest

import (
	"encoding/json"
	"fmt"
)

// Reader makes a schema that another version of source might have: fields
// gone, added with a default, renamed with an alias, in another order; types
// that are promoted or optional; symbols of enums gone or added. Most of what
// it makes can read what source writes.
func (g *Gen) Reader(source []byte) []byte {
	var t any
	if err := json.Unmarshal(source, &t); err != nil {
		panic(err) // of Gen.Schema
	}
	out, err := json.Marshal(g.evolve(t))
	if err != nil {
		panic(err)
	}
	return out
}

func (g *Gen) evolve(t any) any {
	switch t := t.(type) {
	case string:
		return g.promoted(t)
	case []any:
		for i := range t {
			t[i] = g.evolve(t[i])
		}
		if g.IntN(8) == 0 {
			g.Shuffle(len(t), func(i, j int) { t[i], t[j] = t[j], t[i] })
		}
		return t
	case map[string]any:
		return g.evolveObject(t)
	}
	return t
}

func (g *Gen) promoted(name string) any {
	to := map[string][]any{
		"int": {"long", "float", "double", []any{"null", "int"}}, "long": {"float", "double", []any{"long", "null"}},
		"float": {"double"}, "string": {"bytes", []any{"null", "string"}}, "bytes": {"string"}, "boolean": {[]any{"boolean", "null"}, "int"},
	}[name]
	if len(to) == 0 || g.IntN(3) > 0 {
		return name
	}
	return g.one(to)
}

func (g *Gen) evolveObject(t map[string]any) any {
	switch t["type"] {
	case "record":
		g.evolveRecord(t)
	case "array":
		t["items"] = g.evolve(t["items"])
	case "map":
		t["values"] = g.evolve(t["values"])
	case "enum":
		g.evolveEnum(t)
	case "fixed":
		if g.IntN(20) == 0 {
			t["size"] = 21
		}
	default:
		if g.IntN(10) == 0 {
			delete(t, "logicalType")
		}
	}
	return t
}

func (g *Gen) evolveEnum(t map[string]any) {
	symbols, _ := t["symbols"].([]any)
	if g.IntN(3) == 0 {
		symbols = append(symbols, g.name("N"))
		g.Shuffle(len(symbols), func(i, j int) { symbols[i], symbols[j] = symbols[j], symbols[i] })
		t["symbols"] = symbols
	}
	if g.IntN(4) == 0 && len(symbols) > 1 {
		t["symbols"] = symbols[1:]
		if g.IntN(4) > 0 {
			t["default"] = symbols[1]
		}
	}
}

func (g *Gen) evolveRecord(t map[string]any) {
	fields, _ := t["fields"].([]any)
	out := []any{}
	for i, f := range fields {
		field, _ := f.(map[string]any)
		if g.IntN(6) == 0 && i > 0 {
			continue
		}
		if g.IntN(6) == 0 {
			field["aliases"] = []any{field["name"]}
			field["name"] = g.name("renamed")
		}
		field["type"] = g.evolve(field["type"])
		out = append(out, field)
	}
	for range g.IntN(3) {
		out = append(out, g.added())
	}
	if g.IntN(3) == 0 {
		g.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	t["fields"] = out
	if g.IntN(10) == 0 && t["name"] != "R1" {
		t["aliases"] = []any{fmt.Sprint(t["name"])}
		t["name"] = g.name("Renamed")
	}
}

// added is a field that the writer does not have, mostly with a default.
func (g *Gen) added() map[string]any {
	f := map[string]any{"name": g.name("added")}
	switch g.IntN(8) {
	case 0:
		f["type"], f["default"] = "string", "川\"渝"
	case 1:
		f["type"], f["default"] = []any{"null", "long"}, nil
	case 2:
		f["type"], f["default"] = map[string]any{"type": "array", "items": "int"}, []any{1, 2, -3}
	case 3:
		f["type"], f["default"] = map[string]any{"type": "map", "values": "double"}, map[string]any{"k": 1.5}
	case 4:
		f["type"], f["default"] = map[string]any{"type": "record", "name": g.name("A"), "fields": []any{
			map[string]any{"name": "x", "type": "int", "default": 7}, map[string]any{"name": "y", "type": "boolean"},
		}}, map[string]any{"y": true}
	case 5:
		f["type"], f["default"] = map[string]any{"type": "enum", "name": g.name("B"), "symbols": []any{"P", "Q"}}, "Q"
	case 6:
		f["type"], f["default"] = "bytes", "\u00ff\u0001"
	default:
		if f["type"] = "long"; g.IntN(6) > 0 {
			f["default"] = 1 << 40
		}
	}
	return f
}
