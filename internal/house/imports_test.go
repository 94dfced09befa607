package house_test

import (
	"fmt"
	"go/ast"
	"os"
	"slices"
	"strings"
	"testing"
)

// rule finds its breaches in a module.
type rule struct {
	name  string
	check func(*tree) []finding
}

// rules are all of them; rules_test.go shows each to fail.
var rules = []rule{
	{"readable", func(t *tree) []finding { return t.broken }},
	{"home", home},
	{"floors", floors},
	{"pure imports", pureImports},
	{"pure clock", pureClock},
	{"bench", benchStaysOut},
	{"chain", chain},
	{"init", noInit},
	{"names", plainNames},
	{"comment", packageComment},
	{"file size", fileSize},
	{"function size", functionSize},
}

func check(t *tree) []finding {
	var out []finding
	for _, r := range rules {
		for _, f := range r.check(t) {
			f.rule = r.name
			out = append(out, f)
		}
	}
	return out
}

func TestHouse(t *testing.T) {
	t.Parallel()
	module, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	// What is not read cannot fail: two packages that are sure to be there.
	for _, dir := range []string{"internal/house", "internal/problem"} {
		if module.packages[dir] == nil {
			t.Fatalf("%s was not read: is this test run in its directory?", dir)
		}
	}
	for _, f := range check(module) {
		t.Errorf("%v", f)
	}
	for _, line := range crowded(module) {
		t.Log(line)
	}
	t.Logf("%d packages, %d files; longest import chain: %s",
		len(module.packages), len(module.files), strings.Join(longest(module), " → "))
}

// homes says where each outside library lives. Everybody else sees it through
// an interface of ours.
var homes = []struct {
	library string
	homes   []string
}{
	{"github.com/gin-gonic/gin", []string{"gateway/httpapi"}},
	{"github.com/segmentio/kafka-go", []string{"internal/kafkalog", "internal/bench"}},
	{"github.com/hashicorp/vault/api", []string{"internal/vault"}},
	{"github.com/redis/go-redis", []string{"internal/redis"}},
	{"github.com/linkedin/goavro", []string{"schemas", "internal/bench"}},
	{"cel.dev/cel-go", []string{"policies", "connectors"}},
	{"github.com/google/cel-go", nil}, // the old name of the same
	{"github.com/twmb/franz-go", []string{"internal/embedded", "internal/bench"}},
}

func home(t *tree) []finding {
	var out []finding
	for f, i := range t.production {
		for _, h := range homes {
			switch {
			case !under(i.path, h.library) || under(f.dir, h.homes...):
			case len(h.homes) == 0:
				out = append(out, f.finding(i.line, "imports %q: nobody may; use the library that go.mod names in its place", i.path))
			default:
				out = append(out, f.finding(i.line,
					"imports %q, which lives only in %s: put what needs it there, behind an interface that its user defines",
					i.path, strings.Join(h.homes, " and ")))
			}
		}
	}
	return out
}

// between are the floors of the house: from may not import to, but for except.
var between = []struct {
	from, to string
	except   []string
	do       string
}{
	{
		"connectors", "gateway",
		[]string{"gateway/client", "gateway/receipt"},
		"a connector knows of the gateway only its client and its receipts; what both need belongs in schemas or internal/record",
	},
	{
		"gateway", "connectors", nil,
		"gateway and connectors meet in Kafka, schemas and internal/record",
	},
	{
		"gateway/client", "gateway",
		[]string{"gateway/client", "gateway/receipt"},
		"the client is the consumer's side: of the gateway it knows only receipts",
	},
	{
		"schemas/redact", "policies", nil,
		"policies ask in the language of redact, never the other way round",
	},
	{
		".", "cmd", nil,
		"a command wires packages and is wired by nobody; move what is shared out of cmd",
	},
}

func floors(t *tree) []finding {
	var out []finding
	for f, i := range t.production {
		for _, b := range between {
			from := b.from == "." || under(f.dir, b.from)
			if from && i.dir != "" && under(i.dir, b.to) && !under(i.dir, b.except...) {
				out = append(out, f.finding(i.line, "imports %q: %s", i.path, b.do))
			}
		}
	}
	return out
}

// pure are the floors that touch no clock, network or file system.
var pure = []string{"policies", "schemas"}

// outside are the standard library's ways out. net/netip, net/url and io/fs
// are not: they only compute, or read what they were given.
var outside = []string{"net/http", "net/rpc", "net/smtp", "os", "io/ioutil", "syscall", "plugin"}

func pureImports(t *tree) []finding {
	var out []finding
	for f, i := range t.production {
		if under(f.dir, pure...) && (i.path == "net" || under(i.path, outside...)) {
			out = append(out, f.finding(i.line,
				"imports %q: %s touch no network and no file system; take bytes, an io.Reader or an fs.FS", i.path, strings.Join(pure, " and ")))
		}
	}
	return out
}

// clockNames are what of package time reads or waits for the clock.
var clockNames = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}

func pureClock(t *tree) []finding {
	var out []finding
	for _, f := range t.files {
		if f.test || !under(f.dir, pure...) {
			continue
		}
		for _, i := range f.imports {
			switch {
			case i.path != "time":
			case i.name == ".":
				out = append(out, f.finding(i.line, `imports "time" into its own scope: name it, so that reads of the clock are seen`))
			default:
				out = append(out, clockReads(f, i.name)...)
			}
		}
	}
	return out
}

func clockReads(f *file, name string) []finding {
	if name == "" {
		name = "time"
	}
	var out []finding
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			x, ok := s.X.(*ast.Ident)
			if ok && x.Name == name && slices.Contains(clockNames, s.Sel.Name) {
				out = append(out, f.finding(f.at(s.Pos()),
					"uses time.%s: %s touch no clock; take the instant, or a func() time.Time, as an argument",
					s.Sel.Name, strings.Join(pure, " and ")))
			}
		}
		return true
	})
	return out
}

// benchStaysOut: references for benchmarks never get into what is deployed.
func benchStaysOut(t *tree) []finding {
	var out []finding
	for _, dir := range t.dirs() {
		if !under(dir, "cmd/hub", "cmd/connector") {
			continue
		}
		for _, e := range t.edges(dir) {
			if way := reach(t, e.to, "internal/bench", map[string]bool{}); way != nil {
				out = append(out, e.file.finding(e.line,
					"reaches internal/bench (%s → %s): only cmd/hubctl may; cut the last link, or move what is shared out of it",
					dir, strings.Join(way, " → ")))
			}
		}
	}
	return out
}

// reach is a way from one package to another or below, both ends included.
func reach(t *tree, from, to string, seen map[string]bool) []string {
	if under(from, to) {
		return []string{from}
	}
	if seen[from] {
		return nil
	}
	seen[from] = true
	for _, e := range t.edges(from) {
		if way := reach(t, e.to, to, seen); way != nil {
			return append([]string{from}, way...)
		}
	}
	return nil
}

// longestChain is how many packages may stand in a row, each importing the
// next: what a reader must know to follow one call to its end.
const longestChain = 6

func chain(t *tree) []finding {
	way := longest(t)
	if len(way) <= longestChain {
		return nil
	}
	for _, e := range t.edges(way[0]) {
		if e.to == way[1] {
			return []finding{e.file.finding(e.line,
				"starts an import chain of %d packages, at most %d: %s; let one of them take an interface, or join two that always go together",
				len(way), longestChain, strings.Join(way, " → "))}
		}
	}
	return []finding{{file: way[0], text: fmt.Sprintf("starts an import chain of %d packages", len(way))}}
}

// longest is the longest chain of packages; the first by name of equals.
func longest(t *tree) []string {
	known := map[string][]string{}
	var from func(dir string) []string
	from = func(dir string) []string {
		if way, ok := known[dir]; ok {
			return way
		}
		known[dir] = []string{dir} // a ring, which the compiler refuses, ends here
		var best []string
		for _, e := range t.edges(dir) {
			if way := from(e.to); len(way) > len(best) {
				best = way
			}
		}
		known[dir] = append([]string{dir}, best...)
		return known[dir]
	}
	var best []string
	for _, dir := range t.dirs() {
		if way := from(dir); len(way) > len(best) {
			best = way
		}
	}
	return best
}
