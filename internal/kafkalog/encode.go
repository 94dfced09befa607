package kafkalog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"time"
)

// identity is what a broker knows a producer by (KIP-98).
type identity struct {
	producer int64
	epoch    int16
}

// encoder builds one record batch, in b: room for what a request has before
// it, room for the batch's header, the records.
type encoder struct {
	b        []byte
	front    int // bytes before the batch
	count    int32
	items    int // records and headers, which a reader limits
	baseTime int64
	maxTime  int64
}

func (e *encoder) reset(b []byte, front int) {
	*e = encoder{b: slices.Grow(b[:0], front+batchHeader)[:front+batchHeader], front: front}
}

// size of the batch so far, as a broker counts it.
func (e *encoder) size() int { return len(e.b) - e.front }

// add appends a record of this recordSize with its time in milliseconds,
// unless the batch would be larger than limit bytes. A first record is taken in
// any case: checkRecord has seen it.
func (e *encoder) add(r *Record, size int, ms int64, limit int) bool {
	base := e.baseTime
	if e.count == 0 {
		base = ms
	}
	body := size + varintLen(ms-base) + varintLen(int64(e.count))
	whole := varintLen(int64(body)) + body
	items := e.items + 1 + len(r.Headers)
	if e.count > 0 && (items > maxItems || e.size()+whole > limit) {
		return false
	}
	if e.count == 0 {
		e.baseTime, e.maxTime = ms, ms
	}
	b := appendLength(slices.Grow(e.b, whole), body)
	b = append(b, 0)
	b = binary.AppendVarint(b, ms-base)
	b = appendLength(b, int(e.count))
	b = appendBytes(b, r.Key)
	b = appendBytes(b, r.Value)
	b = appendLength(b, len(r.Headers))
	for i := range r.Headers {
		h := &r.Headers[i]
		b = append(appendLength(b, len(h.Key)), h.Key...)
		b = appendBytes(b, h.Value)
	}
	e.b = b
	e.maxTime = max(e.maxTime, ms)
	e.items = items
	e.count++
	return true
}

func appendBytes(b, v []byte) []byte {
	if v == nil {
		return append(b, 1) // -1 in zigzag
	}
	return append(appendLength(b, len(v)), v...)
}

// appendLength appends a zigzag varint that is not negative and most often
// small.
func appendLength(b []byte, n int) []byte {
	if n < 0x40 {
		return append(b, byte(n)<<1)
	}
	return binary.AppendUvarint(b, uint64(n)<<1)
}

// recordSize is a record's length after its length, without the two deltas,
// which depend on its place in a batch. sound is false when a header is larger
// than it may be. This is where a record's memory is touched first, so the loop
// is kept short: the processor then waits for several records at once.
func recordSize(r *Record) (size int, sound bool) {
	size = 1 + lengthSize(len(r.Key)) + lengthSize(len(r.Value)) + varintLen(int64(len(r.Headers)))
	excess := maxHeaders - len(r.Headers) // negative once something is too large
	for i := range r.Headers {
		h := &r.Headers[i]
		size += lengthSize(len(h.Key)) + lengthSize(len(h.Value))
		excess |= maxHeaderKey - len(h.Key) | maxHeaderSize - len(h.Value)
	}
	return size, excess >= 0
}

// wholeSize is the least that a record of this recordSize takes in a batch, and
// exactly that as its first: the two deltas are one byte each.
func wholeSize(size int) int { return lengthSize(size + 2) }

// lengthSize is the size of n bytes with their length before them; null takes
// as much as none.
func lengthSize(n int) int { return varintLen(int64(n)) + n }

// checkRecord returns the recordSize of a record, or why a batch of at most
// limit bytes cannot hold it.
func checkRecord(r *Record, limit int) (int, error) {
	size, sound := recordSize(r)
	alone := batchHeader + wholeSize(size)
	if sound && alone <= limit {
		return size, nil
	}
	return 0, refusal(r, alone, limit)
}

func refusal(r *Record, alone, limit int) error {
	if len(r.Headers) > maxHeaders {
		return fmt.Errorf("kafkalog: a record for %s has %d headers; %d are allowed: %w", r.Topic, len(r.Headers), maxHeaders, ErrTooLarge)
	}
	for i := range r.Headers {
		if h := &r.Headers[i]; len(h.Key) > maxHeaderKey || len(h.Value) > maxHeaderSize {
			return fmt.Errorf("kafkalog: header %d of a record for %s has %d bytes of key and %d of value; %d and %d are allowed: %w",
				i, r.Topic, len(h.Key), len(h.Value), maxHeaderKey, maxHeaderSize, ErrTooLarge)
		}
	}
	return fmt.Errorf("kafkalog: a record for %s makes a batch of %d bytes; %d are allowed: %w", r.Topic, alone, limit, ErrTooLarge)
}

// milliseconds of a record's time; now stands for the zero time.
func milliseconds(t, now time.Time) int64 {
	if t.IsZero() {
		t = now
	}
	return t.UnixMilli()
}

// seal finishes the batch: the records are packed into room where that makes
// them smaller, and the header is filled in. The result, behind the room for
// the request, is what is sent, the same bytes on every attempt.
func (e *encoder) seal(codecs *codecs, with codec, room []byte, id identity, sequence int32, transactional bool) (sealed, spare []byte, err error) {
	sealed, spare = e.b, room
	if with != codecNone {
		begin := e.front + batchHeader
		packed := append(room[:0], e.b[:begin]...)
		packed, err = codecs.pack(packed, e.b[begin:], with)
		if err != nil {
			return sealed, packed, fmt.Errorf("compressing a batch: %w", err)
		}
		if len(packed) < len(e.b) {
			sealed, spare = packed, e.b
		} else {
			with, spare = codecNone, packed
		}
	}
	attributes := uint16(with)
	if transactional {
		attributes |= attrTransactional
	}
	b := sealed[e.front:]
	binary.BigEndian.PutUint64(b, 0)
	binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)-lengthFrom))
	binary.BigEndian.PutUint32(b[lengthFrom:], 0xffffffff) // leader epoch: the broker's to say
	b[atMagic] = 2
	binary.BigEndian.PutUint16(b[atBody:], attributes)
	binary.BigEndian.PutUint32(b[atLastDelta:], uint32(e.count-1))
	binary.BigEndian.PutUint64(b[atBaseTime:], uint64(e.baseTime))
	binary.BigEndian.PutUint64(b[atMaxTime:], uint64(e.maxTime))
	binary.BigEndian.PutUint64(b[atProducer:], uint64(id.producer))
	binary.BigEndian.PutUint16(b[atEpoch:], uint16(id.epoch))
	binary.BigEndian.PutUint32(b[atSequence:], uint32(sequence))
	binary.BigEndian.PutUint32(b[atCount:], uint32(e.count))
	binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atBody:], castagnoli))
	return sealed, spare, nil
}

// following is the sequence number n records after s: it wraps to 0 after
// 2^31-1.
func following(s, n int32) int32 { return int32((uint32(s) + uint32(n)) & 0x7fffffff) }
