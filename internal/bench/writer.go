package bench

import (
	"bytes"
	"context"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
)

// writerPass sends the records that lie ready on one broker to another, empty
// one. They are read anew for each pass, so that they are not in memory, and
// in the way of the collector, while our own side is measured.
//
// All records in one call is the Writer at its best: calls of 1000 or 10 000
// wait for their last, half-filled batches and come to little more than half.
// Records go to the partitions that our own producer chooses.
func (w *world) writerPass(ctx context.Context, ready, empty *broker) (pass, error) {
	messages := make([]kafka.Message, 0, w.rows)
	err := w.scan(ctx, ready, func(_ int32, r *kafkalog.FetchedRecord) { messages = append(messages, message(r)) })
	if err != nil {
		return pass{}, err
	}
	transport := &kafka.Transport{MetadataTTL: time.Second, DialTimeout: callTimeout}
	writer := &kafka.Writer{
		Addr: kafka.TCP(empty.address), Topic: w.topic(), Transport: transport, Balancer: kafka.Murmur2Balancer{Consistent: true},
		RequiredAcks: kafka.RequireAll, Compression: kafka.Zstd, BatchSize: 1000, BatchBytes: 1 << 20, BatchTimeout: 5 * time.Millisecond,
		ReadTimeout: callTimeout, WriteTimeout: callTimeout,
	}
	return pass{
		run: func(ctx context.Context) (int, error) {
			if err := writer.WriteMessages(ctx, messages...); err != nil {
				return 0, err
			}
			return len(messages), nil
		},
		close: func() error {
			err := writer.Close()
			transport.CloseIdleConnections()
			return err
		},
	}, nil
}

// message copies a record, whose memory is reused.
func message(r *kafkalog.FetchedRecord) kafka.Message {
	m := kafka.Message{
		Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value), Time: r.Time, Headers: make([]kafka.Header, len(r.Headers)),
	}
	for i, h := range r.Headers {
		m.Headers[i] = kafka.Header{Key: h.Key, Value: bytes.Clone(h.Value)}
	}
	return m
}
