package bench

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/chuanyu-exchange/hub/schemas"
)

// All sides of the codec scenarios make the same of the golden record.
func TestCodecSidesAgree(t *testing.T) {
	t.Parallel()
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.schema.Leaves) != 25 {
		t.Errorf("%d fields", len(c.schema.Leaves))
	}
	plain, err := c.plainEncode(nil)
	if err != nil || !bytes.Equal(plain, c.body) {
		t.Errorf("encoded: %v\n%x\n%x", err, c.body, plain)
	}
	if again, err := c.plainAvro(nil); err != nil || !bytes.Equal(again, c.body) {
		t.Errorf("from Avro to Avro: %v", err)
	}
	for title, side := range map[string]struct {
		spec  schemas.ViewSpec
		plain func([]byte) ([]byte, error)
	}{
		"full":    {schemas.ViewSpec{Obligations: c.all()}, c.plainAll},
		"masked8": {schemas.ViewSpec{Obligations: eight}, c.plainEight},
	} {
		side.spec.Writer = c.schema
		v, err := schemas.CompileView(side.spec)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := v.Append(nil, c.body, nil, &schemas.Run{})
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := side.plain(nil)
		if err != nil || !reflect.DeepEqual(document(t, ours), document(t, theirs)) {
			t.Errorf("%s: %v\n%s\n%s", title, err, ours, theirs)
		}
		t.Logf("%s: %d bytes of Avro, %d of JSON", title, len(c.body), len(ours))
	}
}

func document(t *testing.T, doc []byte) (out map[string]any) {
	t.Helper()
	if err := json.Unmarshal(doc, &out); err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
	return out
}

// The codec allocates nothing for a record.
func TestCodecAllocatesNothing(t *testing.T) { // not parallel: it counts allocations
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	values, encoder, dst := make([]schemas.Value, len(c.schema.Leaves)), schemas.NewEncoder(c.schema), make([]byte, 0, 4096)
	for title, spec := range map[string]schemas.ViewSpec{
		"full":    {Obligations: c.all()},
		"masked8": {Obligations: eight},
		"avro":    {Obligations: c.all(), Format: schemas.Avro},
		"csv":     {Obligations: c.all(), Format: schemas.CSV},
	} {
		spec.Writer = c.schema
		v, err := schemas.CompileView(spec)
		if err != nil {
			t.Fatal(err)
		}
		run := schemas.NewRun([]byte("key"), nil)
		if n := testing.AllocsPerRun(100, func() { _, err = v.Append(dst, c.body, nil, run) }); n > 0 || err != nil {
			t.Errorf("%s: %v allocations, %v", title, n, err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _, err = c.encode(dst, values, encoder) }); n > 0 || err != nil {
		t.Errorf("encode: %v allocations, %v", n, err)
	}
}

func BenchmarkCodec(b *testing.B) {
	c, err := newCodec()
	if err != nil {
		b.Fatal(err)
	}
	w := &world{rows: 1}
	for name, open := range map[string]func() (*contest, error){
		"full":      func() (*contest, error) { return openCodecFull(b.Context(), w, nil) },
		"masked8":   func() (*contest, error) { return openCodecMasked8(b.Context(), w, nil) },
		"encode":    func() (*contest, error) { return openCodecEncode(b.Context(), w, nil) },
		"predicate": func() (*contest, error) { return openCodecPredicate(b.Context(), w, nil) },
		"avro":      func() (*contest, error) { return openCodecAvro(b.Context(), w, nil) },
	} {
		x, err := open()
		if err != nil {
			b.Fatal(err)
		}
		for _, side := range x.sides() {
			b.Run(name+"/"+side.name, func(b *testing.B) {
				p, err := side.prepare(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(c.body)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := p.run(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
