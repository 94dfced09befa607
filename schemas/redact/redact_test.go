package redact_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chuanyu-exchange/hub/schemas/redact"
)

var every = []string{
	"drop", "null", "hash", "mask:name", "mask:phone", "mask:identity", "mask:identity_birth", "mask:address",
	"generalise:province", "generalise:month", "generalise:band", "keep",
}

func parse(t *testing.T, s string) redact.Obligation {
	t.Helper()
	o, err := redact.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestZeroValuesDeny(t *testing.T) {
	t.Parallel()
	if (redact.Obligation{}).Action != redact.Drop {
		t.Error("the zero obligation does not drop")
	}
	if got := (redact.Obligations{}).Of("x"); got.Action != redact.Drop {
		t.Errorf("an unnamed field: %s", got)
	}
	var s redact.Sensitivity
	if s != redact.Secret || !s.MustSeal() {
		t.Error("the zero class is not the worst")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, s := range every {
		if got := parse(t, s).String(); got != s {
			t.Errorf("%s reads back as %s", s, got)
		}
	}
	for _, s := range []string{"", "show", "mask", "mask:", "mask:nose", "keep:phone", "keep:", "Keep", "skip_masking", "generalise", "generalise:phone", "mask:month"} {
		if o, err := redact.Parse(s); err == nil {
			t.Errorf("%q was read as %s", s, o)
		}
	}
}

// The merge is symmetric, idempotent and never weaker than any side, in
// whatever order layers are joined.
func TestStrictest(t *testing.T) {
	t.Parallel()
	for _, x := range every {
		for _, y := range every {
			a, b := parse(t, x), parse(t, y)
			m := redact.Strictest(a, b)
			if m != redact.Strictest(b, a) {
				t.Errorf("%s and %s: not symmetric", x, y)
			}
			if m.Action > min(a.Action, b.Action) {
				t.Errorf("%s and %s: %s is weaker than one of them", x, y, m)
			}
			if a == b && m != a {
				t.Errorf("%s with itself: %s", x, m)
			}
			if a.Action == b.Action && a != b && m.Action != redact.Drop {
				t.Errorf("two different ones of a kind: %s", m)
			}
			for _, z := range every {
				c := parse(t, z)
				least := min(a.Action, b.Action, c.Action)
				if left, right := redact.Strictest(m, c), redact.Strictest(a, redact.Strictest(b, c)); left.Action > least || right.Action > least {
					t.Errorf("%s, %s, %s: %s and %s are weaker than one of them", x, y, z, left, right)
				}
			}
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	a := redact.Obligations{"a": parse(t, "keep"), "b": parse(t, "keep"), "c": parse(t, "keep")}
	b := redact.Obligations{"a": parse(t, "mask:phone"), "b": parse(t, "drop"), "d": parse(t, "keep")}
	got := a.Merge(b)
	if got.Canonical() != "a=mask:phone;" || b.Merge(a).Canonical() != got.Canonical() {
		t.Errorf("merged: %s", got.Canonical())
	}
}

func TestRestrict(t *testing.T) {
	t.Parallel()
	o := redact.Obligations{"p.name": parse(t, "keep"), "p.phone": parse(t, "hash"), "price": parse(t, "keep"), "pr": parse(t, "keep")}
	for fields, want := range map[string]string{
		"p": "p.name=keep;p.phone=hash;", "p.name": "p.name=keep;", "price": "price=keep;", "": "", "p.": "",
	} {
		if got := o.Restrict([]string{fields}).Canonical(); got != want {
			t.Errorf("%q: %s, want %s", fields, got, want)
		}
	}
}

func TestMasks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method redact.Method
		value  string
		want   string
	}{
		{redact.MaskName, "张三丰", "张***"},
		{redact.MaskName, "张", "***"},
		{redact.MaskName, "", ""},
		{redact.MaskPhone, "13812345678", "138***5678"},
		{redact.MaskPhone, "1234567", "***"},
		{redact.MaskIdentity, "11010519491231002X", "1101***X"},
		{redact.MaskIdentity, "1101051949", "***"},
		{redact.MaskIdentityBirth, "11010519491231002X", "110105***002X"},
		{redact.MaskIdentityBirth, "110105194912310021", "110105***0021"},
		{redact.MaskIdentityBirth, "E12345678", "***"},
		{redact.MaskIdentityBirth, "11010519491231002x", "***"},
		{redact.MaskIdentityBirth, "测试测试测试测试测试测试测试测试测试", "***"},
		{redact.MaskIdentityBirth, "", ""},
		{redact.MaskAddress, "四川省成都市青羊区测试路", "四川省成都市***"},
		{redact.MaskAddress, "成都市青羊", "***"},
	} {
		got, err := redact.AppendMasked([]byte("x"), c.method, []byte(c.value))
		if err != nil || string(got) != "x"+c.want {
			t.Errorf("%s of %q: %q, %v; want %q", c.method, c.value, got, err, c.want)
		}
	}
	for _, m := range []redact.Method{"", "nose", redact.ToMonth} {
		if _, err := redact.AppendMasked(nil, m, []byte("a")); !errors.Is(err, redact.ErrMisfit) {
			t.Errorf("unknown method %q: %v", m, err)
		}
	}
	if out, err := redact.AppendMasked([]byte("x"), redact.MaskName, []byte("a\xff")); !errors.Is(err, redact.ErrMisfit) || string(out) != "x" {
		t.Errorf("not UTF-8: %q, %v", out, err)
	}
}

// No mask shows a value in full, nor how long it was.
func TestMasksHide(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	letters := []rune("川渝0123456789甲乙丙")
	for _, m := range []redact.Method{redact.MaskName, redact.MaskPhone, redact.MaskIdentity, redact.MaskIdentityBirth, redact.MaskAddress} {
		longest := 0
		for range 2000 {
			value := make([]rune, 1+rng.IntN(40))
			for i := range value {
				value[i] = letters[rng.IntN(len(letters))]
			}
			got, err := redact.AppendMasked(nil, m, []byte(string(value)))
			if err != nil || !strings.Contains(string(got), "***") || string(got) == string(value) {
				t.Fatalf("%s of %d characters: %q, %v", m, len(value), got, err)
			}
			longest = max(longest, utf8.RuneCount(got))
		}
		if longest > 10 {
			t.Errorf("%s leaves up to %d characters", m, longest)
		}
	}
}
