package xlsxfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// reader reads the rows below the header.
type reader struct {
	sheet
	names  []string // of the columns, by their place in the sheet
	index  []int    // place of each wanted column
	byCell []int    // place in the sheet → wanted column, -1
	values []string
	number int64
}

// header reads the row that names the columns, and finds the wanted ones in it.
func (r *reader) header(at int, columns []string) error {
	if err := r.readNames(at); err != nil {
		return err
	}
	return r.find(columns)
}

// readNames goes to the row that names the columns: the one that is configured,
// or the first with a text.
func (r *reader) readNames(at int) error {
	for {
		err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return problem.New(problem.FileEmpty, "the sheet has no row that names the columns")
		case err != nil:
			return err
		}
		r.enter()
		if at > 0 && r.row < int64(at) {
			continue
		}
		names, err := r.texts()
		if err != nil {
			return err
		}
		if at > 0 || slices.ContainsFunc(names, func(s string) bool { return s != "" }) {
			r.names = names
			return nil
		}
	}
}

func (r *reader) find(columns []string) error {
	var missing []string
	for _, c := range columns {
		i := slices.Index(r.names, c)
		if i < 0 {
			missing = append(missing, c)
		}
		r.index = append(r.index, i)
	}
	if len(missing) > 0 {
		return problem.New(problem.ColumnMissing, "missing: %s; row %d names: %s; if another row names the columns, set headerRow",
			strings.Join(missing, ", "), r.row, clip(strings.Join(r.names, ", ")))
	}
	r.byCell = slices.Repeat([]int{-1}, len(r.names))
	for wanted, i := range r.index {
		r.byCell[i] = wanted
	}
	r.values = make([]string, len(columns))
	return nil
}

// texts is what the current row shows, as the names of columns: without the
// line breaks that make them fit.
func (r *reader) texts() ([]string, error) {
	var out []string
	for i := range r.cells {
		c := &r.cells[i]
		text, err := r.show(c)
		if p, ok := errors.AsType[*problem.Problem](err); ok {
			return nil, p
		}
		for len(out) < c.column {
			out = append(out, "")
		}
		out = append(out, strings.TrimSpace(strings.NewReplacer("\r", "", "\n", "").Replace(text)))
	}
	return out, nil
}

// Next returns the next row that is not empty.
func (r *reader) Next() (source.Row, error) {
	for {
		if err := r.next(); err != nil {
			return source.Row{Number: r.number}, err
		}
		r.enter()
		if r.blank() {
			continue
		}
		r.number++
		row := source.Row{Number: r.number, Line: r.row, Cells: r.values}
		var err error
		row.Fault, err = r.take()
		return row, err
	}
}

// blank says that no cell of the row has a text.
func (r *reader) blank() bool {
	for i := range r.cells {
		if text, err := r.show(&r.cells[i]); err != nil || strings.TrimSpace(text) != "" {
			return false
		}
	}
	return true
}

// take fills the values of the wanted columns. What a cell holds that is not
// carried is the row's fault; a *problem.Problem is the file's.
func (r *reader) take() (fault *problem.Problem, err error) {
	clear(r.values)
	set := func(wanted, column int, text string, err error) error {
		if err == nil {
			r.values[wanted] = text
			return nil
		}
		if p, ok := errors.AsType[*problem.Problem](err); ok {
			return problem.Wrap(p.Code, err, "row %d: %s", r.row, p.Detail)
		}
		if fault == nil {
			fault = problem.New(problem.RowMalformed, "cell %s (%s) %v", place(column, r.row), r.names[column], err)
		}
		return nil
	}
	for i := range r.cells {
		c := &r.cells[i]
		if c.column >= len(r.byCell) || r.byCell[c.column] < 0 {
			continue
		}
		text, shown := r.show(c)
		if err := set(r.byCell[c.column], c.column, text, shown); err != nil {
			return nil, err
		}
	}
	if len(r.active) > 0 {
		for wanted, column := range r.index {
			if m := r.merged(column); m != nil {
				if err := set(wanted, column, m.value, m.err); err != nil {
					return nil, err
				}
			}
		}
	}
	return fault, nil
}

// place is a cell's name: "AB12".
func place(column int, row int64) string {
	var letters []byte
	for n := column + 1; n > 0; n = (n - 1) / 26 {
		letters = append(letters, byte('A'+(n-1)%26))
	}
	slices.Reverse(letters)
	return string(letters) + strconv.FormatInt(row, 10)
}

// Raw is the header and the current row as CSV, all of it: the file itself
// would show numbers of strings.
func (r *reader) Raw() []byte {
	row := make([]string, max(len(r.names), 1))
	for column := range row {
		if m := r.merged(column); m != nil {
			row[column] = m.value
		}
	}
	for i := range r.cells {
		c := &r.cells[i]
		for c.column >= len(row) {
			row = append(row, "")
		}
		text, err := r.show(c)
		if err != nil {
			text = c.text // the place that the fault names
		}
		if text != "" {
			row[c.column] = text
		}
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.WriteAll([][]string{r.names, row}) // into memory
	return b.Bytes()
}

// Close lets go of the workbook's parts.
func (r *reader) Close() error { return r.close() }
