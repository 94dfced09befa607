package kafkalog

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// far is a linger that no test waits for: something else must end it.
const far = time.Minute

// startSend starts a Send and returns when its records wait or are in flight.
func startSend(t *testing.T, p *Producer, records []Record) <-chan error {
	t.Helper()
	before := len(p.calls())
	sent := make(chan error, 1)
	go func() { sent <- p.Send(context.Background(), records) }()
	for deadline := time.Now().Add(10 * time.Second); len(p.calls()) <= before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the records of a Send never arrive at their writer")
		}
	}
	return sent
}

// calls that wait or are in flight, without disturbing them.
func (p *Producer) calls() map[*sending]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := map[*sending]bool{}
	for _, topic := range p.topics {
		for _, w := range topic.writers {
			w.mu.Lock()
			for _, s := range append(append([]segment(nil), w.queue...), w.flight...) {
				if s.call != nil {
					found[s.call] = true
				}
			}
			w.mu.Unlock()
		}
	}
	return found
}

// What ends a linger, each without its time passing.
func TestLinger(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	for name, end := range map[string]func(*testing.T, *Producer) error{
		"Flush": func(t *testing.T, p *Producer) error { return p.Flush(t.Context()) },
		"Close": func(t *testing.T, p *Producer) error { return p.Close(t.Context()) },
		"a full batch": func(t *testing.T, p *Producer) error {
			return p.Send(t.Context(), numbered(p.anyTopic(), 0, 2, 102))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, cluster.ListenAddrs())
			topic := create(t, c, 1)
			p := producer(t, c, ProducerConfig{Linger: far, BatchBytes: leastBatchBytes})
			a, b := numbered(topic, 0, 0, 1), numbered(topic, 0, 1, 2)
			first := startSend(t, p, a)
			second := startSend(t, p, b)
			must(t, name, end(t, p))
			must(t, "the first Send", <-first)
			must(t, "the second Send", <-second)
			if a[0].Offset != 0 || b[0].Offset != 1 {
				t.Errorf("offsets %d and %d", a[0].Offset, b[0].Offset)
			}
		})
	}
}

// anyTopic is a topic that the producer has written to.
func (p *Producer) anyTopic() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for topic := range p.topics {
		return topic
	}
	return ""
}

// Lingering records share a request, and time ends the linger too.
func TestLingerShares(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	requests := counting(cluster, kmsg.Produce)
	p := producer(t, c, ProducerConfig{Linger: 500 * time.Millisecond})
	var sends []<-chan error
	for n := range 5 {
		sends = append(sends, startSend(t, p, numbered(topic, 0, n, n+1)))
	}
	for _, sent := range sends {
		must(t, "Send", <-sent)
	}
	if n := requests.Load(); n > 2 {
		t.Errorf("%d requests for what was sent in one moment", n)
	}
	same(t, stored(t, c, topic, 0), span(0, 5))
}

// Commit does not wait for a linger to pass, and Abort drops what lingers.
func TestLingerInTransaction(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{TransactionalID: "id", Linger: far})
	must(t, "Begin", p.Begin())
	sent := startSend(t, p, numbered(topic, 0, 0, 3))
	must(t, "Commit", p.Commit(t.Context()))
	must(t, "Send", <-sent)
	same(t, stored(t, c, topic, 0), span(0, 3))
	must(t, "Begin", p.Begin())
	sent = startSend(t, p, numbered(topic, 0, 100, 103))
	must(t, "Abort", p.Abort(t.Context()))
	if err := <-sent; err == nil {
		t.Error("the Send of an aborted transaction succeeded")
	}
	same(t, stored(t, c, topic, 0), span(0, 3))
}

// A cluster that does not answer holds senders back: no more than BufferBytes
// wait or are in flight, a sender without room can give up, and everybody
// comes through once the cluster answers again.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs(), timeout(30*time.Second))
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{BatchBytes: 4 << 10, BufferBytes: 8 << 10})
	answer := make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.SleepControl(func() { <-answer })
		cluster.DropControl()
		return nil, nil, false
	})
	const senders = 20
	results := make(chan error, senders)
	record := func(value []byte) []Record { return []Record{{Topic: topic, Value: value}} }
	for range senders {
		go func() { results <- p.Send(context.Background(), record(make([]byte, 2000))) }()
	}
	full := func() bool { return !p.room.TryAcquire(2100) }
	for deadline := time.Now().Add(10 * time.Second); !full(); time.Sleep(time.Millisecond) {
		p.room.Release(2100)
		if time.Now().After(deadline) {
			t.Fatal("the senders do not fill the buffer")
		}
	}
	if n := len(p.calls()); n > 4 {
		t.Errorf("%d calls of 2000 bytes were taken in with room for 8 KiB", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Send(ctx, record(make([]byte, 2000))); !errors.Is(err, errUnsent) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("a Send without room: %v", err)
	}
	close(answer)
	for range senders {
		must(t, "Send", <-results)
	}
	if n := len(stored(t, c, topic, 0)); n != senders {
		t.Errorf("%d records are stored, want %d", n, senders)
	}
	many := make([]Record, 100) // larger than the buffer
	for i := range many {
		many[i] = Record{Topic: topic, Value: make([]byte, 1000)}
	}
	mustSend(t, p, many)
}

// Flush waits for what is in flight, and can be given up.
func TestFlush(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{})
	must(t, "Flush of nothing", p.Flush(t.Context()))
	answer := make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.SleepControl(func() { <-answer })
		cluster.DropControl()
		return nil, nil, false
	})
	records := numbered(topic, 0, 0, 1)
	sent := startSend(t, p, records)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush of what is in flight: %v", err)
	}
	close(answer)
	must(t, "Flush", p.Flush(t.Context()))
	must(t, "Send", <-sent)
}

func TestProducerConfig(t *testing.T) {
	t.Parallel()
	c := open(t, startCluster(t, kfake.NumBrokers(1)).ListenAddrs())
	for name, cfg := range map[string]ProducerConfig{
		"linger":       {Linger: -1},
		"long linger":  {Linger: time.Hour},
		"buffer":       {BufferBytes: 1 << 10},
		"compression":  {Compression: "brotli"},
		"small batch":  {BatchBytes: 1},
		"time to live": {TransactionalID: "id", TransactionTimeout: time.Nanosecond},
	} {
		if _, err := c.NewProducer(t.Context(), cfg); err == nil {
			t.Errorf("%s: %+v was accepted", name, cfg)
		}
	}
	var all sync.WaitGroup // Flush beside Send is safe
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{Linger: time.Millisecond})
	for n := range 10 {
		all.Go(func() {
			if err := p.Send(context.Background(), numbered(topic, 0, n, n+1)); err != nil {
				t.Errorf("Send: %v", err)
			}
		})
		all.Go(func() {
			if err := p.Flush(context.Background()); err != nil {
				t.Errorf("Flush: %v", err)
			}
		})
	}
	all.Wait()
}
