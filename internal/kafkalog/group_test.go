package kafkalog

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func conformGroupOffsets(t *testing.T, c *Client) {
	from, to := create(t, c, 2), create(t, c, 1)
	plain := producer(t, c, ProducerConfig{})
	mustSend(t, plain, numbered(from, 0, 0, 10))
	mustSend(t, plain, numbered(from, 1, 0, 5))
	group := "group-" + from
	same(t, lags(t, c, group, from), []string{"-1: 10", "-1: 5"})

	p := producer(t, c, ProducerConfig{TransactionalID: to})
	if err := p.CommitOffsets(t.Context(), group, from, PartitionOffset{0, 1}); err == nil {
		t.Error("CommitOffsets outside a transaction succeeded")
	}
	for i, commit := range []bool{true, false, true} {
		must(t, "Begin", p.Begin())
		mustSend(t, p, numbered(to, 0, i, i+1))
		must(t, "CommitOffsets", p.CommitOffsets(t.Context(), group, from, PartitionOffset{0, int64(3 * (i + 1))}))
		if commit {
			must(t, "Commit", p.Commit(t.Context()))
		} else {
			must(t, "Abort", p.Abort(t.Context()))
		}
		settled(t, c, group, from, []string{"3: 7", "3: 7", "9: 1"}[i])
	}
	// Offsets alone, then an abort of nothing else, then another producer.
	must(t, "Begin", p.Begin())
	must(t, "CommitOffsets", p.CommitOffsets(t.Context(), group, from, PartitionOffset{0, 10}, PartitionOffset{1, 5}))
	must(t, "Commit", p.Commit(t.Context()))
	settled(t, c, group, from, "10: 0")
	same(t, lags(t, c, group, from), []string{"10: 0", "5: 0"})
	must(t, "Begin", p.Begin())
	must(t, "CommitOffsets", p.CommitOffsets(t.Context(), group, from, PartitionOffset{0, 1}))
	younger := producer(t, c, ProducerConfig{TransactionalID: to})
	if err := p.CommitOffsets(t.Context(), group, from, PartitionOffset{0, 2}); !errors.Is(err, ErrFenced) {
		t.Errorf("CommitOffsets of a fenced producer: %v", err)
	}
	must(t, "Close", younger.Close(t.Context()))
	settled(t, c, group, from, "10: 0")
	waitStable(t, c, to)
	same(t, stored(t, c, to, 0), []string{"v0", "v2"})
}

// lags of every partition, as committed: records.
func lags(t *testing.T, c *Client, group, topic string) []string {
	t.Helper()
	all, err := c.Lag(t.Context(), group, topic)
	must(t, "Lag", err)
	var out []string
	for _, l := range all {
		out = append(out, fmt.Sprintf("%d: %d", l.Committed, l.Records()))
	}
	return out
}

// settled waits until partition 0 has this lag: a coordinator answers before
// the markers of a transaction are written.
func settled(t *testing.T, c *Client, group, topic, want string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got := lags(t, c, group, topic)
		if got[0] == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the lag stays %s, want %s", got[0], want)
		}
	}
}

// Offsets whose fate is open spoil the transaction: they must not be taken for
// committed.
func TestGroupOffsetsUnderFaults(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs(), timeout(500*time.Millisecond))
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{TransactionalID: "id"})
	must(t, "Begin", p.Begin())
	fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.CoordinatorLoadInProgress, Count: 2})
	must(t, "CommitOffsets, repeated", p.CommitOffsets(t.Context(), "group", topic, PartitionOffset{0, 0}))
	fault.Remove()
	before := p.identity()
	fault = cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.CoordinatorNotAvailable, Count: -1})
	if err := p.CommitOffsets(t.Context(), "group", topic, PartitionOffset{0, 0}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("CommitOffsets: %v", err)
	}
	fault.Remove()
	if err := p.Commit(t.Context()); !errors.Is(err, ErrAbortOnly) {
		t.Errorf("Commit: %v", err)
	}
	must(t, "Abort", p.Abort(t.Context()))
	if p.identity() == before {
		t.Error("the epoch did not change although offsets may still arrive")
	}
	same(t, lags(t, c, "group", topic), []string{"-1: 0"})
}
