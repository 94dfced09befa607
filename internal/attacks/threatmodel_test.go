package attacks_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/attacks"
)

var (
	testName   = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)`")
	mutantCell = regexp.MustCompile(`mutants? ((?:` + "`[a-z_]+`" + `(?:,\s+)?)+)`)
	mutantName = regexp.MustCompile("`([a-z_]+)`")
	testFunc   = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]*)\(`)
)

// What the documents say is shown is shown: every test and mutant that they
// name exists.
func TestDocumentsNameWhatExists(t *testing.T) {
	t.Parallel()
	root := os.DirFS("../..")
	tests := testsOf(t, root)
	for _, path := range []string{"docs/threat-model.md", "docs/reliability.md"} {
		text, err := fs.ReadFile(root, path)
		if err != nil {
			t.Fatal(err)
		}
		named := testName.FindAllSubmatch(text, -1)
		if len(named) < 10 {
			t.Errorf("%s names %d tests: is it read?", path, len(named))
		}
		for _, m := range named {
			if !tests[string(m[1])] {
				t.Errorf("%s: there is no test %s", path, m[1])
			}
		}
		for _, cell := range mutantCell.FindAllSubmatch(text, -1) {
			for _, m := range mutantName.FindAllSubmatch(cell[1], -1) {
				if _, err := fs.Stat(root, "internal/mutants/testdata/"+string(m[1])+".txtar"); err != nil {
					t.Errorf("%s: there is no mutant %s", path, m[1])
				}
			}
		}
	}
}

func testsOf(t *testing.T, root fs.FS) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := fs.ReadFile(root, path)
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			out[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Names stand once, and every code has a status that HTTP answers.
func TestTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, a := range attacks.Table() {
		if seen[a.Name] || a.Code.Entry().Status < 400 || a.Code.Entry().Code != a.Code || a.Entry == "" {
			t.Errorf("%+v", a)
		}
		seen[a.Name] = true
	}
}
