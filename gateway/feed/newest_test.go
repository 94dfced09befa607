package feed

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
)

const topic = "500000.price_quote.v1"

// published is a topic of three partitions with records whose value is their
// business key; the i-th of a key was decided i seconds after the epoch, but
// for the last one of every third key, which is older than all.
func published(t *testing.T, keys, each int) *kafkalog.Client {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	c, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: cluster.ListenAddrs(), Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.CreateTopics(t.Context(), kafkalog.Topic{Name: topic, Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	p, err := c.NewProducer(t.Context(), kafkalog.ProducerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var records []kafkalog.Record
	for i := range each {
		for k := range keys {
			name := fmt.Appendf(nil, "key-%d", k)
			decided := time.Unix(int64(i), 0)
			if i == each-1 && k%3 == 0 {
				decided = time.Unix(-1, 0)
			}
			key, content := record.Key([]byte("secret"), name), record.Content([]byte("secret"), name, fmt.Append(nil, i))
			e := record.Envelope{
				Product: "price_quote", Operation: record.Upsert, Version: uint32(i + 1), Content: content, DecisionTime: decided,
				EventID: record.EventID(key, content, uint32(i+1)),
			}
			m := kafkalog.Record{Topic: topic, Partition: kafkalog.AnyPartition, Key: key[:], Value: name}
			for h, v := range e.Headers() {
				m.Headers = append(m.Headers, kafkalog.Header{Key: h, Value: v})
			}
			records = append(records, m)
		}
	}
	if err := p.Send(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// What is found does not depend on how much is remembered.
func TestNewestWithoutRoom(t *testing.T) {
	t.Parallel()
	const keys, each = 10, 4
	f := New(published(t, keys, each))
	q := Query{
		Topic:    topic,
		Business: func(dst, value, _ []byte) ([]byte, error) { return append(dst, value...), nil },
		Redact: func(dst, value, _ []byte) ([]byte, string, error) {
			return fmt.Appendf(dst, "%q", value), "price_quote.v1", nil
		},
	}
	for _, most := range []int{keys, keys - 1, 0} {
		f.index = newIndex()
		f.index.most = most
		for k := range keys {
			page, err := f.Newest(t.Context(), q, fmt.Appendf(nil, "key-%d", k))
			want := fmt.Sprintf(`"version":%d,`, each)
			if k%3 == 0 {
				want = fmt.Sprintf(`"version":%d,`, each-1)
			}
			if err != nil || page.Records != 1 || !bytes.Contains(page.Lines, []byte(want)) || !bytes.Contains(page.Lines, fmt.Appendf(nil, "key-%d", k)) {
				t.Errorf("room for %d keys, key %d: %s, %v", most, k, page.Lines, err)
			}
		}
		if page, err := f.Newest(t.Context(), q, []byte("key-none")); err != nil || page.Records != 0 {
			t.Errorf("room for %d keys, a key of none: %+v, %v", most, page, err)
		}
		if fits := f.index.topics[topic].all != nil; fits != (most == keys) || f.index.keys > most {
			t.Errorf("room for %d keys: %d are remembered", most, f.index.keys)
		}
	}
	// A key that cannot be made out is nobody's; that Vault is away is no answer.
	f.index = newIndex()
	q.Business = func(dst, _, _ []byte) ([]byte, error) { return dst, problem.New(problem.RecordUnsealable, "") }
	if page, err := f.Newest(t.Context(), q, []byte("key-1")); err != nil || page.Records != 0 {
		t.Errorf("%+v, %v", page, err)
	}
	f.index = newIndex()
	q.Business = func(dst, _, _ []byte) ([]byte, error) { return dst, problem.New(problem.VaultUnavailable, "") }
	if _, err := f.Newest(t.Context(), q, []byte("key-1")); problem.CodeOf(err) != problem.VaultUnavailable {
		t.Errorf("%v", err)
	}
}
