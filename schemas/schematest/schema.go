package schematest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// Gen makes random things of one seed.
type Gen struct {
	*rand.Rand
	names   int
	records []string         // that are being made, outermost first: what may recur
	made    []map[string]any // enums and fixed types, which may be used again by name
}

// New returns the generator of a seed.
func New(seed uint64) *Gen { return &Gen{Rand: rand.New(rand.NewPCG(seed, 5))} }

// maxDepth of the types that are made.
const maxDepth = 4

// Schema makes a record schema. Every record has a scalar, because another has
// nothing that could be released.
func (g *Gen) Schema() []byte {
	g.names, g.records, g.made = 0, nil, nil
	out, err := json.Marshal(g.record(0))
	if err != nil {
		panic(err) // maps, slices, strings and numbers
	}
	return out
}

func (g *Gen) name(kind string) string {
	g.names++
	return fmt.Sprintf("%s%d", kind, g.names)
}

func (g *Gen) record(depth int) map[string]any {
	name := g.name("R")
	g.records = append(g.records, name)
	fields := []any{map[string]any{"name": g.name("f"), "type": g.scalar()}}
	for range g.IntN(5) {
		fields = append(fields, map[string]any{"name": g.name("f"), "type": g.typ(depth + 1)})
	}
	g.records = g.records[:len(g.records)-1]
	return map[string]any{"type": "record", "name": name, "namespace": "cn.test", "fields": fields}
}

// typ makes any type.
func (g *Gen) typ(depth int) any {
	if depth >= maxDepth {
		return g.scalar()
	}
	switch g.IntN(12) {
	case 0:
		return g.record(depth)
	case 1:
		return map[string]any{"type": "array", "items": g.typ(depth + 1)}
	case 2:
		return map[string]any{"type": "map", "values": g.typ(depth + 1)}
	case 3, 4:
		return g.nullable(depth)
	case 5:
		return g.union(depth)
	case 6:
		return g.recursion()
	}
	return g.scalar()
}

// recursion makes a type that holds a record around it, and can end.
func (g *Gen) recursion() any {
	name := "cn.test." + g.records[g.IntN(len(g.records))]
	switch g.IntN(3) {
	case 0:
		return map[string]any{"type": "array", "items": name}
	case 1:
		return map[string]any{"type": "map", "values": name}
	}
	return []any{"null", name}
}

func (g *Gen) nullable(depth int) any {
	var t any
	if g.IntN(3) == 0 {
		t = g.record(depth)
	} else {
		t = g.scalar()
	}
	if t == "null" {
		t = "int"
	}
	if g.IntN(2) == 0 {
		return []any{t, "null"}
	}
	return []any{"null", t}
}

// union takes each unnamed type once at most, as Avro asks.
func (g *Gen) union(depth int) any {
	branches := []any{}
	for _, t := range []any{
		"null", "boolean", g.one(longs), g.one(ints), "float", "double", g.one(texts), g.one(blobs), g.record(depth), g.enum(), g.fixed(),
		map[string]any{"type": "array", "items": g.scalar()},
		map[string]any{"type": "map", "values": g.scalar()},
	} {
		if g.IntN(3) == 0 {
			branches = append(branches, t)
		}
	}
	if len(branches) == 0 {
		branches = append(branches, "string")
	}
	g.Shuffle(len(branches), func(i, j int) { branches[i], branches[j] = branches[j], branches[i] })
	return branches
}

func (g *Gen) one(of []any) any { return of[g.IntN(len(of))] }

func logical(of, name string) any { return map[string]any{"type": of, "logicalType": name} }

var (
	ints  = []any{"int", logical("int", "date"), logical("int", "time-millis")}
	longs = []any{
		"long", logical("long", "time-micros"), logical("long", "timestamp-millis"), logical("long", "timestamp-micros"),
		logical("long", "timestamp-nanos"), logical("long", "local-timestamp-millis"), logical("long", "local-timestamp-micros"),
		logical("long", "local-timestamp-nanos"),
	}
	texts = []any{"string", logical("string", "uuid")}
	blobs = []any{
		"bytes",
		map[string]any{"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 4},
		map[string]any{"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 10},
		map[string]any{"type": "bytes", "logicalType": "decimal", "precision": 3, "scale": 3},
		map[string]any{"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 0},
	}
)

func (g *Gen) scalar() any {
	switch g.IntN(9) {
	case 0:
		return "boolean"
	case 1:
		return g.one(ints)
	case 2:
		return g.one(longs)
	case 3:
		return "float"
	case 4:
		return "double"
	case 5:
		return g.one(blobs)
	case 6:
		return g.enum()
	case 7:
		return g.fixed()
	}
	return g.one(texts)
}

func (g *Gen) enum() any {
	symbols := []any{}
	for i := range 1 + g.IntN(6) {
		symbols = append(symbols, fmt.Sprintf("S%d", i))
	}
	return map[string]any{"type": "enum", "name": g.name("E"), "namespace": "cn.test", "symbols": symbols}
}

func (g *Gen) fixed() any {
	out := map[string]any{"type": "fixed", "name": g.name("F"), "namespace": "cn.test"}
	switch g.IntN(4) {
	case 0:
		out["size"], out["logicalType"] = 12, "duration"
	case 1:
		out["size"], out["logicalType"] = 16, "uuid"
	case 2:
		out["size"], out["logicalType"], out["precision"], out["scale"] = 1+g.IntN(20), "decimal", 2, 1
	default:
		out["size"] = 1 + g.IntN(20)
	}
	return out
}
