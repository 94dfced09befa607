package house_test

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

const (
	longestFile         = 400
	longestTestFile     = 600
	longestFunction     = 60
	longestTestFunction = 100
	mostExported        = 25
)

func noInit(t *tree) []finding {
	var out []finding
	for _, f := range t.files {
		if f.test || f.generated {
			continue
		}
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				out = append(out, f.finding(f.at(fn.Pos()),
					"has func init: let whoever starts the process call it, so that it is seen and can fail"))
			}
		}
	}
	return out
}

// emptyNames say nothing about what is inside.
var emptyNames = []string{"util", "utils", "common", "manager", "managers", "helper", "helpers"}

func plainNames(t *tree) []finding {
	var out []finding
	for _, dir := range t.dirs() {
		f := t.packages[dir].files[0]
		name := f.syntax.Name.Name
		if slices.Contains(emptyNames, name) || slices.Contains(emptyNames, path.Base(dir)) {
			out = append(out, f.finding(f.at(f.syntax.Package),
				"package %s in %s: name it for what it offers, or put its parts where they are used", name, dir))
		}
	}
	return out
}

func packageComment(t *tree) []finding {
	var out []finding
	for _, dir := range t.dirs() {
		files := t.packages[dir].files
		i := slices.IndexFunc(files, func(f *file) bool { return path.Base(f.path) == "doc.go" })
		if i < 0 {
			out = append(out, files[0].finding(1, "the package has no doc.go: write one that a newcomer reads as its map"))
		} else if strings.TrimSpace(files[i].syntax.Doc.Text()) == "" {
			out = append(out, files[i].finding(files[i].at(files[i].syntax.Package), "there is no comment right above the package clause"))
		}
	}
	return out
}

func fileSize(t *tree) []finding {
	var out []finding
	for _, f := range t.files {
		if most := limit(f, longestFile, longestTestFile); f.lines > most {
			out = append(out, f.finding(most+1, "has %d lines, at most %d: split it by what its parts do", f.lines, most))
		}
	}
	return out
}

func functionSize(t *tree) []finding {
	var out []finding
	for _, f := range t.files {
		most := limit(f, longestFunction, longestTestFunction)
		for _, d := range f.syntax.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			begin := f.at(fn.Pos())
			if lines := f.at(fn.End()) - begin + 1; lines > most {
				out = append(out, f.finding(begin, "func %s has %d lines, at most %d: give its steps names", fn.Name.Name, lines, most))
			}
		}
	}
	return out
}

// limit is that of the file's kind; what is generated has none.
func limit(f *file, production, test int) int {
	switch {
	case f.generated:
		return 1 << 30
	case f.test:
		return test
	}
	return production
}

// crowded tells of packages with many exported names: worth a look, no breach.
func crowded(t *tree) []string {
	var out []string
	for _, dir := range t.dirs() {
		n := 0
		for _, f := range t.packages[dir].files {
			n += exported(f.syntax)
		}
		if n > mostExported {
			out = append(out, fmt.Sprintf("%s exports %d names, more than %d", dir, n, mostExported))
		}
	}
	return out
}

// exported counts top-level names, without methods and fields.
func exported(f *ast.File) int {
	n := 0
	count := func(id *ast.Ident) {
		if id.IsExported() {
			n++
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				count(d.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					count(s.Name)
				case *ast.ValueSpec:
					for _, id := range s.Names {
						count(id)
					}
				}
			}
		}
	}
	return n
}
