package yamlfile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
)

type colour int

func parseColour(s string) (colour, error) {
	if s == "red" {
		return 1, nil
	}
	return 0, errors.New("not a colour: use red")
}

type shape struct {
	ID      string            `yaml:"id"`
	Count   int               `yaml:"count,optional"`
	On      bool              `yaml:"on,optional"`
	Names   []string          `yaml:"names,optional"`
	Inner   *inner            `yaml:"inner,optional"`
	ByName  map[string]inner  `yaml:"byName,optional"`
	Colours map[colour]colour `yaml:"colours,optional"`
	Day     *time.Time        `yaml:"day,optional"`
	Skipped string
	embedded
}

type embedded struct {
	Extra string `yaml:"extra,optional"`
}

type inner struct {
	Colour colour `yaml:"colour"`
}

func decode(source string) (shape, *yamlfile.Document, yamlfile.Faults) {
	var s shape
	doc, faults := yamlfile.Decode("f.yaml", []byte(source), &s, yamlfile.Text(parseColour), yamlfile.Text(yamlfile.Day))
	return s, doc, faults
}

func TestDecodeReadsEveryKind(t *testing.T) {
	t.Parallel()
	s, doc, faults := decode("\ufeff# head\nid: 500000\ncount: 12\non: true\nnames: [a, \"b\"]\n" +
		"inner: {colour: red}\nbyName:\n  x:\n    colour: red\ncolours: {red: red}\nday: 2026-02-01\nextra: more\n")
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	if s.ID != "500000" || s.Count != 12 || !s.On || strings.Join(s.Names, "") != "ab" ||
		s.Inner.Colour != 1 || s.ByName["x"].Colour != 1 || s.Colours[1] != 1 || s.Extra != "more" {
		t.Errorf("got %+v", s)
	}
	if got := s.Day.UTC().Format(time.RFC3339); got != "2026-01-31T16:00:00Z" {
		t.Errorf("the day begins at %s", got)
	}
	for _, c := range []struct {
		path []any
		want string
	}{
		{[]any{"id"}, "2:5"},
		{[]any{"names", 1}, "5:12"},
		{[]any{"byName", "x", "colour"}, "9:13"},
		{[]any{"byName", "nobody"}, "8:3"},
		{nil, "2:1"},
	} {
		line, column := doc.At(c.path...)
		if got := fmt.Sprintf("%d:%d", line, column); got != c.want {
			t.Errorf("%v stands at %s, want %s", c.path, got, c.want)
		}
	}
}

func TestFaultsNameThePlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ source, want string }{
		"unknown key":     {"id: a\nidd: b\n", `f.yaml:2:1: unknown key "idd": the keys here are id, count`},
		"missing":         {"count: 1\n", `f.yaml:1:1: "id" is missing`},
		"missing inside":  {"id: a\ninner: {}\n", `f.yaml:2:8: "colour" is missing`},
		"twice":           {"id: a\n\"id\": b\n", `f.yaml:2:1: "id" stands twice`},
		"twice in a map":  {"id: a\nbyName:\n  x: {colour: red}\n  x: {colour: red}\n", `f.yaml:4:3: "x" stands twice`},
		"null":            {"id:\n", `f.yaml:1:5: there is no value`},
		"empty":           {"id: \"  \"\n", `f.yaml:1:5: the text is empty`},
		"alias":           {"id: &x a\nnames: [*x]\n", `f.yaml:2:9: anchors and aliases are not read`},
		"anchor":          {"id: &x a\n", `f.yaml:1:5: anchors and aliases are not read`},
		"tag":             {"id: !!str a\n", `f.yaml:1:5: tags are not read`},
		"merge key":       {"id: a\n<<: {count: 1}\n", `f.yaml:2:1: a key is a plain word`},
		"complex key":     {"? id\n: a\n", `f.yaml:1:1: a key is a plain word`},
		"boolean as text": {"id: true\n", `f.yaml:1:5: text belongs here, not a boolean: put it in quotes`},
		"text as number":  {"id: a\ncount: x\n", `f.yaml:2:8: a whole number in plain digits belongs here, not text`},
		"octal":           {"id: a\ncount: 010\n", `f.yaml:2:8: a whole number in plain digits belongs here`},
		"hexadecimal":     {"id: a\ncount: 0x10\n", `f.yaml:2:8: a whole number in plain digits belongs here`},
		"underscore":      {"id: a\ncount: 1_000\n", `f.yaml:2:8: a whole number in plain digits belongs here`},
		"fraction":        {"id: a\ncount: 1.0\n", `f.yaml:2:8: a whole number in plain digits belongs here, not a number`},
		"number too big":  {"id: a\ncount: 99999999999999999999\n", `f.yaml:2:8: a whole number`},
		"text as boolean": {"id: a\non: yes\n", `f.yaml:2:5: true or false belongs here, not text`},
		"scalar as list":  {"id: a\nnames: x\n", `f.yaml:2:8: a list belongs here, not text`},
		"list as struct":  {"id: a\ninner: [x]\n", `f.yaml:2:8: keys and values belong here, not a list`},
		"list as map":     {"id: a\nbyName: [x]\n", `f.yaml:2:9: keys and values belong here, not a list`},
		"map as text":     {"id: {a: b}\n", `f.yaml:1:5: text belongs here, not keys and values`},
		"scalar value":    {"id: a\ninner: {colour: blue}\n", `f.yaml:2:17: not a colour: use red`},
		"scalar key":      {"id: a\ncolours: {blue: red}\n", `f.yaml:2:11: not a colour: use red`},
		"day":             {"id: a\nday: 2026-02-30\n", `f.yaml:2:6: "2026-02-30" is not a day`},
		"syntax":          {"id: a: b\n", `f.yaml:1:5: `},
		"two documents":   {"id: a\n---\nid: b\n", `one document to a file`},
		"nothing":         {"# only\n", `f.yaml: the file is empty`},
		"not a mapping":   {"- a\n", `f.yaml:1:1: keys and values belong here, not a list`},
		"encoding":        {"id: \xff\n", `f.yaml: the file is not UTF-8`},
		"long line":       {"id: " + strings.Repeat("a", 5000), `f.yaml:1:1: the line is longer than 4096 bytes`},
		"deep":            {"id: a\nnames: " + strings.Repeat("[\n", 65), `f.yaml:66:1: more than 64 brackets are open`},
		"large":           {strings.Repeat("# filler\n", 1<<17), `f.yaml: the file is larger than 1048576 bytes`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, doc, faults := decode(c.source)
			if err := faults.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
			if doc.Canonical() != nil {
				t.Error("a file with faults has a canonical form")
			}
		})
	}
}

func TestEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	_, _, faults := decode("day: never\ncount: x\nnames: 1\nfoo: 1\n")
	want := "f.yaml:1:1: \"id\" is missing\nf.yaml:1:6: \"never\" is not a day: write it as 2026-01-31\n" +
		"f.yaml:2:8: a whole number in plain digits belongs here, not text\nf.yaml:3:8: a list belongs here, not a number\n" +
		"f.yaml:4:1: unknown key \"foo\": the keys here are id, count, on, names, inner, byName, colours, day, extra"
	if got := faults.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFaultsAreBounded(t *testing.T) {
	t.Parallel()
	_, _, faults := decode("id: a\nnames: [" + strings.Repeat("~, ", 200) + "~]\n")
	if got := faults.String(); strings.Count(got, "\n") != 50 || !strings.HasSuffix(got, "and 151 more") {
		t.Errorf("got %d lines ending in %q", strings.Count(got, "\n"), got[len(got)-20:])
	}
}

func TestCanonicalIgnoresLayout(t *testing.T) {
	t.Parallel()
	canonical := func(source string) string {
		_, doc, faults := decode(source)
		if err := faults.Err(); err != nil {
			t.Fatal(err)
		}
		return string(doc.Canonical())
	}
	a := canonical("id: a # why\nnames: [x, 'y']\ninner:\n  colour: red\n")
	b := canonical("inner: {colour: \"red\"}\n\nnames:\n  - x\n  - y\nid: a\n")
	if a != b || a != `{"id":"a","inner":{"colour":"red"},"names":["x","y"]}` {
		t.Errorf("got %s and %s", a, b)
	}
	if canonical("id: a\nnames: [y, x]\n") == canonical("id: a\nnames: [x, y]\n") {
		t.Error("the order of a list does not count")
	}
}

func TestReadSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	var s shape
	if _, faults := yamlfile.Read(fstest.MapFS{}, "f.yaml", &s); faults.Err() == nil {
		t.Error("a missing file is no fault")
	}
	dir := fstest.MapFS{"f.yaml": {Data: []byte("id: a\n")}}
	if _, faults := yamlfile.Read(dir, "f.yaml", &s); faults.Err() != nil || s.ID != "a" {
		t.Errorf("got %v, %+v", faults, s)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"id: a\n", "id: [a, {b: c}]\n", "id: |\n  a\n  b\nnames:\n  - x\n", "? a\n: b\n", "a: &x 1\nb: *x\n<<: {c: d}\n",
		"id: \"\\u4e2d\"\n", "- - - a\n", "%YAML 1.2\n---\nid: a\n...\n", "id: >-\n  a\n  &&\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		s, doc, faults := decode(source)
		if faults.Err() != nil {
			return
		}
		if s.ID == "" || len(doc.Canonical()) == 0 {
			t.Errorf("%q was read as %+v without a fault", source, s)
		}
	})
}
