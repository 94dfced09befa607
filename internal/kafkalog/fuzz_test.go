package kafkalog

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

func FuzzDecodeBatch(f *testing.F) {
	for with := codecNone; with <= codecZstd; with++ {
		f.Add(built{base: 3, codec: with, records: values(20)}.bytes(f), int64(0), true)
	}
	f.Add(marker(f, 1, 2, 0), int64(0), true)
	f.Add(built{records: []Record{{Key: []byte("k"), Headers: []Header{{"a", []byte("b")}, {"c", nil}}}}}.bytes(f), int64(0), false)
	pools, coders := new(buffers), newCodecs()
	f.Fuzz(func(t *testing.T, set []byte, from int64, mend bool) {
		if mend && len(set) >= batchHeader {
			set = checksum(append([]byte(nil), set...)) // else hardly any input gets past the CRC
		}
		l := pools.lease()
		defer pools.release(l)
		d := decoder{
			codecs: coders, buffers: pools, lease: l, committed: true,
			byteBudget: 1 << 26, recordBudget: 1 << 20, aborted: []aborted{{2, 0}},
		}
		var part FetchedPartition
		from = max(from, 0)
		err := d.decode(&part, set, from)
		if part.Next < from || err != nil && len(part.Records) > 0 {
			t.Fatalf("next %d from %d with %d records, %v", part.Next, from, len(part.Records), err)
		}
		last := from - 1
		for _, r := range part.Records {
			if r.Offset <= last || r.Offset >= part.Next {
				t.Fatalf("offset %d after %d, next %d", r.Offset, last, part.Next)
			}
			last = r.Offset
		}
		if n := cap(l.records) + cap(l.headers); n > 4*maxItems {
			t.Fatalf("%d records and headers were set aside for %d bytes", n, len(set))
		}
	})
}

func FuzzUnpack(f *testing.F) {
	c := newCodecs()
	for with := codecNone; with <= codecZstd; with++ {
		packed, err := c.pack(nil, bytes.Repeat([]byte("abc"), 1000), with)
		must(f, "pack", err)
		f.Add(packed, int16(with))
	}
	f.Fuzz(func(t *testing.T, src []byte, with int16) {
		out, err := c.unpack(nil, src, codec(with&attrCodec))
		if len(out) > maxUnpacked && err == nil || cap(out) > 3*maxUnpacked {
			t.Fatalf("%d bytes in %d, %v", len(out), cap(out), err)
		}
	})
}

func FuzzParseFetch(f *testing.F) {
	f.Add(make([]byte, 64), int16(11))
	f.Add(fetchBody(11, "t", wirePartition{partition: 1, aborted: []aborted{{1, 2}}, records: []byte("xyz")}), int16(11))
	f.Add(fetchBody(4, "t", wirePartition{partition: 1}), int16(4))
	f.Fuzz(func(t *testing.T, body []byte, version int16) {
		parts, err := parseFetch(body, 4+(version&0x7fff)%8, "t")
		if err != nil && len(parts) > 0 {
			t.Fatalf("%d partitions with %v", len(parts), err)
		}
		n := 0
		for _, p := range parts {
			n += len(p.records) + 16*len(p.aborted)
		}
		if n > len(body) {
			t.Fatalf("%d bytes out of %d", n, len(body))
		}
	})
}

// FuzzHeaders gives a record any bytes for headers, in a batch that is sound
// but for them.
func FuzzHeaders(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{2, 2, 'a', 2, 'b'})
	f.Add([]byte{4, 2, 'a', 1, 0, 0})
	f.Add([]byte{0xfe, 0xff, 0xff, 0xff, 0x0f, 2, 'a', 1})
	pools, coders := new(buffers), newCodecs()
	f.Fuzz(func(t *testing.T, headers []byte) {
		body := append([]byte{0, 0, 0, 1, 1}, headers...) // attributes, time, offset, no key, no value
		set := built{records: values(1), bend: func(b []byte) []byte {
			return append(binary.AppendVarint(b[:batchHeader], int64(len(body))), body...)
		}}.bytes(t)
		l := pools.lease()
		defer pools.release(l)
		d := decoder{codecs: coders, buffers: pools, lease: l, byteBudget: math.MaxInt, recordBudget: math.MaxInt}
		var part FetchedPartition
		err := d.decode(&part, set, 0)
		if (err == nil) != (len(part.Records) == 1) {
			t.Fatalf("%d records, %v", len(part.Records), err)
		}
		size := 0
		for _, r := range part.Records {
			for _, h := range r.Headers {
				size += 2 + len(h.Key) + len(h.Value)
			}
		}
		if size > len(headers) || cap(l.headers) > 4*len(headers)+64 && cap(l.headers) > maxItems {
			t.Fatalf("%d bytes of headers and room for %d out of %d bytes", size, cap(l.headers), len(headers))
		}
	})
}
