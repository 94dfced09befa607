//go:build faults

package kafkalog

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/chuanyu-exchange/hub/internal/kafkatest"
)

// kafkaArena is three brokers of Apache Kafka, each its own process.
type kafkaArena struct {
	t       *testing.T
	cluster *kafkatest.Cluster
	admin   *kgo.Client
	killed  int

	mu     sync.Mutex
	paused []int
}

func TestFaultRoundsKafka(t *testing.T) {
	cluster := kafkatest.Start(t, kafkatest.Options{Brokers: 3})
	k := &kafkaArena{t: t, cluster: cluster, admin: kafkaClient(t, cluster.Brokers)}
	lose := new(atomic.Int32)
	rounds(t, &arena{
		brokers: cluster.Brokers, lose: lose, timeout: 4 * time.Second,
		calm: func() { lose.Store(0); k.resume() },
		kill: func(rng *rand.Rand) { k.killed = rng.IntN(3); cluster.Kill(k.killed) },
		restart: func() {
			time.Sleep(time.Second) // long enough for what it led to be led by others
			cluster.Restart(t, k.killed)
		},
		faults: map[string]func(*rand.Rand){
			"leaders move":     k.moveLeaders,
			"answers are lost": func(rng *rand.Rand) { lose.Store(int32(1 + rng.IntN(5))) },
			"a broker hangs":   func(rng *rand.Rand) { k.pause(rng, 1) },
			"two hang":         func(rng *rand.Rand) { k.pause(rng, 2) },
		},
	}, 2)
}

// pause makes brokers hang for a while.
func (k *kafkaArena) pause(rng *rand.Rand, n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.paused = rng.Perm(3)[:n]
	for _, node := range k.paused {
		k.cluster.Pause(node)
	}
	time.AfterFunc(500*time.Millisecond+time.Duration(rng.Int64N(int64(2*time.Second))), k.resume)
}

func (k *kafkaArena) resume() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, node := range k.paused {
		k.cluster.Resume(node)
	}
	k.paused = nil
}

// moveLeaders makes another replica of every partition the preferred one, and
// lets the controller follow. What it cannot do at the moment stays undone.
func (k *kafkaArena) moveLeaders(*rand.Rand) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all := kmsg.NewMetadataRequest()
	layout, err := all.RequestWith(ctx, k.admin)
	if err != nil {
		return
	}
	move, elect := kmsg.NewAlterPartitionAssignmentsRequest(), kmsg.NewElectLeadersRequest()
	for _, t := range layout.Topics {
		topic, chosen := kmsg.NewAlterPartitionAssignmentsRequestTopic(), kmsg.NewElectLeadersRequestTopic()
		topic.Topic, chosen.Topic = *t.Topic, *t.Topic
		for _, p := range t.Partitions {
			part := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
			part.Partition = p.Partition
			part.Replicas = append(slices.Clone(p.Replicas[1:]), p.Replicas[0])
			topic.Partitions = append(topic.Partitions, part)
			chosen.Partitions = append(chosen.Partitions, p.Partition)
		}
		move.Topics, elect.Topics = append(move.Topics, topic), append(elect.Topics, chosen)
	}
	if _, err := move.RequestWith(ctx, k.admin); err == nil {
		_, _ = elect.RequestWith(ctx, k.admin)
	}
}
