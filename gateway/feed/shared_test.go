package feed

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
)

// hot is a topic of one partition that is written while it is read.
type hot struct {
	t        *testing.T
	client   *kafkalog.Client
	producer *kafkalog.Producer
	fetches  atomic.Int64
	written  int
	want     []byte // the values that committed, a line each
}

func newHot(t *testing.T) *hot {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	h := &hot{t: t}
	cluster.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		h.fetches.Add(1)
		cluster.KeepControl()
		return nil, nil, false
	})
	h.client, err = kafkalog.Open(t.Context(), kafkalog.Config{Brokers: cluster.ListenAddrs(), Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.client.Close() })
	if err := h.client.CreateTopics(t.Context(), kafkalog.Topic{Name: topic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	h.producer, err = h.client.NewProducer(t.Context(), kafkalog.ProducerConfig{TransactionalID: "connector"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// write ends one transaction. Those that abort, and the markers of all, leave
// holes between the records that may be read.
func (h *hot) write(ctx context.Context, n int, commit bool) error {
	records := make([]kafkalog.Record, n)
	var lines []byte
	for i := range records {
		h.written++
		m := message(h.written%200+1, nil)
		records[i] = kafkalog.Record{Topic: topic, Key: m.Key, Value: fmt.Append(nil, h.written), Headers: m.Headers}
		lines = fmt.Appendf(lines, "%d\n", h.written)
	}
	if err := h.producer.Begin(); err != nil {
		return err
	}
	if err := h.producer.Send(ctx, records); err != nil {
		return err
	}
	if !commit {
		return h.producer.Abort(ctx)
	}
	h.want = append(h.want, lines...)
	return h.producer.Commit(ctx)
}

// consumer follows the topic page by page.
type consumer struct {
	cursor receipt.Cursor
	got    []byte
}

// catchUp reads pages until one is empty at the end of the log.
func (c *consumer) catchUp(ctx context.Context, f *Feed) error {
	q := Query{Topic: topic, Limit: 40, HideDecisionTime: true}
	q.Redact = func(dst, value, _ []byte) ([]byte, string, error) {
		c.got = append(append(c.got, value...), '\n')
		return append(dst, value...), "s", nil
	}
	for {
		before := c.cursor
		q.Cursor = before
		p, err := f.Read(ctx, q)
		if err != nil {
			return err
		}
		c.cursor = p.Next
		if p.Records == 0 && before.AtEnd() && p.Next.AtEnd() {
			return nil
		}
	}
}

// fetchesOf counts what so many consumers cost who follow one partition at its
// head, each with pages and a cursor of its own.
func fetchesOf(t *testing.T, consumers int) int64 {
	t.Helper()
	h := newHot(t)
	f := New(h.client)
	all := make([]consumer, consumers)
	for n := range 20 {
		if err := h.write(t.Context(), 60, n%4 != 3); err != nil {
			t.Fatal(err)
		}
		together, ctx := errgroup.WithContext(t.Context())
		for i := range all {
			together.Go(func() error { return all[i].catchUp(ctx, f) })
		}
		if err := together.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range all {
		if !bytes.Equal(all[i].got, h.want) {
			t.Errorf("consumer %d of %d got %d bytes of lines, want the %d that committed", i, consumers, len(all[i].got), len(h.want))
		}
	}
	return h.fetches.Load()
}

// Eight consumers at the head of one partition cost the fetches of one, and
// each gets every committed record once and nothing that was aborted.
func TestConsumersShareFetches(t *testing.T) {
	t.Parallel()
	one, eight := fetchesOf(t, 1), fetchesOf(t, 8)
	if one == 0 || eight > one+one/4 {
		t.Errorf("8 consumers cost %d fetches, one costs %d", eight, one)
	}
	t.Logf("1 consumer: %d fetches; 8 consumers: %d", one, eight)
}
