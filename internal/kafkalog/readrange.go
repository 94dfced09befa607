package kafkalog

import (
	"context"
	"fmt"
	"time"
)

// ReadRange calls fn with every committed record of [from, to) of a partition,
// in order, and returns nil when it has passed to, whatever lies there. A
// record is valid only during the call of fn. It fails with fn's error, and
// with ErrUnavailable when it comes no further for the client's timeout: to
// lies beyond the log's end or behind a transaction that stays open.
func (c *Client) ReadRange(ctx context.Context, topic string, partition int32, from, to int64, fn func(FetchedRecord) error) error {
	f := c.NewFetcher(FetcherConfig{Topic: topic})
	fetch := func(ctx context.Context, at PartitionOffset) (*Fetched, error) { return f.Fetch(ctx, at) }
	return c.readRange(ctx, topicPartition{topic, partition}, from, to, fetch, fn)
}

// fetchOne reads on from one place.
type fetchOne func(ctx context.Context, at PartitionOffset) (*Fetched, error)

func (c *Client) readRange(ctx context.Context, where topicPartition, from, to int64, fetch fetchOne, fn func(FetchedRecord) error) error {
	next, progress := from, time.Now()
	for next < to {
		reached, stable, err := fetch.deliver(ctx, PartitionOffset{where.partition, next}, to, fn)
		if err != nil {
			return err
		}
		switch {
		case reached > next:
			next, progress = reached, time.Now()
		case time.Since(progress) > c.timeout:
			return fmt.Errorf("kafkalog: reading %s up to %d: at %d for %v, the stable end is %d: %w",
				where, to, next, c.timeout, stable, ErrUnavailable)
		}
	}
	return nil
}

// deliver does one fetch and hands the records below to to fn.
func (f fetchOne) deliver(ctx context.Context, at PartitionOffset, to int64, fn func(FetchedRecord) error) (next, stable int64, err error) {
	got, err := f(ctx, at)
	if err != nil {
		return 0, 0, err
	}
	defer got.Release()
	part := &got.Partitions[0]
	for i := range part.Records {
		if part.Records[i].Offset >= to {
			break
		}
		if err := fn(part.Records[i]); err != nil {
			return 0, 0, err
		}
	}
	return part.Next, part.Stable, nil
}
