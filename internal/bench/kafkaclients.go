package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

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

// sample are the world's rows as the connector publishes them: key, value and
// headers of real records, for one partition of a topic.
func (w *world) sample(ctx context.Context, topic string) (_ []kafkalog.Record, err error) {
	host, err := newConnectorHost(w)
	if err != nil {
		return nil, err
	}
	b, err := startBroker(ctx, w.topics()...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := w.publish(ctx, host, b); err != nil {
		return nil, err
	}
	records := make([]kafkalog.Record, 0, w.rows)
	err = w.scan(ctx, b, func(_ int32, r *kafkalog.FetchedRecord) {
		m := message(r) // a copy: the memory is reused
		own := kafkalog.Record{Topic: topic, Key: m.Key, Value: m.Value, Headers: make([]kafkalog.Header, len(m.Headers))}
		for i := range m.Headers {
			own.Headers[i] = kafkalog.Header(m.Headers[i])
		}
		records = append(records, own)
	})
	return records, err
}

// batch is one record batch of these records, as a broker stores it.
func batch(ctx context.Context, records []kafkalog.Record, codec string) (_ []byte, err error) {
	b, err := startBroker(ctx, kafkalog.Topic{Name: kafkaTopic, Partitions: 1})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	p, err := b.client.NewProducer(ctx, kafkalog.ProducerConfig{Compression: codec})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(p.Send(ctx, records), p.Close(ctx)); err != nil {
		return nil, err
	}
	// Version 12 is the last that knows topics by their names.
	raw, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.MaxVersions(kversion.V2_8_0()))
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	req := kmsg.NewFetchRequest()
	req.MaxBytes, req.ReplicaID = maxBatch, -1
	topic, part := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	part.PartitionMaxBytes = maxBatch
	topic.Topic, topic.Partitions = kafkaTopic, append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	answer, err := req.RequestWith(ctx, raw)
	if err != nil {
		return nil, err
	}
	if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1 {
		return nil, errors.New("the broker does not give the batch back")
	}
	return answer.Topics[0].Partitions[0].RecordBatches, nil
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
	if bytes < n {
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
