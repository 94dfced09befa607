package kafkalog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"
)

// sizePrefix stands before a record set in a produce request; kafka-go's
// RawRecordSet wants it in the bytes it is given.
const sizePrefix = 4

// identity is what a broker knows a producer by (KIP-98).
type identity struct {
	producer int64
	epoch    int16
}

// encoder builds one record batch, in b: the size prefix, room for the batch's
// header, the records.
type encoder struct {
	b        []byte
	count    int32
	items    int // records and headers, which a reader limits
	baseTime int64
	maxTime  int64
}

func (e *encoder) reset(b []byte) {
	*e = encoder{b: append(b[:0], make([]byte, sizePrefix+batchHeader)...)}
}

// size of the batch so far, as a broker counts it.
func (e *encoder) size() int { return len(e.b) - sizePrefix }

// add appends a record with its time in milliseconds, unless the batch would
// be larger than limit bytes. A first record is taken in any case: checkRecord
// has seen it.
func (e *encoder) add(r *Record, ms int64, limit int) bool {
	base := e.baseTime
	if e.count == 0 {
		base = ms
	}
	body := bodySize(r, ms-base, e.count)
	items := e.items + 1 + len(r.Headers)
	if e.count > 0 && (items > maxItems || e.size()+varintLen(int64(body))+body > limit) {
		return false
	}
	if e.count == 0 {
		e.baseTime, e.maxTime = ms, ms
	}
	b := binary.AppendVarint(e.b, int64(body))
	b = append(b, 0)
	b = binary.AppendVarint(b, ms-base)
	b = binary.AppendVarint(b, int64(e.count))
	b = appendBytes(b, r.Key)
	b = appendBytes(b, r.Value)
	b = binary.AppendVarint(b, int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		b = binary.AppendVarint(b, int64(len(h.Key)))
		b = append(b, h.Key...)
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
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}

// bodySize is a record's length after its length.
func bodySize(r *Record, timeDelta int64, offsetDelta int32) int {
	n := 1 + varintLen(timeDelta) + varintLen(int64(offsetDelta)) +
		bytesSize(r.Key) + bytesSize(r.Value) + varintLen(int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		n += varintLen(int64(len(h.Key))) + len(h.Key) + bytesSize(h.Value)
	}
	return n
}

func bytesSize(v []byte) int {
	if v == nil {
		return 1
	}
	return varintLen(int64(len(v))) + len(v)
}

// checkRecord refuses what a batch of at most limit bytes cannot hold.
func checkRecord(r *Record, limit int) error {
	if len(r.Headers) > maxHeaders {
		return fmt.Errorf("kafkalog: a record for %s has %d headers; %d are allowed: %w", r.Topic, len(r.Headers), maxHeaders, ErrTooLarge)
	}
	for i := range r.Headers {
		if h := &r.Headers[i]; len(h.Key) > maxHeaderKey || len(h.Value) > maxHeaderSize {
			return fmt.Errorf("kafkalog: header %d of a record for %s has %d bytes of key and %d of value; %d and %d are allowed: %w",
				i, r.Topic, len(h.Key), len(h.Value), maxHeaderKey, maxHeaderSize, ErrTooLarge)
		}
	}
	body := bodySize(r, 0, 0)
	if size := batchHeader + varintLen(int64(body)) + body; size > limit {
		return fmt.Errorf("kafkalog: a record for %s makes a batch of %d bytes; %d are allowed: %w", r.Topic, size, limit, ErrTooLarge)
	}
	return nil
}

// milliseconds of a record's time; now stands for the zero time.
func milliseconds(t, now time.Time) int64 {
	if t.IsZero() {
		t = now
	}
	return t.UnixMilli()
}

// seal finishes the batch: the records are packed into room where that makes
// them smaller, and the header is filled in. The result, with its size prefix,
// is what is sent, the same bytes on every attempt.
func (e *encoder) seal(codecs *codecs, with codec, room []byte, id identity, sequence int32, transactional bool) (sealed, spare []byte, err error) {
	sealed, spare = e.b, room
	if with != codecNone {
		packed := append(room[:0], e.b[:sizePrefix+batchHeader]...)
		packed, err = codecs.pack(packed, e.b[sizePrefix+batchHeader:], with)
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
	binary.BigEndian.PutUint32(sealed, uint32(len(sealed)-sizePrefix))
	b := sealed[sizePrefix:]
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
