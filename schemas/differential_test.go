package schemas_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"

	"github.com/chuanyu-exchange/hub/schemas"
)

// TestAgainstGoavro encodes random records of every shipped schema with our
// Encoder and holds it and the View against goavro: goavro must read what we
// write, write the same bytes, and its values must be the View's.
func TestAgainstGoavro(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	set, err := shippedSet()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range set.All() {
		codec, err := goavro.NewCodec(string(s.Source))
		if err != nil {
			t.Fatal(err)
		}
		all := view(t, s, keepAll(s))
		run := schemas.NewRun(nil, glassBox{})
		for range pairs(t, 50) {
			body := encode(t, s, randomValues(rng, s))
			native, rest, err := codec.NativeFromBinary(body)
			if err != nil || len(rest) > 0 {
				t.Fatalf("%s: goavro cannot read what Encoder wrote: %v, %d bytes left", s.Name, err, len(rest))
			}
			back, err := codec.BinaryFromNative(nil, native)
			if err != nil || !bytes.Equal(back, body) {
				t.Fatalf("%s: goavro writes other bytes: %v\n%x\n%x", s.Name, err, back, body)
			}
			doc, err := all.Append(nil, body, goldenKey, run)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, s, native.(map[string]any), doc)
		}
	}
}

func randomValues(rng *rand.Rand, s *schemas.Schema) []schemas.Value {
	out := make([]schemas.Value, len(s.Leaves))
	for i := range s.Leaves {
		l := &s.Leaves[i]
		switch {
		case l.Nullable && rng.IntN(3) == 0:
		case l.Repeated:
			for range rng.IntN(4) {
				one := randomValue(rng, l)
				if l.Kind == schemas.String {
					out[i].Texts = append(out[i].Texts, one.Bytes)
				} else {
					out[i].Ints = append(out[i].Ints, one.Int)
				}
			}
		default:
			out[i] = randomValue(rng, l)
		}
	}
	return out
}

func randomValue(rng *rand.Rand, l *schemas.Leaf) schemas.Value {
	switch l.Kind {
	case schemas.Boolean:
		return schemas.IntValue(rng.Int64N(2))
	case schemas.Enum:
		return schemas.IntValue(rng.Int64N(int64(len(l.Symbols))))
	case schemas.Decimal:
		limit := int64(1)
		for range 1 + rng.IntN(l.Precision) {
			limit *= 10
		}
		return schemas.IntValue(rng.Int64N(2*limit-1) - limit + 1)
	case schemas.Int:
		return schemas.IntValue(rng.Int64N(1<<32) - 1<<31)
	case schemas.Date:
		return schemas.IntValue(rng.Int64N(80000) - 20000)
	case schemas.TimestampMillis:
		return schemas.IntValue(rng.Int64N(4e12) - 1e12)
	}
	runes := []rune("川渝 Aa0\"\\/\n\t\x01<>&é😀")
	var b strings.Builder
	for range rng.IntN(20) {
		b.WriteRune(runes[rng.IntN(len(runes))])
	}
	return schemas.TextValue(b.String())
}

// compare holds the leaves of the View's JSON against goavro's values. What is
// sealed goavro sees as bytes; golden files and the sealed tests cover it.
func compare(t *testing.T, s *schemas.Schema, native map[string]any, doc []byte) {
	t.Helper()
	var got map[string]any
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	if err := dec.Decode(&got); err != nil {
		t.Fatalf("the View's output is not JSON: %v\n%s", err, doc)
	}
	for i := range s.Leaves {
		l := &s.Leaves[i]
		if l.Block != "" {
			continue
		}
		want := asJSON(at(native, l.Path), l)
		if g := at(got, l.Path); fmt.Sprint(g) != fmt.Sprint(want) {
			t.Fatalf("%s.%s: View %v, goavro %v", s.Name, l.Path, g, want)
		}
	}
}

func at(record map[string]any, path string) any {
	head, rest, more := strings.Cut(path, ".")
	if !more {
		return record[head]
	}
	return at(record[head].(map[string]any), rest)
}

func asJSON(v any, l *schemas.Leaf) any {
	if wrapped, ok := v.(map[string]any); ok {
		for _, inner := range wrapped {
			v = inner
		}
	}
	switch v := v.(type) {
	case *big.Rat:
		return v.FloatString(l.Scale)
	case time.Time:
		if l.Kind == schemas.Date {
			return v.Format(time.DateOnly)
		}
		return v.UTC().Format("2006-01-02T15:04:05.000Z")
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	}
	return v
}
