package house_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tree is a module as it stands on disk.
type tree struct {
	module   string // its path, from go.mod
	files    []*file
	packages map[string]*pkg // by directory, slash-separated, "." for the root
	broken   []finding       // what could not be read
}

type pkg struct {
	dir   string
	files []*file // without tests
}

type file struct {
	path      string // from the root of the module, slash-separated
	dir       string
	test      bool
	generated bool
	lines     int
	syntax    *ast.File
	fset      *token.FileSet
	imports   []imported
}

type imported struct {
	path string // as written
	dir  string // its directory, if it is of this module, else ""
	name string // the name it is given in the file, "" if none
	line int
}

// finding is one breach of a rule.
type finding struct {
	rule string
	file string
	line int
	text string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s", f.file, f.line, f.text) }

func (f *file) at(pos token.Pos) int { return f.fset.Position(pos).Line }

func (f *file) finding(line int, format string, args ...any) finding {
	return finding{file: f.path, line: line, text: fmt.Sprintf(format, args...)}
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+(\S+)`)

// load reads the module at the root of fsys.
func load(fsys fs.FS) (*tree, error) {
	mod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, fmt.Errorf("no module here: %w", err)
	}
	m := moduleLine.FindSubmatch(mod)
	if m == nil {
		return nil, errors.New("go.mod names no module")
	}
	t := &tree{module: string(m[1]), packages: map[string]*pkg{}}
	err = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(fsys, p):
			return fs.SkipDir
		case d.IsDir() || path.Ext(p) != ".go":
			return nil
		}
		return t.add(fsys, p)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the module: %w", err)
	}
	return t, nil
}

// skipped says of a directory that it is none of the module's, as the go
// command sees it.
func skipped(fsys fs.FS, dir string) bool {
	if dir == "." {
		return false
	}
	base := path.Base(dir)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err == nil
}

func (t *tree) add(fsys fs.FS, name string) error {
	if base := path.Base(name); strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return nil
	}
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	f := &file{
		path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
		lines: strings.Count(string(src), "\n"), fset: token.NewFileSet(),
	}
	f.syntax, err = parser.ParseFile(f.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.broken = append(t.broken, finding{rule: "readable", file: name, line: 1, text: "is no Go: " + err.Error()})
		return nil //nolint:nilerr // it is told as a finding, and the rest is read
	}
	if ignored(f.syntax) {
		return nil
	}
	f.generated = ast.IsGenerated(f.syntax)
	for _, spec := range f.syntax.Imports {
		f.imports = append(f.imports, t.imported(f, spec))
	}
	t.files = append(t.files, f)
	if f.test {
		return nil
	}
	if t.packages[f.dir] == nil {
		t.packages[f.dir] = &pkg{dir: f.dir}
	}
	t.packages[f.dir].files = append(t.packages[f.dir].files, f)
	return nil
}

func (t *tree) imported(f *file, spec *ast.ImportSpec) imported {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil { // the parser lets no such file through
		p = spec.Path.Value
	}
	i := imported{path: p, line: f.at(spec.Pos())}
	if spec.Name != nil {
		i.name = spec.Name.Name
	}
	if p == t.module {
		i.dir = "."
	} else if dir, ok := strings.CutPrefix(p, t.module+"/"); ok {
		i.dir = dir
	}
	return i
}

func ignored(f *ast.File) bool {
	for _, group := range f.Comments {
		if group.Pos() > f.Package {
			break
		}
		for _, c := range group.List {
			if x, err := constraint.Parse(c.Text); err == nil && x.String() == "ignore" {
				return true
			}
		}
	}
	return false
}

// production yields every import outside of tests.
func (t *tree) production(yield func(*file, imported) bool) {
	for _, f := range t.files {
		for _, i := range f.imports {
			if !f.test && !yield(f, i) {
				return
			}
		}
	}
}

// edge is an import within the module.
type edge struct {
	to   string
	file *file
	line int
}

// edges are what a package imports of the module, sorted by directory, one each.
func (t *tree) edges(dir string) []edge {
	p := t.packages[dir]
	if p == nil {
		return nil
	}
	var out []edge
	for _, f := range p.files {
		for _, i := range f.imports {
			known := slices.ContainsFunc(out, func(e edge) bool { return e.to == i.dir })
			if i.dir != "" && !known {
				out = append(out, edge{i.dir, f, i.line})
			}
		}
	}
	slices.SortFunc(out, func(a, b edge) int { return strings.Compare(a.to, b.to) })
	return out
}

// dirs are the packages' directories, sorted.
func (t *tree) dirs() []string {
	var out []string
	for dir := range t.packages {
		out = append(out, dir)
	}
	slices.Sort(out)
	return out
}

// under says that a path is one of these or below one.
func under(p string, tops ...string) bool {
	return slices.ContainsFunc(tops, func(top string) bool {
		return p == top || strings.HasPrefix(p, top+"/")
	})
}
