//go:build live

package kafkalog

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/kafkatest"
)

// Kafka's own cleaner leaves holes between batches and at their heads and
// tails, and empty batches of producers that are still known: whatever it
// leaves, every reader from every offset reaches the end and is given the
// latest value of each key, and nothing that was aborted.
func TestLiveCompaction(t *testing.T) {
	c := open(t, kafkatest.Start(t, kafkatest.Options{}).Brokers, timeout(15*time.Second))
	topic := "cleaned"
	must(t, "CreateTopics", c.CreateTopics(t.Context(), Topic{Name: topic, Partitions: 1, Config: map[string]string{
		"cleanup.policy": "compact", "segment.bytes": "1048576", "segment.ms": "200", "min.cleanable.dirty.ratio": "0.001",
		"max.compaction.lag.ms": "200", "delete.retention.ms": "0",
	}}))
	want := writeToClean(t, c, topic)
	plain := producer(t, c, ProducerConfig{})
	empty := 0
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(300 * time.Millisecond) {
		// A record of another key closes the segment: the last one is not cleaned.
		mustSend(t, plain, []Record{{Topic: topic, Key: []byte("roll"), Value: []byte("roll")}})
		want["roll"] = "roll"
		if empty = emptyBatches(t, c, topic); empty > 0 && len(stored(t, c, topic, 0)) < writtenToClean/4 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("of %d records, %d are left, with %d empty batches: the cleaner did not run", writtenToClean, len(stored(t, c, topic, 0)), empty)
		}
	}
	ends, err := c.Offsets(t.Context(), topic)
	must(t, "Offsets", err)
	t.Logf("of %d records the cleaner left %d, with %d empty batches, in %d offsets", writtenToClean, len(stored(t, c, topic, 0)), empty, ends[0].End)
	got, last := map[string]string{}, map[string]int64{}
	read := func(from int64) {
		clear(got)
		clear(last)
		must(t, fmt.Sprintf("ReadRange from %d", from), c.ReadRange(t.Context(), topic, 0, from, ends[0].Stable, func(r FetchedRecord) error {
			got[string(r.Key)], last[string(r.Key)] = string(r.Value), r.Offset
			return nil
		}))
	}
	read(0)
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	whole := maps.Clone(last)
	for from := int64(1); from < ends[0].Stable; from += 1 + ends[0].Stable/200 {
		read(from)
		for key, offset := range whole {
			if _, there := last[key]; there != (offset >= from) {
				t.Fatalf("from %d: %q, whose last record is at %d: there %v", from, key, offset, there)
			}
		}
	}
}

// writtenToClean is how many records writeToClean writes, about a third of
// them in transactions.
const writtenToClean = 7 + 40*3*20

// writeToClean writes the same few keys again and again, in transactions of
// which some are aborted, beside a producer without, and returns what stands.
func writeToClean(t *testing.T, c *Client, topic string) map[string]string {
	t.Helper()
	want := map[string]string{}
	plain, p := producer(t, c, ProducerConfig{}), producer(t, c, ProducerConfig{TransactionalID: topic})
	// All of what this one writes is superseded: a batch of it stays, empty.
	early := producer(t, c, ProducerConfig{})
	for n := range 7 {
		mustSend(t, early, []Record{{Topic: topic, Key: fmt.Appendf(nil, "plain %d", n), Value: []byte("early")}})
	}
	for i := range 40 {
		for _, codec := range []string{"none", "zstd"} {
			plain.codec, _ = codecOf(codec)
			records := numbered(topic, 0, 0, 20)
			for n := range records {
				records[n].Key, records[n].Value = fmt.Appendf(nil, "plain %d", n%7), fmt.Appendf(nil, "%d.%d.%s", i, n, codec)
				want[string(records[n].Key)] = string(records[n].Value)
			}
			mustSend(t, plain, records)
		}
		must(t, "Begin", p.Begin())
		records := numbered(topic, 0, 0, 20)
		for n := range records {
			records[n].Key, records[n].Value = fmt.Appendf(nil, "txn %d", n%7), fmt.Appendf(nil, "%d.%d", i, n)
		}
		mustSend(t, p, records)
		if i%3 == 2 {
			must(t, "Abort", p.Abort(t.Context()))
			continue
		}
		must(t, "Commit", p.Commit(t.Context()))
		for _, r := range records {
			want[string(r.Key)] = string(r.Value)
		}
	}
	waitStable(t, c, topic)
	return want
}

// emptyBatches counts the batches of a partition that have lost all records
// and are no transaction's marker.
func emptyBatches(t *testing.T, c *Client, topic string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	node, err := c.cluster.leader(ctx, topicPartition{topic, 0})
	must(t, "leader", err)
	frame := new(buffer)
	answer := c.NewFetcher(FetcherConfig{Topic: topic, Uncommitted: true}).ask(ctx, node, []PartitionOffset{{}}, 0, frame)
	must(t, "fetch", answer.err)
	n := 0
	for set := answer.parts[0].records; len(set) > 0; {
		h, whole, err := parseHeader(set)
		must(t, "parseHeader", err)
		if !whole {
			break
		}
		if h.count == 0 && !h.is(attrControl) {
			n++
		}
		set = set[h.size:]
	}
	return n
}
