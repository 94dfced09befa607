package schemas_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"

	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
	"github.com/chuanyu-exchange/hub/schemas/redact"
	"github.com/chuanyu-exchange/hub/schemas/schematest"
)

// TestResolutionAgainstTwmb resolves random pairs of schemas: evolve and
// twmb/avro must agree on whether they resolve, and the View of the writer's
// bytes in the reader's schema must be what twmb/avro reads.
func TestResolutionAgainstTwmb(t *testing.T) {
	t.Parallel()
	start := seed(t)
	counts := map[string]int{}
	for i := range pairs(t, 150) {
		g := schematest.New(start + uint64(i))
		writer := foreign(t, g.Schema())
		source := g.Reader(writer.Source)
		reader, err := schemas.ParseAvro("reader", source)
		if err != nil {
			counts["no schema"]++ // a type is used, and its definition went with another field
			continue
		}
		outcome, err := resolvesAlike(g, writer, reader)
		if err != nil {
			t.Fatalf("seed %d: %v\nwriter %s\nreader %s", start+uint64(i), err, writer.Source, source)
		}
		counts[outcome]++
	}
	t.Log(counts)
	if counts["same value"] < counts["no schema"] || counts["neither resolves"] == 0 {
		t.Error("the pairs say too little")
	}
}

func resolvesAlike(g *schematest.Gen, writer, reader *schemas.Schema) (string, error) {
	_, ours := evolve.Resolve(writer.Type, reader.Type)
	w, err := twmb.Parse(string(writer.Source))
	if err != nil {
		return "", err
	}
	r, err := twmb.Parse(string(reader.Source))
	if err != nil {
		return "unread by twmb", nil //nolint:nilerr // what it refuses says nothing of us
	}
	resolved, theirs := twmb.Resolve(w, r)
	switch {
	case (ours == nil) != (theirs == nil):
		if stricter(ours) {
			return "stricter", nil
		}
		return "", fmt.Errorf("evolve: %w; twmb: %w", ours, theirs)
	case ours != nil:
		return "neither resolves", nil //nolint:nilerr // both refuse: they agree
	}
	body, _ := g.Value(nil, writer.Type)
	v, err := schemas.CompileView(schemas.ViewSpec{Writer: writer, Reader: reader, Obligations: keepAll(reader)})
	if err != nil {
		return "", err
	}
	doc, err := v.Append(nil, body, nil, &schemas.Run{})
	var native any
	if _, theirs := resolved.Decode(body, &native, twmb.TaggedUnions()); (theirs == nil) != (err == nil) {
		if textOrNot(err) {
			return "no text", nil
		}
		return "", fmt.Errorf("View: %w; twmb: %w", err, theirs)
	}
	if err != nil {
		return "neither reads", nil //nolint:nilerr // both refuse: they agree
	}
	got, err := parsed(doc)
	if err != nil {
		return "", err
	}
	if err := same(reader.Type, got, native); err != nil {
		return "", fmt.Errorf("%w\n%s\n%v", err, doc, native)
	}
	if err := sameThroughAvro(writer, reader, keepAll(reader), body); err != nil {
		return "", err
	}
	return "same value", sameShape(g, writer, reader, body)
}

// sameShape drops some fields: what is written in Avro reads as what is written
// in JSON, and the schema and the columns are the reader's alone, whoever wrote
// the bytes: a page holds records of several writers.
func sameShape(g *schematest.Gen, writer, reader *schemas.Schema, body []byte) error {
	some := keepAll(reader)
	for path := range some {
		if g.IntN(3) == 0 {
			delete(some, path)
		}
	}
	for _, format := range []schemas.Format{schemas.Avro, schemas.CSV} {
		of := func(from *schemas.Schema) (*schemas.View, error) {
			return schemas.CompileView(schemas.ViewSpec{Writer: from, Reader: reader, Obligations: some, Format: format})
		}
		own, err := of(reader)
		if err != nil && strings.Contains(err.Error(), "has no schema in Avro") {
			return nil // a union of which two branches became null, and the like
		}
		if err != nil {
			return err
		}
		v, err := of(writer)
		if err != nil {
			return err
		}
		if string(v.Schema()) != string(own.Schema()) || string(v.Header()) != string(own.Header()) {
			return fmt.Errorf("the writer shows\n%s%s\n%s%s", v.Schema(), v.Header(), own.Schema(), own.Header())
		}
	}
	return sameThroughAvro(writer, reader, some, body)
}

// stricter is the first explained difference: we refuse to read one logical
// type as another.
func stricter(err error) bool {
	var m *evolve.MismatchError
	return errors.As(err, &m) && m.Rule == evolve.MismatchLogical
}

// textOrNot is the second: bytes that are promoted to a string must be UTF-8.
func textOrNot(err error) bool { return err != nil && strings.Contains(err.Error(), "not UTF-8") }

// sameThroughAvro writes the record in the reader's schema, less what the
// obligations drop, and reads it again.
func sameThroughAvro(writer, reader *schemas.Schema, ob redact.Obligations, body []byte) error {
	spec := schemas.ViewSpec{Writer: writer, Reader: reader, Obligations: ob}
	doc, err := written(spec, body)
	if err != nil {
		return err
	}
	spec.Format = schemas.Avro
	v, err := schemas.CompileView(spec)
	if err != nil {
		return fmt.Errorf("as Avro: %w", err)
	}
	out, err := v.Append(nil, body, nil, &schemas.Run{})
	if err != nil {
		return err
	}
	plain, err := schemas.ParseAvro("again", v.Schema())
	if err != nil {
		return err
	}
	if _, err := evolve.Resolve(plain.Type, reader.Type); err != nil && len(ob) == len(keepAll(reader)) {
		return fmt.Errorf("what was written does not resolve: %w", err)
	}
	again, err := written(schemas.ViewSpec{Writer: plain, Obligations: keepAll(plain)}, out)
	if err != nil {
		return fmt.Errorf("through Avro: %w\n%s\n%s", err, doc, v.Schema())
	}
	if string(again) != string(doc) {
		return fmt.Errorf("through Avro\n%s\n%s\n%s", doc, again, v.Schema())
	}
	return nil
}

func written(spec schemas.ViewSpec, body []byte) ([]byte, error) {
	v, err := schemas.CompileView(spec)
	if err != nil {
		return nil, err
	}
	return v.Append(nil, body, nil, &schemas.Run{})
}

// A record within itself is released only with something of it: what lies in a
// map goes with the map's keys, and how deep it lies is told by nothing.
func TestNothingOfARecordWithinItself(t *testing.T) {
	t.Parallel()
	s, err := schemas.ParseAvro("tree", []byte(`{"type":"record","name":"R","fields":[
		{"name":"m","type":{"type":"map","values":{"type":"record","name":"S","fields":[{"name":"a","type":"int"}]}}},
		{"name":"self","type":["null","R"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	body := []byte{0, 2, 0, 0} // an empty map, and a record within it that holds another
	keep := redact.Obligation{Action: redact.Keep}
	for _, tt := range []struct {
		of   redact.Obligations
		want string
	}{
		{redact.Obligations{"m.a": keep}, `{}`},
		{redact.Obligations{"m": keep, "m.a": keep}, `{"m":{},"self":{"m":{},"self":null}}`},
	} {
		if doc, err := written(schemas.ViewSpec{Writer: s, Obligations: tt.of}, body); err != nil || string(doc) != tt.want {
			t.Errorf("%v: %s, %v; want %s", tt.of, doc, err, tt.want)
		}
	}
}
