package container

import (
	"encoding/binary"
	"fmt"

	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// Limits of one value.
const (
	maxDepth = 64
	// maxEmpty bounds items that take no bytes, such as nulls: their count is
	// all that a file needs to say to keep a reader busy.
	maxEmpty = 1 << 16
)

// Skip is the length of the value of type t at the beginning of data. The
// error is an [ErrRecord]: the bytes end within the value, a branch or symbol
// does not exist, a count is larger than what is left, or it is nested deeper
// than 64.
func Skip(t *avro.Type, data []byte) (int, error) {
	s := skipper{data: data}
	if !s.value(t, 0) {
		return 0, fmt.Errorf("%w: %s", ErrRecord, s.fault)
	}
	return s.at, nil
}

type skipper struct {
	data  []byte
	at    int
	empty int
	fault string
}

func (s *skipper) fail(why string) bool {
	s.fault = why
	return false
}

func (s *skipper) value(t *avro.Type, depth int) bool {
	if depth > maxDepth {
		return s.fail("it is nested too deep")
	}
	switch t.Kind {
	case avro.Record:
		for i := range t.Fields {
			if !s.value(t.Fields[i].Type, depth+1) {
				return false
			}
		}
		return true
	case avro.Union:
		i, ok := s.index(len(t.Branches))
		return ok && s.value(t.Branches[i], depth+1)
	case avro.Array:
		return s.blocks(func() bool { return s.value(t.Items, depth+1) })
	case avro.Map:
		return s.blocks(func() bool {
			n, ok := s.long(false)
			return ok && s.skip(n) && s.value(t.Values, depth+1)
		})
	default:
		return s.plain(t)
	}
}

// plain steps over a value that holds no others.
func (s *skipper) plain(t *avro.Type) bool {
	switch t.Kind {
	case avro.Null:
		return true
	case avro.Boolean:
		return s.boolean()
	case avro.Int, avro.Long:
		_, ok := s.long(t.Kind == avro.Int)
		return ok
	case avro.Float:
		return s.skip(4)
	case avro.Double:
		return s.skip(8)
	case avro.Fixed:
		return s.skip(int64(t.Size))
	case avro.Bytes, avro.String:
		n, ok := s.long(false)
		return ok && s.skip(n)
	case avro.Enum:
		_, ok := s.index(len(t.Symbols))
		return ok
	default:
		return s.fail("its type is not known")
	}
}

func (s *skipper) boolean() bool {
	if s.at < len(s.data) && s.data[s.at] > 1 {
		return s.fail("a boolean is neither 0 nor 1")
	}
	return s.skip(1)
}

func (s *skipper) skip(n int64) bool {
	if n < 0 || n > int64(len(s.data)-s.at) {
		return s.fail("the bytes end within it")
	}
	s.at += int(n)
	return true
}

func (s *skipper) long(narrow bool) (int64, bool) {
	v, n := binary.Varint(s.data[s.at:])
	if n <= 0 {
		return 0, s.fail("a number does not end")
	}
	if narrow && int64(int32(v)) != v {
		return 0, s.fail("an int has more than 32 bits")
	}
	s.at += n
	return v, true
}

func (s *skipper) index(n int) (int, bool) {
	v, ok := s.long(false)
	if !ok || v < 0 || v >= int64(n) {
		return 0, s.fail("a branch or symbol does not exist")
	}
	return int(v), true
}

// blocks steps over the blocks of an array or a map.
func (s *skipper) blocks(item func() bool) bool {
	for {
		count, ok := s.long(false)
		if !ok || count == 0 {
			return ok
		}
		end := -1
		if count < 0 {
			size, ok := s.long(false)
			if !ok || size < 0 || size > int64(len(s.data)-s.at) {
				return s.fail("a block is longer than what is left")
			}
			count, end = -count, s.at+int(size)
		}
		if !s.items(count, item) {
			return false
		}
		if end >= 0 && s.at != end {
			return s.fail("a block is not as long as it says")
		}
	}
}

func (s *skipper) items(count int64, item func() bool) bool {
	for ; count != 0; count-- { // a count of -2^63 stays negative and ends by maxEmpty or the bytes
		before := s.at
		if !item() {
			return false
		}
		if s.at == before {
			if s.empty++; s.empty > maxEmpty {
				return s.fail("it has too many items without bytes")
			}
		}
	}
	return true
}
