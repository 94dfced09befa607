package evolve_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
)

// A pair is a writer's schema and a reader's that came of it by a few changes,
// such as people make.
type pair struct {
	Writer json.RawMessage `json:"writer"`
	Reader json.RawMessage `json:"reader"`
}

type object = map[string]any

// generator makes random schemas; the same seed makes the same ones.
type generator struct {
	*rand.Rand
	names int
}

// randomPairs makes n pairs.
func randomPairs(seed uint64, n int) []pair {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
	out := make([]pair, n)
	for i := range out {
		g.names = 0
		writer := g.record(2)
		writer["namespace"] = "cn.a"
		w, err := json.Marshal(writer)
		if err != nil {
			panic(err)
		}
		var copied object
		if err := json.Unmarshal(w, &copied); err != nil {
			panic(err)
		}
		for range 1 + g.IntN(3) {
			g.change(copied)
		}
		r, err := json.Marshal(copied)
		if err != nil {
			panic(err)
		}
		out[i] = pair{w, r}
	}
	return out
}

func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

func (g *generator) name(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

func pick[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

func (g *generator) primitive() any {
	return pick[any](
		g, "boolean", "int", "long", "float", "double", "bytes", "string", "int", "long", "string",
		object{"type": "int", "logicalType": "date"}, object{"type": "long", "logicalType": "timestamp-millis"},
		object{"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": pick(g, 2, 4)},
	)
}

func (g *generator) typ(depth int) any {
	if depth == 0 || g.one(2) {
		return g.primitive()
	}
	switch g.IntN(6) {
	case 0:
		return object{"type": "array", "items": g.typ(depth - 1)}
	case 1:
		return object{"type": "map", "values": g.typ(depth - 1)}
	case 2:
		return g.record(depth - 1)
	case 3:
		return object{"type": "enum", "name": g.name("E"), "symbols": []any{"A", "B", "C"}[:1+g.IntN(3)]}
	case 4:
		return object{"type": "fixed", "name": g.name("F"), "size": 1 + g.IntN(3)}
	}
	return g.union(depth - 1)
}

func (g *generator) union(depth int) any {
	branches := []any{"null", "string", "int", "long", "double", "bytes"}
	g.Shuffle(len(branches), func(i, j int) { branches[i], branches[j] = branches[j], branches[i] })
	branches = slices.Clone(branches[:1+g.IntN(3)])
	if depth > 0 && g.one(2) {
		branches = append(branches, g.record(depth-1))
	}
	return branches
}

func (g *generator) record(depth int) object {
	r := object{"type": "record", "name": g.name("R")}
	fields := []any{}
	for range 1 + g.IntN(4) {
		fields = append(fields, g.field(depth))
	}
	r["fields"] = fields
	return r
}

func (g *generator) field(depth int) object {
	f := object{"name": g.name("f"), "type": g.typ(depth)}
	if d, ok := g.value(f["type"]); ok && g.one(2) {
		f["default"] = d
	}
	return f
}

// value is some default of a type, for the types that one is easily said of.
func (g *generator) value(t any) (any, bool) {
	switch t := t.(type) {
	case string:
		v, ok := map[string]any{"null": nil, "boolean": true, "int": 7, "long": 7, "float": 1.5, "double": 1.5, "bytes": "\u00ff", "string": "川"}[t]
		return v, ok
	case []any:
		return g.value(t[0])
	case object:
		switch t["type"] {
		case "array":
			return []any{}, true
		case "map":
			return object{}, true
		case "enum":
			return t["symbols"].([]any)[0], true
		case "record", "fixed":
			return nil, false
		}
		return g.value(t["type"])
	}
	return nil, false
}

// change changes the type at one random place below a record.
func (g *generator) change(r object) {
	fields := r["fields"].([]any)
	if len(fields) == 0 || g.one(4) {
		g.changeRecord(r)
		return
	}
	f := fields[g.IntN(len(fields))].(object)
	f["type"] = g.changeType(f["type"])
	if _, has := f["default"]; has { // the old one need not fit
		delete(f, "default")
		if d, ok := g.value(f["type"]); ok {
			f["default"] = d
		}
	}
}

func (g *generator) changeRecord(r object) {
	fields := r["fields"].([]any)
	switch g.IntN(6) {
	case 0:
		r["fields"] = append(fields, g.field(1))
	case 1:
		if len(fields) > 0 {
			i := g.IntN(len(fields))
			r["fields"] = slices.Delete(fields, i, i+1)
		}
	case 2:
		g.rename(r, "cn.a.")
	case 3:
		r["namespace"] = pick(g, "cn.a", "cn.b")
	case 4:
		g.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	default:
		if len(fields) > 0 {
			g.rename(fields[g.IntN(len(fields))].(object), "")
		}
	}
}

// rename gives another name, half of the time with the old one as an alias.
func (g *generator) rename(o object, namespace string) {
	old := o["name"].(string)
	o["name"] = g.name("x")
	if g.one(2) {
		o["aliases"] = []any{namespace + old}
	}
}

func (g *generator) changeType(t any) any {
	switch t := t.(type) {
	case []any:
		return g.changeUnion(t)
	case object:
		switch t["type"] {
		case "record":
			g.change(t)
			return t
		case "array":
			t["items"] = g.changeType(t["items"])
			return t
		case "map":
			t["values"] = g.changeType(t["values"])
			return t
		case "enum":
			return g.changeEnum(t)
		case "fixed":
			if g.one(2) {
				t["size"] = 1 + g.IntN(3)
			} else {
				g.rename(t, "cn.a.")
			}
			return t
		}
	}
	switch g.IntN(3) {
	case 0:
		return []any{"null", t}
	case 1:
		return []any{t}
	}
	return g.primitive()
}

func (g *generator) changeUnion(t []any) any {
	switch g.IntN(4) {
	case 0:
		if len(t) > 1 {
			i := g.IntN(len(t))
			return slices.Delete(t, i, i+1)
		}
	case 1:
		return append(t, pick[any](g, "boolean", "float", "string", "long"))
	case 2:
		return t[g.IntN(len(t))]
	}
	i := g.IntN(len(t))
	if _, simple := t[i].(string); !simple {
		t[i] = g.changeType(t[i])
	}
	return t
}

func (g *generator) changeEnum(t object) any {
	symbols := t["symbols"].([]any)
	switch g.IntN(4) {
	case 0:
		t["symbols"] = append(symbols, "Z")
	case 1:
		if len(symbols) > 1 {
			t["symbols"] = symbols[1:]
		}
	case 2:
		t["default"] = symbols[0]
	default:
		g.rename(t, "cn.a.")
	}
	return t
}
