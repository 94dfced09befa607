package xlsxfile

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"

	"github.com/chuanyu-exchange/hub/connectors/xmlstream"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// sheet reads the rows of a sheet, one at a time.
type sheet struct {
	book    *workbook
	limit   int // bytes of a row's XML
	strings *sharedStrings
	part    io.Closer
	xml     *xmlstream.Reader

	merges []merge // those that begin further down
	active []merge // those that reach into the current row

	row   int64 // from 1
	cells []cell
}

// open reads what stands apart from the rows, and goes to the first.
func (s *sheet) open(dir string) error {
	var err error
	if s.book.strings != nil {
		if s.strings, err = readStrings(s.book.strings, dir, s.limit); err != nil {
			return err
		}
	}
	if s.merges, err = readMerges(s.book.sheet); err != nil {
		return err
	}
	unpacked, err := s.book.sheet.Open()
	if err != nil {
		return unpackFault("the sheet", err)
	}
	s.part = unpacked
	s.xml = xmlstream.New(inZip{unpacked, "the sheet"}, s.limit)
	return nil
}

func (s *sheet) close() error {
	var errs []error
	if s.part != nil {
		errs = append(errs, s.part.Close())
		s.part = nil
	}
	if s.strings != nil {
		errs = append(errs, s.strings.close())
		s.strings = nil
	}
	return errors.Join(errs...)
}

// next reads the cells of the next row that the file has; io.EOF behind the
// last.
func (s *sheet) next() error {
	for {
		token, err := s.xml.Next()
		if err != nil {
			return err
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "row" {
			continue
		}
		s.xml.Begin()
		number := s.row + 1
		if text := attribute(start, "r"); text != "" {
			if number, err = strconv.ParseInt(text, 10, 64); err != nil || number <= s.row {
				return problem.New(problem.FileMalformed, "behind row %d: rows are not numbered in their order", s.row)
			}
		}
		s.row = number
		if err := s.readCells(); err != nil {
			return s.inRow(err)
		}
		s.xml.End()
		return nil
	}
}

// inRow names the row in a fault.
func (s *sheet) inRow(err error) error {
	if errors.Is(err, io.EOF) {
		return problem.New(problem.FileTruncated, "the sheet ends in row %d", s.row)
	}
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return problem.Wrap(p.Code, err, "row %d: %s", s.row, p.Detail)
	}
	return problem.Wrap(problem.FileMalformed, err, "row %d", s.row)
}

// readCells reads up to the end of the row.
func (s *sheet) readCells() error {
	s.cells = s.cells[:0]
	last := -1
	for {
		token, err := s.xml.Next()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.EndElement:
			if t.Name.Local == "row" {
				return nil
			}
		case xml.StartElement:
			if t.Name.Local != "c" {
				continue
			}
			c, err := newCell(t, last)
			if err == nil {
				err = s.readCell(&c)
			}
			if err != nil {
				return err
			}
			last = c.column
			s.cells = append(s.cells, c)
		}
	}
}

// newCell reads the attributes of a cell. Without a place it follows the last.
func newCell(start xml.StartElement, last int) (cell, error) {
	c := cell{column: last + 1, style: -1}
	for _, a := range start.Attr {
		switch a.Name.Local {
		case "r":
			var ok bool
			if c.column, _, ok = parseRef(a.Value); !ok || c.column <= last {
				return c, problem.New(problem.FileMalformed, "a cell's place is not one")
			}
		case "t":
			c.kind = a.Value
		case "s":
			c.style, _ = strconv.Atoi(a.Value) // what is none is no date
		}
	}
	if c.column >= mostColumns {
		return c, problem.New(problem.FileMalformed, "there are more than %d columns", mostColumns)
	}
	return c, nil
}

// readCell reads up to the end of the cell: <v>, <f>, or <is> with its texts.
func (s *sheet) readCell(c *cell) error {
	var parts textParts
	for {
		token, err := s.xml.Next()
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			parts.start(t.Name.Local)
			c.saved = c.saved || t.Name.Local == "v" || t.Name.Local == "is"
			c.made = c.made || t.Name.Local == "f"
		case xml.EndElement:
			if parts.end(t.Name.Local); t.Name.Local == "c" {
				return nil
			}
		case xml.CharData:
			if parts.inText {
				c.text += string(t)
			}
		}
	}
}

// enter takes up the merged ranges that reach into the current row. The first
// cell of a range gives its value to all of them.
func (s *sheet) enter() {
	kept := s.active[:0]
	for _, m := range s.active {
		if m.bottom >= s.row {
			kept = append(kept, m)
		}
	}
	s.active = kept
	for len(s.merges) > 0 && s.merges[0].top <= s.row {
		m := s.merges[0]
		s.merges = s.merges[1:]
		if m.bottom < s.row {
			continue
		}
		if m.top == s.row { // otherwise its first row is not in the file: it is empty
			if c := s.at(m.left); c != nil {
				m.value, m.err = s.show(c)
			}
		}
		s.active = append(s.active, m)
	}
}

func (s *sheet) at(column int) *cell {
	for i := range s.cells {
		if s.cells[i].column == column {
			return &s.cells[i]
		}
	}
	return nil
}

// merged is the range of merged cells that a cell of the current row belongs
// to and is not the first of.
func (s *sheet) merged(column int) *merge {
	for i := range s.active {
		m := &s.active[i]
		if column >= m.left && column <= m.right && (s.row > m.top || column > m.left) {
			return m
		}
	}
	return nil
}
