package redact

import (
	"errors"
	"unicode/utf8"
)

// ErrMisfit says that a value is not of the kind that a mask or generalisation
// was made for. The record is then not released (invariant 3). The error never
// holds the value.
var ErrMisfit = errors.New("the value is not of the kind that this was made for")

const hidden = "***"

// AppendMasked appends what a method leaves visible of a value:
//
//	name            张三丰             → 张***           the first character
//	phone           13812345678        → 138***5678      the first 3 and last 4 of 10 characters or more
//	identity        11010519491231002X → 1101***X        the first 4 and last 1 of 15 characters or more
//	identity_birth  11010519491231002X → 110105***002X   all but the date of birth (GB 11643: characters 7 to 14)
//	address         四川省成都市青羊区 → 四川省成都市*** the first 6 characters
//
// The number of stars is fixed, so that the length does not leak. A value too
// short to hide anything of is hidden whole; an empty value stays empty. A
// value that has not the form of an identity number is hidden whole by
// identity_birth. Text that is not UTF-8 and an unknown method are [ErrMisfit].
//
// identity_birth is for where a rule asks for it: the lists of the tax
// authorities publish the number without its date of birth.
func AppendMasked(dst []byte, m Method, value []byte) ([]byte, error) {
	head, tail, least := shape(m)
	n := runes(value)
	switch {
	case n < 0 || least == 0:
		return dst, ErrMisfit
	case n == 0:
		return dst, nil
	case n < least, m == MaskIdentityBirth && !isIdentity(value):
		return append(dst, hidden...), nil
	}
	dst = append(dst, value[:ahead(value, head)]...)
	dst = append(dst, hidden...)
	return append(dst, value[behind(value, tail):]...), nil
}

// shape says how many characters of head and tail stay, and how many a value
// must have for that to hide enough of it.
func shape(m Method) (head, tail, least int) {
	switch m {
	case MaskName:
		return 1, 0, 2
	case MaskPhone:
		return 3, 4, 10
	case MaskIdentity:
		return 4, 1, 15
	case MaskIdentityBirth:
		return 6, 4, 18
	case MaskAddress:
		return 6, 0, 9
	}
	return 0, 0, 0
}

// isIdentity says whether a value has the form of a resident identity number:
// 17 digits, and a digit or X.
func isIdentity(value []byte) bool {
	const length = 18
	return len(value) == length && digits(value[:length-1]) && (digits(value[length-1:]) || value[length-1] == 'X')
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// runes counts the characters of a text, or returns -1 if it is not UTF-8. It
// is quick where the exchange's texts are: ASCII, and characters of three bytes.
func runes(b []byte) int {
	n := 0
	for i := 0; i < len(b); n++ {
		switch c := b[i]; {
		case c < utf8.RuneSelf:
			i++
		case c > 0xe0 && c < 0xf0 && c != 0xed && len(b)-i > 2 && b[i+1]&0xc0 == 0x80 && b[i+2]&0xc0 == 0x80:
			i += 3
		default:
			r, size := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && size == 1 {
				return -1
			}
			i += size
		}
	}
	return n
}

// ahead is where the first n characters end.
func ahead(b []byte, n int) int {
	i := 0
	for ; n > 0; n-- {
		for i++; i < len(b) && !utf8.RuneStart(b[i]); i++ {
			continue
		}
	}
	return i
}

// behind is where the last n characters begin.
func behind(b []byte, n int) int {
	i := len(b)
	for ; n > 0; n-- {
		for i--; !utf8.RuneStart(b[i]); i-- {
			continue
		}
	}
	return i
}
