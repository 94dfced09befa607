package redact_test

import (
	"errors"
	"testing"

	"github.com/chuanyu-exchange/hub/schemas/redact"
)

func TestProvince(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{"510107": "510000", "500112": "500000", "510107001": "510000", "510107001002": "510000"} {
		if got, err := redact.AppendProvince([]byte("x"), []byte(code)); err != nil || string(got) != "x"+want {
			t.Errorf("%s: %q, %v", code, got, err)
		}
	}
	for _, code := range []string{"", "51", "5101", "51010x", "010107", "13812345678", "四川"} {
		if got, err := redact.AppendProvince([]byte("x"), []byte(code)); !errors.Is(err, redact.ErrMisfit) || string(got) != "x" {
			t.Errorf("%s: %q, %v", code, got, err)
		}
	}
}

func TestBand(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"0": "[0,1000)", "0.00": "[0,1000)", "999.99": "[0,1000)", "-0.01": "(-1000,0)", "-999": "(-1000,0)",
		"1000": "[1000,10000)", "9999.99": "[1000,10000)", "10000.00": "[10000,100000)", "0012345": "[10000,100000)",
		"-1000": "(-10000,-1000]", "-12345.67": "(-100000,-10000]", "99999999.9999": "[10000000,100000000)",
		"100000000": "[100000000,)", "123456789012345678901234567890": "[100000000,)", "-100000000.5": "(,-100000000]",
	} {
		if got, err := redact.AppendBand([]byte("x"), []byte(number)); err != nil || string(got) != "x"+want {
			t.Errorf("%s: %q, %v, want %s", number, got, err, want)
		}
	}
	for _, number := range notPlain {
		if got, err := redact.AppendBand([]byte("x"), []byte(number)); !errors.Is(err, redact.ErrMisfit) || string(got) != "x" {
			t.Errorf("%s: %q, %v", number, got, err)
		}
	}
}

var notPlain = []string{"", "-", ".5", "1.", "1e5", "+1", "NaN", "1,000", "--1"}

func TestFineBand(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"0": "[0,0.01)", "0.0000": "[0,0.01)", "0.0099": "[0,0.01)", "0.01": "[0.01,0.02)", "0.0500": "[0.05,0.1)", "0.15": "[0.1,0.2)",
		"1": "[1,2)", "1.9999": "[1,2)", "2.0000": "[2,5)", "3.80": "[2,5)", "4.9999": "[2,5)", "5": "[5,10)", "9.9999": "[5,10)", "0010": "[10,20)",
		"12345.67": "[10000,20000)", "999999999.9": "[500000000,1000000000)", "1000000000": "[1000000000,)", "123456789012345678901234567890": "[1000000000,)",
		"-3": "(-5,-2]", "-0.15": "(-0.2,-0.1]", "-0.001": "(-0.01,0)", "-9999999999": "(,-1000000000]",
	} {
		if got, err := redact.AppendFineBand([]byte("x"), []byte(number)); err != nil || string(got) != "x"+want {
			t.Errorf("%s: %q, %v, want %s", number, got, err, want)
		}
	}
	for _, number := range notPlain {
		if got, err := redact.AppendFineBand([]byte("x"), []byte(number)); !errors.Is(err, redact.ErrMisfit) || string(got) != "x" {
			t.Errorf("%s: %q, %v", number, got, err)
		}
	}
}

func TestFineBandAllocatesNothing(t *testing.T) { //nolint:paralleltest // it counts allocations
	dst := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { dst, _ = redact.AppendFineBand(dst[:0], []byte("12345.67")) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
