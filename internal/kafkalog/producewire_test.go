package kafkalog

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// writtenConn keeps what is written to it.
type writtenConn struct {
	net.Conn
	to io.Writer
}

func (c writtenConn) Write(b []byte) (int, error) { return c.to.Write(b) }
func (c writtenConn) SetDeadline(time.Time) error { return nil }

// TestProduceRequest: every byte before the batch is what kafka-go writes.
func TestProduceRequest(t *testing.T) {
	t.Parallel()
	batch := []byte("stands for a record batch")
	at := topicPartition{"510000.price.v1", 7}
	for _, transactionalID := range []string{"", "connector-7"} {
		for version := int16(3); version <= mostVersion(protocol.Produce); version++ {
			request := newProduceRequest("hub", transactionalID, at)
			frame := append(make([]byte, len(request.head)), batch...)
			request.before(frame)
			request.wait(frame, 1500*time.Millisecond)
			var sent bytes.Buffer
			c := &conn{
				net: writtenConn{to: &sent}, buffered: bufio.NewReader(new(bytes.Buffer)), serial: 41,
				versions: map[protocol.ApiKey]int16{protocol.Produce: version},
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if _, _, err := c.callFrame(ctx, protocol.Produce, frame, nil); !errors.Is(err, io.EOF) {
				t.Errorf("nobody answers: %v", err)
			}
			cancel()

			prefixed := append(binary.BigEndian.AppendUint32(nil, uint32(len(batch))), batch...)
			var want bytes.Buffer
			must(t, "WriteRequest", protocol.WriteRequest(&want, version, c.serial, "hub", &rawproduce.Request{
				TransactionalID: transactionalID, Acks: -1, Timeout: 1500,
				Topics: []rawproduce.RequestTopic{{Topic: at.topic, Partitions: []rawproduce.RequestPartition{{
					Partition: at.partition, RecordSet: protocol.RawRecordSet{Reader: bytes.NewReader(prefixed)},
				}}}},
			}))
			if !bytes.Equal(sent.Bytes(), want.Bytes()) {
				t.Errorf("version %d, transactional id %q:\n%x, kafka-go writes\n%x", version, transactionalID, sent.Bytes(), want.Bytes())
			}
		}
	}
}

// produced is an answer as a broker writes it, in kafka-go's encoding.
func produced(t testing.TB, version int16, parts ...produce.ResponsePartition) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, "WriteResponse", protocol.WriteResponse(&b, version, 1, &produce.Response{Topics: []produce.ResponseTopic{
		{Topic: "other", Partitions: []produce.ResponsePartition{{Partition: 2, BaseOffset: 5}}},
		{Topic: "t", Partitions: parts},
	}}))
	return b.Bytes()[frameHeader:]
}

func TestParseProduced(t *testing.T) {
	t.Parallel()
	at := topicPartition{"t", 2}
	noted := []produce.ResponseError{{BatchIndex: 3, BatchIndexErrorMessage: "bad"}}
	for version := int16(3); version <= mostVersion(protocol.Produce); version++ {
		for name, test := range map[string]struct {
			parts []produce.ResponsePartition
			base  int64
			code  kafka.Error
		}{
			"stored":  {[]produce.ResponsePartition{{Partition: 1, BaseOffset: 8}, {Partition: 2, BaseOffset: 1 << 40}}, 1 << 40, 0},
			"refused": {[]produce.ResponsePartition{{Partition: 2, BaseOffset: -1, ErrorCode: int16(kafka.NotEnoughReplicas)}}, -1, kafka.NotEnoughReplicas},
			"words": {[]produce.ResponsePartition{
				{Partition: 1, RecordErrors: noted, ErrorMessage: "these"}, {Partition: 2, BaseOffset: 9, RecordErrors: noted},
			}, 9, 0},
			"silence": {[]produce.ResponsePartition{{Partition: 3}}, -1, kafka.Unknown},
		} {
			body := produced(t, version, test.parts...)
			base, err := parseProduced(body, version, at)
			if base != test.base || (err != nil) != (test.code != 0) || test.code != 0 && !hasCode(err, test.code) {
				t.Errorf("%s, version %d: %d, %v", name, version, base, err)
			}
			for n := range body { // cut anywhere
				if base, err := parseProduced(body[:n], version, at); err == nil && base != test.base {
					t.Errorf("%s, version %d, cut at %d: %d", name, version, n, base)
				}
			}
		}
	}
	if _, err := parseProduced(nil, 8, at); !errors.Is(err, brokerError(kafka.Unknown)) || !unsettledError(err) {
		t.Errorf("an answer without a word: %v", err)
	}
}

// FuzzParseProduced: any bytes are an offset or an answer to be tried again.
func FuzzParseProduced(f *testing.F) {
	for version := int16(3); version <= mostVersion(protocol.Produce); version++ {
		f.Add(produced(f, version, produce.ResponsePartition{Partition: 2, BaseOffset: 7}), version)
	}
	f.Fuzz(func(t *testing.T, body []byte, version int16) {
		if _, err := parseProduced(body, version, topicPartition{"t", 2}); err != nil {
			if _, ok := errors.AsType[brokerError](err); !ok {
				t.Errorf("%v", err)
			}
		}
	})
}
