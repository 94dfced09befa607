package schemas

import (
	"encoding/binary"
	"errors"
)

// frameSize is the length of the Confluent wire format's head: a zero byte and
// the schema id, big-endian.
const frameSize = 5

// ErrFrame says that a value does not begin with a frame.
var ErrFrame = errors.New("the value does not begin with a schema id frame")

// AppendFrame appends the head that names the schema of the body that follows.
func AppendFrame(dst []byte, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0), id)
}

// SplitFrame takes the head off a value.
func SplitFrame(value []byte) (id uint32, body []byte, err error) {
	if len(value) < frameSize || value[0] != 0 {
		return 0, nil, ErrFrame
	}
	return binary.BigEndian.Uint32(value[1:]), value[frameSize:], nil
}
