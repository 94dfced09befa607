package kafkalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
)

const (
	// Key types in FindCoordinator.
	groupKey       int8 = 0
	transactionKey int8 = 1
	// notAttempted: the partition was not added because another of the same
	// request was not (OPERATION_NOT_ATTEMPTED).
	notAttempted = 55
)

// coordinate repeats do at the broker that coordinates the transactional id.
// settled is false when a request may have taken effect without an answer.
func (p *Producer) coordinate(ctx context.Context, what string, do func(ctx context.Context, node int32) error) (settled bool, err error) {
	settled = true
	what += " of transactional id " + p.config.TransactionalID
	err = p.client.retry(ctx, what, func(ctx context.Context) error {
		node, err := p.findCoordinator(ctx)
		if err != nil {
			return err
		}
		if err = do(ctx, node); err == nil {
			return nil
		}
		if unsettledError(err) {
			settled = false
		}
		if movedError(err) || hasCode(err, kafka.GroupCoordinatorNotAvailable, kafka.NotCoordinatorForGroup) {
			p.mu.Lock()
			p.coordinator = anyBroker
			p.mu.Unlock()
		}
		return err
	})
	return settled, err
}

func (p *Producer) findCoordinator(ctx context.Context) (int32, error) {
	p.mu.Lock()
	node := p.coordinator
	p.mu.Unlock()
	if node != anyBroker {
		return node, nil
	}
	node, err := p.client.findCoordinator(ctx, transactionKey, p.config.TransactionalID)
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.coordinator = node
	return node, nil
}

// findCoordinator asks which broker coordinates a group or a transactional id.
func (c *Client) findCoordinator(ctx context.Context, kind int8, key string) (int32, error) {
	answer, err := call[*findcoordinator.Response](ctx, c.cluster, anyBroker, &findcoordinator.Request{Key: key, KeyType: kind})
	if err != nil {
		return 0, err
	}
	if err := codeError(answer.ErrorCode); err != nil {
		return 0, fmt.Errorf("finding the coordinator: %w", err)
	}
	return answer.NodeID, nil
}

// takeOver makes this producer the holder of its transactional id. With the
// identity that it has it continues under a new epoch (KIP-360), unless
// somebody else has taken the id over meanwhile; with none it fences whoever
// had it. Either way an open transaction is aborted.
func (p *Producer) takeOver(ctx context.Context, held identity) (identity, error) {
	var id identity
	_, err := p.coordinate(ctx, "taking hold", func(ctx context.Context, node int32) error {
		var err error
		id, err = p.client.initProducer(ctx, node, &initproducerid.Request{
			TransactionalID:      p.config.TransactionalID,
			TransactionTimeoutMs: int32(p.config.TransactionTimeout.Milliseconds()),
			ProducerID:           held.producer, ProducerEpoch: held.epoch,
		})
		return err
	})
	return id, err
}

// renew changes the epoch, so that whatever is still on its way under the old
// one is refused. who took part in the last transaction.
func (p *Producer) renew(ctx context.Context, who participant) error {
	// Not every coordinator refuses an old epoch when it is asked for a new
	// one, but all do when somebody is added: without this a fenced producer
	// could take the id back. Other refusals do not matter here.
	err := p.rejoin(ctx, who)
	if errors.Is(err, ErrFenced) || errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
		return err
	}
	id, err := p.takeOver(ctx, p.identity())
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.id, p.renewal = id, nil
	return nil
}

// participant of a transaction: a partition, or a group whose offsets are
// committed.
type participant struct {
	at    topicPartition
	group string // "": it is a partition
}

func (p *Producer) rejoin(ctx context.Context, who participant) error {
	if who.group != "" {
		return p.addGroup(ctx, who.group)
	}
	return p.join(ctx, who.at)
}

// join tells the coordinator that these partitions take part.
func (p *Producer) join(ctx context.Context, parts ...topicPartition) error {
	id := p.identity()
	req := &addpartitionstotxn.Request{
		TransactionalID: p.config.TransactionalID, ProducerID: id.producer, ProducerEpoch: id.epoch,
	}
	index := make(map[string]int)
	for _, at := range parts {
		i, ok := index[at.topic]
		if !ok {
			i = len(req.Topics)
			index[at.topic] = i
			req.Topics = append(req.Topics, addpartitionstotxn.RequestTopic{Name: at.topic})
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, at.partition)
	}
	_, err := p.coordinate(ctx, "adding partitions to the transaction", func(ctx context.Context, node int32) error {
		answer, err := call[*addpartitionstotxn.Response](ctx, p.client.cluster, node, req)
		if err != nil {
			return err
		}
		return joinError(answer)
	})
	return err
}

// joinError is the first error of the partitions, if possible one that says
// more than that another had one.
func joinError(answer *addpartitionstotxn.Response) error {
	var err error
	for _, t := range answer.Results {
		for _, r := range t.Results {
			if e := codeError(r.ErrorCode); e != nil && (err == nil || hasCode(err, notAttempted)) {
				err = e
			}
		}
	}
	return err
}

// joinCall lets the partitions of a Send take part in the open transaction.
func (p *Producer) joinCall(ctx context.Context, c *sending) error {
	p.joining.Lock()
	defer p.joining.Unlock()
	p.mu.Lock()
	t, renewal := p.txn, p.renewal
	var fresh []topicPartition
	for i := range c.groups {
		at := c.groups[i].writer.at
		if _, ok := t.parts[at]; !ok {
			fresh = append(fresh, at)
		}
	}
	if len(fresh) > 0 && t.joined.IsZero() && renewal == nil {
		t.joined, t.one = p.client.now(), participant{at: fresh[0]}
	}
	p.mu.Unlock()
	if len(fresh) == 0 {
		return nil
	}
	if renewal != nil {
		if err := p.renew(ctx, *renewal); err != nil {
			return p.unjoined(err)
		}
		p.mu.Lock()
		t.joined, t.one = p.client.now(), participant{at: fresh[0]}
		p.mu.Unlock()
	}
	if err := p.join(ctx, fresh...); err != nil {
		return p.unjoined(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range fresh {
		t.parts[at] = struct{}{}
	}
	return nil
}

func (p *Producer) unjoined(err error) error {
	if errors.Is(err, ErrFenced) {
		return p.fenced(err)
	}
	p.spoil(err, false)
	return err
}

// end commits or aborts the transaction at the coordinator.
func (p *Producer) end(ctx context.Context, commit bool) (settled bool, err error) {
	id := p.identity()
	what := "aborting the transaction"
	if commit {
		what = "committing the transaction"
	}
	return p.coordinate(ctx, what, func(ctx context.Context, node int32) error {
		answer, err := call[*endtxn.Response](ctx, p.client.cluster, node, &endtxn.Request{
			TransactionalID: p.config.TransactionalID,
			ProducerID:      id.producer, ProducerEpoch: id.epoch, Committed: commit,
		})
		if err != nil {
			return err
		}
		return codeError(answer.ErrorCode)
	})
}
