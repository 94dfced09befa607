package kafkalog

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// sample makes records of about 500 bytes with the headers of the product.
func sample(topic string, n int) []Record {
	records := make([]Record, n)
	for i := range records {
		records[i] = Record{
			Topic: topic, Key: fmt.Appendf(nil, "%032d", i*7919), Time: time.UnixMilli(1_767_225_600_000 + int64(i)),
			Value: fmt.Appendf(nil, "%08d %s", i, strings.Repeat("4.20 5.10 6.00 ", 24)),
			Headers: []Header{
				{"hub-product", []byte("price_quote")},
				{"hub-event-id", fmt.Appendf(nil, "%032x", i)},
				{"hub-version", []byte("1")},
			},
		}
	}
	return records
}

func BenchmarkEncode(b *testing.B) {
	records := sample("t", 1000)
	c := newCodecs()
	for with, name := range map[codec]string{codecNone: "none", codecZstd: "zstd", codecLZ4: "lz4", codecSnappy: "snappy"} {
		b.Run(name, func(b *testing.B) {
			var e encoder
			var plain, packed []byte
			b.ReportAllocs()
			for b.Loop() {
				e.reset(plain, 0)
				for i := range records {
					adding(&e, &records[i], records[i].Time.UnixMilli())
				}
				sealed, spare, err := e.seal(c, with, packed, identity{1, 1}, 0, true)
				if err != nil {
					b.Fatal(err)
				}
				plain, packed = sealed, spare
			}
			perRecord(b, len(records))
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	records := sample("t", 1000)
	pools, c := new(buffers), newCodecs()
	for with, name := range map[codec]string{codecNone: "none", codecZstd: "zstd", codecLZ4: "lz4", codecSnappy: "snappy"} {
		set := built{codec: with, records: records}.bytes(b)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l := pools.lease()
				d := decoder{codecs: c, buffers: pools, lease: l, committed: true, byteBudget: math.MaxInt, recordBudget: math.MaxInt}
				var part FetchedPartition
				if err := d.decode(&part, set, 0); err != nil || len(part.Records) != len(records) {
					b.Fatal(len(part.Records), err)
				}
				pools.release(l)
			}
			perRecord(b, len(records))
		})
	}
}

func perRecord(b *testing.B, records int) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*records), "ns/record")
}

// BenchmarkSend is whole: records to acknowledged, against a broker that
// stores nothing (its own work is in the numbers, too).
func BenchmarkSend(b *testing.B) {
	for _, compression := range []string{"none", "zstd"} {
		b.Run(compression, func(b *testing.B) {
			c := open(b, startCluster(b, kfake.BlackholeProduce()).ListenAddrs())
			c.buffers.poison = false
			p := producer(b, c, ProducerConfig{Compression: compression})
			records := sample(create(b, c, 1), 1000)
			b.ReportAllocs()
			for b.Loop() {
				for i := range records {
					records[i].Partition = 0
				}
				mustSend(b, p, records)
			}
			perRecord(b, len(records))
		})
	}
}

// BenchmarkFetch is whole, too, against a broker that sends one batch again
// and again.
func BenchmarkFetch(b *testing.B) {
	for with, name := range map[codec]string{codecNone: "none", codecZstd: "zstd"} {
		b.Run(name, func(b *testing.B) {
			set := built{codec: with, records: sample("t", 1000)}.bytes(b)
			c := open(b, startCluster(b, kfake.SyntheticFetch(kfake.SyntheticBatch{Batch: set})).ListenAddrs())
			c.buffers.poison = false
			f := c.NewFetcher(FetcherConfig{Topic: create(b, c, 1), MaxBytes: 4 << 20})
			next, n := int64(0), 0
			b.ReportAllocs()
			for b.Loop() {
				got, err := f.Fetch(b.Context(), PartitionOffset{0, next})
				if err != nil {
					b.Fatal(err)
				}
				next = got.Partitions[0].Next
				n += len(got.Partitions[0].Records)
				got.Release()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
			b.ReportMetric(float64(n)/float64(b.N), "records/op")
		})
	}
}

// BenchmarkWriter is kafka-go's Writer doing what BenchmarkSend does.
func BenchmarkWriter(b *testing.B) {
	for compression, with := range map[string]kafka.Compression{"none": 0, "zstd": kafka.Zstd} {
		b.Run(compression, func(b *testing.B) {
			brokers := startCluster(b, kfake.BlackholeProduce()).ListenAddrs()
			records := sample(create(b, open(b, brokers), 1), 1000)
			w := &kafka.Writer{
				Addr: kafka.TCP(brokers...), Topic: records[0].Topic, RequiredAcks: kafka.RequireAll,
				BatchSize: 1000, BatchTimeout: 2 * time.Millisecond, Compression: with,
			}
			b.Cleanup(func() { _ = w.Close() })
			messages := make([]kafka.Message, len(records))
			b.ReportAllocs()
			for b.Loop() {
				for i := range messages {
					headers := make([]kafka.Header, len(records[i].Headers))
					for h := range headers {
						headers[h] = kafka.Header(records[i].Headers[h])
					}
					messages[i] = kafka.Message{Key: records[i].Key, Value: records[i].Value, Time: records[i].Time, Headers: headers}
				}
				if err := w.WriteMessages(b.Context(), messages...); err != nil {
					b.Fatal(err)
				}
			}
			perRecord(b, len(records))
		})
	}
}
