package schemas

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"hash"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Format is what a View renders.
type Format uint8

// JSON is one object in the field order of the schema: CJK unescaped, decimals
// as strings with the scale of the schema, longs exact, dates and timestamps
// by RFC 3339 in UTC, null instead of an absent value, unions without wrapper.
const JSON Format = 0

// ViewSpec says what to compile.
type ViewSpec struct {
	Writer      *Schema // of the bytes
	Reader      *Schema // of the output; nil: the writer's. Another schema than the writer's is refused
	Obligations redact.Obligations
	Format      Format
}

// View is a program compiled from a schema and obligations: it turns a
// record's Avro body into redacted output in one pass, without an object in
// between. It is immutable and safe for concurrent use.
//
// It fails closed (invariant 3): a body that does not match the schema to the
// last byte, a value that does not fit its mask, a missing key or an
// unsealable block is an error, and nothing is appended. A dropped field is
// stepped over and never looked at. A sealed block is opened only when a field
// in it is released.
type View struct {
	steps  []step
	hashes bool
	seals  bool
}

// step is what is done with one field of a record.
type step struct {
	node  *node
	path  string
	name  string // `"low_price":`
	ob    redact.Obligation
	steps []step // of a record or sealed block
}

// Unsealer opens sealed blocks; see package sealed. An error with
// problem.VaultUnavailable is passing, any other is for good.
type Unsealer interface {
	Open(dst, block, additional []byte) ([]byte, error)
}

// Run holds the arguments of running a View, which are never compiled in, and
// the buffers of one goroutine. Its zero value can run a View that neither
// hashes nor opens sealed blocks.
type Run struct {
	hash     hash.Hash
	unsealer Unsealer
	plain    []byte
	sum      []byte
}

// NewRun takes the key of hashed fields, which the caller derives for one
// agreement, and what opens sealed blocks; each may be nil.
func NewRun(hashKey []byte, unsealer Unsealer) *Run {
	r := &Run{unsealer: unsealer}
	if len(hashKey) > 0 {
		r.hash = hmac.New(sha256.New, hashKey)
	}
	return r
}

// CompileView refuses obligations that cannot be met: an unknown field, a mask
// on something that is not text.
func CompileView(spec ViewSpec) (*View, error) {
	switch {
	case spec.Writer == nil:
		return nil, fmt.Errorf("a view needs the schema of its bytes")
	case spec.Reader != nil && spec.Reader != spec.Writer:
		return nil, fmt.Errorf("view of %s as %s: schemas are not resolved into each other", spec.Writer.Name, spec.Reader.Name)
	case spec.Format != JSON:
		return nil, fmt.Errorf("view of %s: unknown format %d", spec.Writer.Name, spec.Format)
	}
	for path := range spec.Obligations {
		if _, _, ok := spec.Writer.Leaf(path); !ok {
			return nil, fmt.Errorf("view of %s: there is no field %s", spec.Writer.Name, path)
		}
	}
	v := &View{}
	var err error
	v.steps, _, err = v.compile(spec.Writer.root, spec.Obligations)
	return v, err
}

// compile returns the steps of a record and whether any of them releases
// something.
func (v *View) compile(n *node, obligations redact.Obligations) (steps []step, releases bool, err error) {
	for i := range n.fields {
		f := &n.fields[i]
		s := step{node: f.node, path: f.path, name: `"` + f.name + `":`}
		switch f.node.kind {
		case recordKind, sealedKind:
			var inner bool
			if s.steps, inner, err = v.compile(f.node, obligations); err != nil {
				return nil, false, err
			}
			if inner {
				s.ob.Action = redact.Keep
				v.seals = v.seals || f.node.kind == sealedKind
			}
		default:
			s.ob = obligations.Of(f.path)
			if err := checkObligation(f, s.ob); err != nil {
				return nil, false, err
			}
			v.hashes = v.hashes || s.ob.Action == redact.Hash
		}
		releases = releases || s.ob.Action != redact.Drop
		steps = append(steps, s)
	}
	return steps, releases, nil
}

func checkObligation(f *field, ob redact.Obligation) error {
	switch {
	case ob.Action == redact.Mask && f.node.kind != String:
		return fmt.Errorf("field %s: %s on a field that is not text", f.path, ob)
	case ob.Action == redact.Hash && f.node.kind == arrayKind:
		return fmt.Errorf("field %s: %s on a repeated field", f.path, ob)
	}
	return nil
}

// Append appends the redacted record, or returns dst unchanged and why not.
// key is the record's Kafka key. The error carries one of
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
	r := reader{b: body, key: key, run: run}
	out := r.object(dst, v.steps)
	if r.err == nil && r.i != len(body) {
		r.fail(problem.RecordUnreadable, "%d bytes behind the record", len(body)-r.i)
	}
	if r.err != nil {
		return dst, r.err
	}
	if len(out)-len(dst) > maxOutput {
		return dst, problem.New(problem.RecordUnredactable, "the record is longer than %d bytes", maxOutput)
	}
	return out, nil
}

// maxOutput bounds what one record may become.
const maxOutput = 1 << 20

// object renders a record's released fields. The reader moves over all of
// them; on error it stops moving and the caller discards the output.
func (r *reader) object(dst []byte, steps []step) []byte {
	dst = append(dst, '{')
	first := true
	for i := range steps {
		s := &steps[i]
		if s.ob.Action == redact.Drop {
			r.skip(s.node)
		} else {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = r.step(append(dst, s.name...), s)
		}
		if r.err != nil {
			return dst
		}
	}
	return append(dst, '}')
}

func (r *reader) step(dst []byte, s *step) []byte {
	switch {
	case s.node.kind == recordKind:
		return r.object(dst, s.steps)
	case s.node.kind == sealedKind:
		return r.block(dst, s)
	case s.ob.Action == redact.Null:
		r.skip(s.node)
		return append(dst, "null"...)
	case s.node.nullable && r.null():
		return append(dst, "null"...)
	case s.ob.Action == redact.Keep:
		return r.value(dst, s.node)
	case s.ob.Action == redact.Mask:
		return r.mask(dst, s)
	case s.ob.Action == redact.Hash:
		return r.hashed(dst, s)
	}
	r.fail(problem.RecordUnredactable, "field %s: unknown obligation", s.path)
	return dst
}

// block opens a sealed record and renders what is released of it.
func (r *reader) block(dst []byte, s *step) []byte {
	block := r.bytes()
	if r.err != nil {
		return dst
	}
	plain, err := r.run.unsealer.Open(r.run.plain[:0], block, blockBinding(r.key, s.path))
	if err != nil {
		p := problem.From(err)
		r.err = problem.Wrap(p.Code, err, "field %s: %s", s.path, p.Detail)
		return dst
	}
	r.run.plain = plain
	inner := reader{b: plain, key: r.key, run: r.run}
	dst = inner.object(dst, s.steps)
	if inner.err == nil && inner.i != len(plain) {
		inner.fail(problem.RecordUnreadable, "field %s: %d bytes behind the sealed record", s.path, len(plain)-inner.i)
	}
	r.err = inner.err
	return dst
}

func (r *reader) mask(dst []byte, s *step) []byte {
	value := r.bytes()
	if r.err != nil {
		return dst
	}
	masked, err := redact.AppendMasked(nil, s.ob.Method, value)
	if err != nil {
		r.fail(problem.RecordUnredactable, "field %s: %s: %v", s.path, s.ob, err)
		return dst
	}
	return r.text(dst, masked)
}

// hashed renders HMAC-SHA-256 over path and Avro bytes, 16 bytes in hex: equal
// values of one field are equal within one key and say nothing across two.
func (r *reader) hashed(dst []byte, s *step) []byte {
	start := r.i
	r.skipValue(s.node)
	if r.err != nil {
		return dst
	}
	h := r.run.hash
	h.Reset()
	h.Write([]byte(s.path))
	h.Write([]byte{0})
	h.Write(r.b[start:r.i])
	r.run.sum = h.Sum(r.run.sum[:0])
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, c := range r.run.sum[:16] {
		dst = append(dst, hex[c>>4], hex[c&15])
	}
	return append(dst, '"')
}
