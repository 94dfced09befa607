package embedded

import (
	"errors"
	"fmt"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
)

// A reader that asks for less than there is, is given nothing of what was
// aborted: neither in the partition in which the answer ends nor in another.
func TestSmallFetchesShowNothingAborted(t *testing.T) {
	t.Parallel()
	_, c := startKafka(t, t.TempDir())
	if err := c.CreateTopics(t.Context(), kafkalog.Topic{Name: "t", Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	p, err := c.NewProducer(t.Context(), kafkalog.ProducerConfig{TransactionalID: "one", BatchBytes: 1 << 10, Compression: "none"})
	if err != nil {
		t.Fatal(err)
	}
	for _, commit := range []bool{false, true} {
		var records []kafkalog.Record
		for n := range 400 {
			records = append(records, kafkalog.Record{Topic: "t", Partition: int32(n % 2), Value: fmt.Appendf(nil, "%v", commit)})
		}
		end := p.Abort
		if commit {
			end = p.Commit
		}
		if err := errors.Join(p.Begin(), p.Send(t.Context(), records), end(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	f := c.NewFetcher(kafkalog.FetcherConfig{Topic: "t", MaxBytes: 4 << 10, MaxWait: -1})
	at := []kafkalog.PartitionOffset{{Partition: 0}, {Partition: 1}}
	n := 0
	for moved := true; moved; {
		got, err := f.Fetch(t.Context(), at...)
		if err != nil {
			t.Fatal(err)
		}
		moved = false
		for i := range got.Partitions {
			moved = moved || got.Partitions[i].Next > at[i].Offset
			at[i].Offset = got.Partitions[i].Next
			for _, r := range got.Partitions[i].Records {
				n++
				if string(r.Value) != "true" {
					t.Fatalf("an aborted record at %d/%d", i, r.Offset)
				}
			}
		}
		got.Release()
	}
	if n != 400 {
		t.Errorf("%d records were read, want 400", n)
	}
}
