package schemas_test

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/linkedin/goavro/v2"

	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/redact"
	"github.com/chuanyu-exchange/hub/schemas/schematest"
)

// FuzzView reads any bytes as records of the shipped schemas.
func FuzzView(f *testing.F) {
	set, err := shippedSet()
	if err != nil {
		f.Fatal(err)
	}
	all := set.All()
	for name, record := range goldenRecords {
		i := slices.IndexFunc(all, func(s *schemas.Schema) bool { return s.Name == name })
		body := encode(f, all[i], values(f, all[i], record))
		f.Add(uint32(i), body)
		f.Add(uint32(i), body[:len(body)/2])
	}
	f.Fuzz(func(t *testing.T, at uint32, body []byte) { readsOrRefuses(t, all[int(at)%len(all)], body) })
}

// FuzzViewOfAny reads any bytes as records of random schemas: of the schema of
// a seed, a value of the same seed with some bytes changed.
func FuzzViewOfAny(f *testing.F) {
	for i := range 20 {
		f.Add(uint64(i), uint16(i*7), []byte{})
		f.Add(uint64(i), uint16(i), []byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	}
	f.Fuzz(func(t *testing.T, seed uint64, at uint16, change []byte) {
		g := schematest.New(seed)
		s := foreign(t, g.Schema())
		body, _ := g.Value(nil, s.Type)
		if len(body) > 0 {
			copy(body[int(at)%len(body):], change)
		}
		readsOrRefuses(t, s, body)
	})
}

// readsOrRefuses holds a View to its promises for bytes of a stranger.
func readsOrRefuses(t *testing.T, s *schemas.Schema, body []byte) {
	t.Helper()
	run := schemas.NewRun(nil, glassBox{})
	doc, err := view(t, s, keepAll(s)).Append([]byte("x"), body, goldenKey, run)
	if err != nil {
		if string(doc) != "x" {
			t.Fatalf("an error, and output: %q", doc)
		}
		return
	}
	if !json.Valid(doc[1:]) || !utf8.Valid(doc) {
		t.Fatalf("not JSON: %q", doc)
	}
	// What can be read in full can be read with everything dropped.
	if out, err := view(t, s, nil).Append(nil, body, goldenKey, &schemas.Run{}); err != nil || string(out) != "{}" {
		t.Fatalf("dropped: %q, %v", out, err)
	}
	asRow(t, s, body, run)
	if s.Seals() {
		return
	}
	// And written as Avro, it is the same record.
	v, err := schemas.CompileView(schemas.ViewSpec{Writer: s, Obligations: keepAll(s), Format: schemas.Avro})
	if err != nil {
		t.Fatal(err)
	}
	binary, err := v.Append(nil, body, goldenKey, run)
	if err != nil {
		t.Fatalf("as Avro: %v", err)
	}
	if again, err := view(t, s, keepAll(s)).Append([]byte("x"), binary, goldenKey, run); err != nil || !bytes.Equal(again, doc) {
		t.Fatalf("read again: %v\n%s\n%s", err, doc, again)
	}
}

// asRow writes as CSV what could be written as JSON: one row, with a cell for
// each column.
func asRow(t *testing.T, s *schemas.Schema, body []byte, run *schemas.Run) {
	t.Helper()
	v, err := schemas.CompileView(schemas.ViewSpec{Writer: s, Obligations: keepAll(s), Format: schemas.CSV})
	if err != nil {
		t.Fatal(err)
	}
	header := v.Header()
	row, err := v.Append(header, body, goldenKey, run)
	if err != nil {
		t.Fatalf("as CSV: %v", err)
	}
	if bytes.Count(header, []byte(",")) == 0 { // an empty cell alone is an empty line, which the reader passes over
		return
	}
	if rows, err := csv.NewReader(bytes.NewReader(row)).ReadAll(); err != nil || len(rows) != 2 {
		t.Fatalf("no row of CSV: %v\n%q", err, row)
	}
}

// FuzzParse reads any bytes as a schema of the exchange.
func FuzzParse(f *testing.F) {
	addShipped(f)
	f.Add([]byte(`{"type":"record","name":"R","fields":[{"name":"f","type":["null","R"]}]}`))
	f.Fuzz(func(t *testing.T, source []byte) {
		s, err := schemas.Parse("f.v1", source)
		if err != nil {
			return
		}
		for i := range s.Leaves {
			if l := &s.Leaves[i]; l.Sensitivity.MustSeal() && l.Block == "" {
				t.Fatalf("%s is %s and lies in clear", l.Path, l.Sensitivity)
			}
		}
		view(t, s, keepAll(s))
	})
}

// FuzzParseAvro reads any bytes as a schema of any kind, and zeros as a record
// of it.
func FuzzParseAvro(f *testing.F) {
	addShipped(f)
	for i := range 20 {
		f.Add(schematest.New(uint64(i)).Schema())
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		s, err := schemas.ParseAvro("f.v1", source)
		if err != nil {
			return
		}
		for _, format := range []schemas.Format{schemas.JSON, schemas.Avro, schemas.CSV} {
			v, err := schemas.CompileView(schemas.ViewSpec{Writer: s, Obligations: keepAll(s), Format: format})
			if err == nil {
				_, _ = v.Append(nil, make([]byte, 64), nil, &schemas.Run{}) // it may refuse them
			}
		}
	})
}

func addShipped(f *testing.F) {
	f.Helper()
	set, err := shippedSet()
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range set.All() {
		f.Add(s.Source)
	}
}

// FuzzEncoder encodes values of any bytes: it refuses them, or goavro and the
// View read what it wrote.
func FuzzEncoder(f *testing.F) {
	set, err := shippedSet()
	if err != nil {
		f.Fatal(err)
	}
	all := set.All()
	codecs := make([]*goavro.Codec, len(all))
	for i, s := range all {
		if codecs[i], err = goavro.NewCodec(string(s.Source)); err != nil {
			f.Fatal(err)
		}
		f.Add(uint32(i), []byte("川渝0123456789"))
		f.Add(uint32(i), bytes.Repeat([]byte{3, 0, 0, 0, 0, 0, 0, 0, 1}, 60))
	}
	f.Fuzz(func(t *testing.T, at uint32, data []byte) {
		i := int(at) % len(all)
		s := all[i]
		body, err := schemas.NewEncoder(s).Append([]byte("x"), anyValues(s, data), goldenKey, glassBox{})
		if err != nil {
			if string(body) != "x" {
				t.Fatalf("an error, and output: %q", body)
			}
			return
		}
		if _, rest, err := codecs[i].NativeFromBinary(body[1:]); err != nil || len(rest) > 0 {
			t.Fatalf("goavro: %v, %d bytes left", err, len(rest))
		}
		// Only what no calendar can say may be refused.
		allowed := redact.Obligations{}
		for k := range s.Leaves {
			if l := &s.Leaves[k]; l.Kind != schemas.Date && l.Kind != schemas.TimestampMillis {
				allowed[l.Path] = redact.Obligation{Action: redact.Keep}
			}
		}
		if _, err := view(t, s, allowed).Append(nil, body[1:], goldenKey, schemas.NewRun(nil, glassBox{})); err != nil {
			t.Fatalf("the View: %v", err)
		}
	})
}

// anyValues makes a value for each leaf of whatever bytes there are.
func anyValues(s *schemas.Schema, data []byte) []schemas.Value {
	take := func(n int) []byte {
		n = min(n, len(data))
		b := data[:n]
		data = data[n:]
		return b
	}
	out := make([]schemas.Value, len(s.Leaves))
	for i := range out {
		head := append(take(1), 0)[0]
		if head&1 == 0 && s.Leaves[i].Nullable {
			continue
		}
		n, _ := binary.Varint(append(take(int(head>>2)%9), 0))
		if symbols := int64(len(s.Leaves[i].Symbols)); symbols > 0 && head&128 == 0 {
			n = (n%symbols + symbols) % symbols
		}
		out[i] = schemas.Value{Set: head&2 != 0 || !s.Leaves[i].Nullable, Int: n, Bytes: take(int(head) % 20)}
		if s.Leaves[i].Repeated && s.Leaves[i].Kind != schemas.String {
			out[i].Ints = []int64{n & 1}
		}
	}
	return out
}
