package schemas

import (
	"math"
	"strconv"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// pairs are the numbers 00 to 99.
const pairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

// appendInt is strconv.AppendInt for base 10.
func appendInt(dst []byte, v int64) []byte { return strconv.AppendInt(dst, v, 10) }

// append2, append3 and so on write numbers of a fixed number of digits.
func append2(dst []byte, v int) []byte { return append(dst, pairs[2*v], pairs[2*v+1]) }

func append4(dst []byte, v int) []byte { return append2(append2(dst, v/100), v%100) }

// appendDigits writes a number of n digits.
func appendDigits(dst []byte, v int64, n int) []byte {
	start := len(dst)
	for range n {
		dst = append(dst, '0')
	}
	for i := start + n - 1; i >= start; i-- {
		dst[i] = '0' + byte(v%10)
		v /= 10
	}
	return dst
}

// renderDecimal renders the exact digits, as a string, because a JSON number
// would be rounded by most readers.
func renderDecimal(r *Run, dst []byte, p *part) []byte {
	return append(r.decimal(append(dst, '"'), p), '"')
}

// decimal writes the digits without quotes.
func (r *Run) decimal(dst []byte, p *part) []byte {
	b := r.unscaled(p)
	if r.err != nil {
		return dst
	}
	if len(b) == 0 || len(b) > p.longest {
		r.fail(problem.RecordUnreadable, "field %s: a decimal has %d bytes, and its precision allows 1 to %d", p.path, len(b), p.longest)
		return dst
	}
	if len(b) > 8 {
		return r.bigDecimal(dst, b, p.scale)
	}
	return appendFixedPoint(dst, twosComplement(b), p.scale)
}

// unscaled reads the bytes of a decimal.
func (r *Run) unscaled(p *part) []byte {
	if p.wire == avro.Fixed {
		return trimSign(r.take(p.size))
	}
	return r.bytes()
}

// twosComplement reads 1 to 8 bytes.
func twosComplement(b []byte) int64 {
	v := int64(int8(b[0]))
	for _, c := range b[1:] {
		v = v<<8 | int64(c)
	}
	return v
}

// trimSign takes off the bytes of a fixed number that only repeat its sign.
func trimSign(b []byte) []byte {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	return b
}

// longestDecimal is how many bytes a decimal of so many digits takes at most,
// or 8 if it takes fewer, because not every writer writes the shortest form.
func longestDecimal(precision int) int {
	return max(8, int(math.Ceil((float64(precision)*math.Log2(10)+1)/8)))
}

// bigDecimal writes a decimal of more than 8 bytes.
func (r *Run) bigDecimal(dst, b []byte, scale int) []byte {
	negative := b[0] >= 0x80
	r.scratch = append(r.scratch[:0], b...)
	if negative { // its magnitude is the complement plus one
		for i := range r.scratch {
			r.scratch[i] = ^r.scratch[i]
		}
		for i := len(r.scratch) - 1; i >= 0; i-- {
			if r.scratch[i]++; r.scratch[i] != 0 {
				break
			}
		}
		dst = append(dst, '-')
	}
	r.big.SetBytes(r.scratch)
	r.scratch = r.big.Append(r.scratch[:0], 10)
	digits := r.scratch
	for n := len(digits); n <= scale; n++ { // 0.00…
		if n == len(digits) {
			dst = append(dst, "0."...)
		}
		if n < scale {
			dst = append(dst, '0')
		}
	}
	if whole := len(digits) - scale; whole > 0 {
		dst = append(dst, digits[:whole]...)
		if digits = digits[whole:]; scale > 0 {
			dst = append(dst, '.')
		}
	}
	return append(dst, digits...)
}

// appendFixedPoint writes an unscaled decimal with its point.
func appendFixedPoint(dst []byte, v int64, scale int) []byte {
	u := uint64(v)
	if v < 0 {
		dst = append(dst, '-')
		u = -u
	}
	if scale > maxPrecision {
		return appendSmall(dst, u, scale)
	}
	unit := powers[scale]
	dst = strconv.AppendUint(dst, u/unit, 10)
	if scale == 0 {
		return dst
	}
	dst = append(dst, '.')
	if scale == 4 { // prices
		return append4(dst, int(u%unit))
	}
	return appendDigits(dst, int64(u%unit), scale)
}

// appendSmall writes a decimal all of whose digits stand behind the point.
func appendSmall(dst []byte, u uint64, scale int) []byte {
	var digits [20]byte
	text := strconv.AppendUint(digits[:0], u, 10)
	if whole := len(text) - scale; whole > 0 {
		return append(append(append(dst, text[:whole]...), '.'), text[whole:]...)
	}
	dst = append(dst, "0."...)
	for range scale - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}

// powers of ten that fit an int64.
var powers = [...]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
}
