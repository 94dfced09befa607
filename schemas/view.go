package schemas

import (
	"errors"
	"fmt"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Format is what a View renders.
type Format uint8

const (
	// JSON is one object in the field order of the schema: CJK unescaped,
	// decimals as strings with the scale of the schema, longs exact, dates,
	// times and timestamps by RFC 3339 (timestamps in UTC), durations by ISO
	// 8601, bytes in base64, null instead of an absent value, unions without
	// wrapper. A float that is no number is "NaN", "Infinity" or "-Infinity".
	JSON Format = iota
	// Avro is a body in the schema of View.Schema.
	Avro
	// CSV is a row (RFC 4180) with a column for each released leaf, as
	// View.Header names them: the text that JSON would hold; what is repeated
	// or optional as a whole is one column of JSON. Null is an empty cell,
	// empty text is "".
	CSV
)

// ViewSpec says what to compile.
type ViewSpec struct {
	Writer *Schema // of the bytes
	// Reader is the schema of the output, into which the bytes are resolved by
	// Avro's rules; nil: the writer's. Obligations and Predicate name its
	// leaves: what the writer has beyond them is passed over.
	Reader      *Schema
	Obligations redact.Obligations
	Predicate   *redact.Predicate // which records are released; nil: all
	Format      Format
}

// View is a program compiled from two schemas and obligations: it turns a
// record's Avro body into redacted output in one pass, without an object in
// between. It is immutable and safe for concurrent use.
//
// It fails closed (invariant 3): a body that does not match the schema to the
// last byte, a value that does not fit its mask, a missing key or an
// unsealable block is an error, and nothing is appended. A dropped field is
// stepped over and never looked at. A sealed block is opened only when a field
// in it is released or tested.
type View struct {
	root      *part
	predicate *predicate
	hashes    bool
	seals     bool
	columns   []string // CSV
	schema    []byte   // Avro
}

// ErrExcluded is what Append returns for a record that the predicate does not
// hold for: it is not released, and nothing is wrong with it.
var ErrExcluded = errors.New("the record is not among those that are released")

// CompileView refuses what cannot be met: schemas that do not resolve, an
// unknown field, a mask on something that is not text.
func CompileView(spec ViewSpec) (*View, error) {
	if spec.Writer == nil {
		return nil, fmt.Errorf("a view needs the schema of its bytes")
	}
	if spec.Reader == nil {
		spec.Reader = spec.Writer
	}
	v, err := compileView(&spec)
	if err != nil {
		return nil, fmt.Errorf("view of %s: %w", spec.Writer.Name, err)
	}
	return v, nil
}

// Append appends the redacted record, or returns dst unchanged and why not.
// key is the record's Kafka key. The error is ErrExcluded, or carries one of
// problem.RecordUnreadable, RecordUnredactable, RecordUnsealable (the record
// is not released), or VaultUnavailable (nothing can be said of it now); it
// names fields and never values.
func (v *View) Append(dst, body, key []byte, run *Run) ([]byte, error) {
	switch {
	case v.hashes && run.hash == nil:
		return dst, problem.New(problem.RecordUnredactable, "there is no key to hash with")
	case v.seals && run.unsealer == nil:
		return dst, problem.New(problem.RecordUnredactable, "there is nothing to open sealed blocks with")
	}
	run.begin(body, key, len(dst))
	if v.predicate != nil && !v.predicate.holds(run) {
		if run.err != nil {
			return dst, run.err
		}
		return dst, ErrExcluded
	}
	out := v.root.render(run, dst, v.root)
	if run.err == nil && run.i != len(body) {
		run.fail(problem.RecordUnreadable, "%d bytes behind the record", len(body)-run.i)
	}
	if run.err != nil || run.grown(out) {
		return dst, run.err
	}
	return out, nil
}

// Schema is the schema of what a View in the format Avro writes: the reader's,
// less the fields that are dropped; a nulled field is null, a hashed or
// generalised one is a string, what was sealed lies open.
func (v *View) Schema() []byte { return v.schema }

// Header is the first row of CSV, with its line end.
func (v *View) Header() []byte {
	var out []byte
	for i, name := range v.columns {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, name...) // names and dots, which need no quotes
	}
	return append(out, "\r\n"...)
}
