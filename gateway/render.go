package gateway

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/chuanyu-exchange/hub/gateway/feed"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/container"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// The media types of an answer.
const (
	NDJSON = "application/x-ndjson"
	JSON   = "application/json"
	// Avro is an object container file whose records are feed.Schema.
	Avro = "application/avro"
	// CSV begins with a row of names, feed.Columns.
	CSV = "text/csv; charset=utf-8"
)

// format is what a View renders, and how an envelope is written around it.
type format struct {
	fields schemas.Format
	form   feed.Form
}

// formats are those of each media type.
var formats = map[string]format{
	NDJSON: {schemas.JSON, feed.Objects}, JSON: {schemas.JSON, feed.Objects}, Avro: {schemas.Avro, feed.Binary}, CSV: {schemas.CSV, feed.Rows},
}

// Latest is the Request.Version of the newest schema version.
const Latest = "latest"

// shape is how the records of one answer are written, whoever wrote them.
type shape struct {
	format
	reader *schemas.Schema
	view   *schemas.View // of records that are written in the reader's schema
}

// form finds the shape of the answer: its format, and the version of the
// product's schema that its records are resolved into, the newest if the caller
// names none. What could not be answered in it is refused before anything is
// read.
func (x *exchange) form() error {
	of, ok := formats[x.req.Format]
	if !ok {
		return problem.New(problem.FormatUnavailable, "")
	}
	written, err := x.versions()
	if err != nil {
		return err
	}
	reader, err := x.asked(written)
	if err != nil {
		return err
	}
	x.shape = shape{format: of, reader: reader}
	if x.shape.view, err = x.view(reader); err != nil && reader.Name == x.product.Schema {
		return problem.New(problem.PolicyUnevaluable, "%v", err)
	}
	if x.req.Version == "" { // a record that does not resolve into the newest is withheld
		return nil
	}
	for _, writer := range written {
		if _, err := x.view(writer); err != nil {
			return problem.New(problem.VersionIncompatible, "%s as %s: %v", writer.Name, reader.Name, err)
		}
	}
	return nil
}

// asked is the version that the caller names, the newest if it names none.
func (x *exchange) asked(of []*schemas.Schema) (*schemas.Schema, error) {
	if x.req.Version == "" || x.req.Version == Latest {
		return of[len(of)-1], nil
	}
	n, err := strconv.Atoi(x.req.Version)
	if err != nil || n < 1 || n > len(of) {
		return nil, problem.New(problem.VersionUnknown, "%s has the versions 1 to %d", x.product.ID, len(of))
	}
	return of[n-1], nil
}

// versions are the published versions of the product's schema, oldest first, up
// to the one that its connectors write.
func (x *exchange) versions() ([]*schemas.Schema, error) {
	names := []string{x.product.Schema}
	if x.Versions != nil {
		names = x.Versions(x.product.Schema)
	}
	var out []*schemas.Schema
	for _, name := range names {
		s, ok := x.snap.Schemas.Schema(name)
		if !ok {
			return nil, problem.New(problem.SchemaUnknown, "%s", name)
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, problem.New(problem.SchemaUnknown, "%s", x.product.Schema)
	}
	return out, nil
}

// view is the View of records of a writer, in the answer's shape. Obligations
// for fields that the reader does not have are met by leaving them out.
func (x *exchange) view(writer *schemas.Schema) (*schemas.View, error) {
	of := x.scope()
	spec := schemas.ViewSpec{Writer: writer, Reader: x.shape.reader, Obligations: of.obligations, Format: x.shape.fields}
	if x.shape.reader.Name == x.product.Schema {
		spec.Predicate = of.rows
	} else {
		spec.Obligations = within(x.shape.reader, of.obligations)
	}
	return x.views.get(spec, of.canonical())
}

func within(s *schemas.Schema, all redact.Obligations) redact.Obligations {
	out := redact.Obligations{}
	for path, ob := range all {
		if _, _, ok := s.Leaf(path); ok {
			out[path] = ob
		}
	}
	return out
}

// admits is the View that decides which records of a writer are released, where
// the answer's own cannot: row conditions are put to the schema that they were
// written for. An older one may know less of a record, and let more of them out.
func (x *exchange) admits(writer *schemas.Schema) (*schemas.View, error) {
	of := x.scope()
	if of.rows == nil || x.shape.reader.Name == x.product.Schema {
		return nil, nil
	}
	current, ok := x.snap.Schemas.Schema(x.product.Schema)
	if !ok {
		return nil, problem.New(problem.SchemaUnknown, "%s", x.product.Schema)
	}
	return x.views.get(schemas.ViewSpec{Writer: writer, Reader: current, Predicate: of.rows}, of.rows.String())
}

// redact is feed.Query.Redact: a record through the View of its writer.
func (x *exchange) redact(run *schemas.Run) feed.Redact {
	passages := map[uint32]passage{}
	return func(dst, value, key []byte) ([]byte, string, error) {
		id, body, err := schemas.SplitFrame(value)
		if err != nil {
			return dst, "", problem.Wrap(problem.RecordUnreadable, err, "")
		}
		p, known := passages[id]
		if !known {
			p = x.passage(id)
			passages[id] = p
		}
		if p.err != nil {
			return dst, "", p.err
		}
		if p.admits != nil {
			_, err = p.admits.Append(nil, body, key, run)
		}
		if err == nil {
			dst, err = p.view.Append(dst, body, key, run)
		}
		if errors.Is(err, schemas.ErrExcluded) {
			err = feed.ErrExcluded
		}
		return dst, p.writer, err
	}
}

// passage is what the records of one writer pass, or why none of them does.
type passage struct {
	writer string
	admits *schemas.View // nil: view decides
	view   *schemas.View
	err    error
}

func (x *exchange) passage(id uint32) (p passage) {
	writer, ok := x.snap.Schemas.ByID(id)
	if !ok {
		p.err = problem.New(problem.SchemaUnknown, "id %d", id)
		return p
	}
	p.writer = writer.Name
	if p.admits, p.err = x.admits(writer); p.err == nil {
		p.view, p.err = x.view(writer)
	}
	if p.err != nil {
		p.err = problem.Wrap(problem.RecordUnredactable, p.err, "")
		return p
	}
	if own := x.shape.view; !bytes.Equal(p.view.Schema(), own.Schema()) || !bytes.Equal(p.view.Header(), own.Header()) {
		p.err = problem.New(problem.RecordUnredactable, "%s has another form than %s", writer.Name, x.shape.reader.Name)
	}
	return p
}

// body is the page as it is sent: NDJSON as it is, JSON as one object, CSV
// behind its names, Avro in a container file. Of a page without records, CSV
// and Avro say what its records would look like.
//
//	{"records":[…],"next":"cursor"}
func (x *exchange) body(page *feed.Page, next string) ([]byte, error) {
	switch x.req.Format {
	case JSON:
		out := make([]byte, 0, len(page.Lines)+len(next)+32)
		out = append(out, `{"records":[`...)
		out = append(out, bytes.ReplaceAll(bytes.TrimSuffix(page.Lines, []byte("\n")), []byte("\n"), []byte(",\n"))...)
		out = append(out, `],"next":`...)
		return append(strconv.AppendQuote(out, next), '}', '\n'), nil // a cursor is base64url
	case CSV:
		return append(feed.Columns(x.shape.view.Header(), x.hidesDecisionTime()), page.Lines...), nil
	case Avro:
		return x.file(page)
	}
	return page.Lines, nil
}

// file writes the page's records into an object container file, which holds
// each against the file's schema once more.
func (x *exchange) file(page *feed.Page) ([]byte, error) {
	source, err := feed.Schema(x.shape.view.Schema(), x.hidesDecisionTime())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := container.NewWriter(&out, container.Header{Schema: source})
	if err != nil {
		return nil, err
	}
	if err = w.AppendAll(page.Lines); err == nil {
		err = w.Close()
	}
	return out.Bytes(), err
}

// hidesDecisionTime says whether the decision time may not be told: it is the
// value of a field, and the field is not released.
func (x *exchange) hidesDecisionTime() bool {
	return x.decision.Obligations.Of(x.product.DecisionTime).Action != redact.Keep
}
