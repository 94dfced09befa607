//go:build faults

package kafkalog

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const fakeBrokers = 3

// fakeArena is a kfake that keeps its data in a directory, so that it can be
// restarted.
type fakeArena struct {
	t       *testing.T
	dir     string
	cluster *kfake.Cluster

	addresses []string // the same after a restart
	ports     []int
	going     []*kfake.FaultHandle
}

func TestFaultRoundsFake(t *testing.T) {
	f := &fakeArena{t: t, dir: t.TempDir()}
	f.start()
	t.Cleanup(func() { f.cluster.Close() })
	lose := new(atomic.Int32)
	rounds(t, &arena{
		brokers: f.addresses, lose: lose, timeout: 400 * time.Millisecond,
		calm:    func() { lose.Store(0); f.calm() },
		kill:    func(*rand.Rand) { f.cluster.Close() },
		restart: f.start,
		faults: map[string]func(*rand.Rand){
			"leaders move":      func(*rand.Rand) { f.cluster.ShufflePartitionLeaders() },
			"coordinators move": func(*rand.Rand) { f.cluster.RehashCoordinators() },
			"answers are lost":  func(rng *rand.Rand) { lose.Store(int32(1 + rng.IntN(5))) },
			"hang up":           func(rng *rand.Rand) { severs(f.cluster, someKey(rng), 1+rng.IntN(3)) },
			"refusals":          f.refuse,
			"outage":            f.outage,
			"slow":              f.slow,
		},
	}, 4)
}

func (f *fakeArena) start() {
	opts := []kfake.Opt{kfake.NumBrokers(fakeBrokers), kfake.DataDir(f.dir)}
	if f.ports != nil {
		opts = append(opts, kfake.Ports(f.ports...))
	}
	cluster, err := kfake.NewCluster(opts...)
	must(f.t, "starting kfake", err)
	if f.ports == nil {
		f.addresses = cluster.ListenAddrs()
		for _, address := range f.addresses {
			port, err := strconv.Atoi(address[strings.LastIndexByte(address, ':')+1:])
			must(f.t, "port", err)
			f.ports = append(f.ports, port)
		}
	}
	// An answer that ends at the limit of the whole request lacks aborted
	// transactions (internal/embedded, limitByPartition).
	cluster.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if req, ok := r.(*kmsg.FetchRequest); ok {
			req.MaxBytes = math.MaxInt32
		}
		return nil, nil, false
	})
	f.cluster = cluster
}

func (f *fakeArena) calm() {
	for _, h := range f.going {
		h.Remove()
	}
	f.going = nil
}

func someKey(rng *rand.Rand) kmsg.Key {
	keys := []kmsg.Key{
		kmsg.Produce, kmsg.Produce, kmsg.Fetch, kmsg.EndTxn, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit,
		kmsg.InitProducerID, kmsg.FindCoordinator, kmsg.Metadata,
	}
	return keys[rng.IntN(len(keys))]
}

func someError(rng *rand.Rand) *kerr.Error {
	kinds := []*kerr.Error{
		kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.NotLeaderForPartition,
		kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.ConcurrentTransactions, kerr.KafkaStorageError, kerr.UnknownServerError,
	}
	return kinds[rng.IntN(len(kinds))]
}

// refuse answers some requests with an error, before or after they were done.
func (f *fakeArena) refuse(rng *rand.Rand) {
	key := someKey(rng)
	f.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: someError(rng), Count: 1 + rng.IntN(5), TopLevel: key == kmsg.EndTxn})
}

// outage refuses for longer than a client has patience, in every partition or
// in one.
func (f *fakeArena) outage(rng *rand.Rand) {
	key := someKey(rng)
	fault := kfake.Fault{Keys: []kmsg.Key{key}, Err: someError(rng), Count: -1, TopLevel: key == kmsg.EndTxn}
	if key == kmsg.Produce && rng.IntN(2) == 0 {
		fault.Partitions = []int32{int32(rng.IntN(roundPartitions))}
	}
	h := f.cluster.Fault(fault)
	f.going = append(f.going, h)
	time.AfterFunc(time.Second, h.Remove)
}

// slow delays some requests, as throttling does.
func (f *fakeArena) slow(rng *rand.Rand) {
	left := int64(10 + rng.IntN(20))
	cluster := f.cluster
	cluster.ControlKey(int16(someKey(rng)), func(kmsg.Request) (kmsg.Response, error, bool) {
		left--
		if left <= 0 {
			cluster.DropControl()
			return nil, nil, false
		}
		cluster.KeepControl()
		cluster.SleepControl(func() { time.Sleep(5 * time.Millisecond) })
		return nil, nil, false
	})
}
