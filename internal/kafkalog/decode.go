package kafkalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// aborted is one aborted transaction of a fetched range: what its producer
// wrote from first on, up to its abort marker, never was.
type aborted struct {
	producer int64
	first    int64
}

// decoder turns the record set of one partition into records.
type decoder struct {
	codecs    *codecs
	buffers   *buffers
	lease     *lease
	committed bool // skip aborted records

	// Where to stop early: a set that unpacks to very much is read in parts.
	byteBudget, recordBudget int // bytes unpacked; records and headers

	aborted []aborted      // of the partition, by first
	ended   map[int64]bool // producers inside an aborted transaction
}

var errTruncated = errors.New("it is cut off")

// decode appends the records of set from offset `from` on to the lease and
// sets Records and Next of part. A batch cut off at the end of the set is left
// for the next fetch, as is an unsound one behind sound ones: what came before
// is delivered first.
func (d *decoder) decode(part *FetchedPartition, set []byte, from int64) error {
	part.Next = from
	start := len(d.lease.records)
	clear(d.ended)
	var err error
	for floor := int64(0); len(set) > 0 && err == nil; {
		if floor > 0 && (d.byteBudget <= 0 || d.recordBudget <= 0) {
			break
		}
		var h header
		if h, err = d.next(set, floor, from); err == nil {
			floor = h.last() + 1
			part.Next = max(part.Next, floor)
			set = set[h.size:]
		}
	}
	if part.Next > from {
		err = nil // the next fetch begins with it
	}
	if err != nil {
		return fmt.Errorf("batch at or after offset %d: %w", from, err)
	}
	part.Records = d.lease.records[start:len(d.lease.records):len(d.lease.records)]
	return nil
}

// next handles the first batch of set; floor is where the one before it ended.
func (d *decoder) next(set []byte, floor, from int64) (header, error) {
	h, whole, err := parseHeader(set)
	switch {
	case err != nil:
		return h, err
	case !whole:
		return h, errTruncated
	case h.base < floor:
		return h, fmt.Errorf("its offsets begin at %d, below %d, where the batch before it ended", h.base, floor)
	case h.last() < from:
		return h, nil
	}
	return h, d.whole(&h, set[:h.size], from)
}

// whole delivers all of a batch or nothing of it.
func (d *decoder) whole(h *header, b []byte, from int64) error {
	records, headers := len(d.lease.records), len(d.lease.headers)
	err := d.batch(h, b, from)
	if err != nil {
		d.lease.records, d.lease.headers = d.lease.records[:records], d.lease.headers[:headers]
	}
	return err
}

func (d *decoder) batch(h *header, b []byte, from int64) error {
	body := b[batchHeader:]
	if d.skip(h, body) {
		return nil
	}
	if c := h.codec(); c != codecNone && h.count > 0 {
		block := d.buffers.block(d.lease)
		var err error
		if block.b, err = d.codecs.unpack(block.b, body, c); err != nil {
			return fmt.Errorf("unpacking it: %w", err)
		}
		body = block.b
	}
	if int64(h.count)*leastRecord > int64(len(body)) {
		return fmt.Errorf("it claims %d records in %d bytes", h.count, len(body))
	}
	d.byteBudget -= len(body)
	d.recordBudget -= int(h.count)
	headers := len(d.lease.headers)
	err := d.records(h, body, from)
	d.recordBudget -= len(d.lease.headers) - headers
	return err
}

// skip reports whether nothing of the batch is to be delivered, and follows
// transactions to their ends.
func (d *decoder) skip(h *header, body []byte) bool {
	for len(d.aborted) > 0 && d.aborted[0].first <= h.last() {
		if d.ended == nil {
			d.ended = make(map[int64]bool)
		}
		d.ended[d.aborted[0].producer] = true
		d.aborted = d.aborted[1:]
	}
	if h.is(attrControl) {
		if abortMarker(body) {
			delete(d.ended, h.producer)
		}
		return true
	}
	return d.committed && h.is(attrTransactional) && d.ended[h.producer]
}

// abortMarker reports whether the only record of a control batch aborts: its
// key is version (int16) and type (int16), 0 for abort.
func abortMarker(body []byte) bool {
	r := reader{b: body}
	r.varint() // length
	r.take(1)  // attributes
	r.varint() // time
	r.varint() // offset
	r.varint() // length of the key
	r.take(2)  // version
	kind := r.take(2)
	return !r.bad && binary.BigEndian.Uint16(kind) == 0
}

// records appends what lies at `from` or later.
func (d *decoder) records(h *header, body []byte, from int64) error {
	d.lease.records = slices.Grow(d.lease.records, int(h.count))
	r := reader{b: body, items: maxItems - int(h.count)}
	previous := int64(-1)
	for n := range h.count {
		rec, err := d.record(h, &r)
		if err != nil {
			return fmt.Errorf("record %d of %d: %w", n+1, h.count, err)
		}
		delta := rec.Offset - h.base
		if delta <= previous || delta > int64(h.lastDelta) {
			return fmt.Errorf("record %d of %d has offset %+d after %+d of %+d", n+1, h.count, delta, previous, h.lastDelta)
		}
		previous = delta
		if rec.Offset >= from {
			d.lease.records = append(d.lease.records, rec)
		}
	}
	if len(r.b) > 0 {
		return fmt.Errorf("%d bytes are left after its %d records", len(r.b), h.count)
	}
	return nil
}

func (d *decoder) record(h *header, r *reader) (FetchedRecord, error) {
	var rec FetchedRecord
	length := r.varint()
	if r.bad || length < leastRecord-1 || length > int64(len(r.b)) {
		return rec, errTruncated
	}
	in := reader{b: r.b[:length], items: r.items}
	r.b = r.b[length:]
	in.take(1)
	at := h.baseTime + in.varint()
	if h.is(attrLogAppendTime) {
		at = h.maxTime
	}
	if at >= 0 { // -1: the record has none
		rec.Time = time.UnixMilli(at).UTC()
	}
	rec.Offset = h.base + in.varint()
	rec.Key = in.bytes()
	rec.Value = in.bytes()
	rec.Headers = d.headers(&in)
	r.items = in.items
	if in.bad || len(in.b) > 0 {
		return rec, errors.New("its fields do not fill its length")
	}
	return rec, nil
}

func (d *decoder) headers(in *reader) []Header {
	n := in.varint()
	if n == 0 {
		return nil
	}
	// Two bytes is the least a header takes.
	if n < 0 || n > int64(len(in.b)/2) || n > int64(in.items) {
		in.bad = true
		return nil
	}
	in.items -= int(n)
	start := len(d.lease.headers)
	all := slices.Grow(d.lease.headers, int(n))
	b := in.b
	for i := range int(n) {
		key, rest, ok := nextBytes(b)
		value, rest, sound := nextBytes(rest)
		if !ok || !sound || key == nil {
			in.bad = true
			return nil
		}
		b = rest
		all = append(all, Header{Key: d.lease.name(i, key), Value: value})
	}
	in.b, d.lease.headers = b, all
	return all[start:len(all):len(all)]
}

// reader takes fields from the front of b; bad is set, and stays, when there
// are not enough bytes.
type reader struct {
	b     []byte
	items int // how many more headers a batch may hold
	bad   bool
}

func (r *reader) varint() int64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // one byte: by far the most frequent
		u := r.b[0]
		r.b = r.b[1:]
		return int64(u>>1) ^ -int64(u&1)
	}
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		r.b = nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad = true
		r.b = nil
		return make([]byte, 2)[:min(n, 2)]
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// bytes is a length and as many bytes; nil for null.
func (r *reader) bytes() []byte {
	v, rest, ok := nextBytes(r.b)
	r.bad = r.bad || !ok
	r.b = rest
	return v
}

// nextBytes takes a length and as many bytes from the front of b; nil for
// null.
func nextBytes(b []byte) (v, rest []byte, ok bool) {
	if len(b) > 0 && b[0] < 0x80 && b[0]&1 == 0 { // fewer than 64 bytes: by far the most frequent
		if n := int(b[0] >> 1); n < len(b) {
			return b[1 : 1+n : 1+n], b[1+n:], true
		}
		return nil, nil, false
	}
	return longBytes(b)
}

func longBytes(b []byte) (v, rest []byte, ok bool) {
	n, width := binary.Varint(b)
	switch {
	case width <= 0 || n < -1 || n > int64(len(b)-width):
		return nil, nil, false
	case n == -1:
		return nil, b[width:], true
	}
	b = b[width:]
	return b[:n:n], b[n:], true
}
