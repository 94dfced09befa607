package evolve_test

import (
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
)

func parse(t testing.TB, source string) *avro.Type {
	t.Helper()
	out, err := avro.Parse([]byte(source))
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	return out
}

func record(fields string) string {
	return `{"type":"record","name":"R","namespace":"cn.test","fields":[` + fields + `]}`
}

const (
	base     = `{"name":"a","type":"int"}`
	optional = base + `,{"name":"b","type":["null","string"],"default":null}`
	required = base + `,{"name":"b","type":"string"}`
	widened  = `{"name":"a","type":"long"}`
	enumAB   = `{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}}`
	enumABC  = `{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B","C"]}}`
	enumABCd = `{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B","C"],"default":"A"}}`
	enumABd  = `{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"A"}}`
	price2   = `{"name":"p","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}}`
	price4   = `{"name":"p","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":4}}`
	inClear  = `{"name":"s","type":"bytes"}`
	sealedA  = `{"name":"s","type":"bytes","sealed":{"type":"record","name":"S","fields":[{"name":"x","type":"int"}]}}`
	sealedB  = `{"name":"s","type":"bytes","sealed":{"type":"record","name":"S","fields":[{"name":"x","type":"string"}]}}`
)

func TestCheckByLevel(t *testing.T) {
	t.Parallel()
	both := "FULL FULL_TRANSITIVE BACKWARD BACKWARD_TRANSITIVE FORWARD FORWARD_TRANSITIVE"
	forward := "FULL FULL_TRANSITIVE FORWARD FORWARD_TRANSITIVE"
	backward := "FULL FULL_TRANSITIVE BACKWARD BACKWARD_TRANSITIVE"
	for _, c := range []struct {
		name      string
		published []string // oldest first
		next      string
		refused   string // by these levels
		path      string
		rule      string
	}{
		{"the same", []string{base}, base, "", "", ""},
		{"an optional field more", []string{base}, optional, "", "", ""},
		{"an optional field less", []string{optional}, base, "", "", ""},
		{"a required field more", []string{base}, required, backward, "b", evolve.MismatchDefault},
		{"a required field less", []string{required}, base, forward, "b", evolve.MismatchDefault},
		{"a wider number", []string{base}, widened, forward, "a", evolve.MismatchKind},
		{"a symbol more", []string{enumAB}, enumABC, forward, "e", evolve.MismatchSymbol},
		{"a symbol more, old readers fall back", []string{enumABd}, enumABCd, "", "", ""},
		{"another scale", []string{price2}, price4, both, "p", evolve.MismatchLogical},
		{"another record in a sealed block", []string{sealedA}, sealedB, both, "s.x", evolve.MismatchKind},
		{"sealed from now on", []string{inClear}, sealedA, both, "s", evolve.MismatchSealed},
		{"only the version before the last", []string{required, optional}, base, "FULL_TRANSITIVE FORWARD_TRANSITIVE", "b", evolve.MismatchDefault},
		{"nothing published", nil, base, "", "", ""},
	} {
		var published []*avro.Type
		for _, p := range c.published {
			published = append(published, parse(t, record(p)))
		}
		for _, name := range []string{"FULL_TRANSITIVE", "FULL", "BACKWARD_TRANSITIVE", "BACKWARD", "FORWARD_TRANSITIVE", "FORWARD", "NONE"} {
			level, err := evolve.ParseLevel(name)
			if err != nil || level.String() != name {
				t.Fatal(level, err)
			}
			found := level.Check(parse(t, record(c.next)), published...)
			want := strings.Contains(" "+c.refused+" ", " "+name+" ")
			if want != (len(found) > 0) {
				t.Errorf("%s, %s: %v", c.name, name, found)
			}
			for _, v := range found {
				if v.Path != c.path || v.Rule != c.rule || !strings.Contains(v.Error(), c.rule) || !strings.Contains(v.Error(), "version ") {
					t.Errorf("%s, %s: %v", c.name, name, v)
				}
			}
		}
	}
	if _, err := evolve.ParseLevel("backward"); err == nil {
		t.Error("levels are written in capitals")
	}
	if evolve.Level(99).String() != "FULL_TRANSITIVE" || *new(evolve.Level) != evolve.FullTransitive {
		t.Error("the zero level is the strictest")
	}
}

func TestMismatchesTellsAllAtOnce(t *testing.T) {
	t.Parallel()
	writer := parse(t, record(`{"name":"a","type":"string"},{"name":"b","type":"long"},{"name":"c","type":{"type":"array","items":"string"}}`))
	reader := parse(t, record(`{"name":"a","type":"int"},{"name":"b","type":"int"},{"name":"c","type":{"type":"array","items":"int"}},{"name":"d","type":"int"}`))
	var paths []string
	for _, m := range evolve.Mismatches(writer, reader) {
		paths = append(paths, m.Path)
	}
	if got := strings.Join(paths, " "); got != "a b c[] d" {
		t.Errorf("mismatches at %s", got)
	}
	if _, err := evolve.Resolve(writer, reader); err == nil || !strings.Contains(err.Error(), "a cannot be read") {
		t.Errorf("Resolve: %v", err)
	}
}

// The values are those of the specification's algorithm, checked with Apache
// Avro's Java library in the live test.
func TestCanonicalForm(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		`"int"`:                               `"int"`,
		`{"type":"int","logicalType":"date"}`: `"int"`,
		`["null",{"type":"string","x":1}]`:    `["null","string"]`,
		`{"items":{"type":"map","values":"long"},"type":"array"}`:                                      `{"type":"array","items":{"type":"map","values":"long"}}`,
		`{"size":16,"logicalType":"uuid","type":"fixed","name":"F","namespace":"a.b","aliases":["G"]}`: `{"name":"a.b.F","type":"fixed","size":16}`,
		`{"doc":"d","type":"enum","name":"a.E","symbols":["X","Y"],"default":"X"}`:                     `{"name":"a.E","type":"enum","symbols":["X","Y"]}`,
		`{"type":"record","name":"R","namespace":"n","fields":[
		   {"name":"p","default":"x","order":"ignore","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}},
		   {"name":"self","type":["null","R"]},{"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"f","type":"n.E"}]}`: `{"name":"n.R","type":"record","fields":[{"name":"p","type":"bytes"},{"name":"self","type":["null","n.R"]},` +
			`{"name":"e","type":{"name":"n.E","type":"enum","symbols":["A"]}},{"name":"f","type":"n.E"}]}`,
	} {
		if got := string(evolve.Canonical(parse(t, source))); got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
		again := parse(t, want)
		if string(evolve.Canonical(again)) != want {
			t.Errorf("the canonical form of %s is not its own", want)
		}
	}
}

func TestFingerprints(t *testing.T) {
	t.Parallel()
	// "int" is the example of Avro's own test data (schema-tests.txt).
	got := evolve.Fingerprint(parse(t, `{"type":"int","logicalType":"date"}`))
	if got.CRC64 != 0x7275d51a3f395c8f {
		t.Errorf("CRC-64-AVRO %016x", got.CRC64)
	}
	if got != evolve.Fingerprint(parse(t, `"int"`)) {
		t.Error("a logical type changed the fingerprint")
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	from := parse(t, `{"type":"record","name":"R","zh":"甲","fields":[
	  {"name":"a","type":"int","source":"x"},{"name":"gone","type":"string"},{"name":"b","type":["null","int"],"default":null},
	  {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},{"name":"f","type":{"type":"array","items":"int"}},
	  {"name":"g","type":{"type":"map","values":{"type":"fixed","name":"F","size":2}}},`+price2+`,{"name":"r","type":"R"}]}`)
	to := parse(t, `{"type":"record","name":"R","zh":"乙","doc":"new","fields":[
	  {"name":"b","type":["null","int","string"],"default":1},{"name":"a","type":"int","source":"y"},
	  {"name":"e","type":{"type":"enum","name":"E","symbols":["B","A","C"],"default":"A"}},{"name":"f","type":{"type":"array","items":"long"}},
	  {"name":"g","type":{"type":"map","values":{"type":"fixed","name":"F","size":3}}},`+price4+`,{"name":"r","type":"R"},{"name":"n","type":"int","default":0}]}`)
	var lines []string
	for _, c := range evolve.Diff(from, to) {
		lines = append(lines, c.String())
	}
	want := []string{
		`(record): doc: new`,
		`(record): attribute zh: "甲" → "乙"`,
		`b: default: null → 1`,
		`b: branch added: string`,
		`a: attribute source: "x" → "y"`,
		`e: symbol added: C`,
		`e: order of the symbols changed`,
		`e: default symbol: A`,
		`f[]: type: int → long`,
		`g{}: size: 2 → 3`,
		`p: logical type: decimal(12,2) → decimal(12,4)`,
		`n: field added: int, default 0`,
		`gone: field removed, was string`,
		`(record): order of the fields changed`,
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s", got)
	}
	if again := evolve.Diff(to, to); again != nil {
		t.Errorf("a schema differs from itself: %v", again)
	}
}
