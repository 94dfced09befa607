package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wire is a listener that can lose answers: the broker does what it was asked
// to, and the connection breaks before the client hears of it.
type lossyListener struct {
	net.Listener
	lose *atomic.Int32
}

func (l lossyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return lossyConn{c, l.lose}, nil
}

type lossyConn struct {
	net.Conn
	lose *atomic.Int32
}

func (c lossyConn) Write(b []byte) (int, error) {
	if c.lose.Load() > 0 && c.lose.Add(-1) >= 0 {
		return 0, errors.Join(net.ErrClosed, c.Close())
	}
	return c.Conn.Write(b)
}

// lossyCluster loses the answers to the next `lose` requests of a key.
func lossyCluster(t *testing.T) (c *kfake.Cluster, loseAnswers func(key kmsg.Key, n int)) {
	t.Helper()
	lose := new(atomic.Int32)
	c = startCluster(t, kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := new(net.ListenConfig).Listen(t.Context(), network, address)
		return lossyListener{l, lose}, err
	}))
	return c, func(key kmsg.Key, n int) {
		c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
			if n > 0 {
				n--
				lose.Store(1)
			}
			if n == 0 {
				c.DropControl()
			}
			return nil, nil, false
		})
	}
}

// counting counts the requests of a key.
func counting(c *kfake.Cluster, key kmsg.Key) *atomic.Int64 {
	n := new(atomic.Int64)
	c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		n.Add(1)
		return nil, nil, false
	})
	return n
}

func TestSendUnderFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]*kerr.Error{
		"not enough replicas":              kerr.NotEnoughReplicas,
		"not enough replicas after append": kerr.NotEnoughReplicasAfterAppend,
		"timed out, yet stored":            kerr.RequestTimedOut,
		"not leader":                       kerr.NotLeaderForPartition,
		"corrupt on the way":               kerr.CorruptMessage,
		"unknown error":                    kerr.UnknownServerError,
		"storage error":                    kerr.KafkaStorageError,
		"disconnected before":              nil,
		"disconnected after":               nil,
	} {
		for _, id := range []string{"", "txn"} {
			t.Run(name+" "+id, func(t *testing.T) {
				t.Parallel()
				cluster, loseAnswers := lossyCluster(t)
				c := open(t, cluster.ListenAddrs())
				topic := create(t, c, 1)
				p := producer(t, c, ProducerConfig{TransactionalID: id})
				if id != "" {
					must(t, "Begin", p.Begin())
				}
				for i := range 5 {
					switch {
					case fault != nil:
						cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: fault, Count: 2})
					case name == "disconnected before":
						severs(cluster, kmsg.Produce, 2)
					default:
						loseAnswers(kmsg.Produce, 2)
					}
					records := numbered(topic, 0, i*10, i*10+10)
					mustSend(t, p, records)
					if want := int64(i * 10); records[0].Offset != want || records[9].Offset != want+9 {
						t.Errorf("offsets %d to %d, want from %d", records[0].Offset, records[9].Offset, want)
					}
				}
				if id != "" {
					must(t, "Commit", p.Commit(t.Context()))
				}
				same(t, stored(t, c, topic, 0), span(0, 50))
			})
		}
	}
}

func TestSendFailsForGood(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	for name, test := range map[string]struct {
		err   *kerr.Error
		want  error
		fatal bool
	}{
		"not authorised": {kerr.TopicAuthorizationFailed, ErrNotAuthorised, false},
		"out of order":   {kerr.OutOfOrderSequenceNumber, kerr2(kerr.OutOfOrderSequenceNumber), true},
		"fenced":         {kerr.InvalidProducerEpoch, ErrFenced, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, cluster.ListenAddrs())
			topic := create(t, c, 1)
			p := producer(t, c, ProducerConfig{})
			mustSend(t, p, numbered(topic, 0, 0, 1))
			cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: test.err})
			began := time.Now()
			records := numbered(topic, 0, 100, 103)
			if err := p.Send(t.Context(), records); !errors.Is(err, test.want) {
				t.Errorf("Send: %v", err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("it was repeated for %v", took)
			}
			for i := range records {
				if !errors.Is(records[i].Err, test.want) || records[i].Offset != -1 {
					t.Errorf("record %d: %d, %v", i, records[i].Offset, records[i].Err)
				}
			}
			if !test.fatal {
				mustSend(t, p, numbered(topic, 0, 1, 2))
				same(t, stored(t, c, topic, 0), span(0, 2))
				return
			}
			if err := p.Send(t.Context(), numbered(topic, 0, 1, 2)); !errors.Is(err, test.want) {
				t.Errorf("the next Send: %v", err)
			}
			if !errors.Is(p.Err(), test.want) {
				t.Errorf("Err: %v", p.Err())
			}
		})
	}
}

// kerr2 is the broker's answer as this package wraps it.
func kerr2(e *kerr.Error) error { return codeError(e.Code) }

// An outage longer than the budget: what was not acknowledged is stored at
// most once, and what is sent afterwards is stored once and in order.
func TestSendThroughOutage(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs(), timeout(600*time.Millisecond))
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{})
	mustSend(t, p, numbered(topic, 0, 0, 10))
	outage := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.RequestTimedOut, Count: -1})
	records := numbered(topic, 0, 100, 105)
	began := time.Now()
	err := p.Send(t.Context(), records)
	if !errors.Is(err, ErrUnavailable) {
		t.Fatalf("Send: %v", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %v with a budget of 600 ms", took)
	}
	outage.Remove()
	mustSend(t, p, numbered(topic, 0, 10, 20))
	want := append(span(0, 10), span(100, 105)...)
	same(t, stored(t, c, topic, 0), append(want, span(10, 20)...))
}

// The topic allows less than the producer's batches: the batch is taken apart
// until the record that is too large is alone.
func TestTopicRefusesRecord(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := "small"
	must(t, "CreateTopics", c.CreateTopics(t.Context(), Topic{
		Name: topic, Partitions: 1,
		Config: map[string]string{"max.message.bytes": "2000"},
	}))
	p := producer(t, c, ProducerConfig{Compression: "none"})
	records := numbered(topic, 0, 0, 200)
	records[77].Value = make([]byte, 3000)
	records[150].Value = make([]byte, 3000)
	err := p.Send(t.Context(), records)
	if !errors.Is(err, ErrTooLarge) {
		t.Fatalf("Send: %v", err)
	}
	want := []string{}
	for i := range records {
		bad := i == 77 || i == 150
		if bad != (records[i].Err != nil) {
			t.Errorf("record %d: %v", i, records[i].Err)
		}
		if !bad {
			want = append(want, fmt.Sprintf("v%d", i))
		}
	}
	same(t, stored(t, c, topic, 0), want)
}

func TestSendConcurrently(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 3)
	requests := counting(cluster, kmsg.Produce)
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		time.Sleep(2 * time.Millisecond) // so that a batch is in flight while others come
		return nil, nil, false
	})
	p := producer(t, c, ProducerConfig{})
	const senders, each = 30, 20
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range each {
				n := s*each + i
				records := numbered(topic, int32(s%3), n, n+1)
				if err := p.Send(t.Context(), records); err != nil {
					t.Errorf("Send: %v", err)
				}
			}
		})
	}
	all.Wait()
	if n := requests.Load(); n > senders*each/3 {
		t.Errorf("%d requests for %d calls: they are not merged", n, senders*each)
	}
	seen := map[string]bool{}
	for partition := range int32(3) {
		last := map[int]int{}
		for _, v := range stored(t, c, topic, partition) {
			var n int
			if _, err := fmt.Sscanf(v, "v%d", &n); err != nil || seen[v] {
				t.Fatalf("%q: %v, seen %v", v, err, seen[v])
			}
			seen[v] = true
			if before, ok := last[n/each]; ok && n <= before {
				t.Errorf("sender %d: %d after %d", n/each, n, before)
			}
			last[n/each] = n
		}
	}
	if len(seen) != senders*each {
		t.Errorf("%d records are stored, want %d", len(seen), senders*each)
	}
}

func TestSendIsCancelled(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{})
	mustSend(t, p, numbered(topic, 0, 0, 1))
	release := make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.SleepControl(func() { <-release })
		cluster.DropControl()
		return nil, nil, false
	})
	flying, queued := numbered(topic, 0, 1, 2), numbered(topic, 0, 100, 102)
	first, cancelFirst := context.WithCancel(t.Context())
	results := make(chan error, 2)
	go func() { results <- p.Send(first, flying) }()
	time.Sleep(50 * time.Millisecond)
	second, cancelSecond := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelSecond()
	if err := p.Send(second, queued); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errUnsent) {
		t.Errorf("Send in the queue: %v", err)
	}
	cancelFirst()
	if err := <-results; !errors.Is(err, context.Canceled) || errors.Is(err, errUnsent) {
		t.Errorf("Send in flight: %v", err)
	}
	// The caller may do with its memory what it likes.
	for i := range flying {
		flying[i] = Record{Value: []byte("changed")}
	}
	close(release)
	mustSend(t, p, numbered(topic, 0, 2, 3))
	same(t, stored(t, c, topic, 0), span(0, 3))
	if r := flying[0]; r.Offset != 0 || r.Err != nil || string(r.Value) != "changed" {
		t.Errorf("a record was changed after its Send had returned: %d, %v", r.Offset, r.Err)
	}
}

func TestProducerClose(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.SleepControl(func() { time.Sleep(100 * time.Millisecond) })
		return nil, nil, false
	})
	sent := make(chan error, 1)
	go func() { sent <- p.Send(t.Context(), numbered(topic, 0, 0, 5)) }()
	time.Sleep(30 * time.Millisecond)
	must(t, "Close", p.Close(t.Context()))
	must(t, "the Send in flight", <-sent)
	if err := p.Send(t.Context(), numbered(topic, 0, 5, 6)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
	must(t, "Close again", p.Close(t.Context()))
	same(t, stored(t, c, topic, 0), span(0, 5))
}

func TestNoAutoCreation(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t, kfake.AllowAutoTopicCreation())
	conformUnknownTopic(t, open(t, cluster.ListenAddrs(), timeout(2*time.Second)))
}

func TestLeaderMoves(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t, kfake.NumBrokers(3))
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 1)
	p := producer(t, c, ProducerConfig{TransactionalID: "id"})
	f := c.NewFetcher(FetcherConfig{Topic: topic})
	next := int64(0)
	for i := range 12 {
		must(t, "Begin", p.Begin())
		mustSend(t, p, numbered(topic, 0, i*10, i*10+5))
		must(t, "MoveTopicPartition", cluster.MoveTopicPartition(topic, 0, int32((int(cluster.LeaderFor(topic, 0))+1)%3)))
		cluster.RehashCoordinators()
		began := time.Now()
		mustSend(t, p, numbered(topic, 0, i*10+5, i*10+10))
		must(t, "Commit", p.Commit(t.Context()))
		got, err := f.Fetch(t.Context(), PartitionOffset{0, next})
		must(t, "Fetch", err)
		if n := len(got.Partitions[0].Records); n != 10 {
			t.Errorf("round %d: %d records", i, n)
		}
		next = got.Partitions[0].Next
		got.Release()
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("round %d: recovering took %v", i, took)
		}
	}
	same(t, stored(t, c, topic, 0), span(0, 120))
}

func TestFetchFromSeveralLeaders(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t, kfake.NumBrokers(3))
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 6)
	for partition := range int32(6) {
		must(t, "MoveTopicPartition", cluster.MoveTopicPartition(topic, partition, partition%3))
	}
	p := producer(t, c, ProducerConfig{})
	var places []PartitionOffset
	for partition := range int32(6) {
		mustSend(t, p, numbered(topic, partition, int(partition)*10, int(partition)*10+10))
		places = append(places, PartitionOffset{partition, 3})
	}
	got, err := c.NewFetcher(FetcherConfig{Topic: topic}).Fetch(t.Context(), places...)
	must(t, "Fetch", err)
	defer got.Release()
	for i, part := range got.Partitions {
		if part.Partition != int32(i) || len(part.Records) != 7 || string(part.Records[0].Value) != fmt.Sprintf("v%d", i*10+3) {
			t.Errorf("partition %d: %d records", part.Partition, len(part.Records))
		}
	}
}

// A batch that fails for good takes with it what the same Send has behind it:
// no hole opens in the partition.
func TestSendLeavesNoHole(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	c := open(t, cluster.ListenAddrs())
	topic := create(t, c, 2)
	p := producer(t, c, ProducerConfig{BatchBytes: leastBatchBytes})
	n := 0
	cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Partitions: []int32{0}, Err: kerr.TopicAuthorizationFailed,
		When: func(kmsg.Request) bool { n++; return n == 2 },
	})
	records := append(numbered(topic, 0, 0, 500), numbered(topic, 1, 0, 500)...)
	if err := p.Send(t.Context(), records); !errors.Is(err, ErrNotAuthorised) {
		t.Fatalf("Send: %v", err)
	}
	got := stored(t, c, topic, 0)
	if len(got) == 0 || len(got) > 300 {
		t.Fatalf("%d records are stored", len(got))
	}
	same(t, got, span(0, len(got)))
	for i := range 500 {
		if (records[i].Err == nil) != (i < len(got)) {
			t.Errorf("record %d of %d stored: %v", i, len(got), records[i].Err)
		}
	}
	same(t, stored(t, c, topic, 1), span(0, 500)) // the other partition is not concerned
	mustSend(t, p, numbered(topic, 0, len(got), 500))
	same(t, stored(t, c, topic, 0), span(0, 500))
}

// A record that is written while OffsetAt asks is not passed over.
func TestOffsetAtMeanwhile(t *testing.T) {
	t.Parallel()
	for _, before := range []int{2, 3} { // the second, the third question
		cluster := startCluster(t)
		c := open(t, cluster.ListenAddrs())
		topic := create(t, c, 1)
		p := producer(t, c, ProducerConfig{})
		mustSend(t, p, numbered(topic, 0, 0, 10))
		soon := time.Now().Add(time.Hour)
		asked := 0
		cluster.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
			if asked++; asked == before {
				cluster.DropControl()
				cluster.SleepControl(func() {
					late := numbered(topic, 0, 10, 11)
					late[0].Time = soon
					if err := p.Send(context.Background(), late); err != nil {
						t.Errorf("Send: %v", err)
					}
				})
			}
			return nil, nil, false
		})
		if at, err := c.OffsetAt(t.Context(), topic, 0, soon); err != nil || at != 10 {
			t.Errorf("OffsetAt = %d, %v; want 10", at, err)
		}
	}
}
