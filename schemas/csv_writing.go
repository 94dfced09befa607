package schemas

import (
	"bytes"
	"slices"

	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// csvWriting compiles for CSV: each column is the value's JSON, made into a
// cell. Records that are neither repeated nor optional lie flat in the row.
type csvWriting struct {
	jsonWriting
	view *View
}

// row makes the columns of a record whose parts are compiled for JSON.
func (w *csvWriting) row(root *part) *part {
	out := w.flatten(root, "")
	out.literal = "\r\n"
	return out
}

// flatten leaves the parts as they are, because a record that contains itself
// still needs them.
func (w *csvWriting) flatten(p *part, path string) *part {
	out := *p
	out.steps, out.literal = slices.Clone(p.steps), ""
	for _, s := range out.written() {
		column := joinPath(path, p.record.Fields[s.reader].Name)
		inner := s.part
		switch {
		case inner.null != noNull || p.record.Fields[s.reader].Type.Kind == avro.Union: // the reader may see null, whatever the writer has
			s.part = w.column(s, column)
		case inner.record != nil:
			s.name, s.part = "", w.flatten(inner, column)
		case inner.items != nil && inner.items.null == noNull && inner.items.record != nil && (inner.value != nil || inner.sealed):
			wrap := *inner // a default, or a sealed block
			wrap.items = w.flatten(inner.items, column)
			s.name, s.part = "", &wrap
		default:
			s.part = w.column(s, column)
		}
	}
	return &out
}

func (w *csvWriting) column(s *step, name string) *part {
	if s.name = ","; len(w.view.columns) == 0 {
		s.name = ""
	}
	w.view.columns = append(w.view.columns, name)
	return &part{render: renderCell, null: noNull, path: name, items: s.part}
}

// renderCell makes a value's JSON into a cell.
func renderCell(r *Run, dst []byte, p *part) []byte {
	r.cell = r.value(r.cell[:0], p.items)
	if r.err != nil {
		return dst
	}
	return appendCell(dst, r.cell)
}

// appendCell writes a JSON value as a cell of CSV (RFC 4180).
func appendCell(dst, doc []byte) []byte {
	switch {
	case string(doc) == "null":
		return dst
	case string(doc) == `""`:
		return append(dst, doc...) // other than null
	case doc[0] == '"':
		return appendQuotedCell(dst, doc[1:len(doc)-1], true)
	}
	return appendQuotedCell(dst, doc, false)
}

// appendQuotedCell writes a cell, in quotes if it needs them. escaped says that
// it is the inside of a JSON string as appendEscaped writes it.
func appendQuotedCell(dst, s []byte, escaped bool) []byte {
	quote := bytes.ContainsAny(s, "\",\\")
	if quote {
		dst = append(dst, '"')
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if escaped && c == '\\' {
			c, i = unescape(s, i)
		}
		if c == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, c)
	}
	if quote {
		dst = append(dst, '"')
	}
	return dst
}

// unescape reads one escape of appendEscape, and says where its last byte is.
func unescape(s []byte, i int) (c byte, last int) {
	switch s[i+1] {
	case 'n':
		return '\n', i + 1
	case 'r':
		return '\r', i + 1
	case 't':
		return '\t', i + 1
	case 'u': // \u00XX
		return unhex(s[i+4])<<4 | unhex(s[i+5]), i + 5
	}
	return s[i+1], i + 1
}

func unhex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
