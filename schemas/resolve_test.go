package schemas_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	twmb "github.com/twmb/avro"

	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
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
	return "same value", sameThroughAvro(writer, reader, body, doc)
}

// stricter is the first explained difference: we refuse to read one logical
// type as another.
func stricter(err error) bool {
	var m *evolve.MismatchError
	return errors.As(err, &m) && m.Rule == evolve.MismatchLogical
}

// textOrNot is the second: bytes that are promoted to a string must be UTF-8.
func textOrNot(err error) bool { return err != nil && strings.Contains(err.Error(), "not UTF-8") }

// sameThroughAvro writes the record in the reader's schema, and reads it again.
func sameThroughAvro(writer, reader *schemas.Schema, body, doc []byte) error {
	v, err := schemas.CompileView(schemas.ViewSpec{Writer: writer, Reader: reader, Obligations: keepAll(reader), Format: schemas.Avro})
	if err != nil {
		return err
	}
	out, err := v.Append(nil, body, nil, &schemas.Run{})
	if err != nil {
		return err
	}
	plain, err := schemas.ParseAvro("again", v.Schema())
	if err != nil {
		return err
	}
	if _, err := evolve.Resolve(plain.Type, reader.Type); err != nil {
		return fmt.Errorf("what was written does not resolve: %w", err)
	}
	w, err := schemas.CompileView(schemas.ViewSpec{Writer: plain, Obligations: keepAll(plain)})
	if err != nil {
		return err
	}
	again, err := w.Append(nil, out, nil, &schemas.Run{})
	if err != nil || string(again) != string(doc) {
		return fmt.Errorf("through Avro: %w\n%s\n%s", err, doc, again)
	}
	return nil
}
