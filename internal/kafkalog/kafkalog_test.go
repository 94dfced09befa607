package kafkalog

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// startCluster runs a fake cluster for the test.
func startCluster(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatalf("starting kfake: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

// open returns a client that poisons what it releases.
func open(t testing.TB, brokers []string, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{Brokers: brokers, ClientID: "test", Timeout: 5 * time.Second}
	for _, f := range change {
		f(&cfg)
	}
	c, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	c.buffers.poison = true
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

func timeout(d time.Duration) func(*Config) { return func(c *Config) { c.Timeout = d } }

// create declares a topic with a name of its own.
func create(t testing.TB, c *Client, partitions int) string {
	t.Helper()
	name := fmt.Sprintf("%s-%d", strings.NewReplacer("/", "-", "#", "-", ",", "-", " ", "-").Replace(t.Name()), time.Now().UnixNano())
	if err := c.CreateTopics(t.Context(), Topic{Name: name, Partitions: partitions}); err != nil {
		t.Fatalf("CreateTopics: %v", err)
	}
	return name
}

func producer(t testing.TB, c *Client, cfg ProducerConfig) *Producer {
	t.Helper()
	p, err := c.NewProducer(t.Context(), cfg)
	if err != nil {
		t.Fatalf("NewProducer: %v", err)
	}
	return p
}

// numbered makes records with these values for one partition.
func numbered(topic string, partition int32, from, to int) []Record {
	records := make([]Record, 0, to-from)
	for i := from; i < to; i++ {
		records = append(records, Record{
			Topic: topic, Partition: partition, Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "v%d", i),
		})
	}
	return records
}

func mustSend(t testing.TB, p *Producer, records []Record) {
	t.Helper()
	if err := p.Send(t.Context(), records); err != nil {
		t.Fatalf("Send: %v", err)
	}
}

func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// stored reads the values of a partition from its start to its stable end.
func stored(t testing.TB, c *Client, topic string, partition int32) []string {
	t.Helper()
	ends, err := c.Offsets(t.Context(), topic)
	must(t, "Offsets", err)
	values := []string{}
	last := int64(-1)
	err = c.ReadRange(t.Context(), topic, partition, ends[partition].Start, ends[partition].Stable, func(r FetchedRecord) error {
		if r.Offset <= last {
			t.Errorf("offset %d after %d", r.Offset, last)
		}
		last = r.Offset
		values = append(values, string(r.Value))
		return nil
	})
	must(t, "ReadRange", err)
	return values
}

// values v<from> … v<to-1>.
func span(from, to int) []string {
	values := []string{}
	for i := from; i < to; i++ {
		values = append(values, fmt.Sprintf("v%d", i))
	}
	return values
}

func same(t testing.TB, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d: %.200q", len(got), len(want), got)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("value %d is %q, want %q", i, got[i], want[i])
		}
	}
}

// severs closes the connection of the next n requests of a key, before or
// after they take effect is the request's own matter: kfake does it before.
func severs(c *kfake.Cluster, key kmsg.Key, n int) {
	left := n
	c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		if left == 0 {
			c.DropControl()
			return nil, nil, false
		}
		c.KeepControl()
		left--
		return nil, context.Canceled, true
	})
}
