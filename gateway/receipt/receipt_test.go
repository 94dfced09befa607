package receipt_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

var signing = spiffe.Name{Region: "500000", Role: spiffe.Signing}

func issue(t testing.TB, by pkitest.Issued, typ string, r *receipt.Receipt) string {
	t.Helper()
	s, err := jws.NewSigner(by.Key, by.Chain, typ)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func example(t testing.TB, body string) *receipt.Receipt {
	t.Helper()
	salt, h, err := receipt.NewDigest()
	if err != nil {
		t.Fatal(err)
	}
	h.Write([]byte(body))
	return &receipt.Receipt{
		ID: "01", Region: "500000", IssuedAt: time.Now().UTC(), Product: "price_quote", Records: 1,
		Body: receipt.Body{MediaType: "application/x-ndjson", Bytes: int64(len(body)), Salt: salt, Digest: h.Sum(nil)},
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	cq, sc := pkitest.New(t, "Chongqing"), pkitest.New(t, "Sichuan")
	roots := func(region string) *x509.CertPool {
		return map[string]*x509.CertPool{"500000": cq.Pool(), "510000": sc.Pool()}[region]
	}
	r := example(t, "body")
	good := issue(t, cq.Issue(signing), receipt.Type, r)
	got, err := receipt.Verify(good, roots)
	if err != nil || got.ID != r.ID {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := got.Matches([]byte("body")); err != nil {
		t.Error(err)
	}
	for _, other := range []string{"bodY", "body ", ""} {
		if problem.CodeOf(got.Matches([]byte(other))) != problem.AnswerInvalid {
			t.Errorf("another body %q matches", other)
		}
	}
	elsewhere := *r
	elsewhere.Region = "510000"
	nowhere := *r
	nowhere.Region = "440000"
	later := *r
	later.IssuedAt = r.IssuedAt.Add(48 * time.Hour)
	for title, compact := range map[string]string{
		"the other province's signer for ours":      issue(t, sc.Issue(spiffe.Name{Region: "510000", Role: spiffe.Signing}), receipt.Type, r),
		"our authority naming the other's gateway":  issue(t, cq.Issue(spiffe.Name{Region: "510000", Role: spiffe.Signing}), receipt.Type, r),
		"our signer for the other province":         issue(t, cq.Issue(signing), receipt.Type, &elsewhere),
		"a province without roots":                  issue(t, cq.Issue(signing), receipt.Type, &nowhere),
		"a participant as signer":                   issue(t, cq.Issue(spiffe.Name{Region: "500000", Role: spiffe.System, Participant: "p", System: "s"}), receipt.Type, r),
		"the gateway's TLS certificate as signer":   issue(t, cq.Issue(spiffe.Name{Region: "500000", Role: spiffe.Gateway}), receipt.Type, r),
		"issued when the certificate was not valid": issue(t, cq.Issue(signing), receipt.Type, &later),
		"a token in the place of a receipt":         issue(t, cq.Issue(signing), "at+jwt", r),
		"not a receipt at all":                      "x",
	} {
		if _, err := receipt.Verify(compact, roots); problem.CodeOf(err) != problem.ReceiptInvalid {
			t.Errorf("%s: %v", title, err)
		}
	}
}

// Any changed byte of a receipt is noticed.
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	ca := pkitest.New(t, "Chongqing")
	roots := func(string) *x509.CertPool { return ca.Pool() }
	good := issue(t, ca.Issue(signing), receipt.Type, example(t, "body"))
	payload := strings.Index(good, ".")
	for i := 0; i < len(good); i += 1 + i%7 {
		if i > 40 && i < payload-40 { // certificates: every byte of a signed header; sampled
			i += 20
		}
		changed := []byte(good)
		changed[i] = "AB"[btoi(changed[i] == 'A')]
		if string(changed) == good {
			continue
		}
		if r, err := receipt.Verify(string(changed), roots); err == nil && !sameBits(good, string(changed)) {
			t.Fatalf("byte %d changed and nobody noticed: %+v", i, r)
		}
	}
}

// sameBits says whether two messages decode to the same bytes: the last
// character of base64 has bits that count for nothing.
func sameBits(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range x {
		p, _ := base64.RawURLEncoding.DecodeString(x[i])
		q, _ := base64.RawURLEncoding.DecodeString(y[i])
		if string(p) != string(q) {
			return false
		}
	}
	return true
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestCursor(t *testing.T) {
	t.Parallel()
	keys := []receipt.CursorKey{{Version: 2, Key: []byte("new key")}, {Version: 1, Key: []byte("old key")}}
	owner := receipt.Owner{Consumer: "sc-commerce", Region: "510000", Product: "price_quote", Purpose: "price_monitoring"}
	c := receipt.Cursor{Partitions: []receipt.CursorPartition{{0, 0, 7}, {1, 5, 5}, {2, 1 << 40, 1 << 41}}}
	for _, key := range keys {
		text := c.Seal(key, owner)
		got, err := receipt.OpenCursor(text, keys, owner)
		if err != nil || len(got.Partitions) != 3 || got.Partitions[2] != c.Partitions[2] || got.AtEnd() {
			t.Errorf("%+v, %v", got, err)
		}
	}
	text := c.Seal(keys[0], owner)
	for title, foreign := range map[string]receipt.Owner{
		"another consumer": {"sc-amr", owner.Region, owner.Product, owner.Purpose},
		"another region":   {owner.Consumer, "500000", owner.Product, owner.Purpose},
		"another product":  {owner.Consumer, owner.Region, "consumer_complaint", owner.Purpose},
		"another purpose":  {owner.Consumer, owner.Region, owner.Product, "statistics"},
	} {
		if _, err := receipt.OpenCursor(text, keys, foreign); problem.CodeOf(err) != problem.CursorForeign {
			t.Errorf("%s: %v", title, err)
		}
	}
	for title, bad := range map[string]string{
		"empty": "", "cut": text[:len(text)-4], "longer": text + "AAAA", "not base64": "!" + text[1:], "huge": strings.Repeat("A", 100<<10),
	} {
		if _, err := receipt.OpenCursor(bad, keys, owner); problem.CodeOf(err) != problem.CursorInvalid {
			t.Errorf("%s: %v", title, err)
		}
	}
	if _, err := receipt.OpenCursor(c.Seal(keys[1], owner), keys[:1], owner); problem.CodeOf(err) != problem.CursorInvalid {
		t.Errorf("a key that is gone: %v", err)
	}
	// Another replica has read the rotated key already: that passes.
	if _, err := receipt.OpenCursor(text, keys[1:], owner); problem.CodeOf(err) != problem.VaultUnavailable {
		t.Errorf("a key that has not been read yet: %v", err)
	}
	if _, err := receipt.OpenCursor(c.Seal(receipt.CursorKey{Version: 99}, owner), keys, owner); problem.CodeOf(err) != problem.CursorInvalid {
		t.Errorf("a key that nobody can have: %v", err)
	}
}

func FuzzOpenCursor(f *testing.F) {
	keys := []receipt.CursorKey{{Version: 1, Key: []byte("k")}}
	c := receipt.Cursor{Partitions: []receipt.CursorPartition{{0, 3, 9}}}
	f.Add(c.Seal(keys[0], receipt.Owner{}))
	f.Fuzz(func(t *testing.T, text string) {
		got, err := receipt.OpenCursor(text, keys, receipt.Owner{})
		if err == nil && got.Seal(keys[0], receipt.Owner{}) != text {
			t.Fatalf("a cursor that this hub did not issue was taken: %q", text)
		}
	})
}
