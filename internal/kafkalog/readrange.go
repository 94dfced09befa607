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
	next, progress := from, time.Now()
	for next < to {
		reached, stable, err := f.deliver(ctx, PartitionOffset{partition, next}, to, fn)
		if err != nil {
			return err
		}
		switch {
		case reached > next:
			next, progress = reached, time.Now()
		case time.Since(progress) > c.timeout:
			return fmt.Errorf("kafkalog: reading %s/%d up to %d: at %d for %v, the stable end is %d: %w",
				topic, partition, to, next, c.timeout, stable, ErrUnavailable)
		}
	}
	return nil
}

// deliver does one fetch and hands the records below to to fn.
func (f *Fetcher) deliver(ctx context.Context, at PartitionOffset, to int64, fn func(FetchedRecord) error) (next, stable int64, err error) {
	got, err := f.Fetch(ctx, at)
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
