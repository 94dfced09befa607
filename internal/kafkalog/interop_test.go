package kafkalog

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// An independent client reads what we write and writes what we read: every
// codec, headers, null and empty, transactions, the same partition for a key.
func TestInterop(t *testing.T) {
	t.Parallel()
	brokers := startCluster(t).ListenAddrs()
	c := open(t, brokers)
	for name, theirs := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := time.UnixMilli(1_767_225_600_123).UTC()
			big := bytes.Repeat([]byte("price,"), 50_000)

			topic := create(t, c, 4)
			mustSend(t, producer(t, c, ProducerConfig{Compression: name}), []Record{
				{Topic: topic, Partition: AnyPartition, Key: []byte("a"), Value: big, Time: at, Headers: []Header{{"h", []byte("1")}, {"n", nil}}},
				{Topic: topic, Partition: AnyPartition, Key: []byte("key"), Value: []byte{}, Time: at},
			})
			reader := kafkaClient(t, brokers, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
			for range 2 {
				r := nextRecord(t, reader)
				if r.Partition != keyPartition(r.Key, 4) || !r.Timestamp.Equal(at) {
					t.Errorf("%s in partition %d at %v", r.Key, r.Partition, r.Timestamp)
				}
				switch string(r.Key) {
				case "a":
					if !bytes.Equal(r.Value, big) || len(r.Headers) != 2 || r.Headers[0].Key != "h" ||
						string(r.Headers[0].Value) != "1" || r.Headers[1].Value != nil {
						t.Errorf("%d bytes, headers %v", len(r.Value), r.Headers)
					}
				case "key":
					if r.Value == nil || len(r.Value) != 0 {
						t.Errorf("an empty value came as %v", r.Value)
					}
				default:
					t.Errorf("key %q", r.Key)
				}
			}

			topic = create(t, c, 1)
			writer := kafkaClient(t, brokers, kgo.ProducerBatchCompression(theirs), kgo.TransactionalID(topic))
			for i, commit := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit} {
				must(t, "BeginTransaction", writer.BeginTransaction())
				results := writer.ProduceSync(t.Context(),
					&kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "%d", i), Value: big, Timestamp: at, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}}},
					&kgo.Record{Topic: topic, Value: nil, Timestamp: at})
				must(t, "ProduceSync", results.FirstErr())
				must(t, "EndTransaction", writer.EndTransaction(t.Context(), commit))
			}
			got, err := c.NewFetcher(FetcherConfig{Topic: topic}).Fetch(t.Context(), PartitionOffset{})
			must(t, "Fetch", err)
			defer got.Release()
			part := got.Partitions[0]
			if len(part.Records) != 2 || part.Next != part.Stable {
				t.Fatalf("%d records, next %d of %d", len(part.Records), part.Next, part.Stable)
			}
			r := part.Records[0]
			if string(r.Key) != "1" || !bytes.Equal(r.Value, big) || !r.Time.Equal(at) || len(r.Headers) != 1 || r.Headers[0].Key != "h" {
				t.Errorf("key %q, %d bytes, %v, %v", r.Key, len(r.Value), r.Time, r.Headers)
			}
			if part.Records[1].Key != nil || part.Records[1].Value != nil {
				t.Error("null came as empty")
			}
		})
	}
}

func kafkaClient(t *testing.T, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(brokers...))...)
	must(t, "NewClient", err)
	t.Cleanup(client.Close)
	return client
}

func nextRecord(t *testing.T, client *kgo.Client) *kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	fetches := client.PollRecords(ctx, 1)
	must(t, "PollRecords", fetches.Err())
	return fetches.Records()[0]
}
