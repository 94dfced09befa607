package kafkalog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"
)

// built is a batch for tests, made by the producer's encoder and then bent.
type built struct {
	base       int64
	records    []Record
	codec      codec
	producer   int64
	attributes int16 // beside the codec
	lastDelta  int32 // beyond the records: what compaction removed from the tail
	bend       func([]byte) []byte
}

// adding is encoder.add without a limit.
func adding(e *encoder, r *Record, ms int64) {
	size, _ := recordSize(r)
	e.add(r, size, ms, math.MaxInt32)
}

func (b built) bytes(t testing.TB) []byte {
	t.Helper()
	var e encoder
	e.reset(nil, 0)
	for i := range b.records {
		e.items = 0 // so that a test can go beyond the limit
		adding(&e, &b.records[i], milliseconds(b.records[i].Time, time.UnixMilli(1_700_000_000_000)))
	}
	sealed, _, err := e.seal(newCodecs(), b.codec, nil, identity{producer: b.producer}, 0, false)
	must(t, "seal", err)
	out := append([]byte(nil), sealed...)
	binary.BigEndian.PutUint64(out, uint64(b.base))
	put16(out, atBody, int16(binary.BigEndian.Uint16(out[atBody:]))|b.attributes)
	put32(out, atLastDelta, int32(len(b.records))-1+b.lastDelta)
	if b.bend != nil {
		out = b.bend(out)
	}
	return checksum(out)
}

func put16(b []byte, at int, v int16) { binary.BigEndian.PutUint16(b[at:], uint16(v)) }
func put32(b []byte, at int, v int32) { binary.BigEndian.PutUint32(b[at:], uint32(v)) }

// checksum makes length and CRC right.
func checksum(b []byte) []byte {
	put32(b, atLength, int32(len(b)-lengthFrom))
	binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atBody:], castagnoli))
	return b
}

// marker is the control batch that ends a transaction: 0 aborts, 1 commits.
func marker(t testing.TB, base, producer int64, kind int16) []byte {
	t.Helper()
	key := []byte{0, 0, 0, byte(kind)}
	return built{
		base: base, producer: producer, attributes: attrControl | attrTransactional,
		records: []Record{{Key: key, Value: make([]byte, 6)}},
	}.bytes(t)
}

func values(n int) []Record { return numbered("t", 0, 0, n) }

// decoded is what a test looks at.
type decoded struct {
	part FetchedPartition
	err  error
}

func decodeSet(set []byte, from int64, list ...aborted) decoded {
	pools := new(buffers)
	d := decoder{
		codecs: newCodecs(), buffers: pools, lease: pools.lease(), committed: true,
		byteBudget: math.MaxInt, recordBudget: math.MaxInt, aborted: list,
	}
	var out decoded
	out.err = d.decode(&out.part, set, from)
	return out
}

func (d decoded) offsets() string {
	var s []string
	for _, r := range d.part.Records {
		s = append(s, fmt.Sprint(r.Offset))
	}
	return strings.Join(s, " ")
}

func TestDecode(t *testing.T) {
	t.Parallel()
	join := func(batches ...[]byte) []byte { return bytes.Join(batches, nil) }
	two := values(2)
	// Compacted: of five records the second and the fourth are left.
	compacted := built{base: 10, lastDelta: 3, records: two, bend: func(b []byte) []byte {
		var r encoder
		r.reset(nil, 0)
		r.count = 1
		adding(&r, &two[0], 0)
		r.count = 3
		adding(&r, &two[1], 0)
		b = append(b[:batchHeader:batchHeader], r.b[batchHeader:]...)
		binary.BigEndian.PutUint64(b[atBaseTime:], 0)
		return b
	}}
	empty := built{base: 20, lastDelta: 5}
	transactional := func(base, producer int64, n int) []byte {
		return built{base: base, producer: producer, attributes: attrTransactional, records: values(n)}.bytes(t)
	}
	plain := built{base: 0, records: values(3)}.bytes(t)
	for name, test := range map[string]struct {
		set     []byte
		from    int64
		aborted []aborted
		want    string
		next    int64
	}{
		"nothing":                     {nil, 7, nil, "", 7},
		"one batch":                   {plain, 0, nil, "0 1 2", 3},
		"from its middle":             {plain, 2, nil, "2", 3},
		"wholly before":               {plain, 3, nil, "", 3},
		"hole at head, inside, tail":  {compacted.bytes(t), 10, nil, "11 13", 15},
		"hole between batches":        {join(plain, compacted.bytes(t)), 0, nil, "0 1 2 11 13", 15},
		"empty batch at the tail":     {join(plain, empty.bytes(t)), 0, nil, "0 1 2", 25},
		"only an empty batch":         {empty.bytes(t), 21, nil, "", 25},
		"second batch cut off":        {join(plain, compacted.bytes(t)[:40]), 0, nil, "0 1 2", 3},
		"cut off in its length":       {join(plain, compacted.bytes(t)[:10]), 0, nil, "0 1 2", 3},
		"committed":                   {join(transactional(0, 5, 2), marker(t, 2, 5, 1)), 0, nil, "0 1", 3},
		"aborted":                     {join(transactional(0, 5, 2), marker(t, 2, 5, 0)), 0, []aborted{{5, 0}}, "", 3},
		"aborted, then committed":     {join(transactional(0, 5, 2), marker(t, 2, 5, 0), transactional(3, 5, 1), marker(t, 4, 5, 1)), 0, []aborted{{5, 0}}, "3", 5},
		"committed, then aborted":     {join(transactional(0, 5, 2), marker(t, 2, 5, 1), transactional(3, 5, 1), marker(t, 4, 5, 0)), 0, []aborted{{5, 3}}, "0 1", 5},
		"two producers interleaved":   {join(transactional(0, 5, 1), transactional(1, 6, 1), transactional(2, 5, 1), marker(t, 3, 5, 0), transactional(4, 6, 1), marker(t, 5, 6, 1)), 0, []aborted{{5, 0}}, "1 4", 6},
		"aborted twice":               {join(transactional(0, 5, 1), marker(t, 1, 5, 0), transactional(2, 5, 1), marker(t, 3, 5, 0)), 0, []aborted{{5, 0}, {5, 2}}, "", 4},
		"plain amid the aborted":      {join(transactional(0, 5, 1), built{base: 1, producer: 5, records: values(1)}.bytes(t), marker(t, 2, 5, 0)), 0, []aborted{{5, 0}}, "1", 3},
		"from inside the aborted":     {join(transactional(0, 5, 4), marker(t, 4, 5, 0)), 2, []aborted{{5, 0}}, "", 5},
		"control batch alone":         {marker(t, 9, 5, 1), 9, nil, "", 10},
		"sound, then unsound batches": {join(plain, corrupt(built{base: 3, records: values(2)}.bytes(t))), 0, nil, "0 1 2", 3},
		"sound, then a bad record":    {join(plain, unsound(t, 3)), 0, nil, "0 1 2", 3},
		"gzip":                        {built{codec: codecGzip, records: values(50)}.bytes(t), 48, nil, "48 49", 50},
		"snappy":                      {built{codec: codecSnappy, records: values(50)}.bytes(t), 48, nil, "48 49", 50},
		"lz4":                         {built{codec: codecLZ4, records: values(50)}.bytes(t), 48, nil, "48 49", 50},
		"zstd":                        {built{codec: codecZstd, records: values(50)}.bytes(t), 48, nil, "48 49", 50},
		"empty, said to be packed":    {built{base: 4, lastDelta: 1, attributes: int16(codecZstd)}.bytes(t), 4, nil, "", 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decodeSet(test.set, test.from, test.aborted...)
			if got.err != nil || got.offsets() != test.want || got.part.Next != test.next {
				t.Errorf("%q, next %d, %v; want %q, next %d", got.offsets(), got.part.Next, got.err, test.want, test.next)
			}
		})
	}
}

// corrupt changes the last byte of the last value: only the checksum can tell.
func corrupt(b []byte) []byte {
	b[len(b)-2] ^= 1
	return b
}

// unsound is a batch with a good checksum whose second record is not one.
func unsound(t testing.TB, base int64) []byte {
	t.Helper()
	return built{base: base, records: values(2), bend: func(b []byte) []byte {
		b[len(b)-1] = 1 // -1 headers
		return b
	}}.bytes(t)
}

// The times that the batch and not its records decide.
func TestDecodeTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	records := []Record{{Time: at}, {Time: at.Add(-time.Minute)}}
	got := decodeSet(built{records: records}.bytes(t), 0)
	if r := got.part.Records; !r[0].Time.Equal(at) || !r[1].Time.Equal(at.Add(-time.Minute)) {
		t.Errorf("%v %v", r[0].Time, r[1].Time)
	}
	got = decodeSet(built{records: records, attributes: attrLogAppendTime}.bytes(t), 0)
	if r := got.part.Records; !r[0].Time.Equal(at) || !r[1].Time.Equal(at) {
		t.Errorf("log append time: %v %v", r[0].Time, r[1].Time)
	}
	got = decodeSet(built{records: records[:1], bend: func(b []byte) []byte {
		binary.BigEndian.PutUint64(b[atBaseTime:], math.MaxUint64)
		return b
	}}.bytes(t), 0)
	if r := got.part.Records; !r[0].Time.IsZero() {
		t.Errorf("without a time: %v", r[0].Time)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	sound := built{records: values(3)}
	bent := func(f func(b []byte) []byte) []byte {
		b := sound
		b.bend = f
		return b.bytes(t)
	}
	record := func(raw ...byte) []byte {
		return bent(func(b []byte) []byte {
			put32(b, atCount, 1)
			return append(b[:batchHeader:batchHeader], raw...)
		})
	}
	raw := func(f func([]byte)) []byte { // without making length and CRC right again
		b := sound.bytes(t)
		f(b)
		return b
	}
	sets := map[string][]byte{
		"checksum":              corrupt(sound.bytes(t)),
		"cut off":               sound.bytes(t)[:80],
		"cut off in the header": sound.bytes(t)[:15],
		"cut off in the length": sound.bytes(t)[:9],
		"length too small":      raw(func(b []byte) { put32(b, atLength, 48) }),
		"length negative":       raw(func(b []byte) { put32(b, atLength, -1) }),
		"length enormous":       raw(func(b []byte) { put32(b, atLength, math.MaxInt32) }),
		"format version 1":      raw(func(b []byte) { b[atMagic] = 1 }),
		"negative offset":       raw(func(b []byte) { b[0] = 0x80 }),
		"offset overflow":       raw(func(b []byte) { binary.BigEndian.PutUint64(b, math.MaxInt64) }),
		"negative last delta":   bent(func(b []byte) []byte { put32(b, atLastDelta, -1); return b }),
		"negative count":        bent(func(b []byte) []byte { put32(b, atCount, -1); return b }),
		"count enormous": bent(func(b []byte) []byte {
			put32(b, atCount, math.MaxInt32)
			put32(b, atLastDelta, math.MaxInt32)
			return b
		}),
		"more than the offsets": bent(func(b []byte) []byte { put32(b, atLastDelta, 1); return b }),
		"count beyond the bytes": bent(func(b []byte) []byte {
			put32(b, atCount, 1000)
			put32(b, atLastDelta, 1000)
			return b
		}),
		"count below the bytes": bent(func(b []byte) []byte { put32(b, atCount, 2); return b }),
		"same offset twice": built{records: values(1), lastDelta: 1, bend: func(b []byte) []byte {
			put32(b, atCount, 2)
			return append(b, b[batchHeader:]...)
		}}.bytes(t),
		"record longer than the batch": record(0x7e, 0, 0, 0, 1, 1, 0),
		"record of negative length":    record(0x0d, 0, 0, 0, 1, 1, 0),
		"endless varint":               record(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80),
		"key beyond the record":        record(0x0c, 0, 0, 0, 0x7e, 1, 0),
		"key of length -2":             record(0x0c, 0, 0, 0, 3, 1, 0),
		"value beyond the record":      record(0x0c, 0, 0, 0, 1, 0x7e, 0),
		"negative number of headers":   record(0x0c, 0, 0, 0, 1, 1, 1),
		"headers beyond the record":    record(0x0c, 0, 0, 0, 1, 1, 0x7e),
		"header with a null key":       record(0x10, 0, 0, 0, 1, 1, 2, 1, 1),
		"bytes after the fields":       record(0x0e, 0, 0, 0, 1, 1, 0, 0),
		"second record":                unsound(t, 0),
		"unknown codec":                built{records: values(1), attributes: 7}.bytes(t),
		"offsets that go back":         append(built{base: 10, records: values(1)}.bytes(t)[:0:0], append(built{base: 10, records: values(1)}.bytes(t), built{base: 5, records: values(1)}.bytes(t)...)...),
		"bad gzip":                     built{records: values(9), attributes: int16(codecGzip)}.bytes(t),
		"bad snappy":                   built{records: values(9), attributes: int16(codecSnappy)}.bytes(t),
		"bad lz4":                      built{records: values(9), attributes: int16(codecLZ4)}.bytes(t),
		"bad zstd":                     built{records: values(9), attributes: int16(codecZstd)}.bytes(t),
	}
	if !testing.Short() { // slow to make under the race detector
		many := make([]Record, 2)
		many[0].Headers = make([]Header, maxItems)
		sets["too many headers"] = built{records: many, codec: codecZstd}.bytes(t)
		sets["too many records"] = built{records: make([]Record, maxItems+1)}.bytes(t)
	}
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := int64(0)
			if name == "offsets that go back" {
				// The first is delivered, the second must not be taken.
				got := decodeSet(set, from)
				if got.err != nil || got.offsets() != "10" || got.part.Next != 11 {
					t.Errorf("%q, next %d, %v", got.offsets(), got.part.Next, got.err)
				}
				return
			}
			if got := decodeSet(set, from); got.err == nil || len(got.part.Records) != 0 || got.part.Next != from {
				t.Errorf("%d records, next %d, %v", len(got.part.Records), got.part.Next, got.err)
			}
		})
	}
}

// A few bytes that unpack to more than the limit are refused, and what is set
// aside meanwhile stays near the limit.
func TestDecodeRefusesBombs(t *testing.T) {
	c := newCodecs()
	zeros := make([]byte, maxUnpacked+1)
	for with := codecGzip; with <= codecZstd; with++ {
		if (with == codecGzip || with == codecLZ4) && testing.Short() {
			continue // slow under the race detector
		}
		bomb, err := c.pack(nil, zeros, with)
		must(t, "pack", err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := c.unpack(nil, bomb, with); !errors.Is(err, errTooMuch) {
			t.Errorf("codec %d: %v", with, err)
		}
		runtime.ReadMemStats(&after)
		if aside := after.TotalAlloc - before.TotalAlloc; aside > 4*maxUnpacked {
			t.Errorf("codec %d: %d bytes were set aside for %d of bomb", with, aside, len(bomb))
		}
		set := built{records: values(1), bend: func(b []byte) []byte {
			put16(b, atBody, int16(with))
			return append(b[:batchHeader], bomb...)
		}}.bytes(t)
		if got := decodeSet(set, 0); !errors.Is(got.err, errTooMuch) {
			t.Errorf("codec %d: %v", with, got.err)
		}
	}
	// A block that only claims to be large.
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := unpackSnappy(nil, binary.AppendUvarint(nil, maxUnpacked)); err == nil {
		t.Error("a snappy block without content was accepted")
	}
	runtime.ReadMemStats(&after)
	if aside := after.TotalAlloc - before.TotalAlloc; aside > maxUnpacked/2 {
		t.Errorf("%d bytes were set aside for it", aside)
	}
}

// What Java's snappy stream writes.
func TestUnpackXerial(t *testing.T) {
	t.Parallel()
	c := newCodecs()
	want := bytes.Repeat([]byte("price "), 20_000)
	framed := append(append([]byte(nil), xerialMagic...), 0, 0, 0, 1, 0, 0, 0, 1)
	for at := 0; at < len(want); at += 32 << 10 {
		block := packSnappy(nil, want[at:min(at+32<<10, len(want))])
		framed = binary.BigEndian.AppendUint32(framed, uint32(len(block)))
		framed = append(framed, block...)
	}
	got, err := c.unpack(nil, framed, codecSnappy)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, cut := range []int{10, 18, len(framed) - 1} {
		if _, err := c.unpack(nil, framed[:cut], codecSnappy); err == nil {
			t.Errorf("cut off at %d it was accepted", cut)
		}
	}
}

func TestUnpackReusesRoom(t *testing.T) {
	c := newCodecs()
	want := bytes.Repeat([]byte("0123456789"), 50_000)
	for with := codecGzip; with <= codecZstd; with++ {
		packed, err := c.pack(nil, want, with)
		must(t, "pack", err)
		room := make([]byte, 0, len(want)+1)
		got, err := c.unpack(room, packed, with)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("codec %d: %d bytes, %v", with, len(got), err)
		}
		if &got[0] != &room[:1][0] {
			t.Errorf("codec %d did not use the room that it was given", with)
		}
	}
}

// fetchBody writes what parseFetch reads.
func fetchBody(version int16, topic string, parts ...wirePartition) []byte {
	var b []byte
	b = binary.BigEndian.AppendUint32(b, 0)
	if version >= 7 {
		b = append(b, 0, 0, 0, 0, 0, 0)
	}
	b = binary.BigEndian.AppendUint32(b, 1)
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(parts)))
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(p.partition))
		b = binary.BigEndian.AppendUint16(b, uint16(p.code))
		b = binary.BigEndian.AppendUint64(b, uint64(p.high))
		b = binary.BigEndian.AppendUint64(b, uint64(p.stable))
		if version >= 5 {
			b = binary.BigEndian.AppendUint64(b, uint64(p.start))
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(p.aborted)))
		for _, a := range p.aborted {
			b = binary.BigEndian.AppendUint64(b, uint64(a.producer))
			b = binary.BigEndian.AppendUint64(b, uint64(a.first))
		}
		if version >= 11 {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff)
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(p.records)))
		b = append(b, p.records...)
	}
	return b
}

func TestParseFetch(t *testing.T) {
	t.Parallel()
	want := []wirePartition{
		{partition: 3, code: 6, high: 9, stable: 8, start: 1, aborted: []aborted{{7, 5}, {8, 2}}, records: []byte("records")},
		{partition: 4, start: 2, records: []byte{}},
	}
	for version := int16(4); version <= 11; version++ {
		body := fetchBody(version, "t", want...)
		got, err := parseFetch(body, version, "t")
		must(t, "parseFetch", err)
		if len(got) != 2 || got[0].partition != 3 || got[0].code != 6 || got[0].high != 9 || got[0].stable != 8 ||
			string(got[0].records) != "records" || len(got[0].aborted) != 2 || got[0].aborted[0].first != 2 {
			t.Errorf("v%d: %+v", version, got)
		}
		if version >= 5 && got[0].start != 1 {
			t.Errorf("v%d: start %d", version, got[0].start)
		}
		for cut := range body {
			if _, err := parseFetch(body[:cut], version, "t"); err == nil {
				t.Fatalf("v%d cut off at %d was accepted", version, cut)
			}
		}
		if _, err := parseFetch(body, version, "u"); !errors.Is(err, ErrCorrupt) {
			t.Errorf("the answer about another topic: %v", err)
		}
	}
}
