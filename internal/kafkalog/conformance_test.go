package kafkalog

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conformance(t, startCluster(t).ListenAddrs())
}

// The oldest brokers that this package can use, and older ones.
func TestOldBrokers(t *testing.T) {
	t.Parallel()
	oldest := open(t, startCluster(t, kfake.MaxVersions(kversion.V2_5_0())).ListenAddrs())
	t.Run("round trip", func(t *testing.T) { conformRoundTrip(t, oldest) })
	t.Run("abort", func(t *testing.T) { conformAbort(t, oldest) })

	older := open(t, startCluster(t, kfake.MaxVersions(kversion.V2_4_0())).ListenAddrs())
	_, err := older.NewProducer(t.Context(), ProducerConfig{})
	if err == nil || !strings.Contains(err.Error(), "InitProducerId") || !strings.Contains(err.Error(), "2.5") {
		t.Errorf("NewProducer: %v", err)
	}
}

// conformance is what this package promises of any cluster. It needs nothing
// but the brokers' addresses and leaves its topics behind.
func conformance(t *testing.T, brokers []string) {
	for name, test := range map[string]func(*testing.T, *Client){
		"round trip":           conformRoundTrip,
		"partition by key":     conformPartitionByKey,
		"oversized alone":      conformOversized,
		"transaction":          conformTransaction,
		"abort":                conformAbort,
		"fencing":              conformFencing,
		"abandoned":            conformAbandoned,
		"offsets":              conformOffsets,
		"declaration":          conformDeclaration,
		"unknown topic":        conformUnknownTopic,
		"out of range":         conformOutOfRange,
		"two topics, one txn":  conformTwoTopics,
		"wait for new records": conformWait,
		"group offsets":        conformGroupOffsets,
		"diff and apply":       conformApply,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, brokers))
		})
	}
}

func conformRoundTrip(t *testing.T, c *Client) {
	for _, compression := range []string{"", "none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run("with "+compression, func(t *testing.T) {
			topic := create(t, c, 1)
			p := producer(t, c, ProducerConfig{Compression: compression})
			at := time.Date(2026, 3, 1, 8, 0, 0, 7_000_000, time.UTC)
			records := []Record{
				{Topic: topic, Key: []byte("key"), Value: []byte("value"), Time: at, Headers: []Header{{"a", []byte("1")}, {"b", nil}, {"", []byte{}}}},
				{Topic: topic, Time: at.Add(-time.Hour)},
				{Topic: topic, Key: []byte{}, Value: []byte{}},
				{Topic: topic, Value: make([]byte, 200_000)},
			}
			mustSend(t, p, records)
			for i := range records {
				if records[i].Offset != int64(i) || records[i].Err != nil {
					t.Errorf("record %d: offset %d, %v", i, records[i].Offset, records[i].Err)
				}
			}
			got, err := c.NewFetcher(FetcherConfig{Topic: topic}).Fetch(t.Context(), PartitionOffset{0, 0})
			must(t, "Fetch", err)
			defer got.Release()
			back := got.Partitions[0]
			if len(back.Records) != 4 || back.Next != 4 || back.Stable != 4 || back.High != 4 {
				t.Fatalf("%d records, next %d, stable %d, high %d", len(back.Records), back.Next, back.Stable, back.High)
			}
			first, second, third := back.Records[0], back.Records[1], back.Records[2]
			if string(first.Key) != "key" || string(first.Value) != "value" || !first.Time.Equal(at) {
				t.Errorf("first: %q %q %v", first.Key, first.Value, first.Time)
			}
			if h := first.Headers; len(h) != 3 || h[0].Key != "a" || string(h[0].Value) != "1" ||
				h[1].Value != nil || h[2].Key != "" || h[2].Value == nil {
				t.Errorf("headers %+v", h)
			}
			if second.Key != nil || second.Value != nil || !second.Time.Equal(at.Add(-time.Hour)) || len(second.Headers) != 0 {
				t.Errorf("second: %v %v %v", second.Key, second.Value, second.Time)
			}
			if third.Key == nil || third.Value == nil || time.Since(third.Time).Abs() > time.Hour {
				t.Errorf("third: %v %v %v", third.Key, third.Value, third.Time)
			}
			must(t, "Close", p.Close(t.Context()))
		})
	}
}

func conformPartitionByKey(t *testing.T, c *Client) {
	topic := create(t, c, 7)
	p := producer(t, c, ProducerConfig{})
	records := numbered(topic, AnyPartition, 0, 100)
	mustSend(t, p, records)
	for i := range records {
		if want := keyPartition(records[i].Key, 7); records[i].Partition != want {
			t.Errorf("record %d went to %d, want %d", i, records[i].Partition, want)
		}
	}
	n := 0
	for partition := range int32(7) {
		n += len(stored(t, c, topic, partition))
	}
	if n != 100 {
		t.Errorf("%d records are stored, want 100", n)
	}
	used := map[int32]bool{}
	for range 7 {
		keyless := []Record{{Topic: topic, Partition: AnyPartition}, {Topic: topic, Partition: AnyPartition}}
		mustSend(t, p, keyless)
		used[keyless[0].Partition] = true
		if keyless[0].Partition != keyless[1].Partition {
			t.Error("records without a key of one small Send were spread")
		}
	}
	if len(used) != 7 {
		t.Errorf("records without a key used %d of 7 partitions", len(used))
	}
}

func conformOversized(t *testing.T, c *Client) {
	topic := create(t, c, 1)
	for _, id := range []string{"", topic} {
		p := producer(t, c, ProducerConfig{BatchBytes: 4096, TransactionalID: id})
		records := numbered(topic, 0, 0, 5)
		records[2].Value = make([]byte, 5000)
		records[3].Headers = make([]Header, maxHeaders+1)
		if id != "" {
			must(t, "Begin", p.Begin())
		}
		err := p.Send(t.Context(), records)
		if !errors.Is(err, ErrTooLarge) {
			t.Fatalf("Send: %v", err)
		}
		for i := range records {
			bad := i == 2 || i == 3
			if (records[i].Err != nil) != bad || bad && !errors.Is(records[i].Err, ErrTooLarge) {
				t.Errorf("record %d: %v", i, records[i].Err)
			}
		}
		if id != "" {
			must(t, "Commit", p.Commit(t.Context()))
		}
		must(t, "Close", p.Close(t.Context()))
	}
	waitStable(t, c, topic)
	same(t, stored(t, c, topic, 0), []string{"v0", "v1", "v4", "v0", "v1", "v4"})
}

func conformTransaction(t *testing.T, c *Client) {
	topic := create(t, c, 2)
	p := producer(t, c, ProducerConfig{TransactionalID: topic})
	if err := p.Send(t.Context(), numbered(topic, 0, 0, 1)); err == nil {
		t.Error("Send outside a transaction succeeded")
	}
	must(t, "Begin", p.Begin())
	if p.Begin() == nil {
		t.Error("a second Begin succeeded")
	}
	mustSend(t, p, numbered(topic, 0, 0, 3))
	mustSend(t, p, numbered(topic, 1, 0, 3))
	same(t, stored(t, c, topic, 0), nil)
	must(t, "Commit", p.Commit(t.Context()))
	if p.Commit(t.Context()) == nil {
		t.Error("Commit without a transaction succeeded")
	}
	waitStable(t, c, topic)
	same(t, stored(t, c, topic, 0), span(0, 3))
	same(t, stored(t, c, topic, 1), span(0, 3))

	must(t, "Begin", p.Begin())
	must(t, "empty Commit", p.Commit(t.Context()))
	must(t, "Begin", p.Begin())
	mustSend(t, p, numbered(topic, 0, 3, 5))
	must(t, "Commit", p.Commit(t.Context()))
	waitStable(t, c, topic)
	same(t, stored(t, c, topic, 0), span(0, 5))
	must(t, "Close", p.Close(t.Context()))
}

// waitStable waits until the markers of the last transaction are written: a
// coordinator answers before that.
func waitStable(t *testing.T, c *Client, topic string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		ends, err := c.Offsets(t.Context(), topic)
		must(t, "Offsets", err)
		open := false
		for _, e := range ends {
			open = open || e.Stable < e.End
		}
		if !open {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a transaction stays open: %+v", ends)
		}
	}
}

func conformAbort(t *testing.T, c *Client) {
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{TransactionalID: topic})
	plain := producer(t, c, ProducerConfig{})
	for i := range 3 {
		must(t, "Begin", p.Begin())
		mustSend(t, p, numbered(topic, 0, 100, 110))
		mustSend(t, plain, numbered(topic, 0, i, i+1)) // between the records of the transaction
		mustSend(t, p, numbered(topic, 0, 110, 120))
		must(t, "Abort", p.Abort(t.Context()))
	}
	waitStable(t, c, topic)
	same(t, stored(t, c, topic, 0), span(0, 3))
	ends, err := c.Offsets(t.Context(), topic)
	must(t, "Offsets", err)
	if want := int64(3 * (20 + 1 + 1)); ends[0].Stable != want {
		t.Errorf("stable end %d, want %d", ends[0].Stable, want)
	}
	// From inside an aborted transaction.
	got, err := c.NewFetcher(FetcherConfig{Topic: topic}).Fetch(t.Context(), PartitionOffset{0, 5})
	must(t, "Fetch", err)
	if part := got.Partitions[0]; len(part.Records) != 3 || part.Next != ends[0].Stable {
		t.Errorf("%d records, next %d of %d", len(part.Records), part.Next, ends[0].Stable)
	}
	got.Release()
	got, err = c.NewFetcher(FetcherConfig{Topic: topic, Uncommitted: true}).Fetch(t.Context(), PartitionOffset{0, 0})
	must(t, "Fetch", err)
	if part := got.Partitions[0]; len(part.Records) != 63 {
		t.Errorf("%d records uncommitted, want 63", len(part.Records))
	}
	got.Release()
}

func conformFencing(t *testing.T, c *Client) {
	topic := create(t, c, 1)
	older := producer(t, c, ProducerConfig{TransactionalID: topic})
	must(t, "Begin", older.Begin())
	mustSend(t, older, numbered(topic, 0, 100, 101))

	younger := producer(t, c, ProducerConfig{TransactionalID: topic})
	if err := older.Send(t.Context(), numbered(topic, 0, 101, 102)); !errors.Is(err, ErrFenced) {
		t.Errorf("Send of the older producer: %v", err)
	}
	if err := older.Commit(t.Context()); !errors.Is(err, ErrFenced) {
		t.Errorf("Commit of the older producer: %v", err)
	}
	if err := older.Abort(t.Context()); !errors.Is(err, ErrFenced) {
		t.Errorf("Abort of the older producer: %v", err)
	}
	if err := older.Begin(); !errors.Is(err, ErrFenced) {
		t.Errorf("Begin of the older producer: %v", err)
	}
	if err := older.Close(t.Context()); err != nil {
		t.Errorf("Close of the older producer: %v", err)
	}
	must(t, "Begin", younger.Begin())
	mustSend(t, younger, numbered(topic, 0, 0, 2))
	must(t, "Commit", younger.Commit(t.Context()))
	waitStable(t, c, topic)
	same(t, stored(t, c, topic, 0), span(0, 2))

	// Fenced at Commit, with nothing sent in between.
	third := producer(t, c, ProducerConfig{TransactionalID: topic})
	must(t, "Begin", third.Begin())
	mustSend(t, third, numbered(topic, 0, 100, 101))
	producer(t, c, ProducerConfig{TransactionalID: topic})
	if err := third.Commit(t.Context()); !errors.Is(err, ErrFenced) {
		t.Errorf("Commit: %v", err)
	}
	waitStable(t, c, topic)
	same(t, stored(t, c, topic, 0), span(0, 2))
}

func conformAbandoned(t *testing.T, c *Client) {
	topic := create(t, c, 1)
	gone := producer(t, c, ProducerConfig{TransactionalID: topic})
	must(t, "Begin", gone.Begin())
	mustSend(t, gone, numbered(topic, 0, 100, 105))
	ends, err := c.Offsets(t.Context(), topic)
	must(t, "Offsets", err)
	if ends[0].Stable != 0 || ends[0].End != 5 {
		t.Errorf("with an open transaction: %+v", ends[0])
	}
	// The process dies here; another comes with the same id.
	p := producer(t, c, ProducerConfig{TransactionalID: topic})
	waitStable(t, c, topic)
	same(t, stored(t, c, topic, 0), nil)
	must(t, "Begin", p.Begin())
	mustSend(t, p, numbered(topic, 0, 0, 2))
	must(t, "Close, which aborts", p.Close(t.Context()))
	waitStable(t, c, topic)
	same(t, stored(t, c, topic, 0), nil)
}

func conformOffsets(t *testing.T, c *Client) {
	topic := create(t, c, 3)
	p := producer(t, c, ProducerConfig{})
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	records := numbered(topic, 1, 0, 10)
	for i := range records {
		records[i].Time = begin.Add(time.Duration(i) * time.Minute)
	}
	mustSend(t, p, records)
	ends, err := c.Offsets(t.Context(), topic)
	must(t, "Offsets", err)
	want := []PartitionOffsets{{0, 0, 0, 0}, {1, 0, 10, 10}, {2, 0, 0, 0}}
	for i := range want {
		if ends[i] != want[i] {
			t.Errorf("%+v, want %+v", ends[i], want[i])
		}
	}
	for at, want := range map[time.Time]int64{
		{}: 0, begin: 0, begin.Add(3 * time.Minute): 3, begin.Add(3*time.Minute + 1e6): 4, begin.Add(time.Hour): 10,
	} {
		got, err := c.OffsetAt(t.Context(), topic, 1, at)
		if err != nil || got != want {
			t.Errorf("OffsetAt(%v) = %d, %v; want %d", at, got, err, want)
		}
	}
}

func conformDeclaration(t *testing.T, c *Client) {
	topic := Topic{Name: create(t, c, 2), Partitions: 2, Config: map[string]string{"retention.ms": "86400000"}}
	must(t, "the same again", c.CreateTopics(t.Context(), topic))
	topic.Partitions = 5
	err := c.CreateTopics(t.Context(), topic)
	if err == nil {
		t.Fatal("another number of partitions was accepted")
	}
	for _, s := range []string{topic.Name, "2", "5"} {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("the error does not name %s: %v", s, err)
		}
	}
	if c.CreateTopics(t.Context(), Topic{Name: "x"}) == nil {
		t.Error("a topic without partitions was accepted")
	}
}

func conformUnknownTopic(t *testing.T, c *Client) {
	name := "never-created"
	p := producer(t, c, ProducerConfig{})
	if err := p.Send(t.Context(), numbered(name, 0, 0, 1)); !errors.Is(err, ErrTopicUnknown) {
		t.Errorf("Send: %v", err)
	}
	if _, err := c.Offsets(t.Context(), name); !errors.Is(err, ErrTopicUnknown) {
		t.Errorf("Offsets: %v", err)
	}
	if _, err := c.NewFetcher(FetcherConfig{Topic: name}).Fetch(t.Context(), PartitionOffset{}); !errors.Is(err, ErrTopicUnknown) {
		t.Errorf("Fetch: %v", err)
	}
	if _, err := c.describe(t.Context(), name, false); !errors.Is(err, ErrTopicUnknown) {
		t.Errorf("the topic was created by asking for it: %v", err)
	}
	known := create(t, c, 1)
	if err := p.Send(t.Context(), numbered(known, 1, 0, 1)); !errors.Is(err, ErrTopicUnknown) {
		t.Errorf("Send to a partition that is not there: %v", err)
	}
}

func conformOutOfRange(t *testing.T, c *Client) {
	topic := create(t, c, 1)
	mustSend(t, producer(t, c, ProducerConfig{}), numbered(topic, 0, 0, 4))
	_, err := c.NewFetcher(FetcherConfig{Topic: topic}).Fetch(t.Context(), PartitionOffset{0, 9})
	var outside *RangeError
	if !errors.As(err, &outside) {
		t.Fatalf("Fetch: %v", err)
	}
	if want := (RangeError{topic, 0, 9, 0, 4}); *outside != want {
		t.Errorf("%+v, want %+v", *outside, want)
	}
}

func conformTwoTopics(t *testing.T, c *Client) {
	data, position := create(t, c, 3), create(t, c, 1)
	p := producer(t, c, ProducerConfig{TransactionalID: data})
	for i := range 4 {
		must(t, "Begin", p.Begin())
		records := numbered(data, AnyPartition, i*10, i*10+10)
		records = append(records, numbered(position, 0, i, i+1)...)
		mustSend(t, p, records)
		if i%2 == 0 {
			must(t, "Commit", p.Commit(t.Context()))
		} else {
			must(t, "Abort", p.Abort(t.Context()))
		}
	}
	waitStable(t, c, data)
	waitStable(t, c, position)
	same(t, stored(t, c, position, 0), []string{"v0", "v2"})
	n := 0
	for partition := range int32(3) {
		n += len(stored(t, c, data, partition))
	}
	if n != 20 {
		t.Errorf("%d records are committed, want 20", n)
	}
}

func conformWait(t *testing.T, c *Client) {
	topic := create(t, c, 2)
	p := producer(t, c, ProducerConfig{})
	mustSend(t, p, numbered(topic, 1, 0, 2))
	f := c.NewFetcher(FetcherConfig{Topic: topic, MaxWait: 10 * time.Second})
	began := time.Now()
	sent := make(chan error, 1)
	go func() {
		time.Sleep(200 * time.Millisecond)
		sent <- p.Send(t.Context(), numbered(topic, 1, 2, 3))
	}()
	got, err := f.Fetch(t.Context(), PartitionOffset{0, 0}, PartitionOffset{1, 2})
	must(t, "Fetch", err)
	defer got.Release()
	must(t, "Send", <-sent)
	if took := time.Since(began); took < 150*time.Millisecond || took > 5*time.Second {
		t.Errorf("Fetch took %v", took)
	}
	if len(got.Partitions[1].Records) != 1 || len(got.Partitions[0].Records) != 0 || got.Partitions[1].Next != 3 {
		t.Errorf("%+v", got.Partitions)
	}
	none, err := c.NewFetcher(FetcherConfig{Topic: topic, MaxWait: -1}).Fetch(t.Context(), PartitionOffset{0, 0})
	must(t, "Fetch without waiting", err)
	if part := none.Partitions[0]; len(part.Records) != 0 || part.Next != 0 || part.Stable != 0 {
		t.Errorf("%+v", part)
	}
	none.Release()
}
