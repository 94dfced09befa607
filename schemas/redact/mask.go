package redact

import (
	"errors"
	"slices"
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
	if !utf8.Valid(value) || !slices.Contains(methods[Mask], m) {
		return dst, ErrMisfit
	}
	if len(value) == 0 {
		return dst, nil
	}
	head, tail, least := shape(m)
	if m == MaskIdentityBirth && !isIdentity(value) {
		return append(dst, hidden...), nil
	}
	n := utf8.RuneCount(value)
	if n < least {
		return append(dst, hidden...), nil
	}
	dst = append(dst, value[:runeOffset(value, head)]...)
	dst = append(dst, hidden...)
	return append(dst, value[runeOffset(value, n-tail):]...), nil
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

func runeOffset(b []byte, n int) int {
	off := 0
	for range n {
		_, size := utf8.DecodeRune(b[off:])
		off += size
	}
	return off
}
