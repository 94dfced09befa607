//go:build faults

package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A round: single records and a pipe of transactions are written and read
// while the cluster is disturbed three times and restarted once; then the log
// is held against what the writers know.
const (
	singleRecords   = 7000 // acknowledged, in a round at least
	pipeRows        = 3000 // committed, in a round
	singleWriters   = 4
	roundPartitions = 3
	roundLimit      = 2 * time.Minute
)

// arena is a cluster and what can be done to it.
type arena struct {
	brokers []string
	faults  map[string]func(*rand.Rand) // each ends by itself or with calm
	kill    func(*rand.Rand)            // a broker, or all of them
	restart func()                      // what was killed; returns when it can be reached
	calm    func()
	lose    *atomic.Int32 // answers that clients will not hear
	timeout time.Duration // of a call
}

// rounds plays as many rounds as KAFKALOG_ROUNDS says. KAFKALOG_SEED repeats
// one.
func rounds(t *testing.T, a *arena, byDefault int) {
	t.Helper()
	count := byDefault
	if s := os.Getenv("KAFKALOG_ROUNDS"); s != "" {
		var err error
		count, err = strconv.Atoi(s)
		must(t, "KAFKALOG_ROUNDS", err)
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("KAFKALOG_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		must(t, "KAFKALOG_SEED", err)
		count = 1
	}
	var total tally
	for n := range count {
		r := newRound(t, a, seed+uint64(n))
		// Not t.Logf: a round that hangs must have said which it is.
		fmt.Fprintf(os.Stderr, "round %d of %d: KAFKALOG_SEED=%d\n", n+1, count, r.seed)
		r.play()
		total.add(&r.tally)
		if t.Failed() {
			t.Fatalf("round %d of %d failed: KAFKALOG_SEED=%d", n+1, count, r.seed)
		}
	}
	t.Logf("%d rounds, seeds %d to %d: %s", count, seed, seed+uint64(count)-1, &total)
}

// tally is what rounds came to.
type tally struct {
	acknowledged, uncertain  int
	committed, aborted, open int
	faults, restarts         int
}

func (t *tally) add(o *tally) {
	t.acknowledged += o.acknowledged
	t.uncertain += o.uncertain
	t.committed += o.committed
	t.aborted += o.aborted
	t.open += o.open
	t.faults += o.faults
	t.restarts += o.restarts
}

func (t *tally) String() string {
	return fmt.Sprintf("%d records acknowledged, %d uncertain; %d transactions committed, %d aborted, %d uncertain; %d faults, %d restarts; 0 lost, 0 doubled",
		t.acknowledged, t.uncertain, t.committed, t.aborted, t.open, t.faults, t.restarts)
}

type round struct {
	tally

	t     *testing.T
	arena *arena
	seed  uint64
	ctx   context.Context
	book  *book

	client                  *Client // of the round's writers and readers
	patient                 *Client // of what comes before and after
	singles, piped, reached string  // topics: single records; rows; the pipe's positions

	acked     atomic.Int64
	committed atomic.Int64 // rows
	allowed   atomic.Int64 // how far both may go before the next fault
	done      chan struct{}
	history   []string // the round's faults
}

func newRound(t *testing.T, a *arena, seed uint64) *round {
	t.Helper()
	r := &round{t: t, arena: a, seed: seed, book: newBook(), done: make(chan struct{})}
	r.client, r.patient = r.open(a.timeout), r.open(20*time.Second)
	for topic, partitions := range map[*string]int{&r.singles: roundPartitions, &r.piped: 2, &r.reached: 1} {
		*topic = create(t, r.patient, partitions)
	}
	return r
}

// open makes a client whose connections can be disturbed.
func (r *round) open(timeout time.Duration) *Client {
	for {
		c, err := Open(r.t.Context(), Config{Brokers: r.arena.brokers, ClientID: "round", Timeout: timeout})
		if errors.Is(err, ErrUnavailable) {
			continue
		}
		must(r.t, "Open", err)
		c.buffers.poison = true
		c.cluster.dialer.wrap = func(conn net.Conn) net.Conn { return deafConn{conn, r.arena.lose} }
		r.t.Cleanup(func() { _ = c.Close() })
		return c
	}
}

// deafConn does not hear some answers: what was asked for is done, and the
// connection breaks before the client learns of it.
type deafConn struct {
	net.Conn
	lose *atomic.Int32
}

func (c deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.lose.Load() > 0 && c.lose.Add(-1) >= 0 {
		return 0, errors.Join(net.ErrClosed, c.Close())
	}
	return n, err
}

func (r *round) random(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(r.seed, stream)) } //nolint:gosec // it is to be repeated

func (r *round) play() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), roundLimit)
	defer cancel()
	r.ctx = ctx
	var writers, readers sync.WaitGroup
	for n := range singleWriters {
		writers.Go(func() { r.writeSingles(n, r.random(uint64(10+n))) })
	}
	writers.Go(func() { r.pipe(r.random(20)) })
	logs := map[string]*follower{}
	for topic, partitions := range map[string]int{r.singles: roundPartitions, r.piped: 2} {
		f := &follower{topic: topic, logs: make([][]place, partitions)}
		logs[topic] = f
		readers.Go(func() { f.follow(r) })
	}
	r.disturb(r.random(30))
	writers.Wait()
	r.arena.calm()
	close(r.done)
	readers.Wait()
	if r.t.Failed() {
		return
	}
	r.check(logs)
	must(r.t, "Close", errors.Join(r.client.Close(), r.patient.Close()))
}

// disturb spreads three faults and a restart over the round's progress.
func (r *round) disturb(rng *rand.Rand) {
	names := make([]string, 0, len(r.arena.faults))
	for name := range r.arena.faults {
		names = append(names, name)
	}
	slices.Sort(names)
	order := []string{names[rng.IntN(len(names))], names[rng.IntN(len(names))], names[rng.IntN(len(names))], "restart"}
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	step := int64(singleRecords+pipeRows) / int64(len(order)+1)
	for i, name := range order {
		goal := step * int64(i+1)
		r.allowed.Store(goal)
		for r.progress() < goal && r.ctx.Err() == nil && !r.t.Failed() {
			time.Sleep(time.Millisecond)
		}
		r.arena.calm()
		r.history = append(r.history, fmt.Sprintf("%s at %d", name, r.progress()))
		if name != "restart" {
			r.arena.faults[name](rng)
			r.faults++
			continue
		}
		r.arena.kill(rng)
		r.allowed.Add(step) // while it is away
		r.arena.restart()
		r.restarts++
	}
	r.allowed.Store(math.MaxInt64)
}

func (r *round) progress() int64 { return r.acked.Load() + r.committed.Load() }

// pace keeps writers from being done before the last fault.
func (r *round) pace() {
	for r.progress() > r.allowed.Load() && r.ctx.Err() == nil && !r.t.Failed() {
		time.Sleep(time.Millisecond)
	}
}

// writeSingles sends until enough is acknowledged.
func (r *round) writeSingles(writer int, rng *rand.Rand) {
	p, err := r.producer(r.client, ProducerConfig{BatchBytes: 8 << 10})
	if err != nil {
		r.t.Errorf("NewProducer: %v", err)
		return
	}
	for n := 1; r.acked.Load() < singleRecords; {
		r.pace()
		records := make([]Record, 1+rng.IntN(80))
		for i := range records {
			records[i] = Record{Topic: r.singles, Partition: int32(rng.IntN(roundPartitions)), Value: fmt.Appendf(nil, "w%d.%d", writer, n)}
			n++
		}
		err := p.Send(r.ctx, records)
		if r.ctx.Err() != nil || p.Err() != nil {
			r.t.Errorf("writer %d cannot go on: %v, %v", writer, err, p.Err())
			return
		}
		for i := range records {
			switch rec := &records[i]; {
			case rec.Err == nil:
				r.book.enter(rec, stands)
				r.acked.Add(1)
			case errors.Is(rec.Err, errUnsent):
				r.book.enter(rec, vanished)
			default:
				r.book.enter(rec, unknown)
			}
		}
	}
	if err := p.Close(r.ctx); err != nil {
		r.t.Errorf("Close: %v", err)
	}
}

func (r *round) producer(c *Client, cfg ProducerConfig) (*Producer, error) {
	for {
		p, err := c.NewProducer(r.ctx, cfg)
		if !errors.Is(err, ErrUnavailable) || r.ctx.Err() != nil {
			return p, err
		}
	}
}

// follower reads a topic while it is written.
type follower struct {
	topic string
	logs  [][]place
}

func (f *follower) follow(r *round) {
	fetcher := r.client.NewFetcher(FetcherConfig{Topic: f.topic, MaxBytes: 16 << 10, MaxWait: 50 * time.Millisecond})
	at := make([]PartitionOffset, len(f.logs))
	for i := range at {
		at[i].Partition = int32(i)
	}
	for end := []int64(nil); end == nil || !reachedAll(at, end); {
		if r.ctx.Err() != nil {
			r.t.Errorf("%s: reading does not reach the end: at %v of %v", f.topic, at, end)
			return
		}
		got, err := fetcher.Fetch(r.ctx, at...)
		if errors.Is(err, ErrUnavailable) {
			continue
		}
		if err != nil {
			r.t.Errorf("%s: Fetch: %v", f.topic, err)
			return
		}
		for i := range got.Partitions {
			part := &got.Partitions[i]
			for _, rec := range part.Records {
				f.logs[i] = append(f.logs[i], place{rec.Offset, string(rec.Value)})
			}
			at[i].Offset = part.Next
		}
		got.Release()
		end = r.ends(f.topic, end)
	}
}

func reachedAll(at []PartitionOffset, end []int64) bool {
	for i := range at {
		if at[i].Offset < end[i] {
			return false
		}
	}
	return true
}

// ends are the offsets up to which there is something to read, nil before all
// is written and decided.
func (r *round) ends(topic string, known []int64) []int64 {
	select {
	case <-r.done:
	default:
		return nil
	}
	if known != nil {
		return known
	}
	all, err := r.client.Offsets(r.ctx, topic)
	if err != nil {
		return nil
	}
	ends := make([]int64, len(all))
	for i, e := range all {
		if e.Stable < e.End {
			return nil // an undecided transaction
		}
		ends[i] = e.End
	}
	return ends
}

// check holds the log, as an independent client reads it, against the book,
// and what the followers read against the log.
func (r *round) check(followed map[string]*follower) {
	r.t.Helper()
	single, piped := r.readAll(r.singles, roundPartitions), r.readAll(r.piped, 2)
	faults := append(r.book.checkRecords(single), r.book.checkTransactions(piped, pipeRows)...)
	for topic, logs := range map[string][][]place{r.singles: single, r.piped: piped} {
		for i := range logs {
			if got := followed[topic].logs[i]; !slices.Equal(got, logs[i]) {
				faults = append(faults, fmt.Sprintf("%s/%d: %s", topic, i, differ(got, logs[i])))
			}
		}
	}
	positions := r.readAll(r.reached, 1)[0]
	if n := len(positions); n == 0 || positions[n-1].value != strconv.Itoa(pipeRows) {
		faults = append(faults, fmt.Sprintf("the pipe's last position is not %d, of %d", pipeRows, n))
	}
	lag, err := r.patient.Lag(r.ctx, r.group(), r.reached)
	must(r.t, "Lag", err)
	if lag[0].Committed != pipeRows {
		faults = append(faults, fmt.Sprintf("the group's offset is %d, not %d", lag[0].Committed, pipeRows))
	}
	if len(faults) > 0 {
		r.t.Logf("disturbed by %q; transactions: %v", r.history, r.book.attempts)
	}
	for i, f := range faults {
		if i == 20 {
			r.t.Errorf("… and %d more", len(faults)-i)
			break
		}
		r.t.Error(f)
	}
	r.count()
}

// differ tells how what was read while it was written differs from the log.
func differ(read, log []place) string {
	at := 0
	for at < min(len(read), len(log)) && read[at] == log[at] {
		at++
	}
	show := func(places []place) string {
		return fmt.Sprintf("%d records, %v", len(places), places[min(at, len(places)):min(at+3, len(places))])
	}
	return fmt.Sprintf("record %d: read while it was written: %s; in the log: %s", at, show(read), show(log))
}

func (r *round) count() {
	for _, e := range r.book.records {
		switch e.outcome {
		case stands:
			r.acknowledged++
		case unknown:
			r.uncertain++
		case vanished:
		}
	}
	for _, a := range r.book.attempts {
		switch a.outcome {
		case stands:
			r.tally.committed++
			r.acknowledged += a.to - a.from
		case vanished:
			r.aborted++
		case unknown:
			r.tally.open++
		}
	}
}

// readAll reads a topic with franz-go, read_committed, to the end.
func (r *round) readAll(topic string, partitions int) [][]place {
	r.t.Helper()
	logs := make([][]place, partitions)
	ends, err := r.patient.Offsets(r.ctx, topic)
	must(r.t, "Offsets", err)
	from := map[int32]kgo.Offset{}
	for i := range ends {
		if ends[i].End > ends[i].Start {
			from[int32(i)] = kgo.NewOffset().AtStart()
		}
	}
	if len(from) == 0 {
		return logs
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(r.arena.brokers...), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.KeepControlRecords(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	must(r.t, "NewClient", err)
	defer reader.Close()
	for left := len(from); left > 0; {
		fetches := reader.PollFetches(r.ctx)
		must(r.t, "PollFetches", r.ctx.Err())
		fetches.EachRecord(func(rec *kgo.Record) {
			if rec.Offset == ends[rec.Partition].End-1 { // a record, or a transaction's marker
				left--
			}
			if !rec.Attrs.IsControl() {
				logs[rec.Partition] = append(logs[rec.Partition], place{rec.Offset, string(rec.Value)})
			}
		})
	}
	return logs
}
