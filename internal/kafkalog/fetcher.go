package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// defaultFetchBytes unpack to what a processor's cache holds: with 8 MiB a
	// record costs three to four times as much (hubctl bench kafka/consume).
	defaultFetchBytes = 1 << 20
	leastFetchBytes   = 1 << 10
	mostFetchBytes    = 64 << 20
	defaultFetchWait  = 500 * time.Millisecond
	// sliceWait is the longest wait at one broker when the partitions lie on
	// several: what another one gets meanwhile must not wait for it.
	sliceWait = 100 * time.Millisecond
	// unpackFactor: how many times MaxBytes one Fetch unpacks before it stops
	// and leaves the rest to the next.
	unpackFactor = 4
	// recordShare: one Fetch returns at most about MaxBytes/recordShare records
	// and headers.
	recordShare = 32
)

// PartitionOffset is a place in a topic: the offset to read next.
type PartitionOffset struct {
	Partition int32
	Offset    int64
}

// FetcherConfig says what a fetcher reads.
type FetcherConfig struct {
	Topic string
	// MaxBytes bounds the bytes of one Fetch as they lie in the log, except
	// that at least one batch is returned. 0: 1 MiB.
	MaxBytes int
	// MaxWait is how long Fetch waits when there is nothing to read. 0: 500 ms;
	// negative: not at all.
	MaxWait time.Duration
	// Uncommitted also delivers records of open and aborted transactions.
	Uncommitted bool
}

// Fetcher reads a topic. It keeps no position and is safe for concurrent use.
type Fetcher struct {
	client *Client
	config FetcherConfig
	bytes  atomic.Int64  // what is asked for: less than MaxBytes where that unpacks to too much
	turn   atomic.Uint32 // which partition comes first: a full one must not starve the others
}

// Fetched is what one Fetch returned. Its records lie in reused memory, which
// belongs to the caller until Release.
type Fetched struct {
	Partitions []FetchedPartition // as they were asked for

	buffers *buffers
	lease   *lease
}

// FetchedPartition is what was found in one partition.
type FetchedPartition struct {
	Partition int32
	// The three are -1 when the partition's leader did not answer this time.
	Start  int64 // first offset that the log holds
	Stable int64 // up to here every transaction is decided: where committed reading stops
	High   int64 // offset after the last replicated record
	// Next is where to go on. It moves past what is not delivered: compacted
	// and aborted records, control and empty batches, a hole at the tail.
	Next    int64
	Records []FetchedRecord
}

// FetchedRecord is one record. Key, Value and the values of Headers are valid
// until the Release of what they came with, and must not be changed.
type FetchedRecord struct {
	Offset  int64
	Time    time.Time // UTC, to the millisecond; zero when the record has none
	Key     []byte    // nil is null
	Value   []byte
	Headers []Header
}

// Release gives the memory of the records back. They must not be used after
// it. A second Release does nothing.
func (f *Fetched) Release() {
	if f.lease == nil {
		return
	}
	l := f.lease
	f.lease, f.Partitions = nil, nil
	f.buffers.release(l)
}

// NewFetcher returns a fetcher; it asks the cluster nothing.
func (c *Client) NewFetcher(cfg FetcherConfig) *Fetcher {
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = defaultFetchBytes
	}
	cfg.MaxBytes = min(max(cfg.MaxBytes, leastFetchBytes), mostFetchBytes)
	if cfg.MaxWait == 0 {
		cfg.MaxWait = defaultFetchWait
	}
	f := &Fetcher{client: c, config: cfg}
	f.bytes.Store(int64(cfg.MaxBytes))
	return f
}

// Fetch reads from these offsets on, waiting up to MaxWait, or almost until
// ctx ends, when there is nothing. The caller releases what it returns. A RangeError, ErrTopicUnknown,
// ErrNotAuthorised or ErrCorrupt of one partition is the error of the whole
// call; what lies before a corrupt batch is delivered first.
func (f *Fetcher) Fetch(ctx context.Context, from ...PartitionOffset) (*Fetched, error) {
	if err := checkPlaces(f.config.Topic, from); err != nil {
		return nil, err
	}
	wait := max(f.config.MaxWait, 0)
	if deadline, ok := ctx.Deadline(); ok {
		// Nothing to read is an answer, not a call that ran out of time.
		wait = min(wait, max(time.Until(deadline)*4/5, 0))
	}
	until := time.Now().Add(wait)
	for {
		var got *Fetched
		what := "reading " + f.config.Topic
		slack := f.client.timeout
		err := f.client.retryWithin(ctx, what, wait+slack, wait+f.client.attempt, func(ctx context.Context) error {
			var err error
			got, err = f.round(ctx, max(time.Until(until), 0), from)
			return err
		})
		if err != nil {
			return nil, f.explain(ctx, err)
		}
		if got.moved(from) || !time.Now().Before(until) {
			return got, nil
		}
		got.Release()
	}
}

func checkPlaces(topic string, from []PartitionOffset) error {
	if len(from) == 0 {
		return errors.New("kafkalog: a fetch needs at least one partition and offset")
	}
	seen := make(map[int32]bool, len(from))
	for _, at := range from {
		if at.Offset < 0 || at.Partition < 0 {
			return fmt.Errorf("kafkalog: there is no offset %d in %s/%d", at.Offset, topic, at.Partition)
		}
		if seen[at.Partition] {
			return fmt.Errorf("kafkalog: a fetch names partition %d of %s twice", at.Partition, topic)
		}
		seen[at.Partition] = true
	}
	return nil
}

// moved reports whether any partition has something to tell.
func (f *Fetched) moved(from []PartitionOffset) bool {
	for i := range f.Partitions {
		if f.Partitions[i].Next > from[i].Offset {
			return true
		}
	}
	return false
}

// explain completes an out-of-range error with the range that there is: the
// answer to a fetch does not tell it.
func (f *Fetcher) explain(ctx context.Context, err error) error {
	outside, ok := errors.AsType[*RangeError](err)
	if !ok {
		return err
	}
	all, asked := f.client.Offsets(ctx, f.config.Topic)
	if asked != nil {
		return fmt.Errorf("kafkalog: offset %d of %s/%d is out of range, and the range cannot be had: %w",
			outside.Offset, f.config.Topic, outside.Partition, asked)
	}
	for _, p := range all {
		if p.Partition == outside.Partition {
			outside.Start, outside.End = p.Start, p.End
		}
	}
	return outside
}
