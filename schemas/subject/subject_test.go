package subject_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
	"github.com/chuanyu-exchange/hub/schemas/subject"
)

func avsc(fields string) string {
	return `{"type":"record","name":"T","namespace":"cn.test","zh":"测","fields":[` + fields + `]}`
}

const (
	first = `{"name":"a","type":"int","zh":"甲","source":"x","sensitivity":"public"}`
	more  = first + `,{"name":"b","type":["null","string"],"default":null,"zh":"乙","source":"x","sensitivity":"public"}`
	bad   = first + `,{"name":"b","type":"string","zh":"乙","source":"x","sensitivity":"public"}`
)

// load locks the files, as `make generate` would, and loads their lines.
func load(t *testing.T, files map[string]string) (*subject.Lines, error) {
	t.Helper()
	dir := fstest.MapFS{}
	for name, text := range files {
		dir[name] = &fstest.MapFile{Data: []byte(text)}
	}
	lock, err := schemas.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	dir[schemas.LockFile] = &fstest.MapFile{Data: lock}
	set, err := schemas.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return subject.Load(dir, set)
}

// Invariant 7: what follows a published version must not break who uses it.
func TestLoadRefusesWhatBreaksALine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
		fault string
	}{
		{"an optional field more", map[string]string{"t.v1.avsc": avsc(first), "t.v1.2.avsc": avsc(more)}, ""},
		{"a required field more", map[string]string{"t.v1.avsc": avsc(first), "t.v1.2.avsc": avsc(bad)}, "t.v1.2.avsc breaks FULL_TRANSITIVE of t.v1: the new version cannot read what version 1 wrote: b cannot be read"},
		{"declared weaker", map[string]string{
			"t.v1.avsc": avsc(first), "t.v1.2.avsc": avsc(bad), schemas.LevelsFile: `{"default":"FULL","subjects":{"t.v1":"FORWARD"}}`,
		}, ""},
		{"a new major version", map[string]string{"t.v1.avsc": avsc(first), "t.v2.avsc": avsc(bad)}, ""},
		{"against an older one", map[string]string{"t.v1.avsc": avsc(bad), "t.v1.2.avsc": avsc(bad), "t.v1.3.avsc": avsc(more)}, "version 1 cannot read"},
		{"a gap", map[string]string{"t.v1.avsc": avsc(first), "t.v1.3.avsc": avsc(more)}, "revision 2 of t.v1 is missing"},
		{"a first revision with a number", map[string]string{"t.v1.1.avsc": avsc(first)}, "is called name.v1"},
		{"a level for nothing", map[string]string{"t.v1.avsc": avsc(first), schemas.LevelsFile: `{"subjects":{"u.v1":"NONE"}}`}, "there is no schema u.v1.avsc"},
		{"no level", map[string]string{"t.v1.avsc": avsc(first), schemas.LevelsFile: `{"default":"SOMETIMES"}`}, "unknown compatibility level"},
		{"a misspelt member", map[string]string{"t.v1.avsc": avsc(first), schemas.LevelsFile: `{"defaults":"FULL"}`}, "unknown field"},
	} {
		_, err := load(t, c.files)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	lines, err := load(t, map[string]string{
		"t.v1.avsc": avsc(first), "t.v1.2.avsc": avsc(more), "t.v1.10.avsc": avsc(more), "u.v1.avsc": avsc(first),
		"t.v1.3.avsc": avsc(more), "t.v1.4.avsc": avsc(more), "t.v1.5.avsc": avsc(more), "t.v1.6.avsc": avsc(more),
		"t.v1.7.avsc": avsc(more), "t.v1.8.avsc": avsc(more), "t.v1.9.avsc": avsc(more),
		schemas.LevelsFile: `{"default":"BACKWARD","subjects":{"u.v1":"NONE"}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	line, ok := lines.Line("t.v1.2")
	if !ok || line.Name != "t.v1" || line.Level != evolve.Backward || line.Declared || len(line.Revisions) != 10 || line.Revisions[9].Schema.Name != "t.v1.10" {
		t.Errorf("%+v", line)
	}
	if n := len(line.Until("t.v1.2")); n != 2 {
		t.Errorf("%d revisions until the second", n)
	}
	if line.Until("u.v1") != nil && len(line.Until("u.v1")) != 0 {
		t.Error("a schema of another line")
	}
	if u, _ := lines.Line("u.v1"); u.Level != evolve.None || !u.Declared || lines.Default != evolve.Backward || len(lines.All()) != 2 {
		t.Errorf("%+v", u)
	}
	for _, name := range []string{"v.v1", "t", "t.v1.1", "t.v01", "T.v1", ""} {
		if l, ok := lines.Line(name); ok {
			t.Errorf("%q is %v", name, l)
		}
	}
}

func TestShipped(t *testing.T) {
	t.Parallel()
	lines, err := subject.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(schemas.Files(), "*.avsc")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range lines.All() {
		n += len(line.Revisions)
		if line.Level != evolve.FullTransitive {
			t.Errorf("%s is only %s", line.Name, line.Level)
		}
	}
	if n == 0 || n != len(files) {
		t.Errorf("%d revisions of %d files", n, len(files))
	}
}
