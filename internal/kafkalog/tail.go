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

// TailConfig says what a tail reads and keeps.
type TailConfig struct {
	FetcherConfig
	// Bytes bounds the memory of what is kept for readers to come. 0: 64 MiB.
	Bytes int
	// Keep is how long it is kept at most. 0: 30 s.
	Keep time.Duration
}

// Tail reads a topic for many readers: those at the same place share one
// fetch, and one that comes a little later is given what another fetched just
// before. It keeps no position of anybody and is safe for concurrent use.
type Tail struct {
	client  *Client
	fetcher *Fetcher
	config  TailConfig
	base    context.Context // ends with Close
	cancel  context.CancelCauseFunc

	mu      sync.Mutex
	flights map[PartitionOffset]*flight
	chunks  map[int32][]*chunk // of a partition, by their first offset
	queue   []*chunk           // all of them, the oldest first
	held    int                // bytes of all of them
}

// chunk is what one fetch brought, kept for others. It holds the lease.
type chunk struct {
	from  int64 // where the fetch began
	part  FetchedPartition
	lease *lease
	bytes int
	taken time.Time
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
		client: c, fetcher: c.NewFetcher(cfg.FetcherConfig), config: cfg,
		flights: make(map[PartitionOffset]*flight), chunks: make(map[int32][]*chunk),
	}
	t.base, t.cancel = context.WithCancelCause(c.base)
	return t
}

// Fetch reads on from one place, as Fetcher.Fetch does: the caller releases
// what it returns, whoever fetched it.
func (t *Tail) Fetch(ctx context.Context, at PartitionOffset) (*Fetched, error) {
	if err := checkPlaces(t.config.Topic, []PartitionOffset{at}); err != nil {
		return nil, err
	}
	t.mu.Lock()
	if err := t.base.Err(); err != nil {
		t.mu.Unlock()
		return nil, fmt.Errorf("kafkalog: reading %s: the tail was closed: %w", t.config.Topic, net.ErrClosed)
	}
	if c := t.find(at); c != nil {
		got := t.view(c, at.Offset)
		t.client.metrics.tailShared.Inc()
		t.mu.Unlock()
		return got, nil
	}
	f := t.board(at)
	t.mu.Unlock()
	return t.await(ctx, f, at)
}

// ReadRange is Client.ReadRange through the tail.
func (t *Tail) ReadRange(ctx context.Context, partition int32, from, to int64, fn func(FetchedRecord) error) error {
	return t.client.readRange(ctx, topicPartition{t.config.Topic, partition}, from, to, t.Fetch, fn)
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
func (t *Tail) find(at PartitionOffset) *chunk {
	now := t.client.now()
	for len(t.queue) > 0 && now.Sub(t.queue[0].taken) > t.config.Keep {
		t.evict()
	}
	of := t.chunks[at.Partition]
	i, exact := slices.BinarySearchFunc(of, at.Offset, func(c *chunk, offset int64) int { return cmp.Compare(c.from, offset) })
	if !exact {
		i--
	}
	if i < 0 || at.Offset >= of[i].part.Next {
		return nil
	}
	return of[i]
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
func (t *Tail) board(at PartitionOffset) *flight {
	f := t.flights[at]
	if f != nil {
		t.client.metrics.tailShared.Inc()
	} else {
		f = &flight{done: make(chan struct{})}
		t.flights[at] = f
		go t.fly(f, at)
	}
	f.waiting++
	return f
}

func (t *Tail) fly(f *flight, at PartitionOffset) {
	got, err := t.fetcher.Fetch(t.base, at)
	t.mu.Lock()
	defer t.mu.Unlock()
	defer close(f.done)
	delete(t.flights, at)
	if err != nil {
		f.err = err
		return
	}
	f.result = t.pack(got, at.Offset)
	f.result.lease.holders.Add(int32(f.waiting))
	if f.result.part.Next > at.Offset && t.base.Err() == nil {
		t.keep(f.result)
		return
	}
	t.client.buffers.release(f.result.lease) // nothing for those to come
}

// await returns what a flight brought. One whose time ends is told that there
// was nothing; the others go on waiting.
func (t *Tail) await(ctx context.Context, f *flight, at PartitionOffset) (*Fetched, error) {
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
			return t.share(landed, at.Offset), nil
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("kafkalog: reading %s: %w", t.config.Topic, context.Cause(ctx))
		}
		l := t.client.buffers.lease()
		l.partitions = append(l.partitions, FetchedPartition{Partition: at.Partition, Start: -1, Stable: -1, High: -1, Next: at.Offset})
		return &Fetched{Partitions: l.partitions, buffers: t.client.buffers, lease: l}, nil
	}
	if f.err != nil {
		return nil, f.err
	}
	return t.share(f.result, at.Offset), nil
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
	of := t.chunks[c.part.Partition]
	i, exact := slices.BinarySearchFunc(of, c.from, func(c *chunk, offset int64) int { return cmp.Compare(c.from, offset) })
	if exact { // it was too old, or held less
		t.drop(of[i])
		of = t.chunks[c.part.Partition]
	}
	t.chunks[c.part.Partition] = slices.Insert(of, i, c)
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
	of := t.chunks[c.part.Partition]
	i := slices.Index(of, c)
	t.chunks[c.part.Partition] = slices.Delete(of, i, i+1)
	t.held -= c.bytes
	t.client.metrics.tailBytes.Sub(float64(c.bytes))
	t.client.buffers.release(c.lease)
}

// pack makes a chunk of what was fetched. Little in large buffers is copied:
// the buffers are worth more in the pool.
func (t *Tail) pack(got *Fetched, from int64) *chunk {
	c := &chunk{from: from, part: got.Partitions[0], lease: got.lease, taken: t.client.now()}
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
	l.records = make([]FetchedRecord, len(records))
	for i := range records {
		r := records[i]
		r.Key, r.Value = copied(r.Key), copied(r.Value)
		if len(r.Headers) > 0 {
			headers := make([]Header, len(r.Headers))
			for h := range headers {
				headers[h] = Header{r.Headers[h].Key, copied(r.Headers[h].Value)}
			}
			r.Headers = headers
		}
		l.records[i] = r
	}
	l.blocks = append(l.blocks, &buffer{b: block})
	return l.records, l
}
