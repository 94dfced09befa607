package kafkalog

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go/protocol"
)

// writer sends the batches of one partition, one at a time. While one is in
// flight, what arrives waits in the queue and forms the next: the slower the
// broker, the larger the batches.
type writer struct {
	producer *Producer
	at       topicPartition
	what     string         // names its calls
	request  produceRequest // stands before a batch

	mu      sync.Mutex
	queue   []segment
	flight  []segment // of the batch in flight
	queued  int64     // bytes of the queue, or a little more
	running bool
	wake    chan struct{} // ends the lingering
	limit   int           // records of a batch while a bad one is sought; 0: any number

	// Only the goroutine that runs touches the rest.
	enc      encoder
	id       identity
	sequence int32  // of the next record
	stale    bool   // id's next sequence is not known
	answer   []byte // reused
}

// newWriter is called with the producer's mu held.
func newWriter(p *Producer, at topicPartition) *writer {
	return &writer{
		producer: p, at: at, what: "writing to " + at.String(), id: p.id,
		request: newProduceRequest(p.client.cluster.dialer.clientID, p.config.TransactionalID, at),
	}
}

// push queues a segment and sees that somebody sends it.
func (w *writer) push(s segment, bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, s)
	w.queued += bytes
	if !w.running {
		w.running = true
		if w.producer.config.Linger > 0 {
			w.wake = make(chan struct{}, 1)
		}
		w.producer.busy.add()
		go w.run()
	}
	if w.queued >= int64(w.producer.config.BatchBytes) {
		w.rouse()
	}
}

// rouse is called with mu held.
func (w *writer) rouse() {
	select {
	case w.wake <- struct{}{}:
	default: // it is not lingering, or roused already
	}
}

// hurry ends the lingering and adds the calls that wait or are in flight.
func (w *writer) hurry(calls []*sending) []*sending {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rouse()
	for _, segments := range [][]segment{w.queue, w.flight} {
		for _, s := range segments {
			if s.call != nil {
				calls = append(calls, s.call)
			}
		}
	}
	return calls
}

// linger waits for more records to share the batch.
func (w *writer) linger() {
	w.mu.Lock()
	wake := w.wake
	w.mu.Unlock()
	if wake == nil {
		return
	}
	timer := time.NewTimer(w.producer.config.Linger)
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	case <-w.producer.flight().Done():
	}
}

// drop takes a call's segments back and gives their records these errors. It
// returns how many segments it found.
func (w *writer) drop(c *sending, queued, flying error) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := 0
	rest := w.queue[:0]
	for _, s := range w.queue {
		if s.call == c {
			c.settle(s.from, s.to, -1, queued)
			found++
			continue
		}
		rest = append(rest, s)
	}
	clear(w.queue[len(rest):])
	w.queue = rest
	for i := range w.flight {
		if s := &w.flight[i]; s.call == c {
			c.settle(s.from, s.to, -1, flying)
			s.call = nil
			found++
		}
	}
	return found
}

// run sends until the queue is empty.
func (w *writer) run() {
	defer w.producer.busy.done()
	w.linger()
	buffers := w.producer.client.buffers
	plain, packed := buffers.get(), buffers.get()
	for w.fill(plain) {
		base, err := w.send(plain, packed)
		w.settle(base, err)
	}
	buffers.put(plain)
	buffers.put(packed)
}

// fill encodes as much of the queue as fits into one batch. It is false, and
// run must end, when there is nothing to send.
func (w *writer) fill(into *buffer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flight = w.flight[:0]
	if len(w.queue) == 0 {
		w.running, w.limit, w.queued = false, 0, 0
		return false
	}
	w.enc.reset(into.b, len(w.request.head))
	whole := 0 // segments taken in full
	for whole < len(w.queue) {
		s := &w.queue[whole]
		from := s.from
		w.encode(s)
		if s.from > from {
			w.flight = append(w.flight, segment{s.call, from, s.from})
		}
		if s.from < s.to {
			break
		}
		whole++
	}
	rest := copy(w.queue, w.queue[whole:])
	clear(w.queue[rest:])
	w.queue = w.queue[:rest]
	w.queued = max(w.queued-int64(w.enc.size()), 0)
	into.b = w.enc.b
	return true
}

// encode adds the segment's records to the batch while they fit, and moves its
// beginning past them.
func (w *writer) encode(s *segment) {
	for s.from < s.to && (w.limit == 0 || int(w.enc.count) < w.limit) {
		at := s.call.order[s.from]
		r := &s.call.records[at.record]
		if !w.enc.add(r, int(at.size), milliseconds(r.Time, s.call.now), w.producer.config.BatchBytes) {
			return
		}
		s.from++
	}
}

// settle hands the outcome of the batch in flight to its records. What may
// come after an error depends on it:
//   - a batch refused for its content: its records are tried in smaller
//     batches, until the bad one is alone and fails alone;
//   - anything else: what is queued behind fails too, so that no hole opens.
func (w *writer) settle(base int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	count := int(w.enc.count)
	switch {
	case err == nil:
		if w.limit *= 2; w.limit > maxItems {
			w.limit = 0
		}
	case refusedError(err) && !w.stale && count > 1:
		w.limit = count / 2
		w.queue = append(append([]segment(nil), w.flight...), w.queue...)
		w.queue = removeAbandoned(w.queue)
		w.flight = w.flight[:0]
		return
	case refusedError(err) && !w.stale:
	default:
		for _, s := range w.queue {
			s.call.settle(s.from, s.to, -1, fmt.Errorf("%w: a record before it failed: %w", errUnsent, err))
		}
		clear(w.queue)
		w.queue = w.queue[:0]
	}
	for i := range w.flight {
		s := &w.flight[i]
		if s.call != nil {
			s.call.settle(s.from, s.to, base, err)
		}
		base += int64(s.to - s.from)
		s.call = nil
	}
}

func removeAbandoned(queue []segment) []segment {
	rest := queue[:0]
	for _, s := range queue {
		if s.call != nil {
			rest = append(rest, s)
		}
	}
	return rest
}

// send seals the batch and has the partition's leader store it.
func (w *writer) send(plain, packed *buffer) (int64, error) {
	p := w.producer
	ctx := p.flight()
	if err := w.identify(ctx); err != nil {
		return -1, err
	}
	sealed, spare, err := w.enc.seal(p.client.codecs, p.codec, packed.b, w.id, w.sequence, p.config.TransactionalID != "")
	packed.b = spare
	if err != nil {
		return -1, fmt.Errorf("kafkalog: %s: %w", w.at, err)
	}
	plain.b = sealed
	w.request.before(sealed)
	base, settled, err := w.deliver(ctx, sealed)
	switch {
	case err == nil:
		w.sequence = following(w.sequence, w.enc.count)
		p.client.metrics.batch(w.enc.count, len(sealed)-w.enc.front)
	case !settled:
		// The batch may be stored, now or later: its sequence numbers must
		// not be used for other records.
		w.stale = true
	}
	if err != nil {
		err = p.judge(ctx, w.at, err, settled)
	}
	return base, err
}

// identify makes sure that the next sequence number is right for the identity
// under which the batch goes out.
func (w *writer) identify(ctx context.Context) error {
	p := w.producer
	current := p.identity()
	switch {
	case p.config.TransactionalID == "" && w.stale:
		fresh, err := p.client.newIdentity(ctx)
		if err != nil {
			return err
		}
		current = fresh
	case p.config.TransactionalID == "":
		return nil
	case current == w.id:
		if w.stale {
			return ErrAbortOnly // the transaction is spoiled already
		}
		return nil
	}
	w.id, w.sequence, w.stale = current, 0, false
	return nil
}

// deliver repeats the same batch until the leader acknowledges or refuses it,
// or the time is up. settled is false when it may be stored although err says
// otherwise.
func (w *writer) deliver(ctx context.Context, frame []byte) (base int64, settled bool, err error) {
	c := w.producer.client
	settled = true
	err = c.retry(ctx, w.what, func(ctx context.Context) error {
		node, err := c.cluster.leader(ctx, w.at)
		if err != nil {
			return err
		}
		base, err = w.produce(ctx, node, frame)
		if err == nil {
			return nil
		}
		if unsettledError(err) {
			settled = false
		}
		if movedError(err) {
			c.cluster.forget(w.at.topic)
		}
		return err
	})
	return base, settled || err == nil, err
}

// produce sends one produce request (acks=all) and returns the offset of the
// batch's first record.
func (w *writer) produce(ctx context.Context, node int32, frame []byte) (int64, error) {
	patience := w.producer.client.attempt
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline)
	}
	w.request.wait(frame, patience)
	var version int16
	err := w.producer.client.cluster.with(ctx, node, calls, func(c *conn) (err error) {
		version, w.answer, err = c.callFrame(ctx, protocol.Produce, frame, w.answer)
		return err
	})
	if err != nil {
		return -1, err
	}
	return parseProduced(w.answer, version, w.at)
}
