package avro

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseReadsEveryKind(t *testing.T) {
	t.Parallel()
	got, err := Parse([]byte(`{
	  "type": "record", "name": "All", "namespace": "cn.test", "doc": "d", "aliases": ["Old", "other.Older"], "zh": "全部",
	  "fields": [
	    {"name": "a", "type": "null"}, {"name": "b", "type": {"type": "boolean"}}, {"name": "c", "type": "int", "default": -3, "order": "descending"},
	    {"name": "d", "type": {"type": "long", "logicalType": "timestamp-micros"}}, {"name": "e", "type": "float", "default": 1e3}, {"name": "f", "type": "double"},
	    {"name": "g", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, "default": "\u00ff"},
	    {"name": "h", "type": {"type": "string", "logicalType": "uuid"}, "aliases": ["hh"], "doc": "of h", "source": "GB"},
	    {"name": "i", "type": {"type": "enum", "name": "E", "symbols": ["X", "Y"], "default": "Y"}},
	    {"name": "j", "type": {"type": "array", "items": "E"}, "default": ["X"]},
	    {"name": "k", "type": {"type": "map", "values": ["null", "All"]}, "default": {}},
	    {"name": "l", "type": {"type": "fixed", "name": "x.F", "size": 12, "logicalType": "duration"}},
	    {"name": "m", "type": {"type": "int", "logicalType": "uuid"}},
	    {"name": "n", "type": ["null", "x.F"], "default": null}
	  ]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "cn.test.All" || strings.Join(got.Aliases, " ") != "cn.test.Old other.Older" || got.Doc != "d" || string(got.Props["zh"]) != `"全部"` {
		t.Errorf("the record: %+v", got)
	}
	at := map[string]*Field{}
	for i := range got.Fields {
		at[got.Fields[i].Name] = &got.Fields[i]
	}
	for name, want := range map[string]Kind{
		"a": Null, "b": Boolean, "c": Int, "d": Long, "e": Float, "f": Double, "g": Bytes, "h": String, "i": Enum,
		"j": Array, "k": Map, "l": Fixed, "m": Int, "n": Union,
	} {
		if at[name].Type.Kind != want {
			t.Errorf("%s is %v, not %v", name, at[name].Type.Kind, want)
		}
	}
	if g := at["g"].Type; g.Logical != "decimal" || g.Precision != 9 || g.Scale != 2 || g.Props != nil {
		t.Errorf("the decimal: %+v", g)
	}
	if m := at["m"].Type; m.Logical != "" || string(m.Props["logicalType"]) != `"uuid"` {
		t.Errorf("a logical type that does not fit is kept as an attribute: %+v", m)
	}
	if e := at["i"].Type; e.Name != "cn.test.E" || *e.Default != "Y" || at["j"].Type.Items != e {
		t.Errorf("the enum, and its name used again: %+v", e)
	}
	if at["k"].Type.Values.Branches[1] != got || at["n"].Type.Branches[1] != at["l"].Type || at["l"].Type.Name != "x.F" {
		t.Error("recursion and references are pointers to the same type")
	}
	if c, h := at["c"], at["h"]; c.Order != "descending" || string(c.Default) != "-3" || h.Order != "ascending" || h.Default != nil || h.Aliases[0] != "hh" || string(h.Props["source"]) != `"GB"` {
		t.Errorf("fields: %+v %+v", c, h)
	}
	if n := at["n"]; string(n.Default) != "null" {
		t.Errorf("a default of null is a default: %q", n.Default)
	}
}

// record is a record of the one field that body describes.
func record(body string) string {
	return `{"type":"record","name":"R","fields":[{"name":"f",` + body + `}]}`
}

func refused() []struct{ source, path, rule string } {
	return []struct{ source, path, rule string }{
		{``, "", RuleSyntax},
		{`"int" "int"`, "", RuleSyntax},
		{`7`, "", RuleSyntax},
		{"\"\xff\"", "", RuleSyntax},
		{`"R"`, "", RuleName},
		{`{"type":["int"]}`, "", RuleSyntax},
		{`{"Type":"int"}`, "", RuleSyntax},
		{`{"type":"int","type":"long"}`, "", RuleSyntax},
		{`{"type":"array"}`, "", RuleSyntax},
		{`{"type":"map","values":"nothing"}`, "{}", RuleName},
		{`[]`, "", RuleUnion},
		{`["int","int"]`, "", RuleUnion},
		{`["int",["null"]]`, "", RuleUnion},
		{`[{"type":"array","items":"int"},{"type":"array","items":"long"}]`, "", RuleUnion},
		{`["null",{"type":"array","items":"Lost"}]`, "(1)[]", RuleName},
		{`{"type":"record","name":"中文","fields":[]}`, "", RuleName},
		{`{"type":"record","name":"a..B","fields":[]}`, "", RuleName},
		{`{"type":"record","name":"int","namespace":"x","fields":[]}`, "", RuleName},
		{`{"type":"record","name":"R","aliases":["x-y"],"fields":[]}`, "", RuleName},
		{`{"type":"record","fields":[]}`, "", RuleSyntax},
		{`{"type":"record","name":"R","fields":{}}`, "", RuleSyntax},
		{`{"type":"record","name":"R","fields":[{"name":"f","type":"R"},{"name":"f","type":"int"}]}`, "", RuleField},
		{record(`"type":{"type":"record","name":"R","fields":[]}`), "f", RuleName},
		{record(`"type":"int","order":"up"`), "f", RuleSyntax},
		{record(`"type":"int","aliases":["x.y"]`), "f", RuleName},
		{record(`"type":{"type":"enum","name":"E","symbols":[]}`), "f", RuleSymbol},
		{record(`"type":{"type":"enum","name":"E","symbols":["A","A"]}`), "f", RuleSymbol},
		{record(`"type":{"type":"enum","name":"E","symbols":["1"]}`), "f", RuleSymbol},
		{record(`"type":{"type":"enum","name":"E","symbols":["A"],"default":"B"}`), "f", RuleDefault},
		{record(`"type":{"type":"fixed","name":"F","size":-1}`), "f", RuleSize},
		{record(`"type":{"type":"fixed","name":"F","size":1.5}`), "f", RuleSize},
		{record(`"type":{"type":"fixed","name":"F","size":1048577}`), "f", RuleSize},
		{`{"type":"record","name":"R","fields":[{"name":"n n","type":"int"}]}`, "", RuleName},
	}
}

func refusedDefaults() []struct{ body, path string } {
	return []struct{ body, path string }{
		{`"type":"null","default":0`, "f"},
		{`"type":"boolean","default":"true"`, "f"},
		{`"type":"int","default":2147483648`, "f"},
		{`"type":"int","default":1.0`, "f"},
		{`"type":"int","default":null`, "f"},
		{`"type":"long","default":9223372036854775808`, "f"},
		{`"type":"float","default":1e39`, "f"},
		{`"type":"double","default":"NaN"`, "f"},
		{`"type":"double","default":1e999`, "f"},
		{`"type":"bytes","default":"中"`, "f"},
		{`"type":"string","default":7`, "f"},
		{`"type":{"type":"enum","name":"E","symbols":["A"]},"default":"B"`, "f"},
		{`"type":{"type":"fixed","name":"F","size":2},"default":"abc"`, "f"},
		{`"type":{"type":"array","items":"int"},"default":[1,"x"]`, "f[]"},
		{`"type":{"type":"map","values":"int"},"default":{"k":true}`, "f{}"},
		{`"type":{"type":"map","values":"int"},"default":[]`, "f"},
		{`"type":["null","int"],"default":"x"`, "f"},
		{`"type":{"type":"record","name":"S","fields":[{"name":"g","type":"int"}]},"default":{}`, "f"},
		{`"type":{"type":"record","name":"S","fields":[{"name":"g","type":"int"}]},"default":{"g":""}`, "f.g"},
		{`"type":"R","default":{}`, "f"}, // stands for itself without end
	}
}

func TestParseNamesPathAndRule(t *testing.T) {
	t.Parallel()
	cases := refused()
	for _, d := range refusedDefaults() {
		cases = append(cases, struct{ source, path, rule string }{record(d.body), d.path, RuleDefault})
	}
	for _, c := range cases {
		_, err := Parse([]byte(c.source))
		if e, ok := errors.AsType[*Error](err); !ok || e.Path != c.path || e.Rule != c.rule || e.Detail == "" || !strings.Contains(e.Error(), c.rule) {
			t.Errorf("%s\n got %v\nwant path %q, rule %q", c.source, err, c.path, c.rule)
		}
	}
}

func TestParseAcceptsWhatLooksWrong(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		record(`"type":["int","null"],"default":null`), // any branch, since 1.12
		record(`"type":{"type":"fixed","name":"F","size":0},"default":""`),
		record(`"type":{"type":"bytes","logicalType":"decimal","precision":2,"scale":3}`),
		record(`"type":{"type":"bytes","logicalType":7}`),
		record(`"type":"R"`), // no value is finite, and that is for a decoder to bound
		record(`"type":["null","R"],"default":null`),
		record(`"type":{"type":"R"}`),
		`{"type":"record","name":"ns.R","namespace":"ignored","fields":[{"name":"f","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"g","type":"ns.E"}]}`,
		`{"type":"record","name":"R","namespace":"","fields":[]}`,
	} {
		if _, err := Parse([]byte(source)); err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func TestParseLimits(t *testing.T) {
	t.Parallel()
	doubling := func(n int) string { // each default stands for two of the next
		out := fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"x","type":"int","default":0}]}`, n)
		for i := n - 1; i >= 0; i-- {
			out = fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":%s,"default":{}},{"name":"b","type":"R%d","default":{}}]}`, i, out, i+1)
		}
		return out
	}
	backtracking := `{"type":"record","name":"A","fields":[{"name":"n","type":["null","A",{"type":"record","name":"B","fields":[{"name":"n","type":["null","A","B"]}]}],"default":` +
		strings.Repeat(`{"n":`, 60) + `7` + strings.Repeat(`}`, 60) + `}]}`
	numbered := func(n int, format string) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(format, i))
		}
		return strings.Join(out, ",")
	}
	for name, source := range map[string]string{
		"bytes":   `"` + strings.Repeat(" ", maxBytes) + `"`,
		"depth":   strings.Repeat(`{"type":"array","items":`, 70) + `"int"` + strings.Repeat(`}`, 70),
		"json":    strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000),
		"names":   `[` + numbered(1100, `{"type":"fixed","name":"F%d","size":1}`) + `]`,
		"fields":  `{"type":"record","name":"R","fields":[` + numbered(4200, `{"name":"f%d","type":"int"}`) + `]}`,
		"symbols": `{"type":"enum","name":"E","symbols":[` + numbered(16_400, `"s%d"`) + `]}`,
		"default": doubling(40), "choices": backtracking,
	} {
		_, err := Parse([]byte(source))
		e, ok := errors.AsType[*Error](err)
		if want := RuleLimit; !ok || e.Rule != want && name != "json" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Parse([]byte(doubling(10))); err != nil {
		t.Errorf("a default of 2047 values: %v", err)
	}
}

func TestParseReadsTheShippedSchemas(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../*.avsc")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(source)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for i := range s.Fields {
			if s.Fields[i].Props["sensitivity"] == nil {
				t.Errorf("%s: %s lost its attributes", file, s.Fields[i].Name)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range refused() {
		f.Add([]byte(c.source))
	}
	for _, d := range refusedDefaults() {
		f.Add([]byte(record(d.body)))
	}
	files, _ := filepath.Glob("../*.avsc")
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		s, err := Parse(source)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		again, err := Parse(source)
		if err != nil || again.String() != s.String() {
			t.Fatalf("not the same twice: %v, %v, %v", s, again, err)
		}
		sound(t, s, map[*Type]bool{})
	})
}

// sound checks what users of a Type rely on without looking.
func sound(t *testing.T, s *Type, seen map[*Type]bool) {
	t.Helper()
	if s == nil || s.Kind == 0 || s.Named() != (s.Name != "") {
		t.Fatalf("unsound: %+v", s)
	}
	if seen[s] {
		return
	}
	seen[s] = true
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Default != nil && (!json.Valid(f.Default) || Fits(f.Type, f.Default) != nil) {
			t.Fatalf("field %s has a default that does not fit", f.Name)
		}
		sound(t, f.Type, seen)
	}
	for _, b := range s.Branches {
		sound(t, b, seen)
	}
	switch s.Kind {
	case Array:
		sound(t, s.Items, seen)
	case Map:
		sound(t, s.Values, seen)
	case Enum:
		if len(s.Symbols) == 0 {
			t.Fatal("an enum of nothing")
		}
	}
}
