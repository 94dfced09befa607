package client

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/container"
)

// check holds an answer in Avro or CSV against its receipt: every record can be
// read, there are as many as it says, and their fields are those of the schemas
// that it names. The records themselves stay as they are.
func (c *Client) check(p *Page, format Format) error {
	known, names, err := c.known(p.Receipt)
	if err != nil {
		return err
	}
	n, err := count(p.Body, format, func(of fields) bool {
		return len(known) == 0 || slices.ContainsFunc(known, func(f fields) bool { return f.cover(of) })
	})
	switch {
	case errors.Is(err, errFields):
		return problem.New(problem.AnswerInvalid, "its fields are not those of %s", strings.Join(names, ", "))
	case err != nil:
		return problem.Wrap(problem.AnswerInvalid, err, "record %d cannot be read", n+1)
	}
	return counted(n, p.Receipt)
}

var errFields = errors.New("the fields are not those of the schema")

// count reads an answer to its end. may is asked about the fields that its
// header announces; nil: any.
func count(body []byte, format Format, may func(fields) bool) (int64, error) {
	switch {
	case format == Avro:
		return countAvro(body, may)
	case format == CSV:
		return countCSV(body, may)
	case len(body) == 0:
		return 0, nil
	}
	return max(1, int64(bytes.Count(body, []byte("\n")))), nil
}

func countAvro(body []byte, may func(fields) bool) (n int64, err error) {
	r, err := container.NewReader(bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	i := slices.IndexFunc(r.Type().Fields, func(f avro.Field) bool { return f.Name == "record" })
	if i < 0 {
		return 0, errFields
	}
	if may != nil && !may(fieldsOfType(r.Type().Fields[i].Type, 0)) {
		return 0, errFields
	}
	for {
		switch _, err := r.Next(); {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
		n++
	}
}

// fieldsOfType is the tree of the names in a type; lists, maps and unions add
// nothing to it.
func fieldsOfType(t *avro.Type, depth int) fields {
	out := fields{}
	if depth > maxFieldDepth {
		return out
	}
	switch t.Kind {
	case avro.Record:
		for i := range t.Fields {
			out[t.Fields[i].Name] = fieldsOfType(t.Fields[i].Type, depth+1)
		}
	case avro.Array:
		return fieldsOfType(t.Items, depth+1)
	case avro.Map:
		return fieldsOfType(t.Values, depth+1)
	case avro.Union:
		for _, branch := range t.Branches {
			maps.Copy(out, fieldsOfType(branch, depth+1))
		}
	}
	return out
}

// maxFieldDepth bounds records that contain themselves, which no schema of the
// exchange does.
const maxFieldDepth = 16

func countCSV(body []byte, may func(fields) bool) (n int64, err error) {
	r := csv.NewReader(bytes.NewReader(body))
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return 0, err
	}
	of := fields{}
	for _, column := range head {
		if name, ok := strings.CutPrefix(column, "record."); ok {
			of.add(name)
		}
	}
	if may != nil && !may(of) {
		return 0, errFields
	}
	for {
		switch _, err := r.Read(); {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
		n++
	}
}

// add enters a path.
func (f fields) add(path string) {
	at := f
	for name := range strings.SplitSeq(path, ".") {
		if at[name] == nil {
			at[name] = fields{}
		}
		at = at[name]
	}
}

// cover says whether every name of the other tree is in this one.
func (f fields) cover(other fields) bool {
	for name, inner := range other {
		own, known := f[name]
		if !known || !own.cover(inner) {
			return false
		}
	}
	return true
}
