package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/chuanyu-exchange/hub/schemas"
)

// errShape says that a line is not a record of the exchange.
var errShape = errors.New("it is not a record of the exchange")

// parseRecord reads one line of an answer in one pass, because a consumer
// reads millions of them: the members of the envelope, and what of the
// record does not belong to a schema. The line is checked to be JSON first.
func parseRecord(line []byte) (Record, error) {
	var r Record
	if !json.Valid(line) {
		return r, errShape
	}
	err := eachMember(line, r.member)
	if err == nil && (r.EventID == "" || r.Version == 0 || len(r.Record) == 0 || r.Record[0] != '{') {
		err = errShape
	}
	return r, err
}

// member takes one member of the envelope.
func (r *Record) member(name, value []byte) (err error) {
	switch string(name) {
	case "event_id":
		r.EventID, err = plainText(value)
	case "operation":
		r.Operation, err = plainText(value)
	case "version":
		var n uint64
		n, err = strconv.ParseUint(string(value), 10, 32)
		r.Version = uint32(n)
	case "decision_time":
		var text string
		if text, err = plainText(value); err == nil {
			r.DecisionTime, err = time.Parse(time.RFC3339Nano, text)
		}
	case "warnings":
		err = json.Unmarshal(value, &r.Warnings)
	case "record":
		r.Record = value
	default:
		err = errShape
	}
	return err
}

// plainText is a JSON string without escapes, which is all that an envelope
// holds.
func plainText(value []byte) (string, error) {
	if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return "", errShape
	}
	return string(value[1 : len(value)-1]), nil
}

// fields is the names that a record's members may have, as a tree: objects
// within are gone into.
type fields map[string]fields

// fieldsOf is the tree of a schema's leaves.
func fieldsOf(s *schemas.Schema) fields {
	root := fields{}
	for i := range s.Leaves {
		root.add(s.Leaves[i].Path)
	}
	return root
}

// hold says whether every member of a record is one of the fields. The record
// is valid JSON.
func (f fields) hold(record []byte) bool {
	return eachMember(record, func(name, value []byte) error {
		inner, known := f[string(name)]
		if !known || value[0] == '{' && !inner.hold(value) || value[0] != '{' && value[0] != 'n' && len(inner) > 0 {
			return errShape
		}
		return nil
	}) == nil
}

// eachMember calls fn for each member of a JSON object with its name, without
// quotes and escapes as they stand, and its value. The object is valid JSON.
func eachMember(object []byte, fn func(name, value []byte) error) error {
	i := skipSpace(object, 0)
	if i >= len(object) || object[i] != '{' {
		return errShape
	}
	for i = skipSpace(object, i+1); object[i] != '}'; i = skipSpace(object, i) {
		end := skipValue(object, i)
		name := object[i+1 : end-1]
		i = skipSpace(object, end) // the colon
		i = skipSpace(object, i+1) // the value
		end = skipValue(object, i) // behind it
		if err := fn(name, object[i:end]); err != nil {
			return err
		}
		if i = skipSpace(object, end); object[i] == ',' {
			i++
		}
	}
	return nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns where the value that begins at i ends.
func skipValue(b []byte, i int) int {
	depth := 0
	for {
		switch b[i] {
		case '"':
			i = skipText(b, i)
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		i++
		if depth == 0 && (i >= len(b) || endsScalar(b[i]) || b[i-1] == '"' || b[i-1] == '}' || b[i-1] == ']') {
			return i
		}
	}
}

// skipText returns where the text that begins at i has its closing quote.
func skipText(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i
}

func endsScalar(c byte) bool {
	return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\t' || c == '\n' || c == '\r'
}
