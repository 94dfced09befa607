package kafkalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Eight readers of one hot partition cost what one costs, or very little more,
// and each is given every record.
func TestTailIsShared(t *testing.T) {
	t.Parallel()
	asked := map[int]int64{}
	for _, readers := range []int{1, 8} {
		cluster := startCluster(t)
		c := open(t, cluster.ListenAddrs())
		topic := create(t, c, 1)
		p := producer(t, c, ProducerConfig{})
		requests := counting(cluster, kmsg.Fetch)
		tail := c.NewTail(TailConfig{MaxWait: 5 * time.Second})
		const batches, each = 40, 25
		// Every reader has a batch before the next one is written: the tail is hot.
		var all sync.WaitGroup
		behind := make(chan struct{}, readers)
		for range readers {
			all.Go(func() {
				next := int64(0)
				for n := range batches {
					if err := readBatch(tail, topic, &next, n, each); err != nil {
						t.Error(err)
						return
					}
					behind <- struct{}{}
				}
			})
		}
		for n := range batches {
			mustSend(t, p, numbered(topic, 0, n*each, (n+1)*each))
			for range readers {
				select {
				case <-behind:
				case <-time.After(30 * time.Second):
					t.Fatalf("the readers do not get batch %d", n)
				}
			}
		}
		all.Wait()
		tail.Close()
		asked[readers] = requests.Load()
	}
	if asked[8] > asked[1]+asked[1]/4 {
		t.Errorf("8 readers cost %d fetches, one costs %d", asked[8], asked[1])
	}
	t.Logf("1 reader: %d fetches; 8 readers: %d", asked[1], asked[8])
}

// readBatch reads until it has one batch whole.
func readBatch(tail *Tail, topic string, next *int64, batch, each int) error {
	for n := 0; n < each; {
		got, err := tail.Fetch(context.Background(), topic, PartitionOffset{0, *next})
		if err != nil {
			return err
		}
		for i, r := range got.Partitions[0].Records {
			if want := fmt.Sprintf("v%d", batch*each+n+i); string(r.Value) != want {
				return fmt.Errorf("%q at %d, want %s", r.Value, r.Offset, want)
			}
		}
		n += len(got.Partitions[0].Records)
		*next = got.Partitions[0].Next
		got.Release()
	}
	return nil
}

// What one reader has released is still there for another; after the last one
// and the tail itself it is reused, which poison shows.
func TestTailLeases(t *testing.T) {
	t.Parallel()
	c := open(t, startCluster(t).ListenAddrs())
	topic := create(t, c, 1)
	value := bytes.Repeat([]byte("value"), 100_000) // large, so that it is not copied
	mustSend(t, producer(t, c, ProducerConfig{Compression: "none"}), []Record{
		{Topic: topic, Value: value}, {Topic: topic, Value: []byte("second"), Headers: []Header{{"h", []byte("1")}}},
	})
	tail := c.NewTail(TailConfig{})
	a, err := tail.Fetch(t.Context(), topic, PartitionOffset{})
	must(t, "Fetch", err)
	b, err := tail.Fetch(t.Context(), topic, PartitionOffset{})
	must(t, "Fetch", err)
	second, err := tail.Fetch(t.Context(), topic, PartitionOffset{0, 1})
	must(t, "Fetch", err)
	if r := second.Partitions[0].Records; len(r) != 1 || string(r[0].Value) != "second" || second.Partitions[0].Next != 2 {
		t.Errorf("from the middle: %d records, next %d", len(r), second.Partitions[0].Next)
	}
	second.Release()
	kept := b.Partitions[0].Records[0].Value
	if &kept[0] != &a.Partitions[0].Records[0].Value[0] {
		t.Error("two readers have a copy each")
	}
	a.Release()
	a.Release() // the second does nothing
	if !bytes.Equal(kept, value) {
		t.Error("a record changed because another reader released it")
	}
	tail.Close()
	if !bytes.Equal(kept, value) {
		t.Error("a record changed because the tail was closed")
	}
	b.Release()
	if !bytes.Equal(kept, bytes.Repeat([]byte{poison}, len(kept))) {
		t.Error("what everybody released is not reused")
	}
	if _, err := tail.Fetch(t.Context(), topic, PartitionOffset{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Fetch after Close: %v", err)
	}
}

// What is kept is bounded in bytes and in time, and what is gone is fetched.
func TestTailForgets(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{Compression: "none"})
	for n := range 10 {
		mustSend(t, p, []Record{{Topic: topic, Key: fmt.Appendf(nil, "%d", n), Value: make([]byte, 100_000), Headers: []Header{{"n", nil}}}})
	}
	var clock struct {
		sync.Mutex
		now time.Time
	}
	clock.now = time.Now()
	c.now = func() time.Time { clock.Lock(); defer clock.Unlock(); return clock.now }
	tail := c.NewTail(TailConfig{FetchBytes: 150_000, Bytes: 400_000})
	defer tail.Close()
	requests := counting(cluster, kmsg.Fetch)
	read := func(from, to int64) {
		err := tail.ReadRange(t.Context(), topic, 0, from, to, func(r FetchedRecord) error {
			if want := fmt.Sprintf("%d", r.Offset); string(r.Key) != want {
				return fmt.Errorf("%q at %d", r.Key, r.Offset)
			}
			return nil
		})
		must(t, "ReadRange", err)
	}
	read(0, 10)
	if tail.held > 400_000 {
		t.Errorf("%d bytes are kept", tail.held)
	}
	before := requests.Load()
	read(9, 10)
	if n := requests.Load() - before; n != 0 {
		t.Errorf("what was read just now cost %d fetches", n)
	}
	read(0, 1)
	if n := requests.Load() - before; n == 0 {
		t.Error("what was dropped is still there")
	}
	clock.Lock()
	clock.now = clock.now.Add(time.Hour)
	clock.Unlock()
	before = requests.Load()
	read(0, 1)
	if n := requests.Load() - before; n == 0 {
		t.Error("what is an hour old was given as new")
	}
}

// One reader that gives up takes nothing from the others.
func TestTailGivesUp(t *testing.T) {
	t.Parallel()
	c := open(t, startCluster(t).ListenAddrs())
	topic := create(t, c, 1)
	tail := c.NewTail(TailConfig{MaxWait: 20 * time.Second})
	defer tail.Close()
	patient := make(chan string, 1)
	go func() {
		got, err := tail.Fetch(context.Background(), topic, PartitionOffset{})
		if err != nil {
			patient <- err.Error()
			return
		}
		patient <- fmt.Sprint(len(got.Partitions[0].Records))
		got.Release()
	}()
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	got, err := tail.Fetch(soon, topic, PartitionOffset{})
	must(t, "Fetch with little time", err)
	if part := got.Partitions[0]; len(part.Records) != 0 || part.Next != 0 || part.Stable != -1 {
		t.Errorf("%+v", part)
	}
	got.Release()
	gone, cancelGone := context.WithCancel(t.Context())
	cancelGone()
	if _, err := tail.Fetch(gone, topic, PartitionOffset{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Fetch of a caller that is gone: %v", err)
	}
	mustSend(t, producer(t, c, ProducerConfig{}), numbered(topic, 0, 0, 3))
	if n := <-patient; n != "3" {
		t.Errorf("the patient reader got %s", n)
	}
	if _, err := tail.Fetch(t.Context(), topic, PartitionOffset{0, 99}); err == nil {
		t.Error("an offset beyond the end was accepted")
	}
	if _, err := tail.Fetch(t.Context(), topic, PartitionOffset{0, -1}); err == nil {
		t.Error("an offset below zero was accepted")
	}
}

// A reader that stands still holds what it was given, and nothing is set aside
// for it: others read fifteen times the tail's bound meanwhile.
func TestStalledReader(t *testing.T) {
	const bound = 2 << 20
	cluster := startCluster(t, kfake.SyntheticFetch(kfake.SyntheticBatch{Records: 1000, RecordBytes: 1000}))
	c := open(t, cluster.ListenAddrs())
	c.buffers.poison = false
	topic := create(t, c, 1)
	tail := c.NewTail(TailConfig{FetchBytes: 256 << 10, Bytes: bound})
	defer tail.Close()
	stalled, err := tail.Fetch(t.Context(), topic, PartitionOffset{})
	must(t, "Fetch", err)
	kept := bytes.Clone(stalled.Partitions[0].Records[0].Value)
	held := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most, read := held(), uint64(0), 0
	for next := int64(0); read < 15*bound; {
		got, err := tail.Fetch(t.Context(), topic, PartitionOffset{0, next})
		must(t, "Fetch", err)
		next = got.Partitions[0].Next
		read += 1000 * len(got.Partitions[0].Records)
		got.Release()
		if next%10_000 == 0 {
			most = max(most, held())
		}
	}
	if most > before+4*bound {
		t.Errorf("%d MiB are held, %d before %d MiB were read", most>>20, before>>20, read>>20)
	}
	if !bytes.Equal(stalled.Partitions[0].Records[0].Value, kept) {
		t.Error("what the stalled reader was given has changed")
	}
	stalled.Release()
}
