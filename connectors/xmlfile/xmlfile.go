package xmlfile

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"

	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/connectors/xmlstream"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// ItemSeparator parts the items of a repeated element within one cell.
const ItemSeparator = "\x1f"

// Config is the plug-in: what a connector's configuration says of an XML
// source.
type Config struct {
	dropdir.Config
	Row         string           `yaml:"row"`                  // path of the row elements from the root, e.g. /data/record
	Encoding    dropdir.Encoding `yaml:"encoding,optional"`    // default auto: the declaration's, else told from the bytes
	MaxRowBytes int              `yaml:"maxRowBytes,optional"` // default 1 MiB
}

// Open returns the source; its rows hold the given columns in that order.
func (c Config) Open(columns []string) (*dropdir.Source, error) {
	c.Match = cmp.Or(c.Match, "*.xml")
	if _, err := c.path(); err != nil {
		return nil, err
	}
	return dropdir.New(c.Config, func(file io.Reader) (source.Reader, error) { return c.Read(file, columns) })
}

// path is the names of the elements from the root to a row.
func (c Config) path() ([]string, error) {
	names := strings.Split(strings.Trim(c.Row, "/"), "/")
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "@*[]: ") {
			return nil, problem.New(problem.ConfigInvalid, "source: row %q is not a path of element names from the root, as /data/record is", c.Row)
		}
	}
	return names, nil
}

// Read reads one file, wherever it lies, up to its first row.
func (c Config) Read(file io.Reader, columns []string) (source.Reader, error) {
	path, err := c.path()
	if err != nil {
		return nil, err
	}
	text, err := decode(file, c.Encoding)
	if err != nil {
		return nil, err
	}
	r := &reader{
		xml: xmlstream.New(text, cmp.Or(c.MaxRowBytes, 1<<20)), path: path, columns: map[string]int{},
		cells: make([]string, len(columns)), texts: make([]strings.Builder, len(columns)), seen: make([]bool, len(columns)),
	}
	for i, column := range columns {
		r.columns[column] = i
	}
	if r.root, err = r.find(); err != nil {
		switch {
		case errors.Is(err, io.EOF):
			return nil, problem.New(problem.FileEmpty, "no element lies at %s; the root element is %s", c.Row, clip(r.outermost))
		case problem.CodeOf(err) == problem.RowTooLong:
			return nil, problem.New(problem.FileMalformed, "no element lies at %s as far as was read, up to line %d; the root element is %s", c.Row, r.xml.Line(), clip(r.outermost))
		}
		return nil, err
	}
	return r, nil
}

// declaration is the encoding in an XML declaration.
var declaration = regexp.MustCompile(`^\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']`)

// decode returns the text as UTF-8. What the connector's configuration says of
// the encoding counts more than the declaration.
func decode(file io.Reader, configured dropdir.Encoding) (io.Reader, error) {
	const declared = 1024 // bytes in which a declaration ends
	head := bufio.NewReaderSize(file, 64<<10)
	if configured == "" || configured == dropdir.Auto {
		begin, err := head.Peek(declared)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, problem.Wrap(problem.FileUnreadable, err, "at its beginning")
		}
		if bytes.HasPrefix(begin, []byte{0xff, 0xfe}) || bytes.HasPrefix(begin, []byte{0xfe, 0xff}) {
			return nil, problem.New(problem.FileEncoding, "it is utf-16: export it as utf-8 or gb18030")
		}
		if m := declaration.FindSubmatch(bytes.TrimPrefix(begin, []byte("\xef\xbb\xbf"))); m != nil {
			switch strings.ToLower(string(m[1])) {
			case "utf-8", "utf8":
				configured = dropdir.UTF8
			case "gb18030", "gbk", "gb2312", "gb_2312-80", "cp936":
				configured = dropdir.GB18030
			default:
				return nil, problem.New(problem.FileEncoding, "it declares %s: utf-8 and gb18030 are read", m[1])
			}
		}
	}
	return dropdir.Decode(head, configured)
}

// clip keeps a name that is not one from filling the log.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// reader reads the rows of one file.
type reader struct {
	xml       *xmlstream.Reader
	path      []string
	outermost string // name of the root element
	matched   int    // how many of the open elements are those of path
	root      *xml.StartElement

	columns map[string]int
	cells   []string
	texts   []strings.Builder
	seen    []bool
	number  int64
	at      []byte // path of the open element below the row
	lengths []int  // of at, at each of its elements
	fault   string // first column that does so
}

// find goes to the start of the next row. It returns io.EOF when the root
// element ended.
func (r *reader) find() (*xml.StartElement, error) {
	for {
		token, err := r.xml.Next()
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			depth := r.xml.Depth()
			if depth == 1 {
				r.outermost = t.Name.Local
			}
			if depth != r.matched+1 || depth > len(r.path) || t.Name.Local != r.path[depth-1] {
				continue
			}
			if r.matched++; r.matched == len(r.path) {
				r.xml.Begin()
				return &t, nil
			}
		case xml.EndElement:
			r.matched = min(r.matched, r.xml.Depth())
		}
	}
}

// Next reads the next row: the first was found by Read.
func (r *reader) Next() (source.Row, error) {
	row := source.Row{Number: r.number + 1, Cells: r.cells}
	start := r.root
	r.root = nil
	if start == nil {
		var err error
		if start, err = r.find(); err != nil {
			return row, err
		}
	}
	r.number++
	row.Line = r.xml.Line()
	if err := r.take(start); err != nil {
		return row, err
	}
	r.matched = len(r.path) - 1
	for i := range r.texts {
		r.cells[i] = r.texts[i].String()
	}
	if r.fault != "" {
		row.Fault = problem.New(problem.RowMalformed, "line %d: %s holds elements, not text", row.Line, r.fault)
	}
	return row, nil
}

// take reads the inside of a row.
func (r *reader) take(start *xml.StartElement) error {
	for i := range r.texts {
		r.texts[i].Reset()
	}
	clear(r.seen)
	r.at, r.lengths, r.fault = r.at[:0], r.lengths[:0], ""
	r.attributes(start)
	column := -1 // that the open element is
	for {
		token, err := r.xml.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = problem.New(problem.FileTruncated, "line %d: a row is not closed", r.xml.Line())
			}
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if column >= 0 && r.fault == "" {
				r.fault = string(r.at)
			}
			column = r.open(&t)
		case xml.EndElement:
			if len(r.lengths) == 0 {
				r.xml.End()
				return nil
			}
			r.at = r.at[:r.lengths[len(r.lengths)-1]]
			r.lengths = r.lengths[:len(r.lengths)-1]
			column = -1
		case xml.CharData:
			if column >= 0 {
				r.texts[column].Write(t)
			}
		}
	}
}

// open enters an element below the row and returns the column that it is, or -1.
func (r *reader) open(t *xml.StartElement) int {
	r.lengths = append(r.lengths, len(r.at))
	if len(r.at) > 0 {
		r.at = append(r.at, '/')
	}
	r.at = append(r.at, t.Name.Local...)
	r.attributes(t)
	column, wanted := r.columns[string(r.at)]
	if !wanted {
		return -1
	}
	r.again(column)
	return column
}

// attributes fills the columns that are attributes of the open element.
func (r *reader) attributes(t *xml.StartElement) {
	for _, a := range t.Attr {
		length := len(r.at)
		if length > 0 {
			r.at = append(r.at, '/')
		}
		r.at = append(append(r.at, '@'), a.Name.Local...)
		if column, wanted := r.columns[string(r.at)]; wanted {
			r.again(column)
			r.texts[column].WriteString(a.Value)
		}
		r.at = r.at[:length]
	}
}

// again parts a repeated column from what came before.
func (r *reader) again(column int) {
	if r.seen[column] {
		r.texts[column].WriteString(ItemSeparator)
	}
	r.seen[column] = true
}

// Raw is the current row as it stands in the file.
func (r *reader) Raw() []byte { return r.xml.Raw() }

func (r *reader) Close() error { return nil }
