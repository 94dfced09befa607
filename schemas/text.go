package schemas

import (
	"encoding/binary"
	"unicode/utf8"
)

// textClass is what scanText finds.
type textClass uint8

const (
	plainText   textClass = iota // UTF-8 that needs no escape
	specialText                  // something in it may need one
	brokenText                   // not UTF-8
)

// Eight bytes at a time.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// scanText classes a text in one pass. It is quick where the exchange's texts
// are: runs of ASCII, and runs of characters that take three bytes.
func scanText(s []byte) textClass {
	i := 0
	for i < len(s) {
		switch c := s[i]; {
		case c < utf8.RuneSelf:
			n, special := scanASCII(s[i:])
			if special {
				return specialText
			}
			i += n
		case c > 0xe0 && c < 0xf0:
			n := scanThrees(s[i:])
			if n == 0 {
				return brokenText
			}
			i += n
		default:
			r, n := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && n == 1 {
				return brokenText
			}
			i += n
		}
	}
	return plainText
}

// validText says whether a text is UTF-8.
func validText(s []byte) bool {
	class := scanText(s)
	return class == plainText || class == specialText && utf8.Valid(s)
}

// scanASCII counts the ASCII at the beginning of a text and says whether any of
// it may need an escape: a control character, a quote or a backslash.
func scanASCII(s []byte) (n int, special bool) {
	for len(s)-n >= 8 {
		w := binary.LittleEndian.Uint64(s[n:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		if found := (w-ones*0x20)&^w | (quote-ones)&^quote | (slash-ones)&^slash; found&highs != 0 && w&highs == 0 {
			return n, true
		}
		if w&highs != 0 {
			break
		}
		n += 8
	}
	for ; n < len(s) && s[n] < utf8.RuneSelf; n++ {
		if c := s[n]; c < 0x20 || c == '"' || c == '\\' {
			return n, true
		}
	}
	return n, false
}

// irregular are the first bytes, less 0xe0, after which not every second byte is
// valid: 0xe0 (overlong forms) and 0xed (surrogates).
const irregular = 1<<0x0 | 1<<0xd

// scanThrees counts the bytes of valid characters of three bytes at the
// beginning of a text; 0 if the first is none.
func scanThrees(s []byte) int {
	n := 0
	for len(s)-n >= 8 { // two at a time
		w := binary.LittleEndian.Uint64(s[n:])
		if w&0xc0c0f0c0c0f0 != 0x8080e08080e0 || irregular>>(w&15)&1 != 0 || irregular>>(w>>24&15)&1 != 0 {
			break
		}
		n += 6
	}
	for len(s)-n >= 3 {
		c, d := s[n], s[n+1]
		if c <= 0xe0 || c >= 0xf0 || d&0xc0 != 0x80 || s[n+2]&0xc0 != 0x80 || c == 0xed && d >= 0xa0 { // surrogates
			break
		}
		n += 3
	}
	return n
}

// appendEscaped writes the inside of a JSON string.
func appendEscaped(dst, s []byte) []byte {
	start := 0
	for i, c := range s {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		dst = appendEscape(dst, c)
	}
	return append(dst, s[start:]...)
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

const hexDigits = "0123456789abcdef"

func appendHex(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}
