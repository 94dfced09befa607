package kafkalog

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
	"unsafe"
)

const (
	defaultTailBytes = 64 << 20
	defaultTailKeep  = 30 * time.Second
	// maxChunks bounds what a tail keeps in number, because following a topic
	// that gets a record at a time makes many small ones.
	maxChunks = 4096
	// wasteFactor: what uses less than this part of its memory is copied.
	wasteFactor = 4
)

// TailConfig says how a tail reads and what it keeps.
type TailConfig struct {
	// FetchBytes and MaxWait are those of a FetcherConfig.
	FetchBytes int
	MaxWait    time.Duration
	// Bytes bounds the memory of what is kept for readers to come. 0: 64 MiB.
	Bytes int
	// Keep is how long it is kept at most. 0: 30 s.
	Keep time.Duration
}

// Tail reads topics for many readers: those at the same place share one fetch,
// and one that comes a little later is given what another fetched just before.
// It keeps no position of anybody and is safe for concurrent use.
type Tail struct {
	client *Client
	config TailConfig
	base   context.Context // ends with Close
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	fetchers map[string]*Fetcher // by topic
	flights  map[topicPlace]*flight
	chunks   map[topicPartition][]*chunk // by their first offset
	queue    []*chunk                    // all of them, the oldest first
	held     int                         // bytes of all of them
}

// topicPlace is a place in one of the topics.
type topicPlace struct {
	topicPartition
	offset int64
}

// chunk is what one fetch brought, kept for others. It holds the lease.
type chunk struct {
	topicPlace // where the fetch began
	part       FetchedPartition
	lease      *lease
	bytes      int
	taken      time.Time
}

// flight is a fetch that several readers wait for. Tail.mu guards it until
// done is closed.
type flight struct {
	waiting int
	done    chan struct{}
	result  *chunk // held once for each who waited
	err     error
}

// NewTail returns a tail; it asks the cluster nothing.
func (c *Client) NewTail(cfg TailConfig) *Tail {
	if cfg.Bytes <= 0 {
		cfg.Bytes = defaultTailBytes
	}
	if cfg.Keep <= 0 {
		cfg.Keep = defaultTailKeep
	}
	t := &Tail{
		client: c, config: cfg,
		fetchers: make(map[string]*Fetcher), flights: make(map[topicPlace]*flight), chunks: make(map[topicPartition][]*chunk),
	}
	t.base, t.cancel = context.WithCancelCause(c.base)
	return t
}

// Fetch reads on from one place of a topic, as Fetcher.Fetch does: the caller
// releases what it returns, whoever fetched it.
func (t *Tail) Fetch(ctx context.Context, topic string, from PartitionOffset) (*Fetched, error) {
	if err := checkPlaces(topic, []PartitionOffset{from}); err != nil {
		return nil, err
	}
	at := topicPlace{topicPartition{topic, from.Partition}, from.Offset}
	t.mu.Lock()
	if err := t.base.Err(); err != nil {
		t.mu.Unlock()
		return nil, fmt.Errorf("kafkalog: reading %s: the tail was closed: %w", topic, net.ErrClosed)
	}
	if c := t.find(at); c != nil {
		got := t.view(c, at.offset)
		t.client.metrics.tailShared.Inc()
		t.mu.Unlock()
		return got, nil
	}
	f := t.board(at)
	t.mu.Unlock()
	return t.await(ctx, f, at)
}

// ReadRange is Client.ReadRange through the tail.
func (t *Tail) ReadRange(ctx context.Context, topic string, partition int32, from, to int64, fn func(FetchedRecord) error) error {
	fetch := func(ctx context.Context, at PartitionOffset) (*Fetched, error) { return t.Fetch(ctx, topic, at) }
	return t.client.readRange(ctx, topicPartition{topic, partition}, from, to, fetch, fn)
}

// Close ends the fetches in progress and lets go of what is kept. What readers
// hold is theirs until they release it.
func (t *Tail) Close() {
	t.cancel(net.ErrClosed)
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.queue) > 0 {
		t.evict()
	}
}

// find is the chunk that holds an offset, nil if there is none.
func (t *Tail) find(at topicPlace) *chunk {
	now := t.client.now()
	for len(t.queue) > 0 && now.Sub(t.queue[0].taken) > t.config.Keep {
		t.evict()
	}
	of := t.chunks[at.topicPartition]
	i, exact := search(of, at.offset)
	if !exact {
		i--
	}
	if i < 0 || at.offset >= of[i].part.Next {
		return nil
	}
	return of[i]
}

// search finds the chunk that begins at an offset, or where it would be.
func search(of []*chunk, offset int64) (int, bool) {
	return slices.BinarySearchFunc(of, offset, func(c *chunk, offset int64) int { return cmp.Compare(c.offset, offset) })
}

// view is what a chunk holds from an offset on, held once more.
func (t *Tail) view(c *chunk, from int64) *Fetched {
	c.lease.holders.Add(1)
	return t.share(c, from)
}

// share is view for one who is counted as a holder already.
func (t *Tail) share(c *chunk, from int64) *Fetched {
	part := c.part
	i, _ := slices.BinarySearchFunc(part.Records, from, func(r FetchedRecord, offset int64) int { return cmp.Compare(r.Offset, offset) })
	part.Records = part.Records[i:]
	return &Fetched{Partitions: []FetchedPartition{part}, buffers: t.client.buffers, lease: c.lease}
}

// board joins the fetch from this place, or starts it.
func (t *Tail) board(at topicPlace) *flight {
	f := t.flights[at]
	if f != nil {
		t.client.metrics.tailShared.Inc()
	} else {
		f = &flight{done: make(chan struct{})}
		t.flights[at] = f
		go t.fly(f, t.fetcher(at.topic), at)
	}
	f.waiting++
	return f
}

// fetcher of a topic. There is one for each that was ever read, which are
// those that the catalogue names.
func (t *Tail) fetcher(topic string) *Fetcher {
	f := t.fetchers[topic]
	if f == nil {
		f = t.client.NewFetcher(FetcherConfig{Topic: topic, MaxBytes: t.config.FetchBytes, MaxWait: t.config.MaxWait})
		t.fetchers[topic] = f
	}
	return f
}

func (t *Tail) fly(f *flight, by *Fetcher, at topicPlace) {
	got, err := by.Fetch(t.base, PartitionOffset{at.partition, at.offset})
	t.mu.Lock()
	defer t.mu.Unlock()
	defer close(f.done)
	delete(t.flights, at)
	if err != nil {
		f.err = err
		return
	}
	f.result = t.pack(got, at)
	f.result.lease.holders.Add(int32(f.waiting))
	if f.result.part.Next > at.offset && t.base.Err() == nil {
		t.keep(f.result)
		return
	}
	t.client.buffers.release(f.result.lease) // nothing for those to come
}

// await returns what a flight brought. One whose time ends is told that there
// was nothing; the others go on waiting.
func (t *Tail) await(ctx context.Context, f *flight, at topicPlace) (*Fetched, error) {
	enough, cancel := soonBefore(ctx)
	defer cancel()
	select {
	case <-f.done:
	case <-enough.Done():
		t.mu.Lock()
		f.waiting-- // no matter if it has landed meanwhile
		landed := f.result
		t.mu.Unlock()
		if landed != nil {
			return t.share(landed, at.offset), nil
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("kafkalog: reading %s: %w", at.topic, context.Cause(ctx))
		}
		l := t.client.buffers.lease()
		l.partitions = append(l.partitions, FetchedPartition{Partition: at.partition, Start: -1, Stable: -1, High: -1, Next: at.offset})
		return &Fetched{Partitions: l.partitions, buffers: t.client.buffers, lease: l}, nil
	}
	if f.err != nil {
		return nil, f.err
	}
	return t.share(f.result, at.offset), nil
}

// soonBefore ends a little before ctx does: nothing to read is an answer, not a
// call that ran out of time.
func soonBefore(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)*4/5)
}

// keep puts a chunk where others find it, and lets go of the oldest ones.
func (t *Tail) keep(c *chunk) {
	of := t.chunks[c.topicPartition]
	i, exact := search(of, c.offset)
	if exact { // it was too old, or held less
		t.drop(of[i])
		of = t.chunks[c.topicPartition]
	}
	t.chunks[c.topicPartition] = slices.Insert(of, i, c)
	t.queue = append(t.queue, c)
	t.held += c.bytes
	t.client.metrics.tailBytes.Add(float64(c.bytes))
	for t.held > t.config.Bytes || len(t.queue) > maxChunks {
		t.evict()
	}
}

// evict lets go of the oldest chunk.
func (t *Tail) evict() { t.drop(t.queue[0]) }

func (t *Tail) drop(c *chunk) {
	if i := slices.Index(t.queue, c); i == 0 {
		t.queue[0] = nil
		t.queue = t.queue[1:]
	} else {
		t.queue = slices.Delete(t.queue, i, i+1)
	}
	of := t.chunks[c.topicPartition]
	i := slices.Index(of, c)
	t.chunks[c.topicPartition] = slices.Delete(of, i, i+1)
	t.held -= c.bytes
	t.client.metrics.tailBytes.Sub(float64(c.bytes))
	t.client.buffers.release(c.lease)
}

// pack makes a chunk of what was fetched. Little in large buffers is copied:
// the buffers are worth more in the pool.
func (t *Tail) pack(got *Fetched, from topicPlace) *chunk {
	c := &chunk{topicPlace: from, part: got.Partitions[0], lease: got.lease, taken: t.client.now()}
	used := 0
	for i := range c.part.Records {
		used += recordBytes(&c.part.Records[i])
	}
	if c.bytes = c.lease.bytes(); c.bytes > wasteFactor*used+firstPiece {
		c.part.Records, c.lease = t.client.buffers.clone(c.part.Records, used)
		c.bytes = c.lease.bytes()
		got.Release()
	}
	return c
}

func recordBytes(r *FetchedRecord) int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Value)
	}
	return n
}

// bytes of memory behind a lease.
func (l *lease) bytes() int {
	n := cap(l.records)*int(unsafe.Sizeof(FetchedRecord{})) + cap(l.headers)*int(unsafe.Sizeof(Header{}))
	for _, b := range l.blocks {
		n += cap(b.b)
	}
	return n
}

// clone copies records into memory of their own size, with a lease of its own.
func (p *buffers) clone(records []FetchedRecord, size int) ([]FetchedRecord, *lease) {
	l := &lease{names: make(map[string]string)}
	p.lend(l)
	block := make([]byte, 0, size)
	copied := func(v []byte) []byte {
		if v == nil {
			return nil
		}
		at := len(block)
		block = append(block, v...)
		return block[at:len(block):len(block)]
	}
	count := 0
	for i := range records {
		count += len(records[i].Headers)
	}
	l.headers = make([]Header, 0, count)
	l.records = make([]FetchedRecord, len(records))
	for i := range records {
		r := records[i]
		r.Key, r.Value = copied(r.Key), copied(r.Value)
		if at := len(l.headers); len(r.Headers) > 0 {
			for _, h := range r.Headers {
				l.headers = append(l.headers, Header{h.Key, copied(h.Value)})
			}
			r.Headers = l.headers[at:len(l.headers):len(l.headers)]
		}
		l.records[i] = r
	}
	l.blocks = append(l.blocks, &buffer{b: block})
	return l.records, l
}
