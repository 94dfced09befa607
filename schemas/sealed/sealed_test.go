package sealed_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

var (
	dataKey = bytes.Repeat([]byte{7}, 32)
	wrapped = []byte("vault:v1:c2VhbGVk")
	secret  = []byte("13800000000 planted secret")
)

func sealer(t testing.TB, name string) *sealed.Sealer {
	t.Helper()
	s, err := sealed.NewSealer(name, wrapped, dataKey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	name := sealed.KeyName("complaint", "202610")
	block, err := sealer(t, name).Seal([]byte("before"), secret, []byte("key/complainant"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(block, secret) || bytes.Contains(block, secret[:8]) {
		t.Fatal("the block holds its content in clear")
	}
	block = bytes.TrimPrefix(block, []byte("before"))
	calls := 0
	o := sealed.NewOpener(func(_ context.Context, got string, w []byte) ([]byte, error) {
		calls++
		if got != name || !bytes.Equal(w, wrapped) {
			t.Errorf("unwrap asked for %s %s", got, w)
		}
		return dataKey, nil
	}, 4)
	s := o.Session(t.Context(), sealed.Prefix("complaint"))
	for range 3 {
		got, err := s.Open([]byte("out:"), block, []byte("key/complainant"))
		if err != nil || string(got) != "out:"+string(secret) {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if calls != 1 {
		t.Errorf("Transit was asked %d times for one data key", calls)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	name := sealed.KeyName("complaint", "202610")
	good, err := sealer(t, name).Seal(nil, secret, []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	for _, c := range []struct {
		title   string
		block   []byte
		aad     string
		product string
		unwrap  error
		want    problem.Code
	}{
		{"another record's block", good, "other", "complaint", nil, problem.RecordUnsealable},
		{"a changed block", flipped, "aad", "complaint", nil, problem.RecordUnsealable},
		{"another product's key", good, "aad", "price", nil, problem.RecordUnsealable},
		{"an empty block", nil, "aad", "complaint", nil, problem.RecordUnsealable},
		{"a cut block", good[:40], "aad", "complaint", nil, problem.RecordUnsealable},
		{"an unknown version", append([]byte{9}, good[1:]...), "aad", "complaint", nil, problem.RecordUnsealable},
		{"a destroyed key", good, "aad", "complaint", errors.New("key not found"), problem.RecordUnsealable},
		{"Vault down", good, "aad", "complaint", problem.New(problem.VaultUnavailable, ""), problem.VaultUnavailable},
	} {
		t.Run(c.title, func(t *testing.T) {
			calls := 0
			s := sealed.NewOpener(func(context.Context, string, []byte) ([]byte, error) {
				calls++
				return dataKey, c.unwrap
			}, 4).Session(t.Context(), sealed.Prefix(c.product))
			for range 2 {
				out, err := s.Open([]byte("x"), c.block, []byte(c.aad))
				if problem.CodeOf(err) != c.want || string(out) != "x" {
					t.Fatalf("got %q, %v; want %s", out, err, c.want)
				}
				if bytes.Contains([]byte(err.Error()), secret) {
					t.Fatal("the error holds content")
				}
			}
			if calls > 1 {
				t.Errorf("a failing Transit was asked %d times in one request", calls)
			}
		})
	}
}

// A data key that Transit gave by mistake is not kept: the next request asks
// again.
func TestWrongKeyIsNotKept(t *testing.T) {
	t.Parallel()
	block, err := sealer(t, sealed.KeyName("complaint", "202610")).Seal(nil, secret, []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	lies, calls := true, 0
	o := sealed.NewOpener(func(context.Context, string, []byte) ([]byte, error) {
		if calls++; lies {
			return make([]byte, len(dataKey)), nil
		}
		return dataKey, nil
	}, 4)
	s := o.Session(t.Context(), sealed.Prefix("complaint"))
	for range 3 {
		if _, err := s.Open(nil, block, []byte("aad")); problem.CodeOf(err) != problem.RecordUnsealable {
			t.Fatalf("opened with another key: %v", err)
		}
	}
	if calls != 1 {
		t.Errorf("Transit was asked %d times in one request", calls)
	}
	lies = false
	for range 3 {
		if out, err := o.Session(t.Context(), sealed.Prefix("complaint")).Open(nil, block, []byte("aad")); err != nil || !bytes.Equal(out, secret) {
			t.Fatalf("%q, %v", out, err)
		}
	}
	if calls != 2 {
		t.Errorf("Transit was asked %d times, want twice", calls)
	}
}

func TestOpenerIsBounded(t *testing.T) {
	t.Parallel()
	calls := 0
	o := sealed.NewOpener(func(context.Context, string, []byte) ([]byte, error) { calls++; return dataKey, nil }, 2)
	for i := range 10 {
		s, err := sealed.NewSealer(sealed.KeyName("p", "202601"), append(wrapped, byte('a'+i)), dataKey)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := s.Seal(nil, secret, nil)
		if _, err := o.Session(t.Context(), sealed.Prefix("p")).Open(nil, b, nil); err != nil {
			t.Fatal(err)
		}
	}
	if calls != 10 {
		t.Errorf("%d unwraps of 10 distinct keys", calls)
	}
}

func FuzzOpen(f *testing.F) {
	s, err := sealed.NewSealer(sealed.KeyName("p", "202601"), wrapped, dataKey)
	if err != nil {
		f.Fatal(err)
	}
	good, _ := s.Seal(nil, secret, []byte("aad"))
	f.Add(good)
	f.Add([]byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, block []byte) {
		o := sealed.NewOpener(func(context.Context, string, []byte) ([]byte, error) { return dataKey, nil }, 1)
		out, err := o.Session(t.Context(), sealed.Prefix("p")).Open(nil, block, []byte("aad"))
		if err == nil && !bytes.Equal(out, secret) {
			t.Fatalf("a forged block opened: %x", block)
		}
	})
}
