package kafkalog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
)

// The record batch, format version 2 (Kafka documentation, "Record Batch"):
//
//	 0 base offset           int64
//	 8 batch length          int32   bytes after this field
//	12 leader epoch          int32
//	16 magic                 int8    2
//	17 CRC-32C               uint32  of everything after this field
//	21 attributes            int16
//	23 last offset delta     int32
//	27 base timestamp        int64   ms
//	35 max timestamp         int64   ms
//	43 producer id           int64
//	51 producer epoch        int16
//	53 base sequence         int32
//	57 number of records     int32
//	61 records, compressed together
//
// A record is: its length, attributes (int8), timestamp delta, offset delta,
// key, value, headers; lengths and deltas are zigzag varints, -1 is null.
const (
	atLength    = 8
	atMagic     = 16
	atCRC       = 17
	atBody      = 21 // where the CRC begins to count
	atLastDelta = 23
	atBaseTime  = 27
	atMaxTime   = 35
	atProducer  = 43
	atEpoch     = 51
	atSequence  = 53
	atCount     = 57
	batchHeader = 61
	lengthFrom  = 12 // what the length does not count

	leastRecord = 7 // bytes of a record without key, value and headers
)

// Bits of a batch's attributes.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08 // every record has the time of max timestamp
	attrTransactional = 0x10
	attrControl       = 0x20
)

// Limits of what is read and written.
const (
	maxUnpacked = 32 << 20 // bytes of one batch, unpacked
	maxItems    = 1 << 20  // records and headers of one batch together

	maxHeaders    = 128      // of one record that is sent
	maxHeaderKey  = 255      // bytes
	maxHeaderSize = 64 << 10 // bytes of one value
)

// castagnoli is the table of CRC-32C, the checksum of format version 2.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what stands before the records of a batch.
type header struct {
	base       int64
	size       int // of the whole batch, in bytes
	attributes int16
	lastDelta  int32
	baseTime   int64
	maxTime    int64
	producer   int64
	count      int32
}

// last is the offset of the batch's last record, present or compacted away.
func (h *header) last() int64 { return h.base + int64(h.lastDelta) }

func (h *header) is(bit int16) bool { return h.attributes&bit != 0 }

func (h *header) codec() codec { return codec(h.attributes & attrCodec) }

// parseHeader reads and checks the header of the first batch of set, and the
// batch's checksum. whole is false when set ends before the batch does; then
// only size is known, if that.
func parseHeader(set []byte) (h header, whole bool, err error) {
	if len(set) < lengthFrom {
		return h, false, nil
	}
	length := int32(binary.BigEndian.Uint32(set[atLength:]))
	if length < batchHeader-lengthFrom || length > maxAnswer {
		return h, false, fmt.Errorf("its length %d makes no sense", length)
	}
	h.size = int(length) + lengthFrom
	if len(set) > atMagic && set[atMagic] != 2 {
		return h, false, fmt.Errorf("its format version is %d, and only 2 is read", set[atMagic])
	}
	if len(set) < h.size {
		return h, false, nil
	}
	b := set[:h.size]
	if sum := crc32.Checksum(b[atBody:], castagnoli); sum != binary.BigEndian.Uint32(b[atCRC:]) {
		return h, true, fmt.Errorf("its checksum is %08x, not %08x", sum, binary.BigEndian.Uint32(b[atCRC:]))
	}
	h.base = int64(binary.BigEndian.Uint64(b))
	h.attributes = int16(binary.BigEndian.Uint16(b[atBody:]))
	h.lastDelta = int32(binary.BigEndian.Uint32(b[atLastDelta:]))
	h.baseTime = int64(binary.BigEndian.Uint64(b[atBaseTime:]))
	h.maxTime = int64(binary.BigEndian.Uint64(b[atMaxTime:]))
	h.producer = int64(binary.BigEndian.Uint64(b[atProducer:]))
	h.count = int32(binary.BigEndian.Uint32(b[atCount:]))
	return h, true, h.check()
}

// check refuses a header whose numbers cannot belong together.
func (h *header) check() error {
	switch {
	case h.base < 0 || h.lastDelta < 0 || h.last() < h.base:
		return fmt.Errorf("its offsets %d and %+d make no sense", h.base, h.lastDelta)
	case h.count < 0 || h.count > maxItems || int64(h.count) > int64(h.lastDelta)+1:
		return fmt.Errorf("it claims %d records, with room for %d", h.count, int64(h.lastDelta)+1)
	}
	return nil
}

// varintLen is the length of v as a zigzag varint.
func varintLen(v int64) int {
	// Without a branch: the bits of 1 to 64 make 1 to 10 bytes of 7 bits.
	return (bits.Len64(uint64(v)<<1^uint64(v>>63)|1)*9 + 64) / 64
}
