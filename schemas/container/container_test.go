package container_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/linkedin/goavro/v2"

	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/container"
)

const pairSchema = `{"type":"record","name":"P","fields":[{"name":"n","type":"long"},{"name":"s","type":["null","string"]}]}`

var codecs = []container.Codec{container.Null, container.Deflate, container.Snappy, container.Zstandard}

// pair is a body of pairSchema.
func pair(n int64, s string) []byte {
	out := binary.AppendVarint(nil, n)
	if s == "" {
		return append(out, 0)
	}
	return append(binary.AppendVarint(append(out, 2), int64(len(s))), s...)
}

func write(t testing.TB, h container.Header, bodies ...[]byte) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := container.NewWriter(&file, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bodies {
		if err := w.Append(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func read(file []byte) (bodies [][]byte, err error) {
	r, err := container.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return bodies, nil
		}
		if err != nil {
			return bodies, err
		}
		bodies = append(bodies, bytes.Clone(b))
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	var bodies [][]byte
	for i := range 20_000 { // several blocks
		bodies = append(bodies, pair(rng.Int64()-rng.Int64(), strings.Repeat("重庆", i%7)))
	}
	for _, codec := range codecs {
		file := write(t, container.Header{Schema: []byte(pairSchema), Codec: codec, Metadata: map[string][]byte{"origin": []byte("500000")}}, bodies...)
		got, err := read(file)
		if err != nil || !slices.EqualFunc(got, bodies, bytes.Equal) {
			t.Errorf("%s: %d records of %d, %v", codec, len(got), len(bodies), err)
		}
		r, err := container.NewReader(bytes.NewReader(file))
		if err != nil || string(r.Metadata()["origin"]) != "500000" || string(r.Metadata()["avro.codec"]) != string(codec) || r.Type().Name != "P" {
			t.Errorf("%s: header %v, %v", codec, r.Metadata(), err)
		}
		if none, err := read(write(t, container.Header{Schema: []byte(pairSchema), Codec: codec})); err != nil || none != nil {
			t.Errorf("%s: an empty file: %v, %v", codec, none, err)
		}
	}
}

// goavro writes and reads the same files, in the codecs that it knows. The
// live test does the same with Java, Python and Node, and zstandard.
func TestAgreesWithGoavro(t *testing.T) {
	t.Parallel()
	codec, err := goavro.NewCodec(pairSchema)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"null", "deflate", "snappy"} {
		var theirs bytes.Buffer
		w, err := goavro.NewOCFWriter(goavro.OCFConfig{W: &theirs, Codec: codec, CompressionName: name})
		if err != nil {
			t.Fatal(err)
		}
		var bodies [][]byte
		var values []any
		for i := range 100 {
			values = append(values, map[string]any{"n": int64(i), "s": goavro.Union("string", "成都")})
			bodies = append(bodies, pair(int64(i), "成都"))
		}
		if err := w.Append(values); err != nil {
			t.Fatal(err)
		}
		if got, err := read(theirs.Bytes()); err != nil || !slices.EqualFunc(got, bodies, bytes.Equal) {
			t.Errorf("%s: read of goavro: %d, %v", name, len(got), err)
		}
		ours := write(t, container.Header{Schema: []byte(pairSchema), Codec: container.Codec(name)}, bodies...)
		r, err := goavro.NewOCFReader(bytes.NewReader(ours))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; r.Scan(); n++ {
			if v, err := r.Read(); err != nil || !maps.EqualFunc(v.(map[string]any), values[n].(map[string]any), func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
				t.Fatalf("%s: record %d: %v, %v", name, n, v, err)
			}
		}
		if n != len(bodies) || r.Err() != nil {
			t.Errorf("%s: goavro read %d, %v", name, n, r.Err())
		}
	}
}

var sync16 = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// file is a header of a schema and codec, and what stands behind it.
func file(schema, codec string, parts ...[]byte) []byte {
	out := binary.AppendVarint([]byte("Obj\x01"), 2)
	for _, s := range []string{"avro.schema", schema, "avro.codec", codec} {
		out = append(binary.AppendVarint(out, int64(len(s))), s...)
	}
	out = append(append(out, 0), sync16[:]...)
	return slices.Concat(out, slices.Concat(parts...))
}

// block is a block that says it has count records and size bytes.
func block(count, size int64, data []byte) []byte {
	return slices.Concat(binary.AppendVarint(binary.AppendVarint(nil, count), size), data, sync16[:])
}

func full(count int64, data []byte) []byte { return block(count, int64(len(data)), data) }

// zeros is n zero bytes, compressed.
func zeros(codec container.Codec, n int) []byte {
	plain := make([]byte, n)
	switch codec {
	case container.Deflate:
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestCompression)
		if err != nil {
			panic(err)
		}
		_, _ = w.Write(plain)
		_ = w.Close()
		return b.Bytes()
	case container.Snappy:
		return append(snappy.Encode(nil, plain), 0, 0, 0, 0)
	}
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return w.EncodeAll(plain, nil)
}

func TestHostileFiles(t *testing.T) {
	t.Parallel()
	one := pair(1, "x")
	array := func(items string) string { return `{"type":"array","items":` + items + `}` }
	deep := bytes.Repeat([]byte{2}, 200)
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"nothing":              {nil, container.ErrHeader},
		"another magic":        {[]byte("PK\x03\x04 and so on"), container.ErrHeader},
		"half a header":        {file(pairSchema, "null")[:40], container.ErrHeader},
		"no schema":            {slices.Concat([]byte("Obj\x01\x00"), sync16[:]), container.ErrSchema},
		"a bad schema":         {file(`{"type":"record"}`, "null"), container.ErrSchema},
		"an unknown codec":     {file(pairSchema, "bzip2"), container.ErrCodec},
		"twice in the header":  {[]byte("Obj\x01\x04\x02a\x02b\x02a\x02b\x00"), container.ErrHeader},
		"a large header":       {slices.Concat([]byte("Obj\x01\x02\x02a"), binary.AppendVarint(nil, 1<<40)), container.ErrLimit},
		"a long number":        {slices.Concat([]byte("Obj\x01"), bytes.Repeat([]byte{0xff}, 11)), container.ErrBlock},
		"a negative count":     {file(pairSchema, "null", block(-1, 4, one)), container.ErrBlock},
		"a negative size":      {file(pairSchema, "null", block(1, -4, one)), container.ErrBlock},
		"a large block":        {file(pairSchema, "null", block(1, 1<<40, one)), container.ErrLimit},
		"an announced block":   {file(pairSchema, "null", binary.AppendVarint(binary.AppendVarint(nil, 1), 16<<20)), container.ErrBlock},
		"no sync marker":       {file(pairSchema, "null", full(1, one)[:len(one)+2], make([]byte, 16)), container.ErrBlock},
		"half a sync marker":   {file(pairSchema, "null", full(1, one)[:len(one)+9]), container.ErrBlock},
		"fewer records":        {file(pairSchema, "null", full(2, one)), container.ErrRecord},
		"more records":         {file(pairSchema, "null", full(1, slices.Concat(one, one))), container.ErrBlock},
		"bytes and no records": {file(pairSchema, "null", full(0, one)), container.ErrBlock},
		"an unknown branch":    {file(pairSchema, "null", full(1, []byte{2, 4})), container.ErrRecord},
		"a long string":        {file(pairSchema, "null", full(1, slices.Concat([]byte{2, 2}, binary.AppendVarint(nil, 1<<50)))), container.ErrRecord},
		"a boolean of two":     {file(`"boolean"`, "null", full(1, []byte{2})), container.ErrRecord},
		"a wide int":           {file(`"int"`, "null", full(1, binary.AppendVarint(nil, 1<<40))), container.ErrRecord},
		"an unknown symbol":    {file(`{"type":"enum","name":"E","symbols":["A"]}`, "null", full(1, []byte{2})), container.ErrRecord},
		"16 GiB in an array":   {file(array(`"long"`), "null", full(1, binary.AppendVarint(nil, 1<<31-1))), container.ErrRecord},
		"nulls without end":    {file(array(`"null"`), "null", full(1, binary.AppendVarint(nil, 1<<62))), container.ErrRecord},
		"the smallest count":   {file(array(`"null"`), "null", full(1, append(binary.AppendVarint(nil, -1<<63), 0))), container.ErrRecord},
		"a block too short":    {file(array(`"int"`), "null", full(1, []byte{1, 4, 2, 0})), container.ErrRecord},
		"records of nothing":   {file(`"null"`, "null", full(1<<60, nil)), container.ErrLimit},
		"200 deep":             {file(`{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]}]}`, "null", full(1, append(deep, 0))), container.ErrRecord},
		"no deflate":           {file(pairSchema, "deflate", full(1, []byte{0xff, 0xff})), container.ErrCodec},
		"no snappy":            {file(pairSchema, "snappy", full(1, []byte{1, 2, 3})), container.ErrCodec},
		"a snappy checksum":    {file(pairSchema, "snappy", full(1, zeros(container.Snappy, 100))), container.ErrCodec},
		"no zstandard":         {file(pairSchema, "zstandard", full(1, one)), container.ErrCodec},
	} {
		got, err := read(c.file)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %d records, %v; want %v", name, len(got), err, c.want)
		}
	}
}

func TestBombs(t *testing.T) {
	t.Parallel()
	for _, codec := range []container.Codec{container.Zstandard, container.Snappy, container.Deflate} {
		if codec == container.Deflate && testing.Short() {
			continue // slow to make under the race detector
		}
		got, err := read(file(`"bytes"`, string(codec), full(1, zeros(codec, 17<<20))))
		if !errors.Is(err, container.ErrLimit) {
			t.Errorf("%s: %d records, %v", codec, len(got), err)
		}
	}
}

// Python's libraries leave three bytes of a checksum behind deflated data.
func TestDeflateWithBytesBehind(t *testing.T) {
	t.Parallel()
	data := append(zeros(container.Deflate, 2), 1, 2, 3)
	if got, err := read(file(pairSchema, "deflate", full(1, data))); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]container.Header{
		"no schema": {}, "another codec": {Schema: []byte(pairSchema), Codec: "xz"},
		"Avro's metadata": {Schema: []byte(pairSchema), Metadata: map[string][]byte{"avro.codec": nil}},
	} {
		if _, err := container.NewWriter(io.Discard, h); err == nil {
			t.Errorf("%s was written", name)
		}
	}
	var out bytes.Buffer
	w, err := container.NewWriter(&out, container.Header{Schema: []byte(pairSchema)})
	if err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 9<<20)
	for name, body := range map[string][]byte{
		"half a record": pair(1, "x")[:2], "bytes behind": append(pair(1, "x"), 0), "nothing": nil, "a large one": pair(1, string(large)),
	} {
		if err := w.Append(body); !errors.Is(err, container.ErrRecord) && !errors.Is(err, container.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errors.Join(w.Append(pair(1, "x")), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(pair(2, "y")); err == nil {
		t.Error("written behind the end")
	}
	if got, err := read(out.Bytes()); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	broken := errors.New("disk full")
	w, err = container.NewWriter(&failing{left: 200, err: broken}, container.Header{Schema: []byte(pairSchema)})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Append(pair(1, strings.Repeat("x", 300))), w.Flush()); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if err := w.Append(pair(1, "x")); !errors.Is(err, broken) {
		t.Errorf("after a failed block: %v", err)
	}
}

type failing struct {
	left int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, f.err
	}
	return len(p), nil
}

func TestSkipAllocatesNothing(t *testing.T) {
	s, err := avro.Parse([]byte(pairSchema))
	if err != nil {
		t.Fatal(err)
	}
	body := pair(1<<40, "成都")
	if n := testing.AllocsPerRun(100, func() {
		if n, err := container.Skip(s, body); n != len(body) || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzReader(f *testing.F) {
	for _, codec := range codecs {
		f.Add(write(f, container.Header{Schema: []byte(pairSchema), Codec: codec, Sync: sync16}, pair(1, "成都"), pair(2, "")))
	}
	f.Add(file(`{"type":"array","items":["null",{"type":"map","values":"double"}]}`, "null", full(1, []byte{1, 2, 0, 0})))
	f.Fuzz(func(t *testing.T, in []byte) {
		bodies, err := read(in)
		if err != nil {
			known := []error{container.ErrHeader, container.ErrSchema, container.ErrCodec, container.ErrBlock, container.ErrRecord, container.ErrLimit}
			if !slices.ContainsFunc(known, func(k error) bool { return errors.Is(err, k) }) {
				t.Fatalf("an untyped error: %v", err)
			}
			return
		}
		r, err := container.NewReader(bytes.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		codec := container.Codec(r.Metadata()["avro.codec"])
		again := write(t, container.Header{Schema: r.Metadata()["avro.schema"], Codec: codec, Sync: sync16}, bodies...)
		if got, err := read(again); err != nil || !slices.EqualFunc(got, bodies, bytes.Equal) {
			t.Fatalf("written again: %d of %d, %v", len(got), len(bodies), err)
		}
	})
}
