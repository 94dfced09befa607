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
	for _, number := range []string{"", "-", ".5", "1.", "1e5", "+1", "NaN", "1,000", "--1"} {
		if got, err := redact.AppendBand([]byte("x"), []byte(number)); !errors.Is(err, redact.ErrMisfit) || string(got) != "x" {
			t.Errorf("%s: %q, %v", number, got, err)
		}
	}
}
