package yamlfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Limits of a file. The parser recurses, so depth is bounded before it starts.
const (
	maxBytes   = 1 << 20
	maxLine    = 4096
	maxNesting = 64 // open brackets and braces at one place
)

var china = time.FixedZone("+08:00", 8*60*60)

// China is the zone in which days begin and terms end.
func China() *time.Location { return china }

// Day reads a calendar day, "2026-01-31", as its first instant in China.
func Day(s string) (time.Time, error) {
	t, err := time.ParseInLocation(time.DateOnly, s, China())
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a day: write it as 2026-01-31", s)
	}
	return t, nil
}

// position is where a value begins.
type position struct{ line, column int }

// Document is a file that was read: it knows where each value stands.
type Document struct {
	File      string
	positions map[string]position
	canonical any
}

// Read is Decode of a file of dir.
func Read(dir fs.FS, file string, shape any, scalars ...Scalar) (*Document, Faults) {
	source, err := readLimited(dir, file)
	if err != nil {
		return &Document{File: file}, Faults{{File: file, Text: err.Error()}}
	}
	return Decode(file, source, shape, scalars...)
}

func readLimited(dir fs.FS, file string) (source []byte, err error) {
	f, err := dir.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = cerr
		}
	}()
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}

// Decode reads source into shape, a pointer to a struct. The document is never
// nil; with faults, shape holds what could be read and is not to be used.
func Decode(file string, source []byte, shape any, scalars ...Scalar) (*Document, Faults) {
	doc := &Document{File: file, positions: map[string]position{}}
	body, fault := parse(file, source)
	if fault != nil {
		return doc, Faults{*fault}
	}
	d := decoder{doc: doc, scalars: scalars}
	d.decode(body, shape)
	if len(d.faults) == 0 {
		doc.canonical = canonical(body)
	}
	return doc, d.faults
}

func parse(file string, source []byte) (ast.Node, *Fault) {
	source = bytes.TrimPrefix(source, []byte("\ufeff"))
	if f := bound(source); f != nil {
		f.File = file
		return nil, f
	}
	tree, err := parser.ParseBytes(source, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxFault(file, err)
	}
	if len(tree.Docs) != 1 {
		return nil, &Fault{File: file, Line: 1, Column: 1, Text: "one document to a file: remove the --- between them"}
	}
	if tree.Docs[0].Body == nil {
		return nil, &Fault{File: file, Text: "the file is empty"}
	}
	return tree.Docs[0].Body, nil
}

// bound refuses what could exhaust the parser.
func bound(source []byte) *Fault {
	switch {
	case len(source) > maxBytes:
		return &Fault{Text: fmt.Sprintf("the file is larger than %d bytes", maxBytes)}
	case !utf8.Valid(source):
		return &Fault{Text: "the file is not UTF-8"}
	}
	open, n := 0, 0
	for line := range bytes.Lines(source) {
		n++
		if len(line) > maxLine {
			return &Fault{Line: n, Column: 1, Text: fmt.Sprintf("the line is longer than %d bytes", maxLine)}
		}
		for i, c := range line {
			switch c {
			case '[', '{':
				open++
			case ']', '}':
				open--
			}
			if open > maxNesting {
				return &Fault{Line: n, Column: i + 1, Text: fmt.Sprintf("more than %d brackets are open", maxNesting)}
			}
		}
	}
	return nil
}

// At is where the value at a path stands: strings are keys, ints are indices.
// A path that the file does not have gives the nearest one around it.
func (d *Document) At(path ...any) (line, column int) {
	for n := len(path); n >= 0; n-- {
		if p, ok := d.positions[pathKey(path[:n])]; ok {
			return p.line, p.column
		}
	}
	return 0, 0
}

// Fault is a fault at the value of a path, as At finds it.
func (d *Document) Fault(text string, path ...any) Fault {
	line, column := d.At(path...)
	return Fault{File: d.File, Line: line, Column: column, Text: text}
}

// Canonical is one line that is equal for files that say the same, however they
// are laid out or commented: JSON with sorted keys in which every scalar is
// text. It is nil for a file with faults.
func (d *Document) Canonical() []byte {
	if d.canonical == nil {
		return nil
	}
	b, err := json.Marshal(d.canonical)
	if err != nil {
		return nil // maps, slices and strings always marshal
	}
	return b
}

func canonical(n ast.Node) any {
	switch n := n.(type) {
	case *ast.MappingNode:
		m := make(map[string]any, len(n.Values))
		for _, v := range n.Values {
			m[scalarText(v.Key)] = canonical(v.Value)
		}
		return m
	case *ast.SequenceNode:
		s := make([]any, 0, len(n.Values))
		for _, v := range n.Values {
			s = append(s, canonical(v))
		}
		return s
	}
	return scalarText(n)
}

// scalarText is the text of a scalar as written, without quotes.
func scalarText(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	}
	if t := n.GetToken(); t != nil {
		return t.Value
	}
	return ""
}

func pathKey(path []any) string {
	var b strings.Builder
	for _, p := range path {
		b.WriteByte(0)
		switch p := p.(type) {
		case string:
			b.WriteString(p)
		case int:
			b.WriteString("#" + strconv.Itoa(p))
		}
	}
	return b.String()
}
