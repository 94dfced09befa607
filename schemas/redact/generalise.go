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
	plain, negative := bytes.CutPrefix(number, []byte("-"))
	whole, fraction, point := bytes.Cut(plain, []byte("."))
	if len(whole) == 0 || point && len(fraction) == 0 || !digits(whole) || !digits(fraction) {
		return dst, ErrMisfit
	}
	n := len(bytes.TrimLeft(whole, "0"))
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
func appendPower(dst []byte, n int) []byte {
	dst = append(dst, '1')
	for range n {
		dst = append(dst, '0')
	}
	return dst
}
