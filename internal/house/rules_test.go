package house_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// small makes a module of a few files.
func small(t *testing.T, files map[string]string) *tree {
	t.Helper()
	fsys := fstest.MapFS{"go.mod": {Data: []byte("module example.org/m\n\ngo 1.26\n")}}
	for name, src := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(src)}
	}
	m, err := load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const doc = "// Package p is one.\npackage p\n"

// imports is the source of a file with the imports on line 3 and below.
func imports(paths ...string) string {
	s := "// Package p is one.\npackage p\n"
	for _, p := range paths {
		s += fmt.Sprintf("import _ %q\n", p)
	}
	return s
}

// ruleCase is a small module and what one rule finds in it.
type ruleCase struct {
	rule  string
	files map[string]string
	// want is the start of each finding, sorted; none for what is allowed.
	want []string
}

const m = "example.org/m/"

func importCases() []ruleCase {
	return []ruleCase{
		{"readable", map[string]string{"a/doc.go": "package"}, []string{"a/doc.go:1: is no Go"}},
		{"readable", map[string]string{"a/doc.go": doc, "testdata/x.go": "package", "a/_x.go": "package", "vendor/v/v.go": "package", ".git/x.go": "package"}, nil},

		{
			"home",
			map[string]string{"gateway/doc.go": imports("github.com/gin-gonic/gin")},
			[]string{`gateway/doc.go:3: imports "github.com/gin-gonic/gin", which lives only in gateway/httpapi: `},
		},
		{"home", map[string]string{"gateway/httpapi/doc.go": imports("github.com/gin-gonic/gin", "github.com/gin-gonic/gin/render")}, nil},
		{
			"home",
			map[string]string{"gateway/httpapix/doc.go": imports("github.com/gin-gonic/gin/render")},
			[]string{`gateway/httpapix/doc.go:3: imports "github.com/gin-gonic/gin/render"`},
		},
		{
			"home",
			map[string]string{"gateway/feed/doc.go": imports("io", "github.com/segmentio/kafka-go/protocol")},
			[]string{`gateway/feed/doc.go:4: imports "github.com/segmentio/kafka-go/protocol", which lives only in internal/kafkalog and internal/bench: `},
		},
		{"home", map[string]string{"internal/kafkalog/doc.go": imports("github.com/segmentio/kafka-go"), "internal/bench/doc.go": imports("github.com/segmentio/kafka-go")}, nil},
		{"home", map[string]string{"gateway/signing/doc.go": imports("github.com/hashicorp/vault/api")}, []string{"gateway/signing/doc.go:3: "}},
		{"home", map[string]string{"internal/vault/doc.go": imports("github.com/hashicorp/vault/api", "github.com/hashicorp/vault/api/auth/approle")}, nil},
		{"home", map[string]string{"gateway/quota/doc.go": imports("github.com/redis/go-redis/v9")}, []string{"gateway/quota/doc.go:3: "}},
		{"home", map[string]string{"internal/redis/doc.go": imports("github.com/redis/go-redis/v9")}, nil},
		{"home", map[string]string{"gateway/doc.go": imports("github.com/linkedin/goavro/v2")}, []string{"gateway/doc.go:3: "}},
		{"home", map[string]string{"schemas/doc.go": imports("github.com/linkedin/goavro/v2"), "internal/bench/doc.go": imports("github.com/linkedin/goavro/v2")}, nil},
		{"home", map[string]string{"gateway/doc.go": imports("cel.dev/cel-go/cel")}, []string{"gateway/doc.go:3: "}},
		{"home", map[string]string{"policies/doc.go": imports("cel.dev/cel-go/cel"), "connectors/doc.go": imports("cel.dev/cel-go/cel")}, nil},
		{"home", map[string]string{"policies/doc.go": imports("github.com/google/cel-go/cel")}, []string{`policies/doc.go:3: imports "github.com/google/cel-go/cel": nobody may`}},
		{
			"home",
			map[string]string{"cmd/hub/doc.go": imports("github.com/twmb/franz-go/pkg/kfake", "github.com/twmb/franz-go/pkg/kgo")},
			[]string{"cmd/hub/doc.go:3: ", "cmd/hub/doc.go:4: "},
		},
		{"home", map[string]string{"internal/embedded/doc.go": imports("github.com/twmb/franz-go/pkg/kfake"), "internal/bench/doc.go": imports("github.com/twmb/franz-go/pkg/kgo")}, nil},
		// Tests, nested modules and ignored files may.
		{"home", map[string]string{
			"gateway/doc.go": doc, "gateway/x_test.go": imports("github.com/gin-gonic/gin"),
			"deploy/tools/go.mod": "module example.org/m/deploy/tools\n", "deploy/tools/doc.go": imports("github.com/gin-gonic/gin"),
			"gateway/gen.go": "//go:build ignore\n\n" + imports("github.com/gin-gonic/gin"),
		}, nil},
		// What is built only sometimes may not.
		{"home", map[string]string{"gateway/doc.go": "//go:build live\n\n" + imports("github.com/gin-gonic/gin")}, []string{"gateway/doc.go:5: "}},

		{
			"floors",
			map[string]string{"connectors/csvfile/doc.go": imports(m+"gateway/client", m+"gateway/receipt", m+"gateway/quota", m+"gateway")},
			[]string{`connectors/csvfile/doc.go:5: imports "example.org/m/gateway/quota": a connector knows`, "connectors/csvfile/doc.go:6: "},
		},
		{"floors", map[string]string{"gateway/feed/doc.go": imports(m + "connectors")}, []string{"gateway/feed/doc.go:3: "}},
		{"floors", map[string]string{"gateway/doc.go": imports(m + "connectors/csvfile")}, []string{"gateway/doc.go:3: "}},
		{"floors", map[string]string{"gateway/client/doc.go": imports(m+"gateway/receipt", m+"gateway/identity", m+"schemas")}, []string{"gateway/client/doc.go:4: "}},
		{"floors", map[string]string{"schemas/redact/doc.go": imports(m + "policies")}, []string{"schemas/redact/doc.go:3: "}},
		{"floors", map[string]string{"policies/doc.go": imports(m + "schemas/redact")}, nil},
		{"floors", map[string]string{"internal/embedded/doc.go": imports(m + "cmd/hub")}, []string{"internal/embedded/doc.go:3: "}},
		{"floors", map[string]string{"cmd/hub/doc.go": imports(m + "cmd/hub/serve")}, []string{"cmd/hub/doc.go:3: "}},
		{"floors", map[string]string{"cmd/hub/doc.go": imports(m+"gateway", m+"connectors", "example.org/other/cmd")}, nil},
	}
}

func pureAndChainCases() []ruleCase {
	return []ruleCase{
		{
			"pure imports",
			map[string]string{"policies/doc.go": imports("net", "net/http", "os", "os/exec", "net/http/httptest")},
			[]string{`policies/doc.go:3: imports "net": `, "policies/doc.go:4: ", "policies/doc.go:5: ", "policies/doc.go:6: ", "policies/doc.go:7: "},
		},
		{"pure imports", map[string]string{"schemas/ident/doc.go": imports("os")}, []string{"schemas/ident/doc.go:3: "}},
		{"pure imports", map[string]string{"policies/doc.go": imports("io/fs", "net/netip", "net/url"), "gateway/doc.go": imports("os", "net")}, nil},

		{
			"pure clock",
			map[string]string{"policies/doc.go": doc + "import \"time\"\nvar now = time.Now\nvar _ = time.Since(now())\nfunc f() { time.Sleep(time.Second) }\n"},
			[]string{"policies/doc.go:4: uses time.Now: ", "policies/doc.go:5: uses time.Since: ", "policies/doc.go:6: uses time.Sleep: "},
		},
		{"pure clock", map[string]string{"schemas/doc.go": doc + "import clock \"time\"\nvar now = clock.Now\n"}, []string{"schemas/doc.go:4: "}},
		{"pure clock", map[string]string{"schemas/doc.go": doc + "import . \"time\"\nvar now = Now\n"}, []string{"schemas/doc.go:3: "}},
		{"pure clock", map[string]string{
			"policies/doc.go":    doc + "import \"time\"\nvar t = time.Unix(0, 0)\n",
			"policies/x_test.go": doc + "import \"time\"\nvar t = time.Now()\n",
			"gateway/doc.go":     doc + "import \"time\"\nvar t = time.Now()\n",
			"schemas/doc.go":     doc + "import \"example.org/time\"\nvar t = time.Now()\n",
		}, nil},

		{
			"bench",
			map[string]string{"cmd/hub/doc.go": imports("io", m+"gateway"), "gateway/doc.go": imports(m + "internal/x"), "internal/x/doc.go": imports(m + "internal/bench"), "internal/bench/doc.go": doc},
			[]string{"cmd/hub/doc.go:4: reaches internal/bench (cmd/hub → gateway → internal/x → internal/bench): "},
		},
		{"bench", map[string]string{"cmd/connector/doc.go": imports(m + "internal/bench/kafka")}, []string{"cmd/connector/doc.go:3: "}},
		{"bench", map[string]string{"cmd/hubctl/doc.go": imports(m + "internal/bench"), "cmd/hub/doc.go": imports(m + "gateway"), "gateway/x_test.go": imports(m + "internal/bench"), "internal/bench/doc.go": imports(m + "gateway"), "gateway/doc.go": doc}, nil},

		{"chain", chained(7), []string{"a/doc.go:3: starts an import chain of 7 packages, at most 6: a → b → c → d → e → f → g; "}},
		{"chain", chained(6), nil},
	}
}

func shapeCases() []ruleCase {
	long := func(n int) string { return doc + strings.Repeat("\n", n-2) }
	function := func(n int) string { return doc + "func f() {" + strings.Repeat("\n", n-1) + "}\n" }
	return []ruleCase{
		{"init", map[string]string{"a/doc.go": doc + "func init() {}\n"}, []string{"a/doc.go:3: "}},
		{"init", map[string]string{"a/doc.go": doc + "type t int\nfunc (t) init() {}\n", "a/x_test.go": doc + "func init() {}\n"}, nil},

		{
			"names",
			map[string]string{"util/doc.go": "// Package util is.\npackage util\n", "a/helpers/doc.go": doc, "b/doc.go": "// Package common is.\npackage common\n"},
			[]string{"a/helpers/doc.go:2: ", "b/doc.go:2: ", "util/doc.go:2: "},
		},
		{"names", map[string]string{"utility/doc.go": "// Package utility is.\npackage utility\n"}, nil},

		{"comment", map[string]string{"a/a.go": doc}, []string{"a/a.go:1: the package has no doc.go"}},
		{"comment", map[string]string{"a/doc.go": "// Far away.\n\npackage a\n"}, []string{"a/doc.go:3: "}},
		{"comment", map[string]string{"a/doc.go": doc, "a/a.go": "package p\n", "b/x_test.go": "package b\n"}, nil},

		{"file size", map[string]string{"a/doc.go": long(401), "a/x_test.go": long(601)}, []string{"a/doc.go:401: has 401 lines", "a/x_test.go:601: has 601 lines"}},
		{"file size", map[string]string{"a/doc.go": long(400), "a/x_test.go": long(600), "a/gen.go": "// Code generated by x. DO NOT EDIT.\n" + long(999)}, nil},
		{"function size", map[string]string{"a/doc.go": function(61), "a/x_test.go": function(101)}, []string{"a/doc.go:3: func f has 61 lines", "a/x_test.go:3: func f has 101 lines"}},
		{"function size", map[string]string{"a/doc.go": function(60), "a/x_test.go": function(100), "a/gen.go": "// Code generated by x. DO NOT EDIT.\n\n" + function(99)}, nil},
	}
}

func TestEveryRuleFails(t *testing.T) {
	t.Parallel()
	broken := map[string]bool{}
	for i, c := range slices.Concat(importCases(), pureAndChainCases(), shapeCases()) {
		var got []string
		for _, f := range check(small(t, c.files)) {
			if f.rule == c.rule {
				got = append(got, f.String())
			}
		}
		slices.Sort(got)
		if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
			t.Errorf("case %d, %s, of %v:\n got %q\nwant %q", i, c.rule, slices.Sorted(maps.Keys(c.files)), got, c.want)
		}
		broken[c.rule] = broken[c.rule] || len(c.want) > 0
	}
	for _, r := range rules {
		if !broken[r.name] {
			t.Errorf("no case breaks rule %q", r.name)
		}
	}
}

// chained is n packages in a row, and a shorter way between the ends.
func chained(n int) map[string]string {
	files := map[string]string{}
	name := func(i int) string { return string(rune('a' + i)) }
	for i := range n {
		src := doc
		if i+1 < n {
			src = imports("example.org/m/" + name(i+1))
		}
		if i == 0 {
			src += fmt.Sprintf("import _ %q\n", "example.org/m/"+name(n-1))
		}
		files[name(i)+"/doc.go"] = src
	}
	return files
}

func TestARingIsSurvived(t *testing.T) {
	t.Parallel()
	ring := small(t, map[string]string{"a/doc.go": imports(m + "b"), "b/doc.go": imports(m + "a"), "cmd/hub/doc.go": imports(m + "a")})
	if found := check(ring); len(found) != 0 {
		t.Errorf("a ring is the compiler's business: %v", found)
	}
}

func TestCrowdedCountsTopLevelNames(t *testing.T) {
	t.Parallel()
	names := func(n int) string {
		src := doc + "type T struct{ Field int }\nfunc (T) Method() {}\nfunc hidden() {}\n"
		for i := range n - 1 {
			src += fmt.Sprintf("const C%d = %d\n", i, i)
		}
		return src
	}
	if got := crowded(small(t, map[string]string{"a/doc.go": names(25)})); got != nil {
		t.Errorf("25 names: %v", got)
	}
	if got := crowded(small(t, map[string]string{"a/doc.go": names(26)})); len(got) != 1 || got[0] != "a exports 26 names, more than 25" {
		t.Errorf("26 names: %v", got)
	}
}

func TestLoadNeedsAModule(t *testing.T) {
	t.Parallel()
	for name, fsys := range map[string]fstest.MapFS{
		"nothing":   {},
		"no module": {"go.mod": {Data: []byte("go 1.26\n")}},
	} {
		if m, err := load(fsys); err == nil {
			t.Errorf("%s: %v", name, m)
		}
	}
}
