package csvfile

import (
	"cmp"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Config is the plug-in: what a connector's configuration says of a CSV
// source.
type Config struct {
	dropdir.Config
	Encoding    dropdir.Encoding `yaml:"encoding,optional"`    // default auto
	Comma       string           `yaml:"comma,optional"`       // default ","
	MaxRowBytes int              `yaml:"maxRowBytes,optional"` // default 1 MiB
}

// Open returns the source; its rows hold the given columns in that order.
func (c Config) Open(columns []string) (*dropdir.Source, error) {
	c.Match = cmp.Or(c.Match, "*.csv")
	if _, err := c.comma(); err != nil {
		return nil, err
	}
	return dropdir.New(c.Config, func(file io.Reader) (source.Reader, error) { return c.Read(file, columns) })
}

func (c Config) comma() (rune, error) {
	text := cmp.Or(c.Comma, ",")
	comma, size := utf8.DecodeRuneInString(text)
	if size != len(text) {
		return 0, problem.New(problem.ConfigInvalid, "source: comma must be one character")
	}
	return comma, nil
}

// reader reads the rows of one file.
type reader struct {
	csv    *csv.Reader
	guard  *guard
	header []string
	index  []int // column of each wanted one
	cells  []string
	number int64
}

// Read reads the header of one file, wherever it lies, and checks that the
// wanted columns are there.
func (c Config) Read(file io.Reader, columns []string) (source.Reader, error) {
	comma, err := c.comma()
	if err != nil {
		return nil, err
	}
	text, err := dropdir.Decode(file, c.Encoding)
	if err != nil {
		return nil, err
	}
	r := &reader{guard: &guard{r: text, limit: int64(cmp.Or(c.MaxRowBytes, 1<<20))}}
	r.csv = csv.NewReader(r.guard)
	r.csv.Comma = comma
	r.csv.ReuseRecord = true
	r.csv.FieldsPerRecord = -1 // told by Next, with a better sentence
	header, err := r.csv.Read()
	if err != nil {
		return nil, r.broken(err)
	}
	r.guard.rowEnds(r.csv.InputOffset())
	for _, h := range header {
		r.header = append(r.header, strings.TrimSpace(h))
	}
	var missing []string
	for _, c := range columns {
		i := slices.Index(r.header, c)
		if i < 0 {
			missing = append(missing, c)
		}
		r.index = append(r.index, i)
	}
	if len(missing) > 0 {
		return nil, problem.New(problem.ColumnMissing, "missing: %s; the file's columns are: %s",
			strings.Join(missing, ", "), clip(strings.Join(r.header, ", ")))
	}
	r.cells = make([]string, len(columns))
	return r, nil
}

// clip keeps a header that is not one from filling the log.
func clip(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func (r *reader) Next() (source.Row, error) {
	r.number++
	record, err := r.csv.Read()
	r.guard.rowEnds(r.csv.InputOffset())
	row := source.Row{Number: r.number, Cells: r.cells}
	if err != nil {
		fault, ok := errors.AsType[*csv.ParseError](err)
		if !ok || r.guard.tooLong {
			return row, r.broken(err)
		}
		row.Line = int64(fault.StartLine)
		row.Fault = problem.New(problem.RowMalformed, "line %d, column %d: %v", fault.Line, fault.Column, fault.Err)
		return row, nil
	}
	line, _ := r.csv.FieldPos(0)
	row.Line = int64(line)
	if len(record) != len(r.header) {
		row.Fault = problem.New(problem.RowMalformed, "line %d: %d columns, the header has %d", line, len(record), len(r.header))
		return row, nil
	}
	for i, at := range r.index {
		r.cells[i] = record[at]
	}
	return row, nil
}

// broken tells why a file cannot be read further.
func (r *reader) broken(err error) error {
	switch {
	case r.guard.tooLong:
		return problem.New(problem.RowTooLong, "row %d begins at byte %d and is longer than %d bytes", r.number, r.guard.start, r.guard.limit)
	case errors.Is(err, io.EOF) && r.number > 0:
		return io.EOF
	case errors.Is(err, io.EOF):
		return problem.New(problem.FileEmpty, "")
	}
	if fault, ok := errors.AsType[*csv.ParseError](err); ok {
		return problem.New(problem.FileMalformed, "line %d: %v", fault.Line, fault.Err)
	}
	return problem.Wrap(problem.FileUnreadable, err, "row %d", r.number)
}

// Raw is the header and the current row, as they stand in the file.
func (r *reader) Raw() []byte {
	header := strings.Join(r.header, string(r.csv.Comma)) + "\n"
	return append([]byte(header), r.guard.row()...)
}

func (r *reader) Close() error { return nil }

// guard stands between the file and encoding/csv. It keeps the text of the
// current row for quarantine, and ends the file when one row passes the limit:
// encoding/csv would otherwise take an endless line or an unclosed quote into
// memory whole.
type guard struct {
	r       io.Reader
	limit   int64
	window  []byte // the file's text from base on
	base    int64
	start   int64 // of the current row
	end     int64 // of the current row; behind it csv has only read ahead
	tooLong bool
}

// slack is how far encoding/csv may read ahead of a row.
const slack = 64 << 10

func (g *guard) rowEnds(offset int64) {
	g.start, g.end = g.end, offset
	if drop := g.start - g.base; drop > 4*slack {
		g.window = append(g.window[:0], g.window[drop:]...)
		g.base = g.start
	}
}

func (g *guard) row() []byte { return g.window[g.start-g.base : g.end-g.base] }

func (g *guard) Read(p []byte) (int, error) {
	if g.base+int64(len(g.window))-g.end > g.limit+slack {
		g.tooLong = true
		return 0, io.ErrUnexpectedEOF
	}
	n, err := g.r.Read(p[:min(len(p), slack)])
	g.window = append(g.window, p[:n]...)
	return n, err
}
