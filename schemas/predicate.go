package schemas

import (
	"bytes"
	"fmt"
	"slices"
	"sort"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// truth is one of Kleene's three values.
type truth uint8

const (
	no truth = iota
	unknown
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// predicate is a redact.Predicate compiled for the bytes of one schema: how to
// come to the fields that it tests, and what is made of the answers.
type predicate struct {
	probes []probe
	tests  int
	whole  term
}

// probe is one step of the way through a record. The way ends at the last
// field that is tested.
type probe struct {
	skips *skips // passed over before the field
	null  int8
	part  *part   // the field; nil: only pass over
	tests []test  // of the field
	inner []probe // of a sealed block
}

// test is one test of a field: its slot among the answers, and literals.
type test struct {
	slot    int
	op      redact.Op
	needed  bool    // the predicate cannot hold if this does not
	numbers []int64 // sorted if op is OpIn
	texts   [][]byte
}

// term joins answers.
type term struct {
	op    redact.Op
	slot  int // of a test
	terms []term
}

func (t *term) truth(answers []truth) truth {
	switch t.op {
	case redact.OpAnd:
		out := yes
		for i := range t.terms {
			out = min(out, t.terms[i].truth(answers))
		}
		return out
	case redact.OpOr:
		out := no
		for i := range t.terms {
			out = max(out, t.terms[i].truth(answers))
		}
		return out
	case redact.OpNot:
		return yes - t.terms[0].truth(answers)
	case redact.OpNever:
		return no
	}
	return answers[t.slot]
}

// holds evaluates the predicate on the record that the run stands before, and
// goes back there.
func (p *predicate) holds(r *Run) bool {
	for range p.tests - len(r.tests) {
		r.tests = append(r.tests, no)
	}
	start := r.i
	may := r.probe(p.probes)
	r.i = start
	return may && r.err == nil && p.whole.truth(r.tests) == yes
}

// probe goes the way, and says whether the predicate may hold.
func (r *Run) probe(probes []probe) bool {
	for i := range probes {
		p := &probes[i]
		r.skip(p.skips)
		may := true
		switch {
		case p.part == nil:
		case p.inner != nil:
			may = r.probeBlock(p)
		case p.part.value != nil:
			b, at := r.b, r.i
			r.b, r.i = p.part.value, 0
			r.answer(p)
			r.b, r.i = b, at
		default:
			r.answer(p)
		}
		for k := range p.tests {
			may = may && (!p.tests[k].needed || r.tests[p.tests[k].slot] == yes)
		}
		if r.err != nil || !may {
			return false
		}
	}
	return true
}

func (r *Run) probeBlock(p *probe) bool {
	block := r.bytes()
	if r.err != nil || !r.unseal(block, p.part.path) {
		return false
	}
	b, at := r.b, r.i
	r.b, r.i = r.plain, 0
	may := r.probe(p.inner)
	r.b, r.i = b, at
	return may
}

// answer answers the tests of one field.
func (r *Run) answer(p *probe) {
	if p.null != noNull && r.isNull(p.null) {
		for i := range p.tests {
			r.tests[p.tests[i].slot] = unknown
			if p.tests[i].op == redact.OpNull {
				r.tests[p.tests[i].slot] = yes
			}
		}
		return
	}
	if p.part.kind == String {
		text := r.bytes()
		for i := range p.tests {
			r.tests[p.tests[i].slot] = truthOf(p.tests[i].text(text))
		}
		return
	}
	number := r.number(p.part)
	for i := range p.tests {
		r.tests[p.tests[i].slot] = truthOf(p.tests[i].number(number))
	}
}

// number reads a value that is tested as a number.
func (r *Run) number(p *part) int64 {
	switch p.kind {
	case Boolean:
		if r.flag() {
			return 1
		}
		return 0
	case Enum:
		if at := r.branch(len(p.number)); at >= 0 {
			return p.number[at]
		}
		return 0
	case Decimal:
		b := r.unscaled(p)
		if len(b) == 0 || len(b) > 8 {
			r.fail(problem.RecordUnreadable, "field %s: a decimal has %d bytes", p.path, len(b))
			return 0
		}
		return twosComplement(b)
	}
	return r.integer(p.wire)
}

func (t *test) number(v int64) bool {
	switch t.op {
	case redact.OpNull:
		return false
	case redact.OpIn:
		_, found := slices.BinarySearch(t.numbers, v)
		return found
	case redact.OpBetween:
		return t.numbers[0] <= v && v <= t.numbers[1]
	}
	order := 0
	switch {
	case v < t.numbers[0]:
		order = -1
	case v > t.numbers[0]:
		order = 1
	}
	return compared(t.op, order)
}

// compared says whether two values in this order meet an operator.
func compared(op redact.Op, order int) bool {
	switch op {
	case redact.OpEqual:
		return order == 0
	case redact.OpNotEqual:
		return order != 0
	case redact.OpLess:
		return order < 0
	case redact.OpLessOrEqual:
		return order <= 0
	case redact.OpGreater:
		return order > 0
	case redact.OpGreaterOrEqual:
		return order >= 0
	}
	return false
}

func (t *test) text(v []byte) bool {
	switch t.op {
	case redact.OpNull:
		return false
	case redact.OpPrefix:
		return bytes.HasPrefix(v, t.texts[0])
	case redact.OpIn:
		i := sort.Search(len(t.texts), func(i int) bool { return bytes.Compare(t.texts[i], v) >= 0 })
		return i < len(t.texts) && bytes.Equal(t.texts[i], v)
	case redact.OpBetween:
		return bytes.Compare(t.texts[0], v) <= 0 && bytes.Compare(v, t.texts[1]) <= 0
	}
	return compared(t.op, bytes.Compare(v, t.texts[0]))
}

// prober compiles a predicate.
type prober struct {
	compiler *compiler
	fields   map[string][]test // that are still to be found
	tests    int
}

func (c *compiler) predicate(res *evolve.Resolution, p *redact.Predicate) (*predicate, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	b := prober{compiler: c, fields: map[string][]test{}}
	out := &predicate{}
	var err error
	if out.whole, err = b.term(p, true); err != nil {
		return nil, err
	}
	out.tests = b.tests
	if out.probes, err = b.record(res, ""); err != nil {
		return nil, err
	}
	for field := range b.fields {
		return nil, fmt.Errorf("field %s: it lies in a list, a map or an optional record, and cannot be tested", field)
	}
	return out, nil
}

// term gives each test a slot. needed says that only and stands above it.
func (b *prober) term(p *redact.Predicate, needed bool) (term, error) {
	out := term{op: p.Op, slot: b.tests}
	if p.Op.Test() {
		b.tests++
		_, leaf, ok := b.compiler.spec.Reader.Leaf(p.Field)
		if !ok {
			return out, fmt.Errorf("there is no field %s to test", p.Field)
		}
		t, err := newTest(leaf, p)
		t.slot, t.needed = out.slot, needed
		b.fields[p.Field] = append(b.fields[p.Field], t)
		return out, err
	}
	for i := range p.Terms {
		inner, err := b.term(&p.Terms[i], needed && p.Op == redact.OpAnd)
		if err != nil {
			return out, err
		}
		out.terms = append(out.terms, inner)
	}
	return out, nil
}

// record finds the way to the tested fields of a record, as far as the last.
func (b *prober) record(res *evolve.Resolution, path string) (out []probe, err error) {
	passed := &skips{}
	for i := range res.Fields {
		f := &res.Fields[i]
		var probes []probe
		if f.Reader >= 0 {
			if probes, err = b.field(f, &res.Reader.Fields[f.Reader], path); err != nil {
				return nil, err
			}
		}
		if len(probes) == 0 {
			passed.steps = b.compiler.skipper.append(passed.steps, f.Writer.Type)
			continue
		}
		probes[0].skips = &skips{steps: append(passed.steps, probes[0].skips.steps...)}
		passed = &skips{}
		out = append(out, probes...)
	}
	if path != "" && len(out) > 0 && len(passed.steps) > 0 { // the record around goes on
		out = append(out, probe{skips: passed})
	}
	for i := range res.Defaults {
		d := &res.Defaults[i]
		f := &res.Reader.Fields[d.Reader]
		same, err := evolve.Resolve(f.Type, f.Type)
		if err != nil {
			return nil, err
		}
		probes, err := b.scalar(same, joinPath(path, f.Name))
		if err != nil {
			return nil, err
		}
		for k := range probes {
			probes[k].part.value = d.Value
		}
		out = append(out, probes...)
	}
	return out, nil
}

func (b *prober) field(f *evolve.FieldResolution, reader *avro.Field, path string) ([]probe, error) {
	path = joinPath(path, reader.Name)
	if written, read := b.compiler.spec.Writer.sealed[f.Writer], b.compiler.spec.Reader.sealed[reader]; written != nil && read != nil {
		return b.block(written, read, f, path)
	}
	if f.How.Writer.Kind == avro.Record && f.How.Reader.Kind == avro.Record {
		if !b.wanted(path) {
			return nil, nil
		}
		return b.record(f.How, path)
	}
	return b.scalar(f.How, path)
}

// wanted says whether a field below a path is tested.
func (b *prober) wanted(path string) bool {
	for field := range b.fields {
		if redact.Covers(path, field) {
			return true
		}
	}
	return false
}

func (b *prober) block(written, read *avro.Type, f *evolve.FieldResolution, path string) ([]probe, error) {
	if !b.wanted(path) {
		return nil, nil
	}
	how, err := evolve.Resolve(written, read)
	if err != nil {
		return nil, err
	}
	inner, err := b.record(how, path)
	if err != nil {
		return nil, err
	}
	b.compiler.view.seals = true
	return []probe{{skips: &skips{}, null: noNull, part: b.compiler.part(f.How, path), inner: inner}}, nil
}

// scalar makes the probe of a field that is tested; none if it is not, or is
// not a scalar.
func (b *prober) scalar(res *evolve.Resolution, path string) ([]probe, error) {
	tests := b.fields[path]
	if tests == nil {
		return nil, nil
	}
	p := probe{skips: &skips{}, null: noNull, tests: tests}
	if null := nullBranch(res.Writer); null >= 0 {
		p.null = int8(null)
		res = res.Branches[1-null]
	}
	if res.Writer.Kind != avro.Union && res.Reader.Kind == avro.Union {
		res = res.Chosen
	}
	if res == nil || kindOf(res.Reader) == 0 || res.Writer.Kind == avro.Union {
		return nil, nil
	}
	delete(b.fields, path)
	p.part = b.compiler.part(res, path)
	p.part.kind = kindOf(res.Reader)
	for _, at := range res.Symbols {
		p.part.number = append(p.part.number, int64(at))
	}
	return []probe{p}, nil
}
