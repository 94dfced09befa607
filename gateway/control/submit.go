package control

import (
	"context"
	"errors"
	"time"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// submitTimeout bounds the writing of an order and the wait for its outcome.
const submitTimeout = 10 * time.Second

// Submit writes a signed order into the log, waits until this replica has
// folded it, and answers what the fold made of it: the error of the outcome,
// if it changed nothing. An order that cannot hold now is refused before it is
// written. With problem.OrderUncertain nobody knows yet whether it was written;
// to submit the same order again is safe.
func (l *Log) Submit(ctx context.Context, signed string) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	s, err := l.State()
	if err != nil {
		return Outcome{}, err
	}
	// The same fold, at the place where the order would lie: what a stranger
	// sends does not fill the log.
	at := l.Now()
	next, would := l.Rules.Fold(s, []Entry{{Offset: s.next, At: at, Order: signed}})
	if would[0].Err == nil && l.Check != nil {
		would[0].Err = l.Check(next)
	}
	if would[0].Err != nil {
		return would[0], would[0].Err
	}
	wait, err := l.await(signed)
	if err != nil {
		return Outcome{}, err
	}
	defer l.forget(signed)
	records := []kafkalog.Record{{Topic: l.topic, Partition: 0, Value: []byte(signed), Time: at}}
	if err := l.producer.Send(ctx, records); err != nil {
		return Outcome{}, uncertain(err)
	}
	select {
	case out := <-wait:
		return out, out.Err
	case <-ctx.Done():
		return Outcome{}, uncertain(ctx.Err())
	}
}

// uncertain tells a write that certainly failed from one that may have
// happened.
func uncertain(err error) error {
	if errors.Is(err, kafkalog.ErrTooLarge) || errors.Is(err, kafkalog.ErrTopicUnknown) || errors.Is(err, kafkalog.ErrNotAuthorised) {
		return problem.Wrap(problem.KafkaUnavailable, err, "")
	}
	return problem.Wrap(problem.OrderUncertain, err, "")
}

func (l *Log) await(signed string) (<-chan Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, twice := l.waiting[signed]; twice {
		return nil, problem.New(problem.OrderConflict, "the same order is being written")
	}
	wait := make(chan Outcome, 1) // the follower never waits for a submitter
	l.waiting[signed] = wait
	return wait, nil
}

func (l *Log) forget(signed string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, signed)
}
