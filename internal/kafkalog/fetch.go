package kafkalog

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// round asks each leader once.
func (f *Fetcher) round(ctx context.Context, wait time.Duration, from []PartitionOffset) (*Fetched, error) {
	first := int(f.turn.Add(1)) % len(from)
	by, err := f.byLeader(ctx, from, first)
	if err != nil {
		return nil, err
	}
	if len(by) > 1 {
		wait = min(wait, sliceWait)
	}
	got := &Fetched{buffers: f.client.buffers, lease: f.client.buffers.lease()}
	answers := make([]leaderAnswer, len(by))
	var all sync.WaitGroup
	for i := range by {
		frame := f.client.buffers.block(got.lease)
		ask := func() { answers[i] = f.ask(ctx, by[i].node, by[i].from, wait, frame) }
		if len(by) == 1 {
			ask()
			continue
		}
		all.Go(ask)
	}
	all.Wait()
	if err := f.gather(ctx, got, from, first, answers); err != nil {
		got.Release()
		return nil, err
	}
	return got, nil
}

// leaderPlaces are the places that one broker leads.
type leaderPlaces struct {
	node int32
	from []PartitionOffset
}

func (f *Fetcher) byLeader(ctx context.Context, from []PartitionOffset, first int) ([]leaderPlaces, error) {
	var by []leaderPlaces
	for n := range from {
		at := from[(first+n)%len(from)]
		node, err := f.client.cluster.leader(ctx, topicPartition{f.config.Topic, at.Partition})
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(by, func(l leaderPlaces) bool { return l.node == node })
		if i < 0 {
			i = len(by)
			by = append(by, leaderPlaces{node: node})
		}
		by[i].from = append(by[i].from, at)
	}
	return by, nil
}

// leaderAnswer is what one leader answered.
type leaderAnswer struct {
	parts []wirePartition
	err   error
}

// ask sends one fetch request.
func (f *Fetcher) ask(ctx context.Context, node int32, from []PartitionOffset, wait time.Duration, frame *buffer) leaderAnswer {
	limit := int32(f.bytes.Load())
	places := make([]fetch.RequestPartition, len(from))
	for i, at := range from {
		places[i] = fetch.RequestPartition{
			Partition: at.Partition, FetchOffset: at.Offset,
			CurrentLeaderEpoch: -1, LogStartOffset: -1, PartitionMaxBytes: limit,
		}
	}
	isolation := readCommitted
	if f.config.Uncommitted {
		isolation = readUncommitted
	}
	req := &fetch.Request{
		ReplicaID: -1, MaxWaitTime: int32(wait.Milliseconds()), MinBytes: 1, MaxBytes: limit,
		IsolationLevel: isolation, SessionEpoch: -1, // no session (KIP-227)
		Topics: []fetch.RequestTopic{{Topic: f.config.Topic, Partitions: places}},
	}
	var version int16
	err := f.client.cluster.with(ctx, node, fetches, func(c *conn) (err error) {
		version, frame.b, err = c.callRaw(ctx, req, frame.b)
		return err
	})
	if err != nil {
		return leaderAnswer{err: err}
	}
	parts, err := parseFetch(frame.b, version, f.config.Topic)
	return leaderAnswer{parts: parts, err: err}
}

// gather decodes the answers into got. Partitions whose leader moved or did
// not answer are left where they are, as long as another has something.
func (f *Fetcher) gather(ctx context.Context, got *Fetched, from []PartitionOffset, first int, answers []leaderAnswer) error {
	d := decoder{
		codecs: f.client.codecs, buffers: f.client.buffers, lease: got.lease, committed: !f.config.Uncommitted,
		byteBudget: unpackFactor * f.config.MaxBytes, recordBudget: max(f.config.MaxBytes/recordShare, 1),
	}
	for _, at := range from {
		got.lease.partitions = append(got.lease.partitions,
			FetchedPartition{Partition: at.Partition, Start: -1, Stable: -1, High: -1, Next: at.Offset})
	}
	got.Partitions = got.lease.partitions
	var failed error // of some, while others may have succeeded
	for _, a := range answers {
		if a.err != nil {
			failed = a.err
		}
	}
	for n := range from {
		i := (first + n) % len(from)
		w := findPartition(answers, from[i].Partition)
		if w == nil {
			if failed == nil {
				// What a broker does that wants to be asked less.
				failed = fmt.Errorf("no answer about partition %d: %w", from[i].Partition, brokerError(kafka.ThrottlingQuotaExceeded))
			}
			continue
		}
		if err := f.partition(ctx, &d, &got.Partitions[i], w, from[i].Offset); err != nil {
			if !worthRetrying(err, true) {
				return err
			}
			failed = err
		}
	}
	f.adapt(&d)
	if failed == nil {
		return nil
	}
	if movedError(failed) {
		f.client.cluster.forget(f.config.Topic)
	}
	if got.moved(from) {
		return nil
	}
	return failed
}

func findPartition(answers []leaderAnswer, partition int32) *wirePartition {
	for i := range answers {
		parts := answers[i].parts
		if at := slices.IndexFunc(parts, func(w wirePartition) bool { return w.partition == partition }); at >= 0 {
			return &parts[at]
		}
	}
	return nil
}

// adapt asks for less when what was asked for unpacks to too much, so that
// bytes are not fetched only to be dropped, and for more again later.
func (f *Fetcher) adapt(d *decoder) {
	limit := f.bytes.Load()
	if d.byteBudget <= 0 || d.recordBudget <= 0 {
		f.bytes.Store(max(limit/2, leastFetchBytes))
		return
	}
	if limit < int64(f.config.MaxBytes) {
		f.bytes.Store(min(limit+limit/4, int64(f.config.MaxBytes)))
	}
}

// partition decodes what a leader said of one partition.
func (f *Fetcher) partition(ctx context.Context, d *decoder, part *FetchedPartition, w *wirePartition, from int64) error {
	at := topicPartition{f.config.Topic, part.Partition}
	if w.code != 0 {
		if kafka.Error(w.code) == kafka.OffsetOutOfRange {
			return &RangeError{Topic: at.topic, Partition: at.partition, Offset: from, Start: -1, End: -1}
		}
		return fmt.Errorf("%s: %w", at, codeError(w.code))
	}
	part.Start, part.Stable, part.High = w.start, w.stable, w.high
	if d.byteBudget <= 0 || d.recordBudget <= 0 {
		return nil // the next fetch's
	}
	d.aborted = w.aborted
	if err := d.decode(part, w.records, from); err != nil {
		return fmt.Errorf("%s: %w: %w", at, ErrCorrupt, err)
	}
	limit := f.readable(w)
	defer func() { f.client.metrics.read(at.topic, part, len(w.records), limit) }()
	if len(w.records) == 0 && from < limit {
		// A hole at the tail, or no room for this partition in the answer.
		return f.crossHole(ctx, part, limit)
	}
	return nil
}

// readable is the offset up to which this fetcher is given records.
func (f *Fetcher) readable(w *wirePartition) int64 {
	if f.config.Uncommitted {
		return w.high
	}
	return w.stable
}

// crossHole asks for one partition alone, to which a leader answers with at
// least one batch if it has any. If it has none below limit, there is nothing
// to be read up to there: compaction or deletion took it away.
func (f *Fetcher) crossHole(ctx context.Context, part *FetchedPartition, limit int64) error {
	frame := f.client.buffers.get()
	defer f.client.buffers.put(frame)
	at := topicPartition{f.config.Topic, part.Partition}
	node, err := f.client.cluster.leader(ctx, at)
	if err != nil {
		return err
	}
	alone := f.ask(ctx, node, []PartitionOffset{{part.Partition, part.Next}}, 0, frame)
	if alone.err != nil {
		return alone.err
	}
	w := findPartition([]leaderAnswer{alone}, part.Partition)
	if w == nil || w.code != 0 || len(w.records) > 0 || f.readable(w) < limit {
		return nil // the next fetch sees it
	}
	part.Next = limit
	return nil
}
