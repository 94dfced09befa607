package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// transaction is one open transaction. Producer.mu guards it.
type transaction struct {
	ctx     context.Context // of its batches in flight
	cancel  context.CancelFunc
	joined  time.Time // when the coordinator was first told of it; zero: never
	parts   map[topicPartition]struct{}
	one     participant // one of those that the coordinator was told of
	sealed  bool        // Commit or Abort has begun
	decided bool        // a commit was asked for and may have happened
	aborted bool        // an abort was asked for
	cause   error       // why it can only be aborted
	late    bool        // something of it may reach a broker after its end
}

// refusal says why the transaction takes no more records. It is called with
// Producer.mu held.
func (t *transaction) refusal() error {
	switch {
	case t.cause != nil:
		// The cause as text: its ErrUnavailable would mean something else to a
		// caller of Commit.
		return fmt.Errorf("kafkalog: %w: %s", ErrAbortOnly, t.cause.Error())
	case t.sealed:
		return errors.New("kafkalog: the transaction is being committed or aborted")
	}
	return nil
}

// Begin opens a transaction. The cluster hears of it with the first Send.
func (p *Producer) Begin() error {
	p.ending.Lock()
	defer p.ending.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.unusable(); err != nil {
		return err
	}
	if p.config.TransactionalID == "" {
		return errors.New("kafkalog: a producer without TransactionalID has no transactions")
	}
	if p.txn != nil {
		return errors.New("kafkalog: a transaction is open already: commit or abort it first")
	}
	t := &transaction{parts: make(map[topicPartition]struct{})}
	t.ctx, t.cancel = context.WithCancel(p.ctx)
	p.txn = t
	return nil
}

// Commit makes everything that was sent since Begin visible, in all partitions
// or in none. After ErrAbortOnly it is certain that nothing was committed:
// call Abort. After ErrUnavailable that is not known: call Commit again, or
// Abort, after which only the log tells which of the two happened.
func (p *Producer) Commit(ctx context.Context) error {
	p.ending.Lock()
	defer p.ending.Unlock()
	if err := p.Err(); err != nil {
		return err
	}
	t, err := p.seal(false)
	if err != nil {
		return err
	}
	p.hurry()
	if err := p.busy.wait(ctx); err != nil {
		p.unseal(t)
		return fmt.Errorf("kafkalog: commit: records are still in flight: %w", err)
	}
	if err := p.uncommittable(t); err != nil {
		return err
	}
	if t.joined.IsZero() {
		p.finish(t, false)
		return nil
	}
	settled, err := p.end(ctx, true)
	switch {
	case err == nil:
		p.finish(t, !settled)
	case errors.Is(err, ErrFenced):
		err = p.fenced(err)
	case errors.Is(err, ErrUnavailable) || ctx.Err() != nil:
		p.mu.Lock()
		t.decided = true
		p.mu.Unlock()
	default:
		p.spoil(err, true)
		err = fmt.Errorf("kafkalog: commit: %w: %s", ErrAbortOnly, err.Error())
	}
	return err
}

// uncommittable says why a sealed transaction cannot be committed.
func (p *Producer) uncommittable(t *transaction) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.fatal != nil:
		return p.fatal
	case t.aborted && t.decided:
		return errors.New("kafkalog: commit: an abort has begun: call Abort again")
	case t.cause != nil:
		return t.refusal()
	}
	return nil
}

// Abort drops everything that was sent since Begin. What is in flight is given
// up. After an error call it again, or open a new producer with the same id.
func (p *Producer) Abort(ctx context.Context) error {
	if err := p.Err(); err != nil {
		return err
	}
	return p.abort(ctx)
}

func (p *Producer) abort(ctx context.Context) error {
	p.ending.Lock()
	defer p.ending.Unlock()
	t, err := p.seal(true)
	if err != nil {
		return err
	}
	t.cancel()
	if err := p.busy.wait(ctx); err != nil {
		return fmt.Errorf("kafkalog: abort: records are still in flight: %w", err)
	}
	p.mu.Lock()
	fatal, late := p.fatal, t.late || t.decided
	p.mu.Unlock()
	if fatal != nil {
		return fatal
	}
	if t.joined.IsZero() {
		p.finish(t, false)
		return nil
	}
	settled := true
	if !late {
		settled, err = p.end(ctx, false)
		// The coordinator holds it for ended: nothing is known for certain.
		late = hasCode(err, kafka.InvalidTransactionState, kafka.InvalidProducerIDMapping)
	}
	if late {
		settled = true
		err = p.renew(ctx, t.one)
	}
	switch {
	case err == nil:
		p.finish(t, !settled)
	case errors.Is(err, ErrFenced):
		err = p.fenced(err)
	}
	return err
}

// seal keeps further records out of the open transaction.
func (p *Producer) seal(abort bool) (*transaction, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.txn
	if t == nil {
		return nil, errors.New("kafkalog: no transaction is open")
	}
	t.sealed = true
	if abort {
		t.aborted = true
		if t.cause == nil {
			t.cause = errors.New("it is being aborted")
		}
	}
	return t, nil
}

func (p *Producer) unseal(t *transaction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.sealed = false
}

// finish leaves the transaction behind. renew: before the next one the epoch
// must change.
func (p *Producer) finish(t *transaction, renew bool) {
	t.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	if renew {
		p.renewal = &t.one
	}
	p.txn = nil
}

// spoil makes the open transaction, if there is one, abort-only. late: a batch
// of it may still reach a broker.
func (p *Producer) spoil(cause error, late bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.txn; t != nil {
		if t.cause == nil {
			t.cause = cause
		}
		t.late = t.late || late
	}
}

// fenced ends the producer. A transaction that outlived its timeout looks the
// same to the cluster as one that was taken over: its age tells them apart.
func (p *Producer) fenced(err error) error {
	p.mu.Lock()
	t := p.txn
	expired := t != nil && !t.joined.IsZero() && p.client.now().Sub(t.joined) >= p.config.TransactionTimeout
	p.mu.Unlock()
	if expired {
		err = fmt.Errorf("kafkalog: transactional id %s: %w of %v (%s)",
			p.config.TransactionalID, ErrExpired, p.config.TransactionTimeout, err.Error())
	} else {
		err = fmt.Errorf("kafkalog: transactional id %s: %w (%s)", p.config.TransactionalID, ErrFenced, err.Error())
	}
	p.fail(err)
	return err
}

// judge decides what a failed batch means for the producer and returns the
// error for its records.
func (p *Producer) judge(ctx context.Context, at topicPartition, err error, settled bool) error {
	transactional := p.config.TransactionalID != ""
	if transactional && hasCode(err, kafka.InvalidTransactionState, kafka.InvalidProducerIDMapping) {
		// What a leader says that has already seen the transaction's end; only
		// the coordinator knows who ended it.
		if asked := p.join(ctx, at); errors.Is(asked, ErrFenced) {
			err = asked
		}
	}
	switch {
	case refusedError(err) && settled:
	case errors.Is(err, ErrFenced):
		err = p.fenced(err)
	case transactional:
		p.spoil(err, !settled || hasCode(err, kafka.OutOfOrderSequenceNumber,
			kafka.DuplicateSequenceNumber, kafka.UnknownProducerId, kafka.InvalidTransactionState))
	case hasCode(err, kafka.OutOfOrderSequenceNumber, kafka.DuplicateSequenceNumber, kafka.UnknownProducerId,
		kafka.InvalidTransactionState, kafka.InvalidProducerIDMapping):
		// The leader does not remember what it acknowledged: nothing that this
		// producer says later can be trusted.
		p.fail(err)
	}
	return err
}
