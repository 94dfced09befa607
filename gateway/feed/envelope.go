package feed

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/record"
)

// Form is how a record and its envelope are written.
type Form uint8

// The forms.
const (
	Objects Form = iota // JSON, one object a line
	Binary              // Avro; see Schema
	Rows                // CSV; see Columns
)

// appendEnvelope writes what stands before the fields of a record. Ids and
// codes are plain characters: ParseEnvelope lets no others through.
func (q *Query) appendEnvelope(dst []byte, e *record.Envelope) []byte {
	switch q.Form {
	case Binary:
		return q.appendBinary(dst, e)
	case Rows:
		return q.appendCells(dst, e)
	case Objects:
	}
	return q.appendMembers(dst, e)
}

// end writes what stands behind the fields.
func (q *Query) end(dst []byte) []byte {
	if q.Form == Objects {
		return append(dst, '}', '\n')
	}
	return dst // a row has its line end, and Avro needs none
}

func (q *Query) appendMembers(dst []byte, e *record.Envelope) []byte {
	dst = append(append(dst, `{"event_id":"`...), e.EventID...)
	dst = append(append(dst, `","operation":"`...), e.Operation...)
	dst = append(dst, `","version":`...)
	dst = strconv.AppendUint(dst, uint64(e.Version), 10)
	if !q.HideDecisionTime {
		dst = append(dst, `,"decision_time":`...)
		dst = e.DecisionTime.UTC().AppendFormat(dst, `"`+time.RFC3339Nano+`"`)
	}
	return append(q.appendWarnings(dst, e.Warnings), `,"record":`...)
}

// appendWarnings appends a member with the codes that may be told; none if
// there are none.
func (q *Query) appendWarnings(dst []byte, codes []string) []byte {
	before := len(dst)
	for _, code := range codes {
		switch {
		case !slices.Contains(q.Warnings, code):
			continue
		case len(dst) == before:
			dst = append(dst, `,"warnings":["`...)
		default:
			dst = append(dst[:len(dst)-1], `,"`...)
		}
		dst = append(append(dst, code...), `"]`...)
	}
	return dst
}

// appendCells writes the cells of a row before those of the record; see Columns.
func (q *Query) appendCells(dst []byte, e *record.Envelope) []byte {
	dst = append(append(dst, e.EventID...), ',')
	dst = append(append(dst, e.Operation...), ',')
	dst = append(strconv.AppendUint(dst, uint64(e.Version), 10), ',')
	if !q.HideDecisionTime {
		dst = append(e.DecisionTime.UTC().AppendFormat(dst, time.RFC3339Nano), ',')
	}
	first := true
	for _, code := range e.Warnings {
		if !slices.Contains(q.Warnings, code) {
			continue
		}
		if !first {
			dst = append(dst, ' ')
		}
		dst, first = append(dst, code...), false
	}
	return append(dst, ',')
}

// Columns is the first row of CSV, with its line end, of records with these
// columns of their own (schemas.View.Header). A field is called record.field,
// as in the JSON, so that no field of any schema has the name of another column.
//
//	event_id,operation,version,decision_time,warnings,record.low_price,…
func Columns(own []byte, hideDecisionTime bool) []byte {
	out := []byte("event_id,operation,version,decision_time,warnings")
	if hideDecisionTime {
		out = []byte("event_id,operation,version,warnings")
	}
	names := strings.TrimSuffix(string(own), "\r\n")
	if names == "" { // nothing of the record is released: its row is one empty cell
		return append(out, ",record\r\n"...)
	}
	for name := range strings.SplitSeq(names, ",") {
		out = append(append(out, ",record."...), name...)
	}
	return append(out, "\r\n"...)
}

// appendBinary writes the fields of Schema before the record.
func (q *Query) appendBinary(dst []byte, e *record.Envelope) []byte {
	dst = appendText(dst, e.EventID)
	dst = appendText(dst, string(e.Operation))
	dst = binary.AppendVarint(dst, int64(e.Version))
	if !q.HideDecisionTime {
		dst = binary.AppendVarint(dst, e.DecisionTime.UnixMicro())
	}
	for _, code := range e.Warnings {
		if slices.Contains(q.Warnings, code) {
			dst = appendText(binary.AppendVarint(dst, 1), code) // a block of one
		}
	}
	return append(dst, 0)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendVarint(dst, int64(len(s))), s...)
}

// Schema is the Avro schema of records around a schema of their own
// (schemas.View.Schema): the members that the JSON has.
func Schema(own []byte, hideDecisionTime bool) ([]byte, error) {
	type field struct {
		Name string `json:"name"`
		Type any    `json:"type"`
	}
	fields := []field{{"event_id", "string"}, {"operation", "string"}, {"version", "long"}}
	if !hideDecisionTime {
		fields = append(fields, field{"decision_time", map[string]string{"type": "long", "logicalType": "timestamp-micros"}})
	}
	fields = append(fields, field{"warnings", map[string]string{"type": "array", "items": "string"}}, field{"record", json.RawMessage(own)})
	return json.Marshal(struct {
		Type   string  `json:"type"`
		Name   string  `json:"name"`
		Fields []field `json:"fields"`
	}{"record", "Released", fields})
}
