package schemas

import (
	"slices"

	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// renderer renders a value that is not null.
type renderer func(r *Run, dst []byte, p *part) []byte

// part is one value of a record and how it is rendered. Which fields are set
// depends on render.
type part struct {
	render  renderer
	write   func(r *Run, dst, text []byte) []byte // what redaction made
	null    int8                                  // as in skip: which branch is null
	path    string
	wire    avro.Kind // as the writer wrote it
	kind    Kind      // of a scalar, as the reader reads it
	ob      redact.Obligation
	literal string // what is written whatever the value: null, the end of a record or a timestamp

	skips    *skips   // the whole value, passed over
	size     int      // bytes of a fixed
	scale    int      // of a decimal
	longest  int      // bytes that a decimal of its precision has
	symbols  []string // JSON: quoted, by the writer's index
	number   []int64  // Avro: the reader's index, by the writer's (of a symbol), or at 0 (of a branch)
	least    int      // bytes that an item takes at least
	items    *part    // of an array or map; what lies in a wrapping part
	branches []*part
	record   *avro.Type // of the reader
	name     string     // Avro: of the record that is written
	steps    []step
	inOrder  []int  // the steps as they are written, if not in the order of the bytes
	sealed   bool   // items lies in a sealed block
	value    []byte // of a field that the writer does not have
	shape    any    // Avro: the schema of what is written
}

// step is one field of the writer, or several that are passed over, or a field
// that the writer does not have.
type step struct {
	name   string // JSON: `,"low_price":`
	part   *part  // nil: pass over
	skips  *skips // nil: there are no bytes
	reader int    // index of the reader's field, -1 if it has none
}

func (s step) released() bool { return s.part != nil }

// insert puts a field that the writer does not have before the first that
// stands behind it in the reader.
func (p *part) insert(s step) {
	at := slices.IndexFunc(p.steps, func(other step) bool { return other.released() && other.reader > s.reader })
	if at < 0 {
		at = len(p.steps)
	}
	p.steps = slices.Insert(p.steps, at, s)
}

// order notes the order in which the steps are written, if it is not that of
// the bytes. Else it joins steps in sequence that are passed over.
func (p *part) order() {
	byReader := func(a, b int) int { return p.steps[a].reader - p.steps[b].reader }
	var released []int
	for i := range p.steps {
		if p.steps[i].released() {
			released = append(released, i)
		}
	}
	if !slices.IsSortedFunc(released, byReader) {
		slices.SortFunc(released, byReader)
		p.inOrder = released
		return
	}
	var joined []step
	for _, s := range p.steps {
		if last := len(joined) - 1; !s.released() && last >= 0 && !joined[last].released() {
			joined[last].skips.steps = append(joined[last].skips.steps, s.skips.steps...)
			continue
		}
		joined = append(joined, s)
	}
	p.steps = joined
}

// written lists the released steps as they are written.
func (p *part) written() []*step {
	var out []*step
	if p.inOrder != nil {
		for _, at := range p.inOrder {
			out = append(out, &p.steps[at])
		}
		return out
	}
	for i := range p.steps {
		if p.steps[i].released() {
			out = append(out, &p.steps[i])
		}
	}
	return out
}

// object is how a record is rendered, in whatever format.
func (p *part) object() renderer {
	if p.inOrder != nil {
		return renderReordered
	}
	return renderObject
}
