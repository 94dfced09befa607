package kafkalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// script answers fetches of one partition from a log that the test lays out,
// as a broker does: from the batch that holds the offset on, or from the next.
type script struct {
	batches [][]byte
	start   int64
	stable  int64
	aborted []aborted
}

func (s *script) serve(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		in := req.(*kmsg.FetchRequest)
		out := in.ResponseKind().(*kmsg.FetchResponse)
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic = in.Topics[0].Topic
		for _, place := range in.Topics[0].Partitions {
			part := kmsg.NewFetchResponseTopicPartition()
			part.Partition = place.Partition
			part.HighWatermark, part.LastStableOffset, part.LogStartOffset = s.stable, s.stable, s.start
			part.RecordBatches = []byte{}
			for _, b := range s.batches {
				if h, whole, err := parseHeader(b); err != nil || !whole || h.last() >= place.FetchOffset {
					part.RecordBatches = append(part.RecordBatches, b...)
				}
			}
			for _, a := range s.aborted {
				entry := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
				entry.ProducerID, entry.FirstOffset = a.producer, a.first
				part.AbortedTransactions = append(part.AbortedTransactions, entry)
			}
			topic.Partitions = append(topic.Partitions, part)
		}
		out.Topics = append(out.Topics, topic)
		return out, nil, true
	})
}

// Tails at which kafka-go's Reader delivers a record again and again, or none
// any more: a range read gets past each of them.
func TestReadRangeReachesTheEnd(t *testing.T) {
	t.Parallel()
	first := built{records: values(3)}.bytes(t)
	aborted0 := built{base: 3, producer: 9, attributes: attrTransactional, records: values(4)}.bytes(t)
	for name, log := range map[string]script{
		"empty batch at the tail":      {batches: [][]byte{first, built{base: 3, lastDelta: 5}.bytes(t)}, stable: 9},
		"control batch at the tail":    {batches: [][]byte{first, marker(t, 3, 9, 1)}, stable: 4},
		"aborted records at the tail":  {batches: [][]byte{first, aborted0, marker(t, 7, 9, 0)}, stable: 8, aborted: []aborted{{9, 3}}},
		"hole at the tail":             {batches: [][]byte{first}, stable: 20},
		"hole in the tail's batch":     {batches: [][]byte{built{records: values(3), lastDelta: 7}.bytes(t)}, stable: 11},
		"hole, empty batch, hole":      {batches: [][]byte{first, built{base: 10, lastDelta: 2}.bytes(t)}, stable: 99},
		"marker, then hole":            {batches: [][]byte{first, marker(t, 5, 9, 0)}, stable: 30},
		"batch cut off in each answer": {batches: [][]byte{first, built{base: 3, records: values(1)}.bytes(t), {1, 2, 3}}, stable: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := startCluster(t)
			c := open(t, cluster.ListenAddrs())
			topic := create(t, c, 1)
			log.serve(cluster)
			want := []int64{0, 1, 2}
			if name == "batch cut off in each answer" {
				want = append(want, 3)
			}
			// To the end, and to every place before it.
			for to := int64(0); to <= log.stable; to++ {
				var got []int64
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				err := c.ReadRange(ctx, topic, 0, 0, to, func(r FetchedRecord) error {
					got = append(got, r.Offset)
					return nil
				})
				cancel()
				if err != nil || !slices.Equal(got, want[:min(int(to), len(want))]) {
					t.Fatalf("up to %d: %v, %v", to, got, err)
				}
			}
		})
	}
}

func TestReadRangeGivesUp(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs(), timeout(300*time.Millisecond))
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{TransactionalID: "id"})
	must(t, "Begin", p.Begin())
	mustSend(t, p, numbered(topic, 0, 0, 3))
	read := func(FetchedRecord) error { return nil }
	if err := c.ReadRange(t.Context(), topic, 0, 0, 3, read); !errors.Is(err, ErrUnavailable) {
		t.Errorf("behind an open transaction: %v", err)
	}
	must(t, "Commit", p.Commit(t.Context()))
	stop := errors.New("stop")
	n := 0
	err := c.ReadRange(t.Context(), topic, 0, 0, 3, func(FetchedRecord) error {
		n++
		return stop
	})
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("fn's error: %v after %d records", err, n)
	}
}

// One partition with data fills the answer; another, with data too, gets no
// room in it. That is not a hole.
func TestNoRoomIsNoHole(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 2)
	p := producer(t, c, ProducerConfig{Compression: "none"})
	for i := range 4 {
		for partition := range int32(2) {
			records := numbered(topic, partition, i, i+1)
			records[0].Value = bytes.Repeat([]byte{byte(i)}, 3000)
			mustSend(t, p, records)
		}
	}
	f := c.NewFetcher(FetcherConfig{Topic: topic, MaxBytes: 4000, MaxWait: -1})
	next := []PartitionOffset{{0, 0}, {1, 0}}
	seen := map[int32]int{}
	for range 20 {
		got, err := f.Fetch(t.Context(), next...)
		must(t, "Fetch", err)
		for i, part := range got.Partitions {
			seen[part.Partition] += len(part.Records)
			next[i].Offset = part.Next
		}
		got.Release()
	}
	if seen[0] != 4 || seen[1] != 4 {
		t.Errorf("%v records were delivered, want 4 of each partition", seen)
	}
}

func TestFetchCorrupt(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	log := script{batches: [][]byte{built{records: values(2)}.bytes(t), corrupt(built{base: 2, records: values(2)}.bytes(t))}, stable: 4}
	log.serve(cluster)
	f := c.NewFetcher(FetcherConfig{Topic: topic})
	got, err := f.Fetch(t.Context(), PartitionOffset{0, 0})
	must(t, "Fetch of what lies before", err)
	if len(got.Partitions[0].Records) != 2 || got.Partitions[0].Next != 2 {
		t.Errorf("%+v", got.Partitions)
	}
	got.Release()
	began := time.Now()
	if _, err := f.Fetch(t.Context(), PartitionOffset{0, 2}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Fetch: %v", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it was repeated for %v", took)
	}
}

func TestFetchErrors(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs(), timeout(500*time.Millisecond))
	for name, test := range map[string]struct {
		err   *kerr.Error
		count int
		want  error
	}{
		"passes":         {kerr.OffsetNotAvailable, 2, nil},
		"leader changes": {kerr.FencedLeaderEpoch, 2, nil},
		"stays":          {kerr.KafkaStorageError, -1, ErrUnavailable},
		"not authorised": {kerr.TopicAuthorizationFailed, -1, ErrNotAuthorised},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic := create(t, c, 1)
			mustSend(t, producer(t, c, ProducerConfig{}), numbered(topic, 0, 0, 1))
			defer cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: topic, Err: test.err, Count: test.count}).Remove()
			got, err := c.NewFetcher(FetcherConfig{Topic: topic, MaxWait: -1}).Fetch(t.Context(), PartitionOffset{})
			if !errors.Is(err, test.want) {
				t.Fatalf("Fetch: %v", err)
			}
			if err == nil {
				if len(got.Partitions[0].Records) != 1 {
					t.Errorf("%+v", got.Partitions)
				}
				got.Release()
			}
		})
	}
	f := c.NewFetcher(FetcherConfig{Topic: create(t, c, 1)})
	for _, from := range [][]PartitionOffset{nil, {{0, -1}}, {{-1, 0}}, {{0, 0}, {0, 1}}} {
		if _, err := f.Fetch(t.Context(), from...); err == nil {
			t.Errorf("Fetch of %v succeeded", from)
		}
	}
}

// Deletion of what was not read yet.
func TestFetchExpired(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{})
	for i := range 10 {
		mustSend(t, p, numbered(topic, 0, i, i+1))
	}
	must(t, "DeleteRecords", cluster.DeleteRecords(topic, 0, 6))
	_, err := c.NewFetcher(FetcherConfig{Topic: topic}).Fetch(t.Context(), PartitionOffset{0, 2})
	var outside *RangeError
	if !errors.As(err, &outside) || *outside != (RangeError{topic, 0, 2, 6, 10}) {
		t.Errorf("Fetch: %v", err)
	}
	same(t, stored(t, c, topic, 0), span(6, 10))
}

// A log with everything in it, compacted by the broker: what a reader is given
// is what a reader before the compaction was given, less what was superseded.
func TestReadCompacted(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := "compacted"
	must(t, "CreateTopics", c.CreateTopics(t.Context(), Topic{Name: topic, Partitions: 1, Config: map[string]string{"cleanup.policy": "compact"}}))
	p := producer(t, c, ProducerConfig{TransactionalID: "id"})
	rng := rand.New(rand.NewPCG(1, 2))
	want := map[string]string{}
	for i := range 60 {
		must(t, "Begin", p.Begin())
		records := numbered(topic, 0, 0, 1+rng.IntN(8))
		for n := range records {
			records[n].Key = fmt.Appendf(nil, "k%d", rng.IntN(10))
			records[n].Value = fmt.Appendf(nil, "%d.%d", i, n)
		}
		mustSend(t, p, records)
		if rng.IntN(3) == 0 {
			must(t, "Abort", p.Abort(t.Context()))
			continue
		}
		must(t, "Commit", p.Commit(t.Context()))
		for _, r := range records {
			want[string(r.Key)] = string(r.Value)
		}
	}
	for round := range 2 {
		got := map[string]string{}
		ends, err := c.Offsets(t.Context(), topic)
		must(t, "Offsets", err)
		n := 0
		err = c.ReadRange(t.Context(), topic, 0, ends[0].Start, ends[0].Stable, func(r FetchedRecord) error {
			got[string(r.Key)] = string(r.Value)
			n++
			return nil
		})
		must(t, "ReadRange", err)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("round %d: %v, want %v", round, got, want)
		}
		if round == 1 && n > 20 {
			t.Errorf("%d records: it was not compacted", n)
		}
		cluster.Compact()
	}
}

// What unpacks to very much is read in parts, and all of it is read.
func TestFetchAdapts(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{})
	for i := range 60 {
		records := numbered(topic, 0, i*10, i*10+10)
		for n := range records {
			records[n].Key = nil
			records[n].Value = append(bytes.Repeat([]byte("0"), 4000), records[n].Value...)
		}
		mustSend(t, p, records)
	}
	f := c.NewFetcher(FetcherConfig{Topic: topic, MaxBytes: 16 << 10, MaxWait: -1})
	next, n, most := int64(0), 0, 0
	for next < 600 {
		got, err := f.Fetch(t.Context(), PartitionOffset{0, next})
		must(t, "Fetch", err)
		size := 0
		for _, r := range got.Partitions[0].Records {
			if want := fmt.Sprintf("v%d", n); string(r.Value[4000:]) != want {
				t.Fatalf("record %d is %q", n, r.Value[4000:])
			}
			n++
			size += len(r.Value)
		}
		most = max(most, size)
		next = got.Partitions[0].Next
		got.Release()
	}
	if n != 600 || most > unpackFactor*(16<<10)+41_000 {
		t.Errorf("%d records, at most %d bytes at a time", n, most)
	}
	if asked := f.bytes.Load(); asked >= 16<<10 {
		t.Errorf("it still asks for %d bytes", asked)
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{})
	for _, compression := range []string{"none", "zstd"} {
		records := []Record{{Topic: topic, Value: bytes.Repeat([]byte("value"), 50), Headers: []Header{{"name", []byte("header")}}}}
		p.codec, _ = codecOf(compression)
		mustSend(t, p, records)
		got, err := c.NewFetcher(FetcherConfig{Topic: topic}).Fetch(t.Context(), PartitionOffset{0, records[0].Offset})
		must(t, "Fetch", err)
		kept := got.Partitions[0].Records[0]
		value, header, name := kept.Value, kept.Headers[0].Value, kept.Headers[0].Key
		got.Release()
		if !bytes.Equal(value, bytes.Repeat([]byte{poison}, len(value))) || header[0] != poison {
			t.Errorf("%s: what was released is still %q", compression, value)
		}
		if name != "name" {
			t.Errorf("the name of a header changed to %q", name)
		}
		if got.Partitions != nil {
			t.Error("partitions can be reached after Release")
		}
		got.Release()
	}
}

func TestFetchConcurrently(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{})
	for i := range 50 {
		mustSend(t, p, numbered(topic, 0, i*20, i*20+20))
	}
	f := c.NewFetcher(FetcherConfig{Topic: topic, MaxBytes: 5000})
	var all sync.WaitGroup
	for reader := range 8 {
		all.Go(func() {
			next := int64(reader * 100)
			for next < 1000 {
				got, err := f.Fetch(t.Context(), PartitionOffset{0, next})
				if err != nil {
					t.Errorf("Fetch: %v", err)
					return
				}
				for _, r := range got.Partitions[0].Records {
					if string(r.Value) != fmt.Sprintf("v%d", r.Offset) {
						t.Errorf("offset %d holds %q", r.Offset, r.Value)
					}
				}
				next = got.Partitions[0].Next
				got.Release()
			}
		})
	}
	all.Wait()
}

func TestFetcherLimits(t *testing.T) {
	t.Parallel()
	c := newClient(Config{Brokers: []string{"127.0.0.1:1"}})
	for given, want := range map[int]int{0: defaultFetchBytes, -1: defaultFetchBytes, 1: leastFetchBytes, math.MaxInt: mostFetchBytes} {
		if f := c.NewFetcher(FetcherConfig{MaxBytes: given}); f.config.MaxBytes != want {
			t.Errorf("MaxBytes %d became %d, want %d", given, f.config.MaxBytes, want)
		}
	}
}

// A reader alone finds the new leader.
func TestFetchFollowsLeader(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t, kfake.NumBrokers(3))
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	mustSend(t, producer(t, c, ProducerConfig{}), numbered(topic, 0, 0, 3))
	for node := range int32(3) {
		must(t, "MoveTopicPartition", cluster.MoveTopicPartition(topic, 0, node))
		began := time.Now()
		same(t, stored(t, c, topic, 0), span(0, 3))
		got, err := c.NewFetcher(FetcherConfig{Topic: topic}).Fetch(t.Context(), PartitionOffset{})
		must(t, "Fetch", err)
		got.Release()
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		// Found by the fetch itself, not by asking for offsets.
		must(t, "MoveTopicPartition", cluster.MoveTopicPartition(topic, 0, (node+1)%3))
		got, err = c.NewFetcher(FetcherConfig{Topic: topic}).Fetch(t.Context(), PartitionOffset{})
		must(t, "Fetch after the move", err)
		got.Release()
	}
}

// A partition with much to read does not keep the others waiting.
func TestFetchIsFair(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 3)
	p := producer(t, c, ProducerConfig{Compression: "none"})
	for i := range 30 {
		for partition := range int32(3) {
			records := numbered(topic, partition, i, i+1)
			records[0].Value = make([]byte, 3000)
			mustSend(t, p, records)
		}
	}
	f := c.NewFetcher(FetcherConfig{Topic: topic, MaxBytes: 4000, MaxWait: -1})
	next := []PartitionOffset{{0, 0}, {1, 0}, {2, 0}}
	for range 15 {
		got, err := f.Fetch(t.Context(), next...)
		must(t, "Fetch", err)
		for i, part := range got.Partitions {
			if part.Partition != int32(i) {
				t.Fatalf("partition %d in place %d", part.Partition, i)
			}
			next[i].Offset = part.Next
		}
		got.Release()
	}
	for _, at := range next {
		if at.Offset < 4 || at.Offset > 6 {
			t.Errorf("partition %d came to %d of about 5", at.Partition, at.Offset)
		}
	}
}

// A context that ends before MaxWait gives nothing, not an error.
func TestFetchWithinContext(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	got, err := c.NewFetcher(FetcherConfig{Topic: topic, MaxWait: time.Minute}).Fetch(ctx, PartitionOffset{})
	must(t, "Fetch", err)
	if len(got.Partitions[0].Records) != 0 || got.Partitions[0].Next != 0 {
		t.Errorf("%+v", got.Partitions)
	}
	got.Release()
}
