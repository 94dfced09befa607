package kafkalog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol/metadata"
)

func conformApply(t *testing.T, c *Client) {
	declared := Topic{
		Name: "declared-" + create(t, c, 1), Partitions: 2, Retention: 365 * 24 * time.Hour, MinInSync: 1,
		Config: map[string]string{"cleanup.policy": "delete", "max.message.bytes": "2000000"},
	}
	diff := func(want ...string) {
		t.Helper()
		changes, err := c.Diff(t.Context(), declared)
		must(t, "Diff", err)
		var got []string
		for _, ch := range changes {
			got = append(got, strings.TrimPrefix(ch.String(), declared.Name+": "))
		}
		same(t, got, want)
	}
	apply := func(want int) {
		t.Helper()
		made, err := c.Apply(t.Context(), declared)
		must(t, "Apply", err)
		if len(made) != want {
			t.Errorf("Apply made %v, want %d changes", made, want)
		}
	}
	diff("missing")
	apply(1)
	diff()
	apply(0)

	declared.Retention = -1 // for ever
	declared.Config = map[string]string{"max.message.bytes": "3000000", "compression.type": "producer"}
	diff(
		"compression.type producer → producer", // the same as the default, and now the topic's own
		"max.message.bytes 2000000 → 3000000",
		"retention.ms 31536000000 → -1",
		"cleanup.policy delete → (default)",
	)
	apply(4)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		changes, err := c.Diff(t.Context(), declared) // a broker may hear of it a little later
		must(t, "Diff", err)
		if len(changes) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after Apply: %v", changes)
		}
	}

	declared.Partitions, declared.Retention = 3, time.Hour
	diff("partitions 2 → 3 (refused: keys would move to other partitions; declare a topic of another name)",
		"retention.ms -1 → 3600000")
	made, err := c.Apply(t.Context(), declared)
	if err == nil || !strings.Contains(err.Error(), "partitions 2 → 3") || len(made) != 1 {
		t.Errorf("Apply with another number of partitions: %v, %v", made, err)
	}
}

func TestDeclarationIsRefused(t *testing.T) {
	t.Parallel()
	c := open(t, startCluster(t).ListenAddrs())
	for name, topic := range map[string]Topic{
		"no name":           {Partitions: 1},
		"no partitions":     {Name: "x"},
		"never in sync":     {Name: "x", Partitions: 1, Replicas: 1, MinInSync: 2},
		"declared twice":    {Name: "x", Partitions: 1, Retention: time.Hour, Config: map[string]string{"retention.ms": "1"}},
		"a moment":          {Name: "x", Partitions: 1, Retention: time.Microsecond},
		"negative replicas": {Name: "x", Partitions: 1, Replicas: -1},
	} {
		if made, err := c.Apply(t.Context(), topic); err == nil {
			t.Errorf("%s: %v was made", name, made)
		}
	}
}

// Replicas that are there stay, the leader first, and additional ones are
// spread over the brokers.
func TestReplicas(t *testing.T) {
	t.Parallel()
	brokers := []int32{1, 2, 3, 4}
	for _, test := range []struct {
		partition, leader int32
		have              []int32
		n                 int
		want              string
	}{
		{0, 1, []int32{1}, 3, "[1 2 3]"},
		{1, 1, []int32{1}, 3, "[1 2 3]"},
		{2, 1, []int32{1}, 3, "[1 3 4]"},
		{0, 3, []int32{2, 3, 4}, 2, "[3 2]"},
		{0, -1, []int32{2, 9}, 2, "[2 1]"}, // no leader, and broker 9 is gone
		{0, 2, []int32{2, 1}, 2, "[2 1]"},
	} {
		got := replicas(&metadata.ResponsePartition{PartitionIndex: test.partition, LeaderID: test.leader, ReplicaNodes: test.have}, brokers, test.n)
		if fmt.Sprint(got) != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}
