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

func (r *fieldRule) apply(cells []string, u *units) (schemas.Value, *Fault) {
	text := r.value
	if r.column >= 0 {
		if cell := strings.TrimSpace(cells[r.column]); cell != "" {
			text = cell
		}
	}
	if text == "" && r.convert != convertUnit {
		if r.leaf.Nullable || r.leaf.Repeated {
			return schemas.Value{}, nil
		}
		return schemas.Value{}, &Fault{Code: problem.RequiredMissing}
	}
	return r.parse(text, u, cells)
}

// parse reads a cell as a value of the leaf. cells is nil for a default.
func (r *fieldRule) parse(text string, u *units, cells []string) (schemas.Value, *Fault) {
	var factor int64
	if r.convert != "" && cells != nil {
		c, ok := u.table[strings.TrimSpace(cells[u.column])]
		if !ok {
			return schemas.Value{}, &Fault{Code: problem.UnitUnknown}
		}
		factor = c.factor
		if r.convert == convertUnit {
			text = c.unit
		}
	}
	if r.leaf.Repeated {
		return r.items(text)
	}
	if r.leaf.Kind == schemas.Decimal {
		return r.decimal(text, factor, r.factor)
	}
	return r.scalar(text)
}

// finerDecimals is how many decimals more than the field a number may have that
// is multiplied: an amount in 万元 has those of 元, and four more.
const finerDecimals = 4

// decimal reads a number and multiplies it by factors, of which 0 is none. What
// only the product makes fit must fit exactly.
func (r *fieldRule) decimal(text string, factors ...int64) (schemas.Value, *Fault) {
	finer := int64(1)
	v, fault := number(text, r.leaf.Scale)
	if fault != nil && fault.Code == problem.NumberOutOfRange && slices.ContainsFunc(factors, func(f int64) bool { return f != 0 }) {
		finer = pow10(finerDecimals)
		v, fault = number(text, r.leaf.Scale+finerDecimals)
	}
	if fault != nil {
		return v, fault
	}
	for _, f := range factors {
		if f == 0 {
			continue
		}
		var ok bool
		if v.Int, ok = scale(v.Int, f); !ok {
			return v, &Fault{Code: problem.NumberOutOfRange}
		}
	}
	most := pow10(r.leaf.Precision)
	if v.Int%finer != 0 || v.Int/finer >= most || v.Int/finer <= -most {
		return v, &Fault{Code: problem.NumberOutOfRange}
	}
	v.Int /= finer
	return v, nil
}

func (r *fieldRule) scalar(text string) (schemas.Value, *Fault) {
	switch r.leaf.Kind {
	case schemas.String, schemas.Bytes:
		return r.text(text)
	case schemas.Enum:
		i, ok := r.symbols[text]
		if !ok {
			return schemas.Value{}, &Fault{Code: problem.CodeUnknown}
		}
		return schemas.IntValue(i), nil
	case schemas.Decimal:
		return number(text, r.leaf.Scale)
	case schemas.Int, schemas.Long:
		return number(text, 0)
	case schemas.Boolean:
		return boolean(text)
	case schemas.Date, schemas.TimestampMillis:
		return r.date(text)
	}
	return schemas.Value{}, &Fault{Code: problem.Internal}
}

func (r *fieldRule) text(text string) (schemas.Value, *Fault) {
	if mapped, ok := r.codes[text]; ok {
		text = mapped
	}
	if utf8.RuneCountInString(text) > r.maxLength {
		return schemas.Value{}, &Fault{Code: problem.TextTooLong}
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unwanted) {
		return schemas.Value{}, &Fault{Code: problem.TextInvalid}
	}
	return schemas.TextValue(text), nil
}

// unwanted is a character that no text of an authority holds: the mark of a
// byte that did not decode, or a control character other than line ends and
// tabs.
func unwanted(c rune) bool {
	return c == utf8.RuneError || c < 0x20 && c != '\n' && c != '\t' && c != '\r' || c == 0x7f
}

// items reads a repeated leaf; the items of a JSON array are parted by U+001F.
func (r *fieldRule) items(text string) (schemas.Value, *Fault) {
	v := schemas.Value{Set: true}
	separators := ";；、\x1f"
	if r.separator != "" {
		separators = r.separator + "\x1f"
	}
	for item := range strings.FieldsFuncSeq(text, func(c rune) bool { return strings.ContainsRune(separators, c) }) {
		one, fault := r.scalar(strings.TrimSpace(item))
		if fault != nil {
			return v, fault
		}
		if r.leaf.Kind == schemas.String || r.leaf.Kind == schemas.Bytes {
			v.Texts = append(v.Texts, one.Bytes)
		} else {
			v.Ints = append(v.Ints, one.Int)
		}
	}
	return v, nil
}

func boolean(text string) (schemas.Value, *Fault) {
	switch strings.ToLower(text) {
	case "true", "1", "y", "yes", "是":
		return schemas.IntValue(1), nil
	case "false", "0", "n", "no", "否":
		return schemas.IntValue(0), nil
	}
	return schemas.Value{}, &Fault{Code: problem.CodeUnknown}
}

var (
	errNotANumber = errors.New("not a number")
	errTooPrecise = errors.New("out of range or too precise")
)

func number(text string, scale int) (schemas.Value, *Fault) {
	n, err := parseDecimal(text, scale)
	switch {
	case errors.Is(err, errTooPrecise):
		return schemas.Value{}, &Fault{Code: problem.NumberOutOfRange}
	case err != nil:
		return schemas.Value{}, &Fault{Code: problem.NumberUnreadable}
	}
	return schemas.IntValue(n), nil
}

// parseDecimal reads digits with at most one point into an unscaled integer,
// exactly: "1.5" with scale 4 is 15000.
func parseDecimal(text string, scale int) (int64, error) {
	digits, negative := strings.CutPrefix(text, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, errNotANumber
	}
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if len(fraction) > scale || len(whole)+scale > 18 {
		return 0, errTooPrecise
	}
	var n int64
	for _, digit := range []byte(whole + fraction) {
		n = n*10 + int64(digit-'0')
	}
	n *= pow10(scale - len(fraction))
	if negative {
		n = -n
	}
	return n, nil
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

func (r *fieldRule) date(text string) (schemas.Value, *Fault) {
	layouts := r.layouts
	switch {
	case layouts != nil:
	case r.leaf.Kind == schemas.Date:
		layouts = dateLayouts
	default:
		layouts = timestampLayouts
	}
	for _, layout := range layouts {
		t, err := time.ParseInLocation(layout, text, china)
		if err != nil {
			continue
		}
		if r.leaf.Kind == schemas.TimestampMillis {
			return schemas.IntValue(t.UnixMilli()), nil
		}
		day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		return schemas.IntValue(day.Unix() / 86400), nil
	}
	return schemas.Value{}, &Fault{Code: problem.DateUnreadable}
}
