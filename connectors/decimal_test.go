package connectors

import (
	"testing"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
)

// Amounts in 万元 become exact 元; what does not fit is told, never cut.
func TestDecimalFactors(t *testing.T) {
	t.Parallel()
	const wan, two, half = 10_000_000_000, 2_000_000, 500_000 // with factorScale decimals
	r := fieldRule{leaf: &schemas.Leaf{Kind: schemas.Decimal, Precision: 16, Scale: 2}}
	for _, c := range []struct {
		text   string
		factor int64
		want   int64
		code   problem.Code
	}{
		{"1.5", wan, 15_000_00, ""},
		{"0.0001", wan, 1_00, ""},
		{"123.456789", wan, 1_234_567_89, ""},
		{"-0.000001", wan, -1, ""},
		{"0.0000001", wan, 0, problem.NumberOutOfRange}, // a tenth of a fen
		{"1.005", two, 2_01, ""},
		{"1.001", half, 0, problem.NumberOutOfRange},
		{"0.01", half, 1, ""}, // half a fen is rounded: the number itself fits
		{"1.234", 0, 0, problem.NumberOutOfRange},
		{"99999999999", wan, 0, problem.NumberOutOfRange},
		{"一万", wan, 0, problem.NumberUnreadable},
	} {
		var v schemas.Value
		fault := r.decimal(c.text, &v, 0, c.factor)
		switch {
		case c.code != "":
			if fault == nil || fault.Code != c.code {
				t.Errorf("%s × %d: %d, %+v; want %s", c.text, c.factor, v.Int, fault, c.code)
			}
		case fault != nil || v.Int != c.want:
			t.Errorf("%s × %d: %d, %+v; want %d", c.text, c.factor, v.Int, fault, c.want)
		}
	}
}
