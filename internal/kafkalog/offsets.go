package kafkalog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
)

// PartitionOffsets are the ends of one partition.
type PartitionOffsets struct {
	Partition int32
	Start     int64 // first offset that the log holds
	// Stable is the last stable offset: every transaction below it is decided,
	// and a reader of committed records stops there.
	Stable int64
	End    int64 // offset after the last replicated record
}

// Times with a meaning of their own in ListOffsets.
const (
	earliest int64 = -2
	latest   int64 = -1
)

// Isolation levels of ListOffsets and Fetch.
const (
	readUncommitted int8 = 0
	readCommitted   int8 = 1
)

// Offsets gives the ends of every partition of a topic, in order. The three
// are asked for one after another, so that Start ≤ Stable ≤ End.
func (c *Client) Offsets(ctx context.Context, topic string) ([]PartitionOffsets, error) {
	var all []PartitionOffsets
	err := c.retry(ctx, "asking for the offsets of "+topic, func(ctx context.Context) error {
		leaders, err := c.cluster.topic(ctx, topic)
		if err != nil {
			return err
		}
		all = make([]PartitionOffsets, len(leaders))
		places := make([]int32, len(leaders))
		for i := range all {
			all[i].Partition, places[i] = int32(i), int32(i)
		}
		for _, q := range []struct {
			at        int64
			isolation int8
			to        func(*PartitionOffsets) *int64
		}{
			{earliest, readUncommitted, func(p *PartitionOffsets) *int64 { return &p.Start }},
			{latest, readCommitted, func(p *PartitionOffsets) *int64 { return &p.Stable }},
			{latest, readUncommitted, func(p *PartitionOffsets) *int64 { return &p.End }},
		} {
			offsets, err := c.listOffsets(ctx, topic, places, q.at, q.isolation)
			if err != nil {
				return err
			}
			for i, offset := range offsets {
				*q.to(&all[i]) = offset
			}
		}
		return nil
	})
	return all, err
}

// OffsetAt is the first offset of a partition whose record has the time t or a
// later one; the end offset, if there is none.
func (c *Client) OffsetAt(ctx context.Context, topic string, partition int32, t time.Time) (int64, error) {
	what := fmt.Sprintf("asking for the offset of %s/%d at a time", topic, partition)
	var found int64
	err := c.retry(ctx, what, func(ctx context.Context) error {
		place := []int32{partition}
		// The end first: what is written between the two questions may be
		// later than t and must not be passed over.
		end, err := c.listOffsets(ctx, topic, place, latest, readUncommitted)
		if err != nil {
			return err
		}
		at, err := c.listOffsets(ctx, topic, place, max(t.UnixMilli(), 0), readUncommitted)
		if err != nil {
			return err
		}
		if found = at[0]; found < 0 {
			found = end[0]
		}
		return nil
	})
	return found, err
}

// listOffsets asks the leaders of the partitions for one offset each.
func (c *Client) listOffsets(ctx context.Context, topic string, partitions []int32, at int64, isolation int8) ([]int64, error) {
	by := make(map[int32][]int32)
	for _, p := range partitions {
		node, err := c.cluster.leader(ctx, topicPartition{topic, p})
		if err != nil {
			return nil, err
		}
		by[node] = append(by[node], p)
	}
	offsets := make([]int64, len(partitions))
	answered := 0
	for node, mine := range by {
		req := &listoffsets.Request{ReplicaID: -1, IsolationLevel: isolation, Topics: []listoffsets.RequestTopic{{Topic: topic}}}
		for _, p := range mine {
			req.Topics[0].Partitions = append(req.Topics[0].Partitions,
				listoffsets.RequestPartition{Partition: p, CurrentLeaderEpoch: -1, Timestamp: at})
		}
		answer, err := call[*listoffsets.Response](ctx, c.cluster, node, req)
		if err != nil {
			c.cluster.forget(topic)
			return nil, err
		}
		n, err := collectOffsets(answer, topic, partitions, offsets)
		if err != nil {
			if movedError(err) {
				c.cluster.forget(topic)
			}
			return nil, err
		}
		answered += n
	}
	if answered != len(partitions) {
		return nil, fmt.Errorf("%d of %d partitions were answered: %w", answered, len(partitions), brokerError(kafka.Unknown))
	}
	return offsets, nil
}

// collectOffsets puts the offsets of an answer where their partitions stand.
func collectOffsets(answer *listoffsets.Response, topic string, partitions []int32, into []int64) (int, error) {
	n := 0
	for i := range answer.Topics {
		if answer.Topics[i].Topic != topic {
			continue
		}
		for _, p := range answer.Topics[i].Partitions {
			if err := codeError(p.ErrorCode); err != nil {
				return n, fmt.Errorf("partition %d: %w", p.Partition, err)
			}
			if at := slices.Index(partitions, p.Partition); at >= 0 {
				into[at] = p.Offset
				n++
			}
		}
	}
	return n, nil
}
