package redact

import (
	"errors"
	"unicode/utf8"
)

// ErrMask says that a value is not of the kind its mask was made for. The
// record is then not released (invariant 3). The error never holds the value.
var ErrMask = errors.New("the value does not fit its mask")

const hidden = "***"

// AppendMasked appends what a method leaves visible of a value:
//
//	name      张三丰             → 张***      the first character
//	phone     13812345678        → 138***5678 the first 3 and last 4 of 10 characters or more
//	identity  11010519491231002X → 1101***X   the first 4 and last 1 of 15 characters or more
//	address   四川省成都市青羊区 → 四川省成都市*** the first 6 characters
//
// The number of stars is fixed, so that the length does not leak. A value too
// short to hide anything of is hidden whole; an empty value stays empty. Text
// that is not UTF-8 or an unknown method is [ErrMask].
func AppendMasked(dst []byte, m Method, value []byte) ([]byte, error) {
	if !utf8.Valid(value) || !m.known() {
		return dst, ErrMask
	}
	if len(value) == 0 {
		return dst, nil
	}
	head, tail, least := shape(m)
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
	case MaskAddress:
		return 6, 0, 9
	}
	return 0, 0, 0
}

func runeOffset(b []byte, n int) int {
	off := 0
	for range n {
		_, size := utf8.DecodeRune(b[off:])
		off += size
	}
	return off
}
