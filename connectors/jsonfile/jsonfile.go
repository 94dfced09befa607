package jsonfile

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// ItemSeparator parts the items of an array within one cell.
const ItemSeparator = "\x1f"

// Config is the plug-in: what a connector's configuration says of a JSON
// source.
type Config struct {
	dropdir.Config
	Encoding    dropdir.Encoding `yaml:"encoding,optional"`    // default auto
	MaxRowBytes int              `yaml:"maxRowBytes,optional"` // default 1 MiB
}

// Open returns the source; its rows hold the given columns in that order.
func (c Config) Open(columns []string) (*dropdir.Source, error) {
	c.Match = cmp.Or(c.Match, "*.json*") // .json, .jsonl
	return dropdir.New(c.Config, func(file io.Reader) (source.Reader, error) { return c.Read(file, columns) })
}

// Read tells by the first character whether a file, wherever it lies, is an
// array or lines.
func (c Config) Read(file io.Reader, columns []string) (source.Reader, error) {
	text, err := dropdir.Decode(file, c.Encoding)
	if err != nil {
		return nil, err
	}
	r := rows{columns: columns, cells: make([]string, len(columns)), limit: cmp.Or(c.MaxRowBytes, 1<<20)}
	buffered := bufio.NewReaderSize(text, 64<<10)
	first, err := firstByte(buffered)
	switch {
	case errors.Is(err, io.EOF):
		return nil, problem.New(problem.FileEmpty, "")
	case err != nil:
		return nil, problem.Wrap(problem.FileUnreadable, err, "at its beginning")
	case first != '[':
		return &lines{rows: r, text: buffered}, nil
	}
	a := &array{rows: r, meter: &meter{r: buffered, limit: int64(r.limit)}}
	a.decoder = json.NewDecoder(a.meter)
	if _, err := a.decoder.Token(); err != nil {
		return nil, problem.Wrap(problem.FileMalformed, err, "at its beginning")
	}
	if !a.decoder.More() {
		return nil, problem.New(problem.FileEmpty, "the array has no items")
	}
	return a, nil
}

// firstByte peeks at the first byte that is not white space.
func firstByte(r *bufio.Reader) (byte, error) {
	for {
		c, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, r.UnreadByte()
		}
	}
}

// rows is what both forms share: taking one object apart.
type rows struct {
	columns []string
	cells   []string
	limit   int
	number  int64
	raw     []byte
}

func (r *rows) Raw() []byte  { return r.raw }
func (r *rows) Close() error { return nil }

// row takes the object in raw apart.
func (r *rows) row(line int64) source.Row {
	row := source.Row{Number: r.number, Line: line, Cells: r.cells}
	d := json.NewDecoder(bytes.NewReader(r.raw))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil || object == nil {
		row.Fault = problem.New(problem.RowMalformed, "row %d is not a JSON object%s", r.number, place(err))
		return row
	}
	for i, column := range r.columns {
		text, ok := cell(find(object, column))
		if !ok {
			row.Fault = problem.New(problem.RowMalformed, "row %d: %s is neither a scalar nor a list of scalars", r.number, column)
			return row
		}
		r.cells[i] = text
	}
	return row
}

// place is where a syntax error lies, without the text around it.
func place(err error) string {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf(": at byte %d of it", e.Offset)
	}
	return ""
}

func find(object map[string]any, path string) any {
	if v, ok := object[path]; ok {
		return v
	}
	head, rest, nested := strings.Cut(path, ".")
	if inner, ok := object[head].(map[string]any); ok && nested {
		return find(inner, rest)
	}
	return nil
}

func cell(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	case []any:
		items := make([]string, len(v))
		for i := range v {
			if _, nested := v[i].([]any); nested {
				return "", false
			}
			text, ok := cell(v[i])
			if !ok {
				return "", false
			}
			items[i] = text
		}
		return strings.Join(items, ItemSeparator), true
	}
	return "", false
}

// lines reads one object a line.
type lines struct {
	rows
	text *bufio.Reader
	line int64
}

func (l *lines) Next() (source.Row, error) {
	for {
		whole, err := l.readLine()
		switch {
		case errors.Is(err, io.EOF) && len(l.raw) == 0:
			return source.Row{}, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return source.Row{}, err
		}
		if len(bytes.TrimSpace(l.raw)) == 0 {
			continue
		}
		l.number++
		row := l.row(l.line)
		if row.Fault != nil && !whole {
			return row, problem.New(problem.FileTruncated, "line %d", l.line)
		}
		return row, nil
	}
}

// readLine puts a line into raw and says whether it had an end.
func (l *lines) readLine() (whole bool, err error) {
	l.raw = l.raw[:0]
	l.line++
	for {
		part, err := l.text.ReadSlice('\n')
		l.raw = append(l.raw, part...)
		switch {
		case len(l.raw) > l.limit:
			return false, problem.New(problem.RowTooLong, "line %d is longer than %d bytes", l.line, l.limit)
		case err == nil:
			return true, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return false, err
		default:
			return false, problem.Wrap(problem.FileUnreadable, err, "line %d", l.line)
		}
	}
}

// array reads the items of one array.
type array struct {
	rows
	meter   *meter
	decoder *json.Decoder
}

func (a *array) Next() (source.Row, error) {
	if !a.decoder.More() {
		// Either "]" follows, or the file breaks off or is broken.
		if _, err := a.decoder.Token(); err != nil {
			return source.Row{}, a.broken(err)
		}
		return source.Row{}, io.EOF
	}
	var raw json.RawMessage
	if err := a.decoder.Decode(&raw); err != nil {
		return source.Row{}, a.broken(err)
	}
	a.number++
	a.meter.rowEnds(a.decoder.InputOffset())
	a.raw = raw
	return a.row(0), nil
}

func (a *array) broken(err error) error {
	at := a.decoder.InputOffset()
	switch {
	case a.meter.tooLong:
		return problem.New(problem.RowTooLong, "item %d, at byte %d, is longer than %d bytes", a.number+1, at, a.limit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return problem.New(problem.FileTruncated, "behind item %d, at byte %d", a.number, at)
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return problem.New(problem.FileMalformed, "item %d, at byte %d", a.number+1, e.Offset)
	}
	return problem.Wrap(problem.FileUnreadable, err, "item %d", a.number+1)
}

// meter ends the file when one item passes the limit: encoding/json would
// otherwise take it into memory whole.
type meter struct {
	r       io.Reader
	limit   int64
	read    int64
	end     int64 // of the last item
	tooLong bool
}

func (m *meter) rowEnds(offset int64) { m.end = offset }

func (m *meter) Read(p []byte) (int, error) {
	const slack = 64 << 10
	if m.read-m.end > m.limit+slack {
		m.tooLong = true
		return 0, io.ErrUnexpectedEOF
	}
	n, err := m.r.Read(p[:min(len(p), slack)])
	m.read += int64(n)
	return n, err
}
