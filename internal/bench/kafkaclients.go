package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
)

// clients are the three clients that are compared, at one broker and topic.
type clients struct {
	rows    int
	brokers []string
	topic   string
	codec   string // none or zstd
	client  *kafkalog.Client
	records []kafkalog.Record
}

// ready makes the records that producers send: a digest as key, three headers,
// 500 bytes of which a part compresses.
func ready(topic string, n int) []kafkalog.Record {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same records in every run
	records := make([]kafkalog.Record, n)
	for i := range records {
		key, value := make([]byte, 32), make([]byte, valueBytes)
		for at := range key {
			key[at] = byte(rng.Uint32())
		}
		for at := range int(randomShare * valueBytes) {
			value[at] = byte(rng.Uint32())
		}
		records[i] = kafkalog.Record{Topic: topic, Key: key, Value: value, Headers: []kafkalog.Header{
			{Key: "product", Value: []byte("price_quote")}, {Key: "event_id", Value: fmt.Appendf(nil, "%032x", i)}, {Key: "version", Value: []byte("1")},
		}}
	}
	return records
}

func (c *clients) produceSides() (contestant, []contestant) {
	return contestant{name: "kafkalog", prepare: c.ourProducer},
		[]contestant{{name: "kafka-go Writer", prepare: c.writer}, {name: "franz-go", prepare: c.franzProducer}}
}

func (c *clients) ourProducer(ctx context.Context) (pass, error) {
	p, err := c.client.NewProducer(ctx, kafkalog.ProducerConfig{Compression: c.codec})
	if err != nil {
		return pass{}, err
	}
	for i := range c.records {
		c.records[i].Partition = 0
	}
	return pass{
		run: func(ctx context.Context) (int, error) {
			for from := 0; from < len(c.records); from += batchOf {
				if err := p.Send(ctx, c.records[from:min(from+batchOf, len(c.records))]); err != nil {
					return from, err
				}
			}
			return len(c.records), nil
		},
		close: func() error { return p.Close(context.WithoutCancel(ctx)) },
	}, nil
}

// writer is the Writer at its best: all messages in one call, so that no batch
// waits for its last ones.
func (c *clients) writer(context.Context) (pass, error) {
	messages := make([]kafka.Message, len(c.records))
	for i := range messages {
		r := &c.records[i]
		messages[i] = kafka.Message{Key: r.Key, Value: r.Value, Headers: make([]kafka.Header, len(r.Headers))}
		for h := range r.Headers {
			messages[i].Headers[h] = kafka.Header(r.Headers[h])
		}
	}
	transport := &kafka.Transport{MetadataTTL: time.Second, DialTimeout: callTimeout}
	w := &kafka.Writer{
		Addr: kafka.TCP(c.brokers...), Topic: c.topic, Transport: transport, RequiredAcks: kafka.RequireAll,
		BatchSize: batchOf, BatchBytes: 1 << 20, BatchTimeout: 5 * time.Millisecond, ReadTimeout: callTimeout, WriteTimeout: callTimeout,
	}
	if c.codec == "zstd" {
		w.Compression = kafka.Zstd
	}
	return pass{
		run: func(ctx context.Context) (int, error) { return len(messages), w.WriteMessages(ctx, messages...) },
		close: func() error {
			err := w.Close()
			transport.CloseIdleConnections()
			return err
		},
	}, nil
}

func (c *clients) franz(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(opts, kgo.SeedBrokers(c.brokers...))...)
}

func (c *clients) franzProducer(context.Context) (pass, error) {
	codec := kgo.NoCompression()
	if c.codec == "zstd" {
		codec = kgo.ZstdCompression()
	}
	client, err := c.franz(kgo.DefaultProduceTopic(c.topic), kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(1<<20),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(len(c.records)+1))
	if err != nil {
		return pass{}, err
	}
	records := make([]kgo.Record, len(c.records))
	for i := range records {
		r := &c.records[i]
		records[i] = kgo.Record{Key: r.Key, Value: r.Value, Headers: make([]kgo.RecordHeader, len(r.Headers))}
		for h := range r.Headers {
			records[i].Headers[h] = kgo.RecordHeader(r.Headers[h])
		}
	}
	return pass{
		run: func(ctx context.Context) (int, error) {
			var failed kgo.FirstErrPromise
			for i := range records {
				client.Produce(ctx, &records[i], failed.Promise())
			}
			return len(records), errors.Join(client.Flush(ctx), failed.Err())
		},
		close: func() error { client.Close(); return nil },
	}, nil
}

func (c *clients) consumeSides() (contestant, []contestant) {
	return contestant{name: "kafkalog", prepare: c.ourFetcher},
		[]contestant{{name: "kafka-go Reader", prepare: c.reader}, {name: "franz-go", prepare: c.franzConsumer}}
}

func (c *clients) ourFetcher(context.Context) (pass, error) {
	f := c.client.NewFetcher(kafkalog.FetcherConfig{Topic: c.topic})
	run := func(ctx context.Context) (int, error) {
		n, bytes := 0, 0
		for at := (kafkalog.PartitionOffset{}); n < c.rows; {
			got, err := f.Fetch(ctx, at)
			if err != nil {
				return n, err
			}
			part := &got.Partitions[0]
			for i := range part.Records {
				bytes += len(part.Records[i].Value)
			}
			n += len(part.Records)
			at.Offset = part.Next
			got.Release()
		}
		return c.all(n, bytes)
	}
	return pass{run: run, close: nothingToClose}, nil
}

// all is the end of a pass: some more than all of the last batch may have been
// read.
func (c *clients) all(n, bytes int) (int, error) {
	if bytes < n*valueBytes {
		return n, fmt.Errorf("%d records came with %d bytes", n, bytes)
	}
	return min(n, c.rows), nil
}

func (c *clients) reader(context.Context) (pass, error) {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: c.brokers, Topic: c.topic, IsolationLevel: kafka.ReadCommitted, MinBytes: 1, MaxBytes: 8 << 20,
		MaxWait: 100 * time.Millisecond, QueueCapacity: batchOf, ReadBackoffMin: 5 * time.Millisecond, ReadLagInterval: -1,
	})
	run := func(ctx context.Context) (int, error) {
		n, bytes := 0, 0
		for ; n < c.rows; n++ {
			m, err := r.FetchMessage(ctx)
			if err != nil {
				return n, err
			}
			bytes += len(m.Value)
		}
		return c.all(n, bytes)
	}
	return pass{run: run, close: r.Close}, nil
}

func (c *clients) franzConsumer(context.Context) (pass, error) {
	client, err := c.franz(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxBytes(8<<20), kgo.FetchMaxPartitionBytes(8<<20),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{c.topic: {0: kgo.NewOffset().At(0)}}))
	if err != nil {
		return pass{}, err
	}
	run := func(ctx context.Context) (int, error) {
		n, bytes := 0, 0
		for n < c.rows {
			fetches := client.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				return n, err
			}
			fetches.EachRecord(func(r *kgo.Record) {
				n++
				bytes += len(r.Value)
			})
		}
		return c.all(n, bytes)
	}
	return pass{run: run, close: func() error { client.Close(); return nil }}, nil
}
