package control_test

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// replica is a log of its own on a broker that others may share.
type replica struct {
	*control.Log
	stop func()

	mu     sync.Mutex
	offset time.Duration
}

func (r *replica) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.offset)
}

func newBroker(t *testing.T) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func open(t *testing.T, o *office, cluster *kfake.Cluster) *replica {
	t.Helper()
	kafka, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: cluster.ListenAddrs(), Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := kafka.CreateTopics(t.Context(), control.Topic(region, 1)); err != nil {
		t.Fatal(err)
	}
	r := &replica{}
	r.Log, err = control.Open(t.Context(), control.Config{Kafka: kafka, Rules: o.rules, Now: r.now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := kafka.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// present is an office whose certificates are valid now.
func present(t *testing.T) *office {
	o := newOffice(t)
	t.Helper()
	for _, who := range []spiffe.Name{liang, admin} {
		o.signers[who] = o.authority.Issue(who)
	}
	return o
}

// until waits for a replica to have folded up to an offset.
func until(t *testing.T, r *replica, next int64) *control.State {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s, err := r.State()
		if err == nil && s.Next() >= next {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("not at %d: %v", next, err)
		}
	}
}

func TestSubmitAnswersWhatTheFoldDecided(t *testing.T) {
	t.Parallel()
	o, broker := present(t), newBroker(t)
	one, two := open(t, o, broker), open(t, o, broker)
	suspend := o.sign(liang, order(control.SuspendAgreement, "price-1", time.Now()))
	out, err := one.Submit(t.Context(), suspend)
	if err != nil || out.Offset != 0 || out.By != liang.String() {
		t.Fatalf("%+v, %v", out, err)
	}
	if s, err := one.State(); err != nil || s.Agreement("price-1").Effect != control.Suspended {
		t.Fatalf("whoever was answered must find it in force: %v", err)
	}
	if s := until(t, two, 1); s.Agreement("price-1").Effect != control.Suspended {
		t.Error("the other replica does not have it")
	}
	// Again, at the other replica, and what cannot hold: neither is written.
	if _, err := two.Submit(t.Context(), suspend); codeOf(err) != problem.OrderConflict {
		t.Errorf("again: %v", err)
	}
	if _, err := two.Submit(t.Context(), "nonsense"); codeOf(err) != problem.OrderInvalid {
		t.Errorf("nonsense: %v", err)
	}
	if _, err := two.Submit(t.Context(), o.sign(liang, order(control.EndAgreement, "price-1", time.Now()))); codeOf(err) != problem.OrderDuty {
		t.Errorf("of another duty: %v", err)
	}
	if _, err := two.Submit(t.Context(), o.sign(admin, order(control.EndAgreement, "price-1", time.Now()))); err != nil {
		t.Error(err)
	}
	s := until(t, one, 2)
	if s.Next() != 2 {
		t.Errorf("%d records, want 2: what was refused filled the log", s.Next())
	}
	// A third, started now, comes to the same.
	if again := until(t, open(t, o, broker), 2); !reflect.DeepEqual(again.View(), s.View()) {
		t.Errorf("%+v\nwant %+v", again.View(), s.View())
	}
}

// Of two orders that exclude each other, given at two replicas at once, one
// takes effect, and both replicas and both givers agree on which.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	o, broker := present(t), newBroker(t)
	replicas := []*replica{open(t, o, broker), open(t, o, broker)}
	for round := range 5 {
		var wg sync.WaitGroup
		errs := make([]error, 2)
		subject := []string{"a", "b", "c", "d", "e"}[round]
		for i, r := range replicas {
			signed := o.sign(liang, order(control.SuspendParticipant, subject, time.Now()))
			wg.Go(func() { _, errs[i] = r.Submit(t.Context(), signed) })
		}
		wg.Wait()
		first, second := codeOf(errs[0]), codeOf(errs[1])
		if (first == "") == (second == "") || first+second != problem.OrderConflict {
			t.Errorf("%v and %v", errs[0], errs[1])
		}
	}
}

// While nothing is ordered the state stays the same one, so that nothing is
// composed of it anew, and the end of the log is seen all the same.
func TestIdleLogKeepsItsState(t *testing.T) {
	t.Parallel()
	o, broker := present(t), newBroker(t)
	r := open(t, o, broker)
	if _, err := r.Submit(t.Context(), o.sign(liang, order(control.SuspendAgreement, "price-1", time.Now()))); err != nil {
		t.Fatal(err)
	}
	before := until(t, r, 1)
	fetched := make(chan struct{}, 100)
	broker.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		select {
		case fetched <- struct{}{}:
		default:
		}
		return nil, nil, false
	})
	for range 4 { // the last of them has folded those before it
		select {
		case <-fetched:
		case <-time.After(20 * time.Second):
			t.Fatal("the log is not followed")
		}
	}
	if after, err := r.State(); err != nil || after != before {
		t.Errorf("another state without an order, %v", err)
	}
}

// Orders are kept for ever, in the order in which they came.
func TestTopic(t *testing.T) {
	t.Parallel()
	got := control.Topic(region, 3)
	want := map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
	if got.Partitions != 1 || got.Replicas != 3 || !maps.Equal(got.Config, want) {
		t.Errorf("%+v", got)
	}
}

// A replica that does not see the log decides nothing (invariant 3), and does
// again when it sees it.
func TestStale(t *testing.T) {
	t.Parallel()
	o, broker := present(t), newBroker(t)
	r := open(t, o, broker)
	until(t, r, 0)
	var down sync.Mutex // held while Kafka answers nothing to a fetch
	broken := true
	broker.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		down.Lock()
		defer down.Unlock()
		return nil, errClosed, broken
	})
	r.mu.Lock()
	r.offset = 6 * time.Second // so long since the end was seen
	r.mu.Unlock()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := r.State(); codeOf(err) == problem.ControlStale {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it is not stale")
		}
	}
	if _, err := r.Submit(t.Context(), o.sign(liang, order(control.SuspendAgreement, "price-1", time.Now()))); codeOf(err) != problem.ControlStale {
		t.Errorf("submit: %v", err)
	}
	down.Lock()
	broken = false
	down.Unlock()
	until(t, r, 0)
}

var errClosed = problem.New(problem.KafkaUnavailable, "the connection is closed")

// A log whose beginning is gone cannot say what is in force.
func TestALogThatIsNotWhole(t *testing.T) {
	t.Parallel()
	o, broker := present(t), newBroker(t)
	r := open(t, o, broker)
	for _, subject := range []string{"a", "b"} {
		if _, err := r.Submit(t.Context(), o.sign(liang, order(control.SuspendParticipant, subject, time.Now()))); err != nil {
			t.Fatal(err)
		}
	}
	r.stop()
	if err := broker.DeleteRecords(control.Topic(region, 1).Name, 0, 1); err != nil {
		t.Fatal(err)
	}
	kafka, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: broker.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kafka.Close() }()
	if _, err := control.Open(t.Context(), control.Config{Kafka: kafka, Rules: o.rules, Now: time.Now, Logger: slog.New(slog.DiscardHandler)}); err == nil {
		t.Error("it was opened")
	}
}
