package schemas

import (
	"math"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// skip is one step of passing over bytes without looking at what they say. The
// steps of fields in sequence lie in one flat list, records included, so that
// passing over a record's tail is one loop.
type skip struct {
	what skipKind
	null int8   // which branch of ["null", T] or [T, "null"] is null, -1 if it is no such union
	n    uint64 // skipNumber: the largest as stored; skipSize: bytes; skipItems: the least an item takes
	odd  uint64 // skipNumber: 1 if it may not be negative
	subs []*skips
}

type skipKind uint8

const (
	skipNumber skipKind = iota // a varint
	skipBytes                  // a length and so many bytes
	skipSize                   // a known number of bytes
	skipFlag                   // a boolean
	skipUnion                  // a branch and one of subs
	skipItems                  // an array: subs[0] for each item
	skipRecord                 // subs[0]; a record that is used in several places, or in itself
)

const (
	noNull = -1
	maxInt = math.MaxUint32 // the largest int, as stored
)

// skips is a list of steps; a type that contains itself is a ring of them.
type skips struct{ steps []skip }

// skipper compiles types into skips, each record once.
type skipper struct{ records map[*avro.Type]*skips }

func (c *skipper) compile(t *avro.Type) *skips {
	out := &skips{}
	out.steps = c.append(nil, t)
	return out
}

func (c *skipper) append(steps []skip, t *avro.Type) []skip {
	switch t.Kind {
	case avro.Null:
		return steps
	case avro.Boolean:
		return append(steps, skip{what: skipFlag, null: noNull})
	case avro.Int:
		return append(steps, skip{what: skipNumber, n: maxInt, null: noNull})
	case avro.Long:
		return append(steps, skip{what: skipNumber, n: math.MaxUint64, null: noNull})
	case avro.Enum:
		return append(steps, skip{what: skipNumber, n: uint64(2 * (len(t.Symbols) - 1)), odd: 1, null: noNull})
	case avro.Bytes, avro.String:
		return append(steps, skip{what: skipBytes, null: noNull})
	case avro.Float:
		return appendSize(steps, 4)
	case avro.Double:
		return appendSize(steps, 8)
	case avro.Fixed:
		return appendSize(steps, t.Size)
	}
	return c.appendComplex(steps, t)
}

func (c *skipper) appendComplex(steps []skip, t *avro.Type) []skip {
	switch t.Kind {
	case avro.Union:
		return c.appendUnion(steps, t)
	case avro.Array:
		return append(steps, skip{what: skipItems, n: uint64(leastBytes(t.Items)), subs: []*skips{c.compile(t.Items)}, null: noNull})
	case avro.Map:
		entry := &skips{}
		entry.steps = c.append([]skip{{what: skipBytes, null: noNull}}, t.Values)
		return append(steps, skip{what: skipItems, n: 1, subs: []*skips{entry}, null: noNull})
	}
	sub, ok := c.records[t]
	if !ok {
		sub = &skips{}
		c.records[t] = sub
		for i := range t.Fields {
			sub.steps = c.append(sub.steps, t.Fields[i].Type)
		}
	}
	return append(steps, skip{what: skipRecord, subs: []*skips{sub}, null: noNull})
}

// appendSize joins bytes of known number into one step.
func appendSize(steps []skip, n int) []skip {
	if last := len(steps) - 1; last >= 0 && steps[last].what == skipSize && steps[last].null == noNull {
		steps[last].n += uint64(n)
		return steps
	}
	return append(steps, skip{what: skipSize, n: uint64(n), null: noNull})
}

// appendUnion makes a union of null and a scalar one step.
func (c *skipper) appendUnion(steps []skip, t *avro.Type) []skip {
	if null := nullBranch(t); null >= 0 {
		if inner := c.append(nil, t.Branches[1-null]); len(inner) == 1 {
			inner[0].null = int8(null)
			return append(steps, inner[0])
		}
	}
	s := skip{what: skipUnion, null: noNull}
	for _, b := range t.Branches {
		s.subs = append(s.subs, c.compile(b))
	}
	return append(steps, s)
}

// nullBranch is which branch of a union of null and one other type is null, or
// -1.
func nullBranch(t *avro.Type) int {
	if t.Kind == avro.Union && len(t.Branches) == 2 {
		for i, b := range t.Branches {
			if b.Kind == avro.Null {
				return i
			}
		}
	}
	return noNull
}

// leastBytes is how many bytes a value takes at least. A record that contains
// itself is counted as taking none.
func leastBytes(t *avro.Type) int { return leastWithin(t, 0) }

func leastWithin(t *avro.Type, depth int) int {
	switch t.Kind {
	case avro.Null:
		return 0
	case avro.Float:
		return 4
	case avro.Double:
		return 8
	case avro.Fixed:
		return t.Size
	case avro.Record:
		n := 0
		for i := range t.Fields {
			if depth > 3 || n > 0 { // one byte is enough to bound a count
				break
			}
			n += leastWithin(t.Fields[i].Type, depth+1)
		}
		return n
	}
	return 1
}

// skip passes over bytes.
func (r *Run) skip(list *skips) {
	b, i := r.b, r.i
	for k := range list.steps {
		s := &list.steps[k]
		if next := s.quick(b, i); next > 0 {
			i = next
			continue
		}
		r.i = i
		if r.skipStep(s); r.err != nil {
			return
		}
		i = r.i
	}
	r.i = i
}

// quick passes over what is short and in order, and says where it ends, or 0.
func (s *skip) quick(b []byte, i int) int {
	if s.null != noNull {
		if i >= len(b) || b[i]&^2 != 0 {
			return 0
		}
		i++
		if b[i-1] == byte(s.null)<<1 {
			return i
		}
	}
	if i >= len(b) {
		return 0
	}
	switch c := uint64(b[i]); {
	case s.what == skipBytes:
		return quickBytes(b, i+1, c)
	case s.what == skipNumber && c < 0x80 && c <= s.n && c&s.odd == 0, s.what == skipFlag && c <= 1:
		return i + 1
	}
	return 0
}

// quickBytes passes over bytes whose length takes one or two bytes, of which c
// is the first.
func quickBytes(b []byte, i int, c uint64) int {
	if c >= 0x80 && i < len(b) {
		c, i = c&0x7f|uint64(b[i])<<7, i+1
	}
	if end := i + int(c>>1); c < 1<<14 && c&1 == 0 && end <= len(b) {
		return end
	}
	return 0
}

// skipStep passes over anything, or fails.
func (r *Run) skipStep(s *skip) {
	if s.null != noNull && r.isNull(s.null) {
		return
	}
	switch s.what {
	case skipNumber:
		if u := r.varint(); u > s.n || u&s.odd != 0 {
			r.fail(problem.RecordUnreadable, "a number exceeds its type, or an enum names a symbol that it does not have, at byte %d", r.i)
		}
	case skipBytes:
		r.bytes()
	case skipSize:
		r.take(int(s.n))
	case skipFlag:
		r.flag()
	default:
		r.skipComplex(s)
	}
}

func (r *Run) skipComplex(s *skip) {
	switch s.what {
	case skipUnion:
		if at := r.branch(len(s.subs)); at >= 0 {
			r.skip(s.subs[at])
		}
	case skipRecord:
		if r.enter() {
			r.skip(s.subs[0])
		}
		r.leave()
	default: // skipItems
		for {
			n := r.count(int(s.n))
			if n == 0 {
				return
			}
			for range n {
				if r.skip(s.subs[0]); r.err != nil {
					return
				}
			}
		}
	}
}

// isNull reads the branch of a union of null and one other type.
func (r *Run) isNull(null int8) bool {
	if r.i < len(r.b) {
		switch r.b[r.i] {
		case byte(null) << 1:
			r.i++
			return true
		case byte(1-null) << 1:
			r.i++
			return false
		}
	}
	at := r.branch(2)
	return at < 0 || at == int(null)
}

func (r *Run) flag() bool {
	if r.i >= len(r.b) || r.b[r.i] > 1 {
		r.fail(problem.RecordUnreadable, "no boolean at byte %d", r.i)
		return false
	}
	r.i++
	return r.b[r.i-1] == 1
}
