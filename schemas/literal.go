package schemas

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// newTest reads the literals of a test as values of its field.
func newTest(l *Leaf, p *redact.Predicate) (test, error) {
	t := test{op: p.Op}
	switch {
	case l.Repeated:
		return t, fmt.Errorf("field %s: %s of a repeated field", l.Path, p.Op)
	case l.Kind == Enum && p.Op != redact.OpEqual && p.Op != redact.OpNotEqual && p.Op != redact.OpIn && p.Op != redact.OpNull,
		l.Kind != String && p.Op == redact.OpPrefix:
		return t, fmt.Errorf("field %s: %q does not compare a %s", l.Path, p.Op, l.Kind)
	}
	for _, literal := range p.Values {
		if l.Kind == String {
			t.texts = append(t.texts, []byte(literal))
			continue
		}
		n, err := readLiteral(l, literal)
		if err != nil {
			return t, fmt.Errorf("field %s: a literal of the predicate: %w", l.Path, err)
		}
		t.numbers = append(t.numbers, n)
	}
	if p.Op == redact.OpIn {
		slices.Sort(t.numbers)
		slices.SortFunc(t.texts, bytes.Compare)
	}
	return t, nil
}

// Value reads a text as a View writes it, the quotes of JSON left away: what a
// consumer names a value of the leaf with. A repeated leaf, and one of a kind
// that has no exact text, is an error; no error holds the text.
func (l *Leaf) Value(text string) (Value, error) {
	if l.Repeated {
		return Value{}, fmt.Errorf("field %s: it is repeated", l.Path)
	}
	if l.Kind == String {
		return TextValue(text), nil
	}
	n, err := readLiteral(l, text)
	if err != nil {
		return Value{}, fmt.Errorf("field %s: it is not written as a %s", l.Path, l.Kind)
	}
	return IntValue(n), nil
}

// readLiteral reads a literal as a View writes it, into the number that the
// bytes hold.
func readLiteral(l *Leaf, s string) (int64, error) {
	switch l.Kind {
	case Boolean:
		if i := slices.Index([]string{"false", "true"}, s); i >= 0 {
			return int64(i), nil
		}
		return 0, fmt.Errorf("true or false is expected")
	case Int:
		return strconv.ParseInt(s, 10, 32)
	case Long:
		return strconv.ParseInt(s, 10, 64)
	case Enum:
		if i := slices.Index(l.Symbols, s); i >= 0 {
			return int64(i), nil
		}
		return 0, fmt.Errorf("there is no symbol %q", s)
	case Decimal:
		return readDecimal(s, l.Precision, l.Scale)
	case Date:
		t, err := time.Parse(time.DateOnly, s)
		return t.Unix() / secondsOfDay, err
	case TimestampMillis, TimestampMicros, TimestampNanos:
		return readInstant(l.Kind, time.RFC3339, s)
	case LocalTimestampMillis, LocalTimestampMicros, LocalTimestampNanos:
		return readInstant(l.Kind, "2006-01-02T15:04:05", s)
	case TimeMillis, TimeMicros:
		return readInstant(l.Kind, "2006-01-02T15:04:05", "1970-01-01T"+s)
	}
	return 0, fmt.Errorf("a %s cannot be tested", l.Kind)
}

func readInstant(k Kind, layout, s string) (int64, error) {
	t, err := time.Parse(layout, s)
	if err != nil {
		return 0, err
	}
	perSecond, _ := scaleOf(k)
	unit := int64(time.Second) / perSecond
	if int64(t.Nanosecond())%unit != 0 {
		return 0, fmt.Errorf("it is more precise than a %s", k)
	}
	return t.Unix()*perSecond + int64(t.Nanosecond())/unit, nil
}

// readDecimal reads an exact number into its unscaled form.
func readDecimal(s string, precision, scale int) (int64, error) {
	if precision > maxPrecision {
		return 0, fmt.Errorf("a decimal of more than %d digits cannot be tested", maxPrecision)
	}
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	if len(fraction) > scale {
		return 0, fmt.Errorf("it has more than %d digits behind the point", scale)
	}
	if whole == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, fmt.Errorf("it is no number")
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", scale-len(fraction)), 10, 64)
	if negative {
		n = -n
	}
	return n, err
}
