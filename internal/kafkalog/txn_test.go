package kafkalog

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTransactionThroughOutage(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs(), timeout(500*time.Millisecond))
	topic := create(t, c, 2)
	p := producer(t, c, ProducerConfig{TransactionalID: "id"})
	must(t, "Begin", p.Begin())
	mustSend(t, p, numbered(topic, 0, 100, 110))
	before := p.identity()
	outage := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.RequestTimedOut, Count: -1})
	if err := p.Send(t.Context(), numbered(topic, 0, 110, 115)); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("Send: %v", err)
	}
	outage.Remove()
	if err := p.Send(t.Context(), numbered(topic, 1, 110, 115)); !errors.Is(err, ErrAbortOnly) {
		t.Errorf("Send after a failure: %v", err)
	}
	if err := p.Commit(t.Context()); !errors.Is(err, ErrAbortOnly) || errors.Is(err, ErrUnavailable) {
		t.Errorf("Commit after a failure: %v", err)
	}
	must(t, "Abort", p.Abort(t.Context()))
	if after := p.identity(); after == before {
		t.Error("the epoch did not change after a failure whose batch may still arrive")
	}
	// It arrives now.
	late := newWriter(p, topicPartition{topic, 0})
	late.enc.reset(nil, len(late.request.head))
	r := numbered(topic, 0, 115, 116)[0]
	adding(&late.enc, &r, 0)
	sealed, _, err := late.enc.seal(c.codecs, codecNone, nil, before, 15, true)
	must(t, "seal", err)
	late.request.before(sealed)
	node, err := c.cluster.leader(t.Context(), late.at)
	must(t, "leader", err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := late.produce(ctx, node, sealed); err == nil {
		t.Error("a late batch of the aborted transaction was accepted")
	}
	must(t, "Begin", p.Begin())
	mustSend(t, p, numbered(topic, 0, 0, 5))
	must(t, "Commit", p.Commit(t.Context()))
	same(t, stored(t, c, topic, 0), span(0, 5))
}

func TestCommitWithLostAnswer(t *testing.T) {
	t.Parallel()
	cluster, loseAnswers := lossyCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{TransactionalID: "id"})
	must(t, "Begin", p.Begin())
	mustSend(t, p, numbered(topic, 0, 0, 5))
	before := p.identity()
	loseAnswers(kmsg.EndTxn, 1)
	must(t, "Commit", p.Commit(t.Context()))
	same(t, stored(t, c, topic, 0), span(0, 5))
	must(t, "Begin", p.Begin())
	mustSend(t, p, numbered(topic, 0, 5, 6))
	if p.identity() == before {
		t.Error("the same epoch is used although a request to commit may still arrive")
	}
	must(t, "Commit", p.Commit(t.Context()))
	same(t, stored(t, c, topic, 0), span(0, 6))
}

func TestCommitOutcomeUnknown(t *testing.T) {
	t.Parallel()
	for _, again := range []string{"Commit", "Abort"} {
		t.Run("then "+again, func(t *testing.T) {
			t.Parallel()
			cluster, _ := lossyCluster(t)
			c := open(t, cluster.ListenAddrs(), timeout(400*time.Millisecond))
			topic := create(t, c, 1)
			p := producer(t, c, ProducerConfig{TransactionalID: "id"})
			must(t, "Begin", p.Begin())
			mustSend(t, p, numbered(topic, 0, 0, 5))
			outage := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, TopLevel: true, Err: kerr.CoordinatorNotAvailable, Count: -1})
			err := p.Commit(t.Context())
			if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrAbortOnly) {
				t.Fatalf("Commit: %v", err)
			}
			if err := p.Send(t.Context(), numbered(topic, 0, 5, 6)); err == nil {
				t.Error("Send succeeded after a Commit whose outcome is not known")
			}
			outage.Remove()
			want := span(0, 5)
			if again == "Commit" {
				must(t, "Commit again", p.Commit(t.Context()))
			} else {
				must(t, "Abort", p.Abort(t.Context()))
				want = nil
			}
			same(t, stored(t, c, topic, 0), want)
			must(t, "Begin", p.Begin())
			mustSend(t, p, numbered(topic, 0, 5, 6))
			must(t, "Commit", p.Commit(t.Context()))
			same(t, stored(t, c, topic, 0), append(want, "v5"))
		})
	}
}

func TestTransactionExpires(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{TransactionalID: "id", TransactionTimeout: time.Second})
	must(t, "Begin", p.Begin())
	mustSend(t, p, numbered(topic, 0, 0, 5))
	time.Sleep(1100 * time.Millisecond)  // time passes: that is what it is about
	must(t, "Ping", c.Ping(t.Context())) // kfake looks at the time with a request
	if err := p.Commit(t.Context()); !errors.Is(err, ErrExpired) || errors.Is(err, ErrFenced) {
		t.Errorf("Commit: %v", err)
	}
	if err := p.Begin(); !errors.Is(err, ErrExpired) {
		t.Errorf("Begin: %v", err)
	}
	same(t, stored(t, c, topic, 0), nil)
}

// A producer that was fenced while its own failure was unresolved must not
// take the id back when it aborts.
func TestFencedDuringAbort(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs(), timeout(400*time.Millisecond))
	topic := create(t, c, 1)
	older := producer(t, c, ProducerConfig{TransactionalID: "id"})
	must(t, "Begin", older.Begin())
	outage := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.RequestTimedOut, Count: -1})
	if err := older.Send(t.Context(), numbered(topic, 0, 100, 105)); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("Send: %v", err)
	}
	outage.Remove()
	younger := producer(t, c, ProducerConfig{TransactionalID: "id"})
	must(t, "Begin", younger.Begin())
	mustSend(t, younger, numbered(topic, 0, 0, 5))
	if err := older.Abort(t.Context()); !errors.Is(err, ErrFenced) {
		t.Errorf("Abort of the older producer: %v", err)
	}
	mustSend(t, younger, numbered(topic, 0, 5, 10))
	must(t, "Commit of the younger", younger.Commit(t.Context()))
	same(t, stored(t, c, topic, 0), span(0, 10))
}

// What the coordinator refuses for good must not keep the transaction from
// being aborted.
func TestAbortAfterRefusal(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic, forbidden := create(t, c, 1), create(t, c, 1)
	defer cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.AddPartitionsToTxn}, Topic: forbidden, Err: kerr.TopicAuthorizationFailed, Count: -1}).Remove()
	p := producer(t, c, ProducerConfig{TransactionalID: "id"})
	for i, first := range []bool{false, true} {
		must(t, "Begin", p.Begin())
		if !first {
			mustSend(t, p, numbered(topic, 0, 100, 101))
		}
		if err := p.Send(t.Context(), numbered(forbidden, 0, 100, 101)); !errors.Is(err, ErrNotAuthorised) {
			t.Errorf("Send: %v", err)
		}
		if err := p.Commit(t.Context()); !errors.Is(err, ErrAbortOnly) {
			t.Errorf("Commit: %v", err)
		}
		must(t, "Abort", p.Abort(t.Context()))
		must(t, "Begin", p.Begin())
		mustSend(t, p, numbered(topic, 0, i, i+1))
		must(t, "Commit", p.Commit(t.Context()))
	}
	same(t, stored(t, c, topic, 0), span(0, 2))
}
