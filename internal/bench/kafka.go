package bench

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
)

const (
	whatProduce = `ours: a Producer, idempotent, acks=all, %s, calls of 1000 records as the connector publishes them.
kafka-go Writer: the same records in one call, acks=all, batches of 1000, without idempotence. franz-go: the
same records, idempotent, acks=all, batches of 1 MiB.
`
	whatConsume = `ours: a Fetcher, read_committed, %s, which checks every batch's CRC and hands out every record.
kafka-go Reader: FetchMessage, read_committed, queue of 1000. franz-go: PollFetches, read_committed.
`
	whatAlone = `The broker runs in a process of its own and stores nothing: a record's price is the CPU time of this process.`
	whatReal  = `Wall clock, on the Apache Kafka that --kafka names; one partition, its own replication.`
)

// kafkaScenarios measure the Kafka layer by itself.
func kafkaScenarios() []scenario {
	alone := func(name, what, codec string, open func(context.Context, *world, string) (*contest, error)) scenario {
		return scenario{
			name: name, unit: "records/CPU/s", clock: cpuTime, what: fmt.Sprintf(what, codec) + whatAlone,
			open: func(ctx context.Context, w *world, _ Frontend) (*contest, error) { return open(ctx, w, codec) },
		}
	}
	return []scenario{
		alone("kafka/produce", whatProduce, "zstd", openProduce),
		alone("kafka/produce-plain", whatProduce, "none", openProduce),
		alone("kafka/consume", whatConsume, "zstd", openConsume),
		alone("kafka/consume-plain", whatConsume, "none", openConsume),
		{
			name: "kafka/produce-real", unit: "records/s", what: fmt.Sprintf(whatProduce, "zstd") + whatReal, real: true,
			open: func(ctx context.Context, w *world, _ Frontend) (*contest, error) { return openReal(ctx, w, true) },
		},
		{
			name: "kafka/consume-real", unit: "records/s", what: fmt.Sprintf(whatConsume, "zstd") + whatReal, real: true,
			open: func(ctx context.Context, w *world, _ Frontend) (*contest, error) { return openReal(ctx, w, false) },
		},
	}
}

// cpuTime is what this process has used of the processors.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0 // there is no reason for which it could fail
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func openProduce(ctx context.Context, w *world, codec string) (*contest, error) {
	records, err := w.sample(ctx, kafkaTopic)
	if err != nil {
		return nil, err
	}
	o, err := startOther(ctx, w.self, swallows, nil)
	if err != nil {
		return nil, err
	}
	c := &clients{rows: w.rows, brokers: []string{o.address}, topic: kafkaTopic, codec: codec, client: o.client, records: records}
	ours, others := c.produceSides()
	return &contest{ours: ours, references: others, close: o.close}, nil
}

func openConsume(ctx context.Context, w *world, codec string) (*contest, error) {
	records, err := w.sample(ctx, kafkaTopic)
	if err != nil {
		return nil, err
	}
	set, err := batch(ctx, records[:min(batchOf, len(records))], codec)
	if err != nil {
		return nil, err
	}
	o, err := startOther(ctx, w.self, repeats, set)
	if err != nil {
		return nil, err
	}
	c := &clients{rows: w.rows, brokers: []string{o.address}, topic: kafkaTopic, codec: codec, client: o.client}
	ours, others := c.consumeSides()
	return &contest{ours: ours, references: others, close: o.close}, nil
}

// openReal makes a topic on somebody's Kafka, and removes it at the end.
func openReal(ctx context.Context, w *world, produce bool) (_ *contest, err error) {
	client, err := kafkalog.Open(ctx, kafkalog.Config{Brokers: w.kafka, ClientID: "bench", Timeout: callTimeout})
	if err != nil {
		return nil, err
	}
	topic := fmt.Sprintf("hub-bench-%d", time.Now().UnixNano())
	records, err := w.sample(ctx, topic)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	c := &clients{rows: w.rows, brokers: w.kafka, topic: topic, codec: "zstd", client: client, records: records}
	shut := func() error { return errors.Join(c.drop(context.WithoutCancel(ctx)), client.Close()) }
	defer func() {
		if err != nil {
			err = errors.Join(err, shut())
		}
	}()
	if err := client.CreateTopics(ctx, kafkalog.Topic{Name: topic, Partitions: 1}); err != nil {
		return nil, err
	}
	if produce {
		ours, others := c.produceSides()
		return &contest{ours: ours, references: others, close: shut}, nil
	}
	written, err := c.ourProducer(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := written.run(ctx); err != nil {
		return nil, errors.Join(err, written.close())
	}
	ours, others := c.consumeSides()
	return &contest{ours: ours, references: others, close: shut}, written.close()
}

// drop removes the topic of the run.
func (c *clients) drop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	admin, err := c.franz()
	if err != nil {
		return err
	}
	defer admin.Close()
	req := kmsg.NewDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = new(c.topic)
	req.TopicNames, req.Topics = []string{c.topic}, append(req.Topics, topic)
	_, err = req.RequestWith(ctx, admin)
	return err
}
