package kafkalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/addoffsetstotxn"
	"github.com/segmentio/kafka-go/protocol/offsetfetch"
	"github.com/segmentio/kafka-go/protocol/txnoffsetcommit"
)

// CommitOffsets makes a group's offsets in a topic part of the open
// transaction (KIP-98): they take effect with the transaction's records or not
// at all. That is how what was read and what came of it stay together; every
// offset is that of the next record to read. The group needs no members.
func (p *Producer) CommitOffsets(ctx context.Context, group, topic string, at ...PartitionOffset) error {
	if err := checkPlaces(topic, at); err != nil {
		return err
	}
	if group == "" {
		return errors.New("kafkalog: offsets are committed for a group, and none is named")
	}
	if p.config.TransactionalID == "" {
		return errors.New("kafkalog: a producer without TransactionalID commits no offsets")
	}
	if err := p.enter(); err != nil {
		return err
	}
	defer p.busy.done()
	if err := p.joinGroup(ctx, group); err != nil {
		return p.unjoined(err)
	}
	if err := p.sendOffsets(ctx, group, topic, at); err != nil {
		if errors.Is(err, ErrFenced) {
			return p.fenced(err)
		}
		// Whatever it was, the offsets are not certain: they must not be
		// committed, and a request on its way must not reach the next
		// transaction.
		p.spoil(err, true)
		return err
	}
	return nil
}

// joinGroup tells the coordinator of transactions that the group takes part.
func (p *Producer) joinGroup(ctx context.Context, group string) error {
	p.joining.Lock()
	defer p.joining.Unlock()
	p.mu.Lock()
	t, renewal := p.txn, p.renewal
	p.mu.Unlock()
	if renewal != nil {
		if err := p.renew(ctx, *renewal); err != nil {
			return err
		}
	}
	p.mu.Lock()
	if t.joined.IsZero() {
		t.joined, t.one = p.client.now(), participant{group: group}
	}
	p.mu.Unlock()
	return p.addGroup(ctx, group)
}

func (p *Producer) addGroup(ctx context.Context, group string) error {
	id := p.identity()
	_, err := p.coordinate(ctx, "adding a group to the transaction", func(ctx context.Context, node int32) error {
		answer, err := call[*addoffsetstotxn.Response](ctx, p.client.cluster, node, &addoffsetstotxn.Request{
			TransactionalID: p.config.TransactionalID, ProducerID: id.producer, ProducerEpoch: id.epoch, GroupID: group,
		})
		if err != nil {
			return err
		}
		return codeError(answer.ErrorCode)
	})
	return err
}

func (p *Producer) sendOffsets(ctx context.Context, group, topic string, at []PartitionOffset) error {
	id := p.identity()
	req := &txnoffsetcommit.Request{
		TransactionalID: p.config.TransactionalID, GroupID: group, ProducerID: id.producer, ProducerEpoch: id.epoch,
		GenerationID: -1, // of a group without members
		Topics:       []txnoffsetcommit.RequestTopic{{Name: topic}},
	}
	for _, place := range at {
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, txnoffsetcommit.RequestPartition{
			Partition: place.Partition, CommittedOffset: place.Offset, CommittedLeaderEpoch: -1,
		})
	}
	return p.client.atGroup(ctx, "committing offsets of group "+group, group, func(ctx context.Context, node int32) error {
		answer, err := call[*txnoffsetcommit.Response](ctx, p.client.cluster, node, req)
		if err != nil {
			return err
		}
		answered := 0
		for _, t := range answer.Topics {
			for _, part := range t.Partitions {
				if err := codeError(part.ErrorCode); err != nil {
					return fmt.Errorf("partition %d: %w", part.Partition, err)
				}
				answered++
			}
		}
		if answered != len(at) {
			return fmt.Errorf("%d of %d partitions were answered: %w", answered, len(at), brokerError(kafka.Unknown))
		}
		return nil
	})
}

// atGroup repeats do at the broker that coordinates the group.
func (c *Client) atGroup(ctx context.Context, what, group string, do func(ctx context.Context, node int32) error) error {
	return c.retry(ctx, what, func(ctx context.Context) error {
		node, err := c.findCoordinator(ctx, groupKey, group)
		if err != nil {
			return err
		}
		return do(ctx, node)
	})
}

// GroupLag is how far a group is behind in one partition.
type GroupLag struct {
	Partition int32
	Committed int64 // offset of the next record to read; -1: none was committed
	Start     int64 // first offset that the log holds
	Stable    int64 // where committed reading stops
}

// Records that are still to be read, at most: control batches and aborted
// records count too. From the log's start where nothing was committed, or what
// was committed has expired.
func (l GroupLag) Records() int64 { return max(l.Stable-max(l.Committed, l.Start), 0) }

// Lag tells for every partition of a topic what a group has committed and how
// far the partition reaches.
func (c *Client) Lag(ctx context.Context, group, topic string) ([]GroupLag, error) {
	ends, err := c.Offsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	lags := make([]GroupLag, len(ends))
	places := make([]int32, len(ends))
	for i, e := range ends {
		lags[i] = GroupLag{Partition: e.Partition, Committed: -1, Start: e.Start, Stable: e.Stable}
		places[i] = e.Partition
	}
	err = c.atGroup(ctx, "asking for the offsets of group "+group, group, func(ctx context.Context, node int32) error {
		answer, err := call[*offsetfetch.Response](ctx, c.cluster, node, &offsetfetch.Request{
			GroupID: group, Topics: []offsetfetch.RequestTopic{{Name: topic, PartitionIndexes: places}},
		})
		if err != nil {
			return err
		}
		if err := codeError(answer.ErrorCode); hasCode(err, kafka.GroupIdNotFound) {
			return nil // it has committed nothing yet
		} else if err != nil {
			return err
		}
		return collectCommitted(answer, topic, lags)
	})
	return lags, err
}

func collectCommitted(answer *offsetfetch.Response, topic string, into []GroupLag) error {
	for i := range answer.Topics {
		if answer.Topics[i].Name != topic {
			continue
		}
		for _, p := range answer.Topics[i].Partitions {
			if err := codeError(p.ErrorCode); err != nil {
				return fmt.Errorf("partition %d: %w", p.PartitionIndex, err)
			}
			if int(p.PartitionIndex) < len(into) && p.PartitionIndex >= 0 {
				into[p.PartitionIndex].Committed = p.CommittedOffset
			}
		}
	}
	return nil
}
