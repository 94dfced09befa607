package kafkalog

import (
	"context"
	"net"
	"sync"
	"time"
)

const (
	// maxCalls bounds the calls to one broker that run at a time, without
	// fetches; more wait. Records that wait meanwhile form larger batches.
	maxCalls = 16
	// maxFetches bounds the fetches from one broker that run at a time: they
	// may wait at the broker for data, so they have places of their own.
	maxFetches = 64
	// maxIdle is how long a connection is kept unused. Kafka closes idle ones
	// after ten minutes (connections.max.idle.ms).
	maxIdle = 3 * time.Minute
)

// pool holds the connections to one broker.
type pool struct {
	address string
	dialer  *dialer
	calls   chan struct{}
	fetches chan struct{}

	mu     sync.Mutex
	idle   []*conn // the one used last is at the end
	closed bool
}

func newPool(address string, d *dialer) *pool {
	return &pool{
		address: address, dialer: d,
		calls: make(chan struct{}, maxCalls), fetches: make(chan struct{}, maxFetches),
	}
}

// calls and fetches are the places of a pool, for cluster.with.
func calls(p *pool) chan struct{}   { return p.calls }
func fetches(p *pool) chan struct{} { return p.fetches }

// with runs use on a connection of its own. After an error the connection is
// closed, and the idle ones with it: whatever happened to it, most likely the
// broker's restart, happened to them.
func (p *pool) with(ctx context.Context, places chan struct{}, use func(*conn) error) error {
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	case <-ctx.Done():
		return &transportError{address: p.address, err: context.Cause(ctx)}
	}
	c, err := p.take(ctx)
	if err != nil {
		return err
	}
	if err := use(c); err != nil {
		c.close()
		p.dropIdle()
		return err
	}
	p.put(c)
	return nil
}

func (p *pool) take(ctx context.Context) (*conn, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, &transportError{address: p.address, err: net.ErrClosed}
	}
	var c *conn
	if n := len(p.idle); n > 0 {
		c = p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
	}
	p.mu.Unlock()
	switch {
	case c == nil:
	case time.Since(c.idleSince) >= maxIdle:
		c.close()
		p.dropIdle() // it was the youngest
	case time.Now().After(c.until):
		c.close()
	default:
		return c, nil
	}
	return p.dialer.dial(ctx, p.address)
}

func (p *pool) put(c *conn) {
	c.idleSince = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.close()
		return
	}
	if len(p.idle) > 0 && c.idleSince.Sub(p.idle[0].idleSince) > maxIdle {
		p.idle[0].close()
		p.idle = append(p.idle[:0], p.idle[1:]...)
	}
	p.idle = append(p.idle, c)
}

func (p *pool) dropIdle() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

// close closes what is idle now and what is put back later.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.dropIdle()
}
