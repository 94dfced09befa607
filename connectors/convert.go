package connectors

import (
	"errors"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
)

const (
	convertPrice = "price"
	convertUnit  = "unit"
	factorScale  = 6 // decimals of a factor
)

// fieldRule fills one leaf.
type fieldRule struct {
	mapped     bool
	leaf       *schemas.Leaf
	column     int // among the mapping's columns, -1 if only a value fills it
	columnName string
	value      string
	codes      map[string]string
	symbols    map[string]int64 // of an enum
	layouts    []string
	separator  string
	maxLength  int
	convert    string
	factor     int64 // with factorScale decimals; 0: none
}

type units struct {
	column int
	table  map[string]conversion
}

type conversion struct {
	unit   string
	factor int64
}

// apply fills v, which is null, and all below it do. They take a place to write
// to, because a Value is large and there is one for each field of each row.
func (r *fieldRule) apply(cells []string, u *units, v *schemas.Value) *Fault {
	text := r.value
	if r.column >= 0 {
		if cell := trim(cells[r.column]); cell != "" {
			text = cell
		}
	}
	if text == "" && r.convert != convertUnit {
		if r.leaf.Nullable || r.leaf.Repeated {
			return nil
		}
		return &Fault{Code: problem.RequiredMissing}
	}
	return r.parse(text, u, cells, v)
}

// trim is strings.TrimSpace, which decodes the characters at both ends, for
// cells that plainly begin and end with none: ASCII, and CJK (0xe4 to 0xef is
// the first byte of what is behind U+3FFF).
func trim(s string) string {
	n := len(s)
	if n > 2 && (s[0] > ' ' && s[0] < 0x7f || s[0] >= 0xe4) && (s[n-1] > ' ' && s[n-1] < 0x7f || s[n-3] >= 0xe4) {
		return s
	}
	return strings.TrimSpace(s)
}

// parse reads a cell as a value of the leaf. cells is nil for a default.
func (r *fieldRule) parse(text string, u *units, cells []string, v *schemas.Value) *Fault {
	var factor int64
	if r.convert != "" && cells != nil {
		c, ok := u.table[strings.TrimSpace(cells[u.column])]
		if !ok {
			return &Fault{Code: problem.UnitUnknown}
		}
		factor = c.factor
		if r.convert == convertUnit {
			text = c.unit
		}
	}
	if r.leaf.Repeated {
		return r.items(text, v)
	}
	if r.leaf.Kind == schemas.Decimal {
		return r.decimal(text, v, factor, r.factor)
	}
	return r.scalar(text, v)
}

// finerDecimals is how many decimals more than the field a number may have that
// is multiplied: an amount in 万元 has those of 元, and four more.
const finerDecimals = 4

// decimal reads a number and multiplies it by factors, of which 0 is none. What
// only the product makes fit must fit exactly.
func (r *fieldRule) decimal(text string, v *schemas.Value, factors ...int64) *Fault {
	finer := int64(1)
	fault := number(text, r.leaf.Scale, v)
	if fault != nil && fault.Code == problem.NumberOutOfRange && slices.ContainsFunc(factors, func(f int64) bool { return f != 0 }) {
		finer = pow10(finerDecimals)
		fault = number(text, r.leaf.Scale+finerDecimals, v)
	}
	if fault != nil {
		return fault
	}
	for _, f := range factors {
		if f == 0 {
			continue
		}
		var ok bool
		if v.Int, ok = scale(v.Int, f); !ok {
			return &Fault{Code: problem.NumberOutOfRange}
		}
	}
	most := pow10(r.leaf.Precision)
	if v.Int%finer != 0 || v.Int/finer >= most || v.Int/finer <= -most {
		return &Fault{Code: problem.NumberOutOfRange}
	}
	v.Int /= finer
	return nil
}

func (r *fieldRule) scalar(text string, v *schemas.Value) *Fault {
	switch r.leaf.Kind {
	case schemas.String, schemas.Bytes:
		return r.text(text, v)
	case schemas.Enum:
		i, ok := r.symbols[text]
		if !ok {
			return &Fault{Code: problem.CodeUnknown}
		}
		setInt(v, i)
		return nil
	case schemas.Decimal:
		return number(text, r.leaf.Scale, v)
	case schemas.Int, schemas.Long:
		return number(text, 0, v)
	case schemas.Boolean:
		return boolean(text, v)
	case schemas.Date, schemas.TimestampMillis:
		return r.date(text, v)
	}
	return &Fault{Code: problem.Internal}
}

func (r *fieldRule) text(text string, v *schemas.Value) *Fault {
	if mapped, ok := r.codes[text]; ok {
		text = mapped
	}
	switch n := characters(text); {
	case n < 0:
		return &Fault{Code: problem.TextInvalid}
	case n > r.maxLength:
		return &Fault{Code: problem.TextTooLong}
	}
	v.Set, v.Bytes = true, schemas.TextValue(text).Bytes
	return nil
}

func setInt(v *schemas.Value, n int64) { v.Set, v.Int = true, n }

// characters counts the characters of a text, or returns -1 if it holds one
// that no text of an authority does. It is in the way of every row, so it
// decodes only what is not ASCII.
func characters(text string) int {
	n := 0
	for i := 0; i < len(text); n++ {
		c := text[i]
		switch {
		case c < utf8.RuneSelf:
			if unwanted(c) {
				return -1
			}
			i++
		case len(text)-i > 2 && cjk(c, text[i+1], text[i+2]):
			i += 3
		default:
			r, size := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError { // the mark of a byte that did not decode, or such a byte
				return -1
			}
			i += size
		}
	}
	return n
}

// unwanted is a control character other than line ends and tabs.
func unwanted(c byte) bool { return c < 0x20 && c != '\n' && c != '\t' && c != '\r' || c == 0x7f }

// cjk says whether three bytes are a character from U+1000 to U+CFFF.
func cjk(a, b, c byte) bool { return a > 0xe0 && a < 0xed && b&0xc0 == 0x80 && c&0xc0 == 0x80 }

// items reads a repeated leaf; the items of a JSON array are parted by U+001F.
func (r *fieldRule) items(text string, v *schemas.Value) *Fault {
	v.Set = true
	separators := ";；、\x1f"
	if r.separator != "" {
		separators = r.separator + "\x1f"
	}
	for item := range strings.FieldsFuncSeq(text, func(c rune) bool { return strings.ContainsRune(separators, c) }) {
		var one schemas.Value
		if fault := r.scalar(strings.TrimSpace(item), &one); fault != nil {
			return fault
		}
		if r.leaf.Kind == schemas.String || r.leaf.Kind == schemas.Bytes {
			v.Texts = append(v.Texts, one.Bytes)
		} else {
			v.Ints = append(v.Ints, one.Int)
		}
	}
	return nil
}

func boolean(text string, v *schemas.Value) *Fault {
	switch strings.ToLower(text) {
	case "true", "1", "y", "yes", "是":
		setInt(v, 1)
	case "false", "0", "n", "no", "否":
		setInt(v, 0)
	default:
		return &Fault{Code: problem.CodeUnknown}
	}
	return nil
}

var (
	errNotANumber = errors.New("not a number")
	errTooPrecise = errors.New("out of range or too precise")
)

func number(text string, scale int, v *schemas.Value) *Fault {
	n, err := parseDecimal(text, scale)
	switch {
	case errors.Is(err, errTooPrecise):
		return &Fault{Code: problem.NumberOutOfRange}
	case err != nil:
		return &Fault{Code: problem.NumberUnreadable}
	}
	setInt(v, n)
	return nil
}

// parseDecimal reads digits with at most one point into an unscaled integer,
// exactly: "1.5" with scale 4 is 15000. Zeros at either end do not count.
func parseDecimal(text string, scale int) (int64, error) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" || !allDigits(whole) || !allDigits(fraction) {
		return 0, errNotANumber
	}
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if len(fraction) > scale || len(whole)+scale > 18 {
		return 0, errTooPrecise
	}
	n := appendDecimals(appendDecimals(0, whole), fraction) * pow10(scale-len(fraction))
	if negative {
		n = -n
	}
	return n, nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func appendDecimals(n int64, digits string) int64 {
	for i := range len(digits) {
		n = n*10 + int64(digits[i]-'0')
	}
	return n
}

// scale multiplies by a factor of factorScale decimals and rounds half away
// from zero; ok is false when the product leaves 63 bits.
func scale(v, factor int64) (product int64, ok bool) {
	if v < 0 {
		product, ok = scale(-v, factor)
		return -product, ok
	}
	const divisor = 1e6                             // factorScale decimals
	hi, lo := bits.Mul64(uint64(v), uint64(factor)) //nolint:gosec // neither is negative
	lo, carry := bits.Add64(lo, divisor/2, 0)
	if hi += carry; hi >= divisor {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, divisor)
	return int64(q), q <= math.MaxInt64 //nolint:gosec // told by ok
}

func pow10(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// china is where a time without a zone was written down (GB/T 7408: UTC+8, no
// summer time).
var china = time.FixedZone("+08:00", 8*60*60)

var (
	dateLayouts      = []string{time.DateOnly, "2006/1/2", "20060102", "2006年1月2日", "2006.1.2"}
	timestampLayouts = []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006/1/2 15:04:05", "20060102150405", time.DateOnly}
)

func (r *fieldRule) date(text string, v *schemas.Value) *Fault {
	layouts := r.layouts
	switch {
	case layouts != nil:
	case r.leaf.Kind == schemas.Date:
		layouts = dateLayouts
	default:
		layouts = timestampLayouts
	}
	if layouts[0] == time.DateOnly && r.leaf.Kind == schemas.Date {
		if day, ok := isoDay(text); ok {
			setInt(v, day)
			return nil
		}
	}
	for _, layout := range layouts {
		t, err := time.ParseInLocation(layout, text, china)
		if err != nil {
			continue
		}
		if r.leaf.Kind == schemas.TimestampMillis {
			setInt(v, t.UnixMilli())
			return nil
		}
		day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		setInt(v, day.Unix()/86400)
		return nil
	}
	return &Fault{Code: problem.DateUnreadable}
}

// isoDay reads 2006-01-02, the form that most dates have, into the days since
// 1970-01-01.
func isoDay(text string) (int64, bool) {
	if len(text) != len(time.DateOnly) || text[4] != '-' || text[7] != '-' ||
		!allDigits(text[:4]) || !allDigits(text[5:7]) || !allDigits(text[8:]) {
		return 0, false
	}
	year, month, day := int(appendDecimals(0, text[:4])), time.Month(appendDecimals(0, text[5:7])), int(appendDecimals(0, text[8:]))
	t := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	return t.Unix() / 86400, t.Month() == month && t.Day() == day
}
