package kafkalog

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxPooled is the largest buffer that is kept for reuse: one huge answer
	// must not hold its memory for ever.
	maxPooled = 16 << 20
	// poison fills released buffers under test, so that a record used after
	// its release is seen.
	poison = 0xDB
)

// buffer is a reusable piece of memory.
type buffer struct{ b []byte }

// buffers are the pools of a client. The zero value is ready.
type buffers struct {
	blocks sync.Pool        // *buffer
	leases sync.Pool        // *lease
	poison bool             // set by tests before use
	leased prometheus.Gauge // leases that are out; nil: nobody counts
}

// get returns an empty buffer of any capacity.
func (p *buffers) get() *buffer {
	if b, ok := p.blocks.Get().(*buffer); ok {
		return b
	}
	return new(buffer)
}

func (p *buffers) put(b *buffer) {
	if p.poison {
		whole := b.b[:cap(b.b)]
		for i := range whole {
			whole[i] = poison
		}
	}
	if cap(b.b) > maxPooled {
		return
	}
	b.b = b.b[:0]
	p.blocks.Put(b)
}

// lease is the memory behind one [Fetched]: the bytes and what points into them.
type lease struct {
	holders    atomic.Int32 // who has yet to release it; a Tail shares one among readers
	blocks     []*buffer
	records    []FetchedRecord
	headers    []Header
	partitions []FetchedPartition
	names      map[string]string // header keys seen before, so that they are one string each
	order      []string          // those of the record before
}

func (p *buffers) lease() *lease {
	l, ok := p.leases.Get().(*lease)
	if !ok {
		l = &lease{names: make(map[string]string)}
	}
	p.lend(l)
	return l
}

// lend gives a lease its first holder.
func (p *buffers) lend(l *lease) {
	l.holders.Store(1)
	if p.leased != nil {
		p.leased.Inc()
	}
}

// block is a buffer that lives as long as the lease.
func (p *buffers) block(l *lease) *buffer {
	b := p.get()
	l.blocks = append(l.blocks, b)
	return b
}

// release is for one holder; the last one gives the memory back.
func (p *buffers) release(l *lease) {
	if l.holders.Add(-1) > 0 {
		return
	}
	if p.leased != nil {
		p.leased.Dec()
	}
	for i, b := range l.blocks {
		p.put(b)
		l.blocks[i] = nil
	}
	l.blocks = l.blocks[:0]
	// Cleared, so that no record keeps a buffer alive that left the pool.
	clear(l.records)
	clear(l.headers)
	clear(l.partitions)
	l.records, l.headers, l.partitions = l.records[:0], l.headers[:0], l.partitions[:0]
	if cap(l.records) <= maxItems/2 && cap(l.headers) <= maxItems/2 {
		p.leases.Put(l)
	}
}

const (
	maxNames    = 256 // header keys that a lease remembers
	longestName = 64  // bytes of one of them
)

// name is the key of a record's i-th header as a string, without a new one for
// a key seen before: most often that of the record before.
func (l *lease) name(i int, b []byte) string {
	if i < len(l.order) && l.order[i] == string(b) {
		return l.order[i]
	}
	s, ok := l.names[string(b)]
	if !ok {
		s = string(b)
		if len(s) <= longestName && len(l.names) < maxNames {
			l.names[s] = s
		}
	}
	switch {
	case i < len(l.order):
		l.order[i] = s
	case i == len(l.order) && i < maxNames:
		l.order = append(l.order, s)
	}
	return s
}
