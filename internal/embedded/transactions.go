package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kfake keeps what was produced through a kill, but not how a transaction
// ended: it writes the marker of one partition after the other, so that a kill
// between two leaves a transaction committed here and aborted there; and it
// forgets that it gave a transaction up after a kill, so that its records come
// to life when the next one of the same producer commits. A real cluster
// writes the decision down before any marker. The journal does that for kfake:
// after a kill, every transaction that was decided is completed as it was
// decided, and every other one is aborted, on disk.

// journalFile lies beside the broker's data. It exists while the broker runs,
// and when one begins with it, the former one was killed.
const journalFile = "transactions.journal"

// maxJournal is when the journal is written anew with only what counts.
const maxJournal = 4 << 20

// transaction is the last one of a producer, and how it ended.
type transaction struct {
	Producer   int64              `json:"producer"`
	Epoch      int16              `json:"epoch"`
	Partitions map[string][]int32 `json:"partitions"`
	Ended      bool               `json:"ended"`
	Committed  bool               `json:"committed"`
}

// journal is written by the broker's one loop, before it handles what is
// written.
type journal struct {
	path string
	file *os.File
	size int
	last map[int64]*transaction

	delay atomic.Int64 // nanoseconds between the request to end a transaction and the decision
}

// readJournal returns the last transaction of each producer; nil if the former
// broker was closed.
func readJournal(path string) (map[int64]*transaction, error) {
	text, err := os.ReadFile(path) //nolint:gosec // beside the broker's data
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	last := map[int64]*transaction{}
	for line := range bytes.Lines(text) {
		var t transaction
		if err := json.Unmarshal(line, &t); err != nil {
			continue // cut by the kill: then what it announces has not begun
		}
		last[t.Producer] = &t
	}
	return last, nil
}

// openJournal begins an empty journal.
func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // beside the broker's data
	if err != nil {
		return nil, err
	}
	return &journal{path: path, file: file, last: map[int64]*transaction{}}, nil
}

// attach makes the broker announce in the journal what it is about to do. A
// request that cannot be announced is not handled: its connection is closed.
func (j *journal) attach(c *kfake.Cluster) {
	refuse := func(err error) (kmsg.Response, error, bool) { return nil, err, err != nil }
	c.ControlKey(int16(kmsg.AddPartitionsToTxn), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return refuse(j.opened(r.(*kmsg.AddPartitionsToTxnRequest)))
	})
	c.ControlKey(int16(kmsg.EndTxn), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if d := time.Duration(j.delay.Load()); d > 0 {
			c.SleepControl(func() { time.Sleep(d) }) // others go on meanwhile
		}
		req := r.(*kmsg.EndTxnRequest)
		return refuse(j.ended(req.ProducerID, req.ProducerEpoch, req.Commit))
	})
}

func (j *journal) opened(r *kmsg.AddPartitionsToTxnRequest) error {
	t := j.last[r.ProducerID]
	if t == nil || t.Ended || t.Epoch != r.ProducerEpoch {
		t = &transaction{Producer: r.ProducerID, Epoch: r.ProducerEpoch, Partitions: map[string][]int32{}}
		j.last[r.ProducerID] = t
	}
	for _, topic := range r.Topics {
		for _, p := range topic.Partitions {
			if !slices.Contains(t.Partitions[topic.Topic], p) {
				t.Partitions[topic.Topic] = append(t.Partitions[topic.Topic], p)
			}
		}
	}
	return j.write(t)
}

func (j *journal) ended(producer int64, epoch int16, commit bool) error {
	t := j.last[producer]
	if t == nil || t.Ended || t.Epoch != epoch {
		return nil // a repetition, or a producer that was fenced: nothing is open under it
	}
	t.Ended, t.Committed = true, commit
	return j.write(t)
}

func (j *journal) write(t *transaction) error {
	line, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if j.size > maxJournal {
		if err := j.shrink(); err != nil {
			return err
		}
	}
	n, err := j.file.Write(append(line, '\n'))
	j.size += n
	return err
}

// shrink replaces the journal by the last transaction of each producer, in one
// step.
func (j *journal) shrink() error {
	var text []byte
	for _, t := range j.last {
		line, err := json.Marshal(t)
		if err != nil {
			return err
		}
		text = append(append(text, line...), '\n')
	}
	tmp := j.path + ".new"
	file, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // beside the broker's data
	if err != nil {
		return err
	}
	if _, err = file.Write(text); err == nil {
		err = os.Rename(tmp, j.path)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	former := j.file
	j.file, j.size = file, len(text)
	return former.Close()
}

// remove ends the journal of a broker that was closed in order.
func (j *journal) remove() error { return errors.Join(j.file.Close(), os.Remove(j.path)) }

// recoverTransactions completes what a killed broker left: each producer's last
// transaction gets the marker that was decided in every one of its partitions,
// or is aborted. A marker that is there already is written twice, which says
// nothing new. The snapshots that kfake would begin with are removed, because
// they hold what it believed before.
func recoverTransactions(dataDir string, last map[int64]*transaction, start func() (*kfake.Cluster, error)) error {
	c, err := start()
	if err != nil {
		return err
	}
	err = writeMarkers(c.ListenAddrs()[0], last)
	c.Close()
	if err != nil {
		return err
	}
	snapshots, err := filepath.Glob(filepath.Join(dataDir, "partitions", "*", "snapshot.json"))
	if err != nil {
		return err
	}
	for _, s := range snapshots {
		if err := os.Remove(s); err != nil {
			return err
		}
	}
	return nil
}

func writeMarkers(address string, last map[int64]*transaction) error {
	if len(last) == 0 {
		return nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	for _, t := range last {
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch, m.Committed = t.Producer, t.Epoch, t.Committed
		for topic, partitions := range t.Partitions {
			mt := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
			mt.Topic, mt.Partitions = topic, partitions
			m.Topics = append(m.Topics, mt)
		}
		req.Markers = append(req.Markers, m)
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, m := range resp.Markers {
		for _, topic := range m.Topics {
			for _, p := range topic.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
					return fmt.Errorf("marker in %s, partition %d: %w", topic.Topic, p.Partition, err)
				}
			}
		}
	}
	return nil
}
