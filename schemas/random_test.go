package schemas_test

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	twmb "github.com/twmb/avro"

	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/schematest"
)

// pairs is how many random schemas or values a test tries: HUB_PAIRS, few of
// them with -short, else ten times as many.
func pairs(t testing.TB, few int) int {
	t.Helper()
	text := os.Getenv("HUB_PAIRS")
	if text == "" && testing.Short() {
		return few
	}
	if text == "" {
		return 10 * few
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// seed is HUB_SEED, to see a failure again, or the time.
func seed(t testing.TB) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(os.Getenv("HUB_SEED"), 10, 64)
	if err != nil {
		n = uint64(time.Now().UnixNano())
	}
	t.Logf("HUB_SEED=%d", n)
	return n
}

func foreign(t testing.TB, source []byte) *schemas.Schema {
	t.Helper()
	s, err := schemas.ParseAvro("random", source)
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	return s
}

// TestAgainstOthers decodes random values of random schemas with the View,
// goavro and twmb/avro: all must say the same. It also holds the formats
// against each other.
func TestAgainstOthers(t *testing.T) {
	t.Parallel()
	start := seed(t)
	unread := map[string]int{}
	n := pairs(t, 120)
	for i := range n {
		g := schematest.New(start + uint64(i))
		s := foreign(t, g.Schema())
		body, _ := g.Value(nil, s.Type)
		doc, err := view(t, s, keepAll(s)).Append(nil, body, nil, &schemas.Run{})
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", start+uint64(i), err, s.Source)
		}
		for name, read := range others {
			if err := agrees(s, doc, body, read); err != nil {
				if known(name, s, err) {
					unread[name]++
					continue
				}
				t.Fatalf("seed %d, %s: %v\n%s\n%s\n%x", start+uint64(i), name, err, s.Source, doc, body)
			}
		}
		sameInAvro(t, s, body)
	}
	t.Logf("%d pairs; of which others could not read the schema or the value: %v", n, unread)
	for name, times := range unread {
		if times > n/4 {
			t.Errorf("%s was of no use for %d of %d pairs", name, times, n)
		}
	}
}

type unreadable struct{ error }

var others = map[string]func(s *schemas.Schema, body []byte) (any, error){
	"goavro": func(s *schemas.Schema, body []byte) (any, error) {
		codec, err := goavro.NewCodec(string(s.Source))
		if err != nil {
			return nil, unreadable{err}
		}
		native, rest, err := codec.NativeFromBinary(body)
		if err == nil && len(rest) > 0 {
			err = fmt.Errorf("%d bytes left", len(rest))
		}
		return native, err
	},
	"twmb": func(s *schemas.Schema, body []byte) (any, error) {
		other, err := twmb.Parse(string(s.Source))
		if err != nil {
			return nil, unreadable{err}
		}
		var native any
		rest, err := other.Decode(body, &native, twmb.TaggedUnions())
		if err == nil && len(rest) > 0 {
			err = fmt.Errorf("%d bytes left", len(rest))
		}
		return native, err
	},
}

func agrees(s *schemas.Schema, doc, body []byte, read func(*schemas.Schema, []byte) (any, error)) error {
	got, err := parsed(doc)
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	native, err := read(s, body)
	if err != nil {
		return err
	}
	return same(s.Type, got, native)
}

// known lists what others do otherwise.
func known(string, *schemas.Schema, error) bool { return false }

// sameInAvro holds the other formats against the bytes: Avro that keeps
// everything is the same bytes.
func sameInAvro(t *testing.T, s *schemas.Schema, body []byte) {
	t.Helper()
	v, err := schemas.CompileView(schemas.ViewSpec{Writer: s, Obligations: keepAll(s), Format: schemas.Avro})
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Source)
	}
	out, err := v.Append(nil, body, nil, &schemas.Run{})
	if err != nil || !bytes.Equal(out, body) || !bytes.Equal(v.Schema(), s.Source) {
		t.Fatalf("as Avro: %v\n%x\n%x\n%s\n%s", err, out, body, v.Schema(), s.Source)
	}
}
