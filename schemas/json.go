package schemas

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// value renders a value that may be null.
func (r *Run) value(dst []byte, p *part) []byte {
	if p.null != noNull && r.isNull(p.null) {
		return append(dst, "null"...)
	}
	return p.render(r, dst, p)
}

// renderObject renders a record's released fields. The run moves over all of
// them; on error it stops and the caller discards the output.
func renderObject(r *Run, dst []byte, p *part) []byte {
	if !r.enter() {
		return dst
	}
	for i := range p.steps {
		s := &p.steps[i]
		if s.part == nil {
			r.skip(s.skips)
		} else {
			dst = r.value(append(dst, s.name...), s.part)
		}
		if r.err != nil {
			return dst
		}
	}
	r.leave()
	return append(dst, p.literal...)
}

// renderReordered renders a record whose reader has its fields in another
// order: it notes where each begins, and goes back.
func renderReordered(r *Run, dst []byte, p *part) []byte {
	if !r.enter() {
		return dst
	}
	first := len(r.starts)
	for i := range p.steps {
		r.starts = append(r.starts, r.i)
		if s := p.steps[i].skips; s != nil { // a default has no bytes
			r.skip(s)
		}
	}
	end, items := r.i, r.items
	for _, at := range p.inOrder {
		if r.err != nil {
			return dst
		}
		s := &p.steps[at]
		r.i, r.items = r.starts[first+at], maxItems // they were counted on the way
		dst = r.value(append(dst, s.name...), s.part)
	}
	r.starts = r.starts[:first]
	r.i, r.items = end, items
	r.leave()
	return append(dst, p.literal...)
}

// renderDefault renders a value that the writer did not write.
func renderDefault(r *Run, dst []byte, p *part) []byte {
	b, i := r.b, r.i
	r.b, r.i = p.value, 0
	dst = r.value(dst, p.items)
	r.b, r.i = b, i
	return dst
}

// renderNull passes over a value that must not be seen.
func renderNull(r *Run, dst []byte, p *part) []byte {
	r.skip(p.skips)
	return append(dst, p.literal...)
}

func renderUnion(r *Run, dst []byte, p *part) []byte {
	at := r.branch(len(p.branches))
	if at < 0 {
		return dst
	}
	return r.value(dst, p.branches[at])
}

func renderArray(r *Run, dst []byte, p *part) []byte {
	dst = append(dst, '[')
	first := true
	for n := r.count(p.least); n > 0; n = r.count(p.least) {
		for range n {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			if dst = r.value(dst, p.items); r.err != nil || r.grown(dst) {
				return dst
			}
		}
	}
	return append(dst, ']')
}

func renderMap(r *Run, dst []byte, p *part) []byte {
	dst = append(dst, '{')
	first := true
	for n := r.count(1); n > 0; n = r.count(1) {
		for range n {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(r.text(dst, r.bytes()), ':')
			if dst = r.value(dst, p.items); r.err != nil || r.grown(dst) {
				return dst
			}
		}
	}
	return append(dst, '}')
}

func renderNothing(_ *Run, dst []byte, _ *part) []byte { return append(dst, "null"...) }

func renderBoolean(r *Run, dst []byte, _ *part) []byte {
	if r.flag() {
		return append(dst, "true"...)
	}
	return append(dst, "false"...)
}

func renderInt(r *Run, dst []byte, _ *part) []byte { return appendInt(dst, r.int32()) }

func renderLong(r *Run, dst []byte, p *part) []byte { return appendInt(dst, r.integer(p.wire)) }

// integer reads an int or a long that is read as a long.
func (r *Run) integer(wire avro.Kind) int64 {
	if wire == avro.Int {
		return r.int32()
	}
	return r.long()
}

func renderEnum(r *Run, dst []byte, p *part) []byte {
	u := r.varint()
	if u&1 != 0 || u>>1 >= uint64(len(p.symbols)) {
		r.fail(problem.RecordUnreadable, "an enum names a symbol that it does not have, at byte %d", r.i)
		return dst
	}
	return append(dst, p.symbols[u>>1]...)
}

func renderFloat(r *Run, dst []byte, p *part) []byte { return appendFloat(dst, r.float(p.wire), 32) }

func renderDouble(r *Run, dst []byte, p *part) []byte { return appendFloat(dst, r.float(p.wire), 64) }

// float reads any number that is read as a float or a double.
func (r *Run) float(wire avro.Kind) float64 {
	switch wire {
	case avro.Int:
		return float64(r.int32())
	case avro.Long:
		return float64(r.long())
	case avro.Float:
		return float64(math.Float32frombits(uint32(r.littleEndian(4))))
	}
	return math.Float64frombits(r.littleEndian(8))
}

func (r *Run) littleEndian(n int) (u uint64) {
	for i, c := range r.take(n) {
		u |= uint64(c) << (8 * i)
	}
	return u
}

// appendFloat writes the shortest number that reads back as the same, in the
// form that encoding/json and JavaScript use. JSON has no word for what is no
// number; Avro's own JSON has these.
func appendFloat(dst []byte, f float64, bits int) []byte {
	if bits == 32 {
		f = float64(float32(f))
	}
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}

func renderText(r *Run, dst []byte, _ *part) []byte { return r.text(dst, r.bytes()) }

func renderBytes(r *Run, dst []byte, _ *part) []byte { return appendBase64(dst, r.bytes()) }

func renderFixed(r *Run, dst []byte, p *part) []byte { return appendBase64(dst, r.take(p.size)) }

func appendBase64(dst, b []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), b), '"')
}

// text renders a JSON string (RFC 8259): only what must be escaped is, and
// text that is not UTF-8 is not released.
func (r *Run) text(dst, s []byte) []byte {
	dst = append(dst, '"')
	start := len(dst)
	dst = append(dst, s...)
	switch scanText(s) {
	case plainText:
		return append(dst, '"')
	case specialText:
		if utf8.Valid(s) {
			return append(appendEscaped(dst[:start], s), '"')
		}
	}
	r.fail(problem.RecordUnreadable, "a text is not UTF-8")
	return dst
}
