package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
)

// errUnsent is what a record has that no attempt was made for.
var errUnsent = errors.New("kafkalog: the record was not sent")

// Send writes the records and returns when each is acknowledged by all in-sync
// replicas or has failed. It sets Offset or Err of each, and returns an error
// that wraps the first Err, nil if there is none.
//
// Records of one partition are stored in the order in which they are given.
// One that is too large fails alone; after any other failure none of the same
// call that comes after it in its partition is stored. When ctx ends first,
// records that were on their way may still be stored, at most once.
//
// Concurrent calls share batches: what arrives while a batch of a partition is
// in flight forms the next one. Each batch is repeated for at most the
// client's timeout. A call for which there is no room (BufferBytes) waits for
// it, within ctx, and fails whole if there is none.
//
// Inside a transaction a failure for another reason than a record's own size
// or content makes the transaction abort-only. A transactional producer sends
// only inside a transaction.
func (p *Producer) Send(ctx context.Context, records []Record) error {
	if len(records) == 0 {
		return nil
	}
	if err := p.enter(); err != nil {
		return failAll(records, err)
	}
	defer p.busy.done()
	c := &sending{records: records, now: p.client.now(), done: make(chan struct{})}
	if err := p.place(ctx, c); err != nil {
		p.spoil(err, false)
		return failAll(records, err)
	}
	if p.config.TransactionalID != "" {
		if err := p.joinCall(ctx, c); err != nil {
			return failAll(records, err)
		}
	}
	if err := p.admit(ctx, c); err != nil {
		p.spoil(err, false)
		return failAll(records, err)
	}
	defer p.leave(c)
	c.enqueue()
	select {
	case <-c.done:
	case <-ctx.Done():
		if err := c.abandon(context.Cause(ctx)); err != nil {
			p.spoil(err, false)
		}
	}
	return c.verdict()
}

// enter counts a call of Send in, unless there can be none.
func (p *Producer) enter() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.unusable(); err != nil {
		return err
	}
	if p.config.TransactionalID != "" {
		if p.txn == nil {
			return fmt.Errorf("kafkalog: producer %s sends only between Begin and Commit", p.config.TransactionalID)
		}
		if err := p.txn.refusal(); err != nil {
			return err
		}
	}
	p.busy.add()
	return nil
}

// admit waits until there is room for the call's records.
func (p *Producer) admit(ctx context.Context, c *sending) error {
	for i := range c.groups {
		c.bytes += c.groups[i].bytes
	}
	c.bytes = min(c.bytes, int64(p.config.BufferBytes))
	err := p.room.Acquire(ctx, c.bytes)
	switch {
	case err == nil:
		p.client.metrics.buffered.Add(float64(c.bytes))
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: the producer's %d bytes are taken: %w (%w)", errUnsent, p.config.BufferBytes, ErrUnavailable, err)
	}
	return fmt.Errorf("%w: the producer's %d bytes are taken: %w", errUnsent, p.config.BufferBytes, err)
}

// leave gives the call's room to others.
func (p *Producer) leave(c *sending) {
	p.client.metrics.buffered.Sub(float64(c.bytes))
	p.room.Release(c.bytes)
}

func failAll(records []Record, err error) error {
	for i := range records {
		records[i].Offset, records[i].Err = -1, err
	}
	return err
}

// sending is one call of Send on its way.
type sending struct {
	records []Record
	now     time.Time
	groups  []group
	order   []placed // by group, else as given
	bytes   int64    // of room that it takes
	failed  atomic.Bool
	pending atomic.Int64
	done    chan struct{} // closed when no record is pending
}

// placed is a record that has its place: among those of its group.
type placed struct {
	record int32 // index into sending.records
	size   int32 // recordSize
}

// group is the part of a call that goes to one partition.
type group struct {
	writer *writer
	n      int   // records
	bytes  int64 // of the records
	end    int   // in order
}

// place finds the partition of every record and sorts them by it. A record
// that no batch can hold fails here.
func (p *Producer) place(ctx context.Context, c *sending) error {
	order := make([]placed, 0, len(c.records))
	groups := make([]int32, 0, len(c.records)) // of those in order
	var routes []*route
	var last *route
	for i := range c.records {
		r := &c.records[i]
		r.Offset, r.Err = -1, errUnsent
		size, err := checkRecord(r, p.config.BatchBytes)
		if err != nil {
			r.Err = err
			c.failed.Store(true)
			continue
		}
		if last == nil || last.topic != r.Topic {
			if last, routes, err = p.route(ctx, routes, r.Topic); err != nil {
				return err
			}
		}
		n, err := last.choose(r, size, p.config.BatchBytes)
		if err != nil {
			return err
		}
		if last.groups[n] < 0 {
			last.groups[n] = int32(len(c.groups))
			c.groups = append(c.groups, group{writer: last.writers[n]})
		}
		order = append(order, placed{int32(i), int32(size)})
		groups = append(groups, last.groups[n])
		g := &c.groups[last.groups[n]]
		g.n++
		g.bytes += int64(wholeSize(size))
	}
	c.sort(order, groups)
	return nil
}

// sort lays the records of each group side by side, keeping their order.
func (c *sending) sort(order []placed, groups []int32) {
	at := 0
	for i := range c.groups {
		c.groups[i].end = at
		at += c.groups[i].n
	}
	if len(c.groups) > 1 {
		c.order = make([]placed, at)
		for i, g := range groups {
			c.order[c.groups[g].end] = order[i]
			c.groups[g].end++
		}
	} else if at > 0 {
		c.order, c.groups[0].end = order, at
	}
	c.pending.Store(int64(at))
	if at == 0 {
		close(c.done)
	}
}

// route is where the records of one topic go in one call.
type route struct {
	topic   string
	writers []*writer
	groups  []int32 // by partition: index of the call's group, -1 for none
	shared  *topicWriters
	turn    int // partition of records without a key
	room    int // bytes until the next turn
}

func (p *Producer) route(ctx context.Context, routes []*route, topic string) (*route, []*route, error) {
	for _, r := range routes {
		if r.topic == topic {
			return r, routes, nil
		}
	}
	shared, err := p.writers(ctx, topic)
	if err != nil {
		return nil, routes, err
	}
	r := &route{topic: topic, writers: shared.writers, shared: shared, groups: make([]int32, len(shared.writers))}
	for i := range r.groups {
		r.groups[i] = -1
	}
	return r, append(routes, r), nil
}

// choose sets the partition of a record. Records without a key stay in one
// partition for about a batch.
func (r *route) choose(rec *Record, size, batchBytes int) (int32, error) {
	n := len(r.writers)
	switch {
	case rec.Partition == AnyPartition && rec.Key != nil:
		rec.Partition = keyPartition(rec.Key, n)
	case rec.Partition == AnyPartition:
		if r.room <= 0 {
			r.turn = int((r.shared.turn.Add(1) - 1) % uint32(n))
			r.room = batchBytes
		}
		r.room -= size
		rec.Partition = int32(r.turn)
	case rec.Partition < 0 || int(rec.Partition) >= n:
		return 0, fmt.Errorf("kafkalog: topic %s has %d partitions, there is no %d: %w",
			rec.Topic, n, rec.Partition, brokerError(kafka.UnknownTopicOrPartition))
	}
	return rec.Partition, nil
}

// writers of a topic, one for each partition that the topic had when the
// producer met it first.
func (p *Producer) writers(ctx context.Context, topic string) (*topicWriters, error) {
	p.mu.Lock()
	known := p.topics[topic]
	p.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var leaders []int32
	err := p.client.retry(ctx, "looking up topic "+topic, func(ctx context.Context) error {
		var err error
		leaders, err = p.client.cluster.topic(ctx, topic)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.topics[topic]; known != nil {
		return known, nil
	}
	made := &topicWriters{writers: make([]*writer, len(leaders))}
	for i := range made.writers {
		made.writers[i] = newWriter(p, topicPartition{topic, int32(i)})
	}
	p.topics[topic] = made
	return made, nil
}

// segment is a part of a call that waits for, or is in, a batch: the records
// of order[from:to].
type segment struct {
	call     *sending // nil when its Send has returned
	from, to int
}

func (c *sending) enqueue() {
	for i := range c.groups {
		g := &c.groups[i]
		g.writer.push(segment{call: c, from: g.end - g.n, to: g.end}, g.bytes)
	}
}

// abandon takes the call's records back: after it nothing touches them. Its
// error is what records got that were still waiting; nil if there were none.
func (c *sending) abandon(cause error) error {
	queued := fmt.Errorf("%w: %w", errUnsent, cause)
	flying := fmt.Errorf("kafkalog: it is not known whether the record was stored: %w", cause)
	if errors.Is(cause, context.DeadlineExceeded) {
		queued = fmt.Errorf("%w: %w (%w)", errUnsent, ErrUnavailable, cause)
		flying = fmt.Errorf("kafkalog: it is not known whether the record was stored: %w (%w)", ErrUnavailable, cause)
	}
	touched := 0
	for i := range c.groups {
		touched += c.groups[i].writer.drop(c, queued, flying)
	}
	if touched == 0 {
		return nil
	}
	return flying
}

// settle sets the outcome of order[from:to]; base is the offset of the first.
func (c *sending) settle(from, to int, base int64, err error) {
	if err != nil {
		c.failed.Store(true)
	}
	for n, at := range c.order[from:to] {
		r := &c.records[at.record]
		if r.Err = err; err == nil {
			r.Offset = base + int64(n)
		}
	}
	if c.pending.Add(int64(from-to)) == 0 {
		close(c.done)
	}
}

// verdict is the error of Send.
func (c *sending) verdict() error {
	if !c.failed.Load() {
		return nil
	}
	var first error
	failed, at := 0, 0
	for i := range c.records {
		if err := c.records[i].Err; err != nil {
			if first == nil {
				first, at = err, i
			}
			failed++
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("%d of %d records were not acknowledged; the first is record %d: %w",
		failed, len(c.records), at, first)
}
