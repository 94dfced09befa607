package kafkalog

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

const (
	maxAborted    = 1 << 16 // aborted transactions of one partition in one answer
	leastWirePart = 2 + 4 + 8 + 8 + 4
)

// wirePartition is one partition of the answer to a fetch; records are a part
// of the answer's bytes.
type wirePartition struct {
	partition           int32
	code                int16
	high, stable, start int64
	aborted             []aborted
	records             []byte
}

var errAnswer = fmt.Errorf("the answer to a fetch is not well formed: %w", ErrCorrupt)

// parseFetch reads the body of the answer to a fetch of one topic, versions 4
// to 11. kafka-go would decode every record and drop the list of aborted
// transactions; here the records stay bytes.
func parseFetch(body []byte, version int16, topic string) ([]wirePartition, error) {
	r := wire{b: body}
	r.skip(4) // throttle time: the broker waits by itself
	if version >= 7 {
		if code := r.int16(); code != 0 {
			return nil, codeError(code)
		}
		r.skip(4) // session
	}
	var parts []wirePartition
	for range r.count(2 + 4) {
		name := r.bytes(int(r.int16()))
		n := r.count(leastWirePart)
		if r.bad {
			break
		}
		if string(name) != topic {
			return nil, fmt.Errorf("%w: it speaks of another topic", errAnswer)
		}
		for range n {
			parts = append(parts, r.partition(version))
		}
	}
	if r.bad {
		return nil, errAnswer
	}
	return parts, nil
}

// wire takes fixed-width fields from the front of b; bad is set, and stays,
// when there are not enough bytes.
type wire struct {
	b   []byte
	bad bool
}

func (r *wire) partition(version int16) wirePartition {
	w := wirePartition{start: -1}
	w.partition = r.int32()
	w.code = r.int16()
	w.high = r.int64()
	w.stable = r.int64()
	if version >= 5 {
		w.start = r.int64()
	}
	w.aborted = r.aborted()
	if version >= 11 {
		r.skip(4) // preferred replica: given only to those who name their rack
	}
	w.records = r.bytes(int(r.int32()))
	return w
}

// aborted are sorted by their first offset, in which order they are needed.
func (r *wire) aborted() []aborted {
	n := r.count(16)
	if n > maxAborted {
		r.bad = true
	}
	if n == 0 || r.bad {
		return nil
	}
	list := make([]aborted, n)
	for i := range list {
		list[i] = aborted{producer: r.int64(), first: r.int64()}
	}
	slices.SortFunc(list, func(a, b aborted) int { return cmp.Compare(a.first, b.first) })
	return list
}

// count is the length of an array of elements of at least size bytes.
func (r *wire) count(size int) int {
	n := int(r.int32())
	if n < 0 {
		return 0 // null
	}
	if n > len(r.b)/size {
		r.bad = true
		return 0
	}
	return n
}

// bytes takes n bytes; a negative n is null.
func (r *wire) bytes(n int) []byte {
	if n < 0 {
		return nil
	}
	if n > len(r.b) {
		r.bad = true
		r.b = nil
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *wire) skip(n int) { r.bytes(n) }

func (r *wire) int16() int16 {
	if v := r.bytes(2); v != nil {
		return int16(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (r *wire) int32() int32 {
	if v := r.bytes(4); v != nil {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

func (r *wire) int64() int64 {
	if v := r.bytes(8); v != nil {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}
