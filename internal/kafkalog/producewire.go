package kafkalog

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// Places in a frame, the same in every request of the versions used here
// (request header version 1).
const (
	atFrameSize    = 0
	atFrameVersion = 6
	atFrameSerial  = 8
)

// produceRequest is a produce request for one partition, versions 3 to 8
// (acks=all), up to the bytes of the batch. Only its sizes, version, serial
// number and timeout differ from one batch of a partition to the next, so the
// rest is made once, and the batch is encoded behind it in the same memory:
// kafka-go would copy it.
type produceRequest struct {
	head      []byte
	atTimeout int
}

func newProduceRequest(clientID, transactionalID string, at topicPartition) produceRequest {
	b := make([]byte, atFrameVersion-2, 64)
	b = binary.BigEndian.AppendUint16(b, uint16(protocol.Produce))
	b = append(b, make([]byte, 2+4)...) // version, serial
	b = appendString(b, clientID)
	if transactionalID == "" {
		b = binary.BigEndian.AppendUint16(b, 0xffff) // null
	} else {
		b = appendString(b, transactionalID)
	}
	b = binary.BigEndian.AppendUint16(b, 0xffff) // acks: all
	timeout := len(b)
	b = append(b, make([]byte, 4)...)
	b = binary.BigEndian.AppendUint32(b, 1) // topics
	b = appendString(b, at.topic)
	b = binary.BigEndian.AppendUint32(b, 1) // partitions
	b = binary.BigEndian.AppendUint32(b, uint32(at.partition))
	b = append(b, make([]byte, 4)...) // size of the batch
	return produceRequest{head: b, atTimeout: timeout}
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// before fills in the request in the room before a sealed batch.
func (p *produceRequest) before(sealed []byte) {
	n := copy(sealed, p.head)
	binary.BigEndian.PutUint32(sealed[atFrameSize:], uint32(len(sealed)-4))
	binary.BigEndian.PutUint32(sealed[n-4:], uint32(len(sealed)-n))
}

// wait tells the broker for how long it may wait for its replicas.
func (p *produceRequest) wait(frame []byte, patience time.Duration) {
	ms := min(max(patience.Milliseconds(), 1), math.MaxInt32)
	binary.BigEndian.PutUint32(frame[p.atTimeout:], uint32(ms))
}

// parseProduced reads the answer to a produceRequest: the offset of the batch's
// first record.
func parseProduced(body []byte, version int16, at topicPartition) (int64, error) {
	r := wire{b: body}
	for range r.count(2 + 4) {
		name := r.bytes(int(r.int16()))
		for range r.count(4 + 2 + 8) {
			partition, code, base := r.int32(), r.int16(), r.int64()
			r.skip(8) // time of append
			if version >= 5 {
				r.skip(8) // start of the log
			}
			if version >= 8 {
				r.recordErrors()
			}
			if !r.bad && string(name) == at.topic && partition == at.partition {
				return base, codeError(code)
			}
		}
	}
	if r.bad {
		return -1, fmt.Errorf("the answer is not well formed: %w", brokerError(kafka.Unknown))
	}
	return -1, fmt.Errorf("the answer does not speak of the partition: %w", brokerError(kafka.Unknown))
}

// recordErrors are what is wrong with single records, in words that may quote
// them: nobody reads them here (invariant 5).
func (r *wire) recordErrors() {
	for range r.count(4 + 2) {
		r.skip(4)
		r.skip(int(r.int16()))
	}
	r.skip(int(r.int16()))
}
