package schemas

import (
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// redaction is how an obligation is met, and of which kinds; nil: of all.
type redaction struct {
	render renderer
	of     []Kind
}

var (
	texts   = []Kind{String}
	numbers = []Kind{Int, Long, Decimal}
)

// redactions are what the obligations of package redact come to that make
// another text of a value.
var redactions = map[redact.Obligation]redaction{
	{Action: redact.Mask, Method: redact.MaskName}:          {renderMasked, texts},
	{Action: redact.Mask, Method: redact.MaskPhone}:         {renderMasked, texts},
	{Action: redact.Mask, Method: redact.MaskIdentity}:      {renderMasked, texts},
	{Action: redact.Mask, Method: redact.MaskIdentityBirth}: {renderMasked, texts},
	{Action: redact.Mask, Method: redact.MaskAddress}:       {renderMasked, texts},
	{Action: redact.Generalise, Method: redact.ToProvince}:  {renderProvince, texts},
	{Action: redact.Generalise, Method: redact.ToMonth}:     {renderMonth, dates},
	{Action: redact.Generalise, Method: redact.ToBand}:      {renderBand(redact.AppendBand), numbers},
	{Action: redact.Generalise, Method: redact.ToFineBand}:  {renderBand(redact.AppendFineBand), numbers},
}

var dates = []Kind{
	Date, TimestampMillis, TimestampMicros, TimestampNanos, LocalTimestampMillis, LocalTimestampMicros, LocalTimestampNanos,
}

func renderMasked(r *Run, dst []byte, p *part) []byte {
	value := r.bytes()
	if r.err != nil {
		return dst
	}
	masked, err := redact.AppendMasked(r.scratch[:0], p.ob.Method, value)
	return r.made(dst, p, masked, err)
}

func renderProvince(r *Run, dst []byte, p *part) []byte {
	value := r.bytes()
	if r.err != nil {
		return dst
	}
	province, err := redact.AppendProvince(r.scratch[:0], value)
	return r.made(dst, p, province, err)
}

// renderBand renders the band of a number, which is exact.
func renderBand(of func(dst, number []byte) ([]byte, error)) renderer {
	return func(r *Run, dst []byte, p *part) []byte {
		number := r.sum[:0]
		if p.kind == Decimal {
			number = r.decimal(number, p)
		} else {
			number = appendInt(number, r.integer(p.wire))
		}
		r.sum = number
		if r.err != nil {
			return dst
		}
		band, err := of(r.scratch[:0], number)
		return r.made(dst, p, band, err)
	}
}

// chinaOffset is the offset of the time that people in China live by, without
// summer time: the month of an instant is the one on their calendar.
const chinaOffset = 8 * 3600

// renderMonth renders 2026-01.
func renderMonth(r *Run, dst []byte, p *part) []byte {
	var day, second int64
	var ok bool
	switch p.kind {
	case Date:
		day, ok = r.day(p)
	default:
		if day, second, _, ok = r.instant(p); p.kind <= TimestampNanos && second+chinaOffset >= secondsOfDay {
			day++
		}
	}
	if !ok {
		return dst
	}
	y, m, _ := civil(day)
	return r.made(dst, p, append2(append(append4(r.scratch[:0], y), '-'), m), nil)
}

// made writes what was made of a value.
func (r *Run) made(dst []byte, p *part, text []byte, err error) []byte {
	r.scratch = text
	if err != nil {
		r.fail(problem.RecordUnredactable, "field %s: %s: %v", p.path, p.ob, err)
		return dst
	}
	return p.write(r, dst, text)
}

// renderHashed renders HMAC-SHA-256 over path and value, 16 bytes in hex:
// equal values of one field are equal within one key and say nothing across
// two. The value is in the form of the reader, an enum by its symbol, so that
// it does not matter which version wrote it.
func renderHashed(r *Run, dst []byte, p *part) []byte {
	value := r.scratch[:0]
	if p.kind == Enum {
		value = renderEnum(r, value, p)
	} else {
		value = p.items.render(r, value, p.items)
	}
	r.scratch = value
	if r.err != nil {
		return dst
	}
	r.sum = append(append(r.sum[:0], p.path...), 0)
	r.hash.Reset()
	r.hash.Write(r.sum)
	r.hash.Write(value)
	r.sum = r.hash.Sum(r.sum[:0])
	r.scratch = appendHex(r.scratch[:0], r.sum[:16])
	return p.write(r, dst, r.scratch)
}

// renderAgain renders a record within itself.
func renderAgain(r *Run, dst []byte, p *part) []byte { return p.items.render(r, dst, p.items) }

// renderBlock opens a sealed record and renders what is released of it.
func renderBlock(r *Run, dst []byte, p *part) []byte {
	block := r.bytes()
	if r.err != nil || !r.unseal(block, p.path) {
		return dst
	}
	b, i := r.b, r.i
	r.b, r.i = r.plain, 0
	dst = p.items.render(r, dst, p.items)
	if r.err == nil && r.i != len(r.b) {
		r.fail(problem.RecordUnreadable, "field %s: %d bytes behind the sealed record", p.path, len(r.b)-r.i)
	}
	r.b, r.i = b, i
	return dst
}

// unseal opens the block at a path into r.plain, unless it is the one that the
// predicate opened last.
func (r *Run) unseal(block []byte, path string) bool {
	if r.opened == r.i {
		return true
	}
	r.opened = 0
	r.binding = appendBlockBinding(r.binding[:0], r.key, path)
	plain, err := r.unsealer.Open(r.plain[:0], block, r.binding)
	if err != nil {
		p := problem.From(err)
		r.err = problem.Wrap(p.Code, err, "field %s: %s", path, p.Detail)
		return false
	}
	r.plain, r.opened = plain, r.i
	return true
}
