package kafkalog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestHistory writes under random faults, keeps book of what was acknowledged,
// and compares the log with the book. KAFKALOG_SEED repeats a history.
func TestHistory(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("KAFKALOG_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		must(t, "KAFKALOG_SEED", err)
	}
	for _, id := range []string{"", "id"} {
		t.Run("id "+id, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t, seed, id)
			t.Logf("KAFKALOG_SEED=%d", seed)
			for range 40 {
				h.disturb()
				if id == "" {
					h.send()
				} else {
					h.transact()
				}
			}
			h.compare()
		})
	}
}

const historyPartitions = 3

type history struct {
	t       *testing.T
	rng     *rand.Rand
	cluster *kfake.Cluster
	lose    *atomic.Int32
	client  *Client
	topic   string
	id      string
	p       *Producer
	next    int
	// certain is what must be in a partition, in this order; possible is what
	// may be there beside it.
	certain  [historyPartitions][]string
	possible map[string]bool
	outage   *kfake.FaultHandle
}

func newHistory(t *testing.T, seed uint64, id string) *history {
	t.Helper()
	lose := new(atomic.Int32)
	cluster := startCluster(t, kfake.NumBrokers(3), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := new(net.ListenConfig).Listen(t.Context(), network, address)
		return lossyListener{l, lose}, err
	}))
	c := open(t, cluster.ListenAddrs(), timeout(400*time.Millisecond))
	return &history{
		t: t, rng: rand.New(rand.NewPCG(seed, uint64(len(id)))), cluster: cluster, lose: lose,
		client: c, topic: create(t, c, historyPartitions), id: id,
		p: producer(t, c, ProducerConfig{TransactionalID: id, BatchBytes: leastBatchBytes}), possible: map[string]bool{},
	}
}

// disturb arranges for trouble with what comes next.
func (h *history) disturb() {
	keys := []kmsg.Key{kmsg.Produce, kmsg.Produce, kmsg.EndTxn, kmsg.AddPartitionsToTxn, kmsg.InitProducerID, kmsg.FindCoordinator, kmsg.Metadata}
	kinds := []*kerr.Error{
		kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.NotLeaderForPartition,
		kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.ConcurrentTransactions, kerr.KafkaStorageError, kerr.UnknownServerError,
	}
	key, kind := keys[h.rng.IntN(len(keys))], kinds[h.rng.IntN(len(kinds))]
	h.endOutage()
	switch h.rng.IntN(10) {
	case 0:
		h.cluster.ShufflePartitionLeaders()
	case 1:
		h.cluster.RehashCoordinators()
	case 2:
		h.lose.Store(int32(1 + h.rng.IntN(3)))
	case 3:
		severs(h.cluster, key, 1)
	case 4:
		h.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: kind, Count: 1 + h.rng.IntN(5), TopLevel: key == kmsg.EndTxn})
	case 5:
		// For longer than the client's patience, from somewhere in the middle.
		after := h.rng.IntN(3)
		h.outage = h.cluster.Fault(kfake.Fault{
			Keys: []kmsg.Key{key}, Err: kind, Count: -1, TopLevel: key == kmsg.EndTxn,
			When: func(kmsg.Request) bool { after--; return after < 0 },
		})
	}
}

func (h *history) endOutage() {
	if h.outage != nil {
		h.outage.Remove()
		h.outage = nil
	}
}

// batch is some records with values that nothing else has.
func (h *history) batch() []Record {
	records := make([]Record, 1+h.rng.IntN(80))
	for i := range records {
		records[i] = Record{Topic: h.topic, Partition: int32(h.rng.IntN(historyPartitions)), Value: fmt.Appendf(nil, "v%d", h.next)}
		h.next++
	}
	return records
}

// book enters acknowledged records as certain, others as possible.
func (h *history) book(records []Record, certain bool) {
	for i := range records {
		r := &records[i]
		if certain && r.Err == nil {
			h.certain[r.Partition] = append(h.certain[r.Partition], string(r.Value))
		} else if !certain || !errors.Is(r.Err, errUnsent) {
			h.possible[string(r.Value)] = true
		}
	}
}

func (h *history) send() {
	records := h.batch()
	if err := h.p.Send(h.t.Context(), records); err != nil && h.p.Err() != nil {
		h.t.Fatalf("the producer is finished: %v", err)
	}
	h.book(records, true)
}

func (h *history) transact() {
	must(h.t, "Begin", h.p.Begin())
	var all []Record
	failed := false
	for range 1 + h.rng.IntN(3) {
		records := h.batch()
		if err := h.p.Send(h.t.Context(), records); err != nil {
			failed = true
			break
		}
		all = append(all, records...)
	}
	if !failed && h.rng.IntN(4) > 0 {
		err := h.p.Commit(h.t.Context())
		for n := 0; errors.Is(err, ErrUnavailable) && n < 2; n++ {
			err = h.p.Commit(h.t.Context())
		}
		if err == nil {
			h.book(all, true)
			return
		}
		if !errors.Is(err, ErrAbortOnly) {
			h.book(all, false)
		}
	}
	var err error
	for range 4 {
		if err = h.p.Abort(h.t.Context()); err == nil {
			return
		}
		h.endOutage()
	}
	h.t.Fatalf("Abort: %v", err)
}

// compare reads the log.
func (h *history) compare() {
	h.lose.Store(0)
	h.endOutage()
	for partition := range historyPartitions {
		want := h.certain[partition]
		seen := map[string]bool{}
		for _, v := range stored(h.t, h.client, h.topic, int32(partition)) {
			switch {
			case seen[v]:
				h.t.Errorf("partition %d holds %s twice", partition, v)
			case len(want) > 0 && v == want[0]:
				want = want[1:]
			case !h.possible[v]:
				h.t.Errorf("partition %d holds %s, which was not expected there", partition, v)
			}
			seen[v] = true
		}
		if len(want) > 0 {
			h.t.Errorf("partition %d lacks %d acknowledged records, the first is %s", partition, len(want), want[0])
		}
	}
	n := 0
	for partition := range h.certain {
		n += len(h.certain[partition])
	}
	if n == 0 {
		h.t.Error("nothing was acknowledged")
	}
	h.t.Logf("%d of %d records acknowledged, %d uncertain", n, h.next, len(h.possible))
}
