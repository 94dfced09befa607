package redact

import "bytes"

// AppendProvince appends the province of a region code (GB/T 2260): 510107 is
// 510000. Codes of streets and villages (9 and 12 digits) are taken too.
// Anything else is [ErrMisfit].
func AppendProvince(dst, code []byte) ([]byte, error) {
	switch len(code) {
	case 6, 9, 12:
	default:
		return dst, ErrMisfit
	}
	if !digits(code) || code[0] == '0' {
		return dst, ErrMisfit
	}
	return append(append(dst, code[:2]...), "0000"...), nil
}

// The whole digits of the amounts between which bands are told apart: all
// below 1,000 are one band, and all from 100,000,000 up.
const (
	leastDigits = 4
	mostDigits  = 9
)

// AppendBand appends the band that an exact number lies in, from one power of
// ten to the next, as an interval:
//
//	12345.67 → [10000,100000)    8 → [0,1000)    -12345.67 → (-100000,-10000]    9876543210 → [100000000,)
//
// number is written plainly: an optional minus, digits, an optional point with
// digits. Anything else is [ErrMisfit].
func AppendBand(dst, number []byte) ([]byte, error) {
	whole, _, negative, ok := plainNumber(number)
	if !ok {
		return dst, ErrMisfit
	}
	n := len(whole)
	if negative {
		return appendNegativeBand(dst, n), nil
	}
	switch {
	case n < leastDigits:
		return append(dst, "[0,1000)"...), nil
	case n >= mostDigits:
		return append(dst, "[100000000,)"...), nil
	}
	dst = append(appendPower(append(dst, '['), n-1), ',')
	return append(appendPower(dst, n), ')'), nil
}

// plainNumber parts a number that is written plainly; whole has no zeros before it.
func plainNumber(number []byte) (whole, fraction []byte, negative, ok bool) {
	plain, negative := bytes.CutPrefix(number, []byte("-"))
	whole, fraction, point := bytes.Cut(plain, []byte("."))
	ok = len(whole) > 0 && (!point || len(fraction) > 0) && digits(whole) && digits(fraction)
	return bytes.TrimLeft(whole, "0"), fraction, negative, ok
}

// The powers of ten between which fine bands are told apart: what is below a
// hundredth is one band, and so is all from 1,000,000,000 up.
const (
	leastFinePower = -2
	mostFinePower  = 8
)

// AppendFineBand appends the band that an exact number lies in, from one of
// …, 0.1, 0.2, 0.5, 1, 2, 5, 10, … to the next: for prices, all of which are
// one band of AppendBand.
//
//	3.80 → [2,5)    0.15 → [0.1,0.2)    12345.67 → [10000,20000)    -3 → (-5,-2]    0.001 → [0,0.01)
//
// It takes what AppendBand takes.
func AppendFineBand(dst, number []byte) ([]byte, error) {
	whole, fraction, negative, ok := plainNumber(number)
	if !ok {
		return dst, ErrMisfit
	}
	power, first := len(whole)-1, byte('0')
	if power >= 0 {
		first = whole[0]
	} else if below := bytes.TrimLeft(fraction, "0"); len(below) > 0 {
		power, first = len(below)-len(fraction)-1, below[0]
	} else {
		power = leastFinePower - 1 // zero
	}
	switch {
	case power < leastFinePower:
		return appendFine(dst, bound{}, bound{'1', leastFinePower}, negative), nil
	case power > mostFinePower:
		return appendFine(dst, bound{'1', mostFinePower + 1}, bound{}, negative), nil
	case first == '1':
		return appendFine(dst, bound{'1', power}, bound{'2', power}, negative), nil
	case first < '5':
		return appendFine(dst, bound{'2', power}, bound{'5', power}, negative), nil
	}
	return appendFine(dst, bound{'5', power}, bound{'1', power + 1}, negative), nil
}

// bound is an end of a fine band: a digit at a power of ten. The zero value is
// 0 as a lower end, and no end as an upper one.
type bound struct {
	digit byte
	power int
}

// appendFine appends the interval from low to high, or its mirror below zero.
func appendFine(dst []byte, low, high bound, negative bool) []byte {
	if negative {
		dst = append(high.append(append(dst, '('), "-"), ',')
		if low == (bound{}) {
			return append(dst, "0)"...)
		}
		return append(low.append(dst, "-"), ']')
	}
	dst = append(dst, '[')
	if low == (bound{}) {
		dst = append(dst, '0')
	}
	return append(high.append(append(low.append(dst, ""), ','), ""), ')')
}

func (b bound) append(dst []byte, sign string) []byte {
	switch {
	case b == bound{}:
		return dst
	case b.power >= 0:
		dst = append(append(dst, sign...), b.digit)
		return appendZeros(dst, b.power)
	}
	dst = appendZeros(append(append(dst, sign...), "0."...), -b.power-1)
	return append(dst, b.digit)
}

func appendNegativeBand(dst []byte, n int) []byte {
	switch {
	case n < leastDigits:
		return append(dst, "(-1000,0)"...)
	case n >= mostDigits:
		return append(dst, "(,-100000000]"...)
	}
	dst = append(appendPower(append(dst, "(-"...), n), ",-"...)
	return append(appendPower(dst, n-1), ']')
}

// appendPower appends 10 to the power of n.
func appendPower(dst []byte, n int) []byte { return appendZeros(append(dst, '1'), n) }

func appendZeros(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, '0')
	}
	return dst
}
