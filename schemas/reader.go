package schemas

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// reader walks the Avro body of one record. After the first error it no longer
// moves.
type reader struct {
	b   []byte
	i   int
	key []byte
	run *Run
	err error
}

func (r *reader) fail(code problem.Code, format string, args ...any) {
	if r.err == nil {
		r.err = problem.New(code, format, args...)
	}
}

func (r *reader) short() { r.fail(problem.RecordUnreadable, "the record ends early, at byte %d", r.i) }

func (r *reader) long() int64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Varint(r.b[r.i:])
	if n <= 0 {
		r.short()
		return 0
	}
	r.i += n
	return v
}

func (r *reader) int32() int64 {
	v := r.long()
	if v != int64(int32(v)) {
		r.fail(problem.RecordUnreadable, "an int exceeds 32 bits, at byte %d", r.i)
		return 0
	}
	return v
}

// bytes returns a slice of the record: length-prefixed bytes or text.
func (r *reader) bytes() []byte {
	n := r.long()
	if r.err != nil {
		return nil
	}
	if n < 0 || n > int64(len(r.b)-r.i) {
		r.short()
		return nil
	}
	v := r.b[r.i : r.i+int(n)]
	r.i += int(n)
	return v
}

// null reads which branch of ["null", T] follows.
func (r *reader) null() bool {
	switch r.long() {
	case 0:
		return true
	case 1:
		return false
	}
	r.fail(problem.RecordUnreadable, "a union names a branch that it does not have, at byte %d", r.i)
	return true
}

func (r *reader) skip(n *node) {
	if n.nullable && r.null() {
		return
	}
	r.skipValue(n)
}

func (r *reader) skipValue(n *node) {
	switch n.kind {
	case Boolean:
		if r.i >= len(r.b) {
			r.short()
			return
		}
		r.i++
	case Int, Date:
		r.int32()
	case Long, TimestampMillis:
		r.long()
	case Enum:
		r.symbol(n)
	case String, Bytes, Decimal, sealedKind:
		r.bytes()
	case recordKind:
		for i := range n.fields {
			r.skip(n.fields[i].node)
		}
	case arrayKind:
		r.items(func() { r.skip(n.items) })
	}
}

func (r *reader) symbol(n *node) string {
	v := r.long()
	if r.err != nil || v < 0 || v >= int64(len(n.symbols)) {
		r.fail(problem.RecordUnreadable, "an enum names a symbol that it does not have, at byte %d", r.i)
		return ""
	}
	return n.symbols[v]
}

// items calls each for every item of an array. An item takes a byte at least,
// so a count beyond the remaining bytes is refused before anything is done.
func (r *reader) items(each func()) {
	for {
		count := r.long()
		if count < 0 { // a block that states its length in bytes
			count = -count
			r.long()
		}
		if count == 0 || r.err != nil {
			return
		}
		if count < 0 || count > int64(len(r.b)-r.i) {
			r.short()
			return
		}
		for range count {
			if each(); r.err != nil {
				return
			}
		}
	}
}

// value renders a value that is not null.
func (r *reader) value(dst []byte, n *node) []byte {
	switch n.kind {
	case Boolean:
		return r.boolean(dst)
	case Int:
		return strconv.AppendInt(dst, r.int32(), 10)
	case Long:
		return strconv.AppendInt(dst, r.long(), 10)
	case Enum:
		return append(append(append(dst, '"'), r.symbol(n)...), '"')
	case Date:
		return r.date(dst)
	case TimestampMillis:
		return r.timestamp(dst)
	case Decimal:
		return r.decimal(dst, n.scale)
	case String:
		return r.text(dst, r.bytes())
	case Bytes:
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), r.bytes())
		return append(dst, '"')
	case arrayKind:
		return r.array(dst, n)
	case recordKind, sealedKind: // rendered by object and block
	}
	r.fail(problem.RecordUnredactable, "a field has a kind that cannot be rendered")
	return dst
}

func (r *reader) boolean(dst []byte) []byte {
	if r.i >= len(r.b) || r.b[r.i] > 1 {
		r.fail(problem.RecordUnreadable, "no boolean at byte %d", r.i)
		return dst
	}
	r.i++
	return strconv.AppendBool(dst, r.b[r.i-1] == 1)
}

func (r *reader) array(dst []byte, n *node) []byte {
	dst = append(dst, '[')
	first := true
	r.items(func() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = r.value(dst, n.items)
	})
	return append(dst, ']')
}

// The years that RFC 3339 can write.
var (
	minDay    = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix() / 86400
	maxDay    = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).Unix() / 86400
	minMillis = minDay * 86400_000
	maxMillis = (maxDay+1)*86400_000 - 1
)

func (r *reader) date(dst []byte) []byte {
	days := r.int32()
	if days < minDay || days > maxDay {
		r.fail(problem.RecordUnreadable, "a date lies outside the years 0 to 9999")
		return dst
	}
	return time.Unix(days*86400, 0).UTC().AppendFormat(dst, `"2006-01-02"`)
}

func (r *reader) timestamp(dst []byte) []byte {
	ms := r.long()
	if ms < minMillis || ms > maxMillis {
		r.fail(problem.RecordUnreadable, "a timestamp lies outside the years 0 to 9999")
		return dst
	}
	return time.UnixMilli(ms).UTC().AppendFormat(dst, `"2006-01-02T15:04:05.000Z"`)
}

// decimal renders the exact digits, as a string, because a JSON number would
// be rounded by most readers.
func (r *reader) decimal(dst []byte, scale int) []byte {
	b := r.bytes()
	if r.err != nil {
		return dst
	}
	if len(b) == 0 || len(b) > 8 {
		r.fail(problem.RecordUnreadable, "a decimal has %d bytes", len(b))
		return dst
	}
	v := int64(int8(b[0])) // with the sign of two's complement
	for _, c := range b[1:] {
		v = v<<8 | int64(c)
	}
	return append(appendFixedPoint(append(dst, '"'), v, scale), '"')
}

// appendFixedPoint writes an unscaled decimal with its point.
func appendFixedPoint(dst []byte, v int64, scale int) []byte {
	u := uint64(v)
	if v < 0 {
		dst = append(dst, '-')
		u = -u
	}
	var digits [24]byte
	i := len(digits)
	for n := 0; u > 0 || n <= scale; n++ {
		if n == scale && scale > 0 {
			i--
			digits[i] = '.'
		}
		i--
		digits[i] = '0' + byte(u%10)
		u /= 10
	}
	return append(dst, digits[i:]...)
}

// text renders a JSON string (RFC 8259): only what must be escaped is, and
// text that is not UTF-8 is not released.
func (r *reader) text(dst, s []byte) []byte {
	if r.err != nil {
		return dst
	}
	if !utf8.Valid(s) {
		r.fail(problem.RecordUnreadable, "a text is not UTF-8")
		return dst
	}
	dst = append(dst, '"')
	start := 0
	for i, c := range s {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		dst = appendEscape(dst, c)
	}
	return append(append(dst, s[start:]...), '"')
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
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
