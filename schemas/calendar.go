package schemas

import (
	"encoding/binary"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// The days, since 1970-01-01, of the years that RFC 3339 can write: 0 to 9999.
const (
	minDay = -719528
	maxDay = 2932896
)

// civil is the date of a day, by counting eras of 400 years from the first of
// March.
func civil(day int64) (year, month, dayOfMonth int) {
	z := uint32(day + 719468 + 146097) // an era later, so that it is not negative
	era := z / 146097
	dayOfEra := z - era*146097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	m := (5*dayOfYear + 2) / 153
	dayOfMonth = int(dayOfYear - (153*m+2)/5 + 1)
	year, month = int(yearOfEra+era*400)-400, int(m)+3
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month, dayOfMonth
}

func appendDate(dst []byte, day int64) []byte {
	y, m, d := civil(day)
	return append2(append(append2(append(append4(dst, y), '-'), m), '-'), d)
}

// floorDiv divides towards minus infinity.
func floorDiv(v, by int64) (quotient, rest int64) {
	quotient, rest = v/by, v%by
	if rest < 0 {
		quotient, rest = quotient-1, rest+by
	}
	return quotient, rest
}

// scaleOf is how many of its units a second has, and the digits of a fraction.
func scaleOf(k Kind) (perSecond int64, digits int) {
	switch k {
	case TimestampMicros, LocalTimestampMicros, TimeMicros:
		return 1e6, 6
	case TimestampNanos, LocalTimestampNanos:
		return 1e9, 9
	}
	return 1e3, 3
}

const secondsOfDay = 86400

func (r *Run) day(p *part) (int64, bool) {
	day := r.integer(p.wire)
	if day < minDay || day > maxDay {
		r.fail(problem.RecordUnreadable, "field %s: a date lies outside the years 0 to 9999", p.path)
	}
	return day, r.err == nil
}

// instant reads a timestamp.
func (r *Run) instant(p *part) (day, second, fraction int64, ok bool) {
	perSecond, _ := scaleOf(p.kind)
	second, fraction = floorDiv(r.integer(p.wire), perSecond)
	day, second = floorDiv(second, secondsOfDay)
	if day < minDay || day > maxDay {
		r.fail(problem.RecordUnreadable, "field %s: a timestamp lies outside the years 0 to 9999", p.path)
	}
	return day, second, fraction, r.err == nil
}

func renderDate(r *Run, dst []byte, p *part) []byte {
	day, ok := r.day(p)
	if !ok {
		return dst
	}
	return append(appendDate(append(dst, '"'), day), '"')
}

func renderTimestamp(r *Run, dst []byte, p *part) []byte {
	day, second, fraction, ok := r.instant(p)
	if !ok {
		return dst
	}
	dst = append(appendDate(append(dst, '"'), day), 'T')
	return append(appendTime(dst, second, fraction, p.kind), p.literal...)
}

func renderTime(r *Run, dst []byte, p *part) []byte {
	perSecond, _ := scaleOf(p.kind)
	v := r.integer(p.wire)
	if v < 0 || v >= secondsOfDay*perSecond {
		r.fail(problem.RecordUnreadable, "field %s: a time lies outside the day", p.path)
		return dst
	}
	return append(appendTime(append(dst, '"'), v/perSecond, v%perSecond, p.kind), '"')
}

func appendTime(dst []byte, second, fraction int64, k Kind) []byte {
	s := int(second)
	dst = append(append2(dst, s/3600), ':')
	dst = append(append2(dst, s/60%60), ':')
	dst = append(append2(dst, s%60), '.')
	_, digits := scaleOf(k)
	return appendDigits(dst, fraction, digits)
}

// renderDuration renders 12 bytes, months, days and milliseconds, as ISO 8601:
// P1M2DT3.004S.
func renderDuration(r *Run, dst []byte, _ *part) []byte {
	b := r.take(12)
	if r.err != nil {
		return dst
	}
	months, days, ms := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
	dst = append(appendInt(append(dst, `"P`...), int64(months)), 'M')
	dst = append(appendInt(dst, int64(days)), "DT"...)
	dst = append(appendInt(dst, int64(ms/1000)), '.')
	return append(appendDigits(dst, int64(ms%1000), 3), `S"`...)
}

// renderUUID renders 16 bytes in the form of RFC 9562.
func renderUUID(r *Run, dst []byte, p *part) []byte {
	if p.wire != avro.Fixed {
		return renderText(r, dst, p)
	}
	b := r.take(16)
	if r.err != nil {
		return dst
	}
	dst = append(dst, '"')
	for i, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = appendHex(dst, part)
	}
	return append(dst, '"')
}
