package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
)

// killed copies a broker's directory as a kill at this instant would leave it.
func killed(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "killed")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func startKafka(t *testing.T, dir string) (*Kafka, *kafkalog.Client) {
	t.Helper()
	k, err := StartKafka(KafkaOptions{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	c, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: []string{k.Address()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return k, c
}

func transactional(t *testing.T, c *kafkalog.Client) *kafkalog.Producer {
	t.Helper()
	p, err := c.NewProducer(t.Context(), kafkalog.ProducerConfig{TransactionalID: "one"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// send puts one value into each of the topic's four partitions.
func send(t *testing.T, p *kafkalog.Producer, value string) {
	t.Helper()
	var records []kafkalog.Record
	for partition := range int32(4) {
		records = append(records, kafkalog.Record{Topic: "t", Partition: partition, Value: []byte(value)})
	}
	if err := errors.Join(p.Begin(), p.Send(t.Context(), records)); err != nil {
		t.Fatal(err)
	}
}

// visible counts the partitions in which a committed reader sees each value.
func visible(t *testing.T, c *kafkalog.Client) map[string]int {
	t.Helper()
	out := map[string]int{}
	ends, err := c.Offsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ends {
		if e.Stable != e.End {
			t.Errorf("partition %d is held up at %d of %d", e.Partition, e.Stable, e.End)
		}
		if err := c.ReadRange(t.Context(), "t", e.Partition, e.Start, e.Stable, func(r kafkalog.FetchedRecord) error {
			out[string(r.Value)]++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func topic(t *testing.T, c *kafkalog.Client) {
	t.Helper()
	if err := c.CreateTopics(t.Context(), kafkalog.Topic{Name: "t", Partitions: 4, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
}

// A transaction that was open when the broker was killed stays aborted, also
// through a second kill after the same producer committed another one.
func TestOpenTransactionStaysAborted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, c := startKafka(t, dir)
	topic(t, c)
	send(t, transactional(t, c), "open")

	dir = killed(t, dir)
	_, c = startKafka(t, dir)
	p := transactional(t, c)
	send(t, p, "committed")
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := visible(t, c); got["open"] != 0 || got["committed"] != 4 {
		t.Errorf("after the first kill: %v", got)
	}
	for range 2 {
		dir = killed(t, dir)
		_, c = startKafka(t, dir)
		if got := visible(t, c); got["open"] != 0 || got["committed"] != 4 {
			t.Errorf("after a further kill: %v", got)
		}
	}
}

// A commit that was announced takes effect in every partition, however far it
// got; one that was not, in none.
func TestCommitIsAllOrNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k, c := startKafka(t, dir)
	topic(t, c)
	p := transactional(t, c)
	send(t, p, "announced")
	var before, after string
	// Asked in this order: what stands in the journal before, and after it
	// was announced and not yet done.
	k.cluster.ControlKey(int16(kmsg.EndTxn), func(kmsg.Request) (kmsg.Response, error, bool) {
		after = killed(t, dir)
		return nil, nil, false
	})
	before = killed(t, dir)
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after == "" {
		t.Fatal("no kill between announcement and markers: the test proves nothing")
	}
	torn := killed(t, dir)
	// A kill between two markers: those of two partitions are not written.
	for _, partition := range []string{"t-1", "t-3"} {
		for _, file := range []string{"0.dat", "0.idx"} {
			path := filepath.Join("data", "partitions", partition, file)
			content, err := os.ReadFile(filepath.Join(before, path))
			if err == nil {
				err = os.WriteFile(filepath.Join(torn, path), content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for title, c := range map[string]struct {
		dir  string
		want int
	}{"before it was announced": {before, 0}, "announced": {after, 4}, "half done": {torn, 4}} {
		_, client := startKafka(t, c.dir)
		if got := visible(t, client)["announced"]; got != c.want {
			t.Errorf("%s: visible in %d partitions of 4, want %d", title, got, c.want)
		}
		next := transactional(t, client)
		send(t, next, "next")
		if err := next.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, client = startKafka(t, killed(t, c.dir))
		if got := visible(t, client); got["announced"] != c.want || got["next"] != 4 {
			t.Errorf("%s, and killed again: %v", title, got)
		}
	}
}

// A kill between a batch and its index entry: the batch is as if it had never
// been sent, and what follows it is told apart as before.
func TestBatchWithoutIndexEntry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, c := startKafka(t, dir)
	topic(t, c)
	p := transactional(t, c)
	send(t, p, "before")
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	send(t, p, "cut")
	at := killed(t, dir)
	for partition, cut := range map[string]int64{"t-1": indexEntry, "t-3": indexEntry - 1} { // not written; half written
		path := filepath.Join(at, "data", "partitions", partition, "0.idx")
		info, err := os.Stat(path)
		if err == nil {
			err = os.Truncate(path, info.Size()-cut)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, c = startKafka(t, at)
	if got := visible(t, c); got["before"] != 4 || got["cut"] != 0 {
		t.Errorf("after the kill: %v", got)
	}
	p = transactional(t, c)
	send(t, p, "after")
	if err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	send(t, p, "open")
	for range 2 {
		at = killed(t, at)
		_, c = startKafka(t, at)
		if got := visible(t, c); got["before"] != 4 || got["cut"] != 0 || got["after"] != 4 || got["open"] != 0 {
			t.Errorf("after a further kill: %v", got)
		}
	}
}

func TestClosedBrokerLeavesNoJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k, c := startKafka(t, dir)
	topic(t, c)
	p := transactional(t, c)
	for range 10 {
		send(t, p, "x")
		if err := p.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	k.journal.size = maxJournal + 1 // written anew at the next transaction
	send(t, p, "y")
	if err := errors.Join(p.Abort(t.Context()), p.Close(t.Context()), k.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, journalFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal is still there: %v", err)
	}
	_, c = startKafka(t, dir)
	if got := visible(t, c); got["x"] != 40 || got["y"] != 0 {
		t.Errorf("reopened: %v", got)
	}
}
