package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"golang.org/x/sync/semaphore"
)

const (
	defaultTransactionTimeout = time.Minute
	// defaultBatchBytes fits the default limit of brokers and topics
	// (max.message.bytes, 1 048 588).
	defaultBatchBytes = 1 << 20
	leastBatchBytes   = 1 << 10

	defaultBufferBytes = 64 << 20
	longestLinger      = time.Minute
)

// Header is one header of a record.
type Header struct {
	Key   string
	Value []byte // nil is null
}

// Record is what a producer sends. Key, Value and Headers must not change until
// Send has returned.
type Record struct {
	Topic string
	// Partition is a number, or AnyPartition. Send replaces AnyPartition by
	// the partition that it chose.
	Partition int32
	Key       []byte // nil is null, which is not the same as empty
	Value     []byte
	Headers   []Header  // at most 128, keys of at most 255 bytes, values of at most 64 KiB
	Time      time.Time // to the millisecond; zero: the time of Send

	Offset int64 // set by Send; -1 when the record was not acknowledged
	Err    error // set by Send: why the record was not acknowledged
}

// ProducerConfig says how a producer sends. The zero value is useful.
type ProducerConfig struct {
	// TransactionalID makes the producer transactional. Of all producers with
	// one id only the one opened last can write.
	TransactionalID string
	// TransactionTimeout is how long the cluster lets a transaction stay open.
	// 0: one minute. The brokers' transaction.max.timeout.ms bounds it.
	TransactionTimeout time.Duration
	// Compression of batches: zstd ("" too), none, gzip, snappy or lz4.
	Compression string
	// BatchBytes bounds a batch before compression, and so a record.
	// 0: 1 MiB. It must not exceed the topic's max.message.bytes.
	BatchBytes int
	// Linger is how long the first records of an idle partition wait for more,
	// unless a batch is full before or Flush, Commit or Close wants it now.
	// 0: not at all; what arrives while a batch is in flight forms the next one
	// in any case.
	Linger time.Duration
	// BufferBytes bounds what concurrent calls of Send have waiting or in
	// flight; a call beyond it waits for room. One call that is larger goes
	// alone. 0: 64 MiB.
	BufferBytes int
}

// Producer writes records, each exactly once per Send that acknowledged it
// (KIP-98): acks=all, one batch of a partition in flight, the same bytes under
// the same sequence number on every repetition. It is safe for concurrent use;
// of a transactional producer only Send is.
type Producer struct {
	client  *Client
	config  ProducerConfig
	codec   codec
	ctx     context.Context // of what is in flight outside transactions
	cancel  context.CancelCauseFunc
	busy    gauge               // calls of Send and batches in flight
	room    *semaphore.Weighted // bytes of records that Send may still take in
	ending  sync.Mutex          // one Begin, Commit or Abort at a time
	joining sync.Mutex          // one question to the coordinator at a time

	mu      sync.Mutex
	closed  bool
	fatal   error
	id      identity
	txn     *transaction
	renewal *participant // renew the epoch before the next transaction; see renew
	topics  map[string]*topicWriters
	// coordinator is the broker that coordinates TransactionalID, anyBroker
	// when it is not known.
	coordinator int32
}

// topicWriters are the writers of a topic's partitions.
type topicWriters struct {
	writers []*writer
	turn    atomic.Uint32 // counts up to spread records without a key
}

func (cfg *ProducerConfig) complete() (codec, error) {
	if cfg.TransactionTimeout == 0 {
		cfg.TransactionTimeout = defaultTransactionTimeout
	}
	if cfg.TransactionTimeout < time.Millisecond {
		return 0, fmt.Errorf("kafkalog: transaction timeout %v is too short", cfg.TransactionTimeout)
	}
	if cfg.BatchBytes == 0 {
		cfg.BatchBytes = defaultBatchBytes
	}
	if cfg.BatchBytes < leastBatchBytes || cfg.BatchBytes > maxUnpacked {
		return 0, fmt.Errorf("kafkalog: batches of %d bytes: choose between %d and %d", cfg.BatchBytes, leastBatchBytes, maxUnpacked)
	}
	if cfg.Linger < 0 || cfg.Linger > longestLinger {
		return 0, fmt.Errorf("kafkalog: a linger of %v: choose between 0 and %v", cfg.Linger, longestLinger)
	}
	if cfg.BufferBytes == 0 {
		cfg.BufferBytes = defaultBufferBytes
	}
	if cfg.BufferBytes < cfg.BatchBytes {
		return 0, fmt.Errorf("kafkalog: a buffer of %d bytes for batches of %d: it must hold one at least", cfg.BufferBytes, cfg.BatchBytes)
	}
	return codecOf(cfg.Compression)
}

// NewProducer opens a producer. With a TransactionalID it takes the id over:
// an open transaction of an earlier holder is aborted, and the holder gets
// ErrFenced from then on.
func (c *Client) NewProducer(ctx context.Context, cfg ProducerConfig) (*Producer, error) {
	codec, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	p := &Producer{
		client: c, config: cfg, codec: codec, coordinator: anyBroker,
		topics: make(map[string]*topicWriters), room: semaphore.NewWeighted(int64(cfg.BufferBytes)),
	}
	p.ctx, p.cancel = context.WithCancelCause(c.base)
	if cfg.TransactionalID == "" {
		p.id, err = c.newIdentity(ctx)
	} else {
		p.id, err = p.takeOver(ctx, identity{producer: -1, epoch: -1})
	}
	if err != nil {
		p.cancel(nil)
		return nil, err
	}
	return p, nil
}

// newIdentity asks for a producer id that nobody has had.
func (c *Client) newIdentity(ctx context.Context) (identity, error) {
	var id identity
	err := c.retry(ctx, "asking for a producer id", func(ctx context.Context) error {
		var err error
		id, err = c.initProducer(ctx, anyBroker, &initproducerid.Request{ProducerID: -1, ProducerEpoch: -1})
		return err
	})
	return id, err
}

func (c *Client) initProducer(ctx context.Context, node int32, req *initproducerid.Request) (identity, error) {
	answer, err := call[*initproducerid.Response](ctx, c.cluster, node, req)
	if err != nil {
		return identity{}, err
	}
	return identity{answer.ProducerID, answer.ProducerEpoch}, codeError(answer.ErrorCode)
}

// Err is nil while the producer can be used; otherwise it says why it cannot
// be any more: ErrFenced, ErrExpired, net.ErrClosed or what the cluster said.
func (p *Producer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unusable()
}

// unusable is called with mu held.
func (p *Producer) unusable() error {
	if p.fatal != nil {
		return p.fatal
	}
	if p.closed {
		return fmt.Errorf("kafkalog: the producer was closed: %w", net.ErrClosed)
	}
	return nil
}

// fail makes err the answer to every later call. The first one stays.
func (p *Producer) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fatal == nil {
		p.fatal = err
	}
}

// flight is the context of a batch that is about to be sent.
func (p *Producer) flight() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.txn != nil {
		return p.txn.ctx
	}
	return p.ctx
}

// identity of the next batch.
func (p *Producer) identity() identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.id
}

// Close waits for what is in flight, aborts an open transaction and ends the
// producer. When ctx ends first, what is in flight is given up.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	open := p.txn != nil && p.fatal == nil
	p.mu.Unlock()

	p.hurry()
	err := p.busy.wait(ctx)
	if err != nil {
		err = fmt.Errorf("kafkalog: closing a producer with records in flight: %w", err)
	}
	if open {
		err = errors.Join(err, p.abort(ctx))
	}
	p.cancel(net.ErrClosed)
	return err
}

// Flush sends what lingers, and waits until everything that calls of Send have
// handed over by now is acknowledged or has failed, which those calls report.
func (p *Producer) Flush(ctx context.Context) error {
	for _, call := range p.hurry() {
		select {
		case <-call.done:
		case <-ctx.Done():
			return fmt.Errorf("kafkalog: flush: records are still in flight: %w", context.Cause(ctx))
		}
	}
	return nil
}

// hurry ends all lingering and returns the calls that wait or are in flight.
func (p *Producer) hurry() []*sending {
	p.mu.Lock()
	var writers []*writer
	for _, topic := range p.topics {
		writers = append(writers, topic.writers...)
	}
	p.mu.Unlock()
	var calls []*sending
	for _, w := range writers {
		calls = w.hurry(calls)
	}
	return calls
}

// gauge counts what is going on and can be waited for to reach zero.
type gauge struct {
	mu   sync.Mutex
	n    int
	zero chan struct{} // closed at zero; nil when nobody waits
}

func (g *gauge) add() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
}

func (g *gauge) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.n == 0 && g.zero != nil {
		close(g.zero)
		g.zero = nil
	}
}

func (g *gauge) wait(ctx context.Context) error {
	g.mu.Lock()
	if g.n == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.zero == nil {
		g.zero = make(chan struct{})
	}
	zero := g.zero
	g.mu.Unlock()
	select {
	case <-zero:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
