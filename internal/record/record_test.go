package record_test

import (
	"bytes"
	"iter"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/record"
)

var secret = []byte("product secret")

func parts(s ...string) [][]byte {
	out := make([][]byte, len(s))
	for i := range s {
		out[i] = []byte(s[i])
	}
	return out
}

func TestKey(t *testing.T) {
	t.Parallel()
	k := record.Key(secret, parts("ab", "c")...)
	if k != record.Key(secret, parts("ab", "c")...) {
		t.Error("the key of a business key is not always the same")
	}
	for title, other := range map[string]record.Digest{
		"cut elsewhere":    record.Key(secret, parts("a", "bc")...),
		"one part":         record.Key(secret, parts("abc")...),
		"an empty part":    record.Key(secret, parts("ab", "c", "")...),
		"another secret":   record.Key([]byte("x"), parts("ab", "c")...),
		"a content digest": record.Content(secret, parts("ab", "c")...),
	} {
		if other == k {
			t.Errorf("%s has the same key", title)
		}
	}
}

func envelope() record.Envelope {
	key := record.Key(secret, parts("1")...)
	content := record.Content(secret, parts("body")...)
	return record.Envelope{
		Product: "price_quote", Provider: "cq-commerce", EventID: record.EventID(key, content, 3), Operation: record.Upsert,
		DecisionTime: time.UnixMicro(1767225600123456).UTC(), Version: 3, Content: content, Batch: "b1",
	}
}

func TestEnvelopeRoundTrip(t *testing.T) {
	t.Parallel()
	want := envelope()
	got, err := record.ParseEnvelope(want.Headers())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	e := envelope()
	good := maps.Collect(e.Headers())
	for name, values := range map[string][]string{
		"hub-product":       {""},
		"hub-event-id":      {"", "short", `"},"operation":"upsert"........`, "0123456789ABCDEF0123456789ABCDEF"},
		"hub-operation":     {"", "delete"},
		"hub-version":       {"", "0", "-1", "4294967296"},
		"hub-content":       {"", "short"},
		"hub-decision-time": {"", "soon", "9223372036854775807", "-9223372036854775808"},
	} {
		for _, v := range values {
			changed := maps.Clone(good)
			changed[name] = []byte(v)
			if got, err := record.ParseEnvelope(maps.All(changed)); err == nil {
				t.Errorf("%s = %q was read as %+v", name, v, got)
			}
		}
		missing := maps.Clone(good)
		delete(missing, name)
		if name != "hub-decision-time" {
			if got, err := record.ParseEnvelope(maps.All(missing)); err == nil {
				t.Errorf("without %s: %+v", name, got)
			}
		}
	}
	more := maps.Clone(good)
	more["x-other"] = []byte("?")
	if _, err := record.ParseEnvelope(maps.All(more)); err != nil {
		t.Errorf("an unknown header: %v", err)
	}
}

func TestChainIsCutFree(t *testing.T) {
	t.Parallel()
	a, b := record.Key(secret, parts("a")...), record.Key(secret, parts("b")...)
	c := record.Content(secret)
	whole := record.Chain(record.Chain(nil, a, c), b, c)
	if bytes.Equal(whole, record.Chain(record.Chain(nil, b, c), a, c)) {
		t.Error("the order does not count")
	}
	if !bytes.Equal(whole, record.Chain(slices.Clone(record.Chain(nil, a, c)), b, c)) {
		t.Error("the chain depends on where it was cut")
	}
}

func FuzzParseEnvelope(f *testing.F) {
	f.Add("hub-version", []byte("1"))
	e := envelope()
	good := maps.Collect(e.Headers())
	f.Fuzz(func(_ *testing.T, name string, value []byte) {
		changed := maps.Clone(good)
		changed[name] = value
		_, _ = record.ParseEnvelope(iter.Seq2[string, []byte](maps.All(changed)))
	})
}
