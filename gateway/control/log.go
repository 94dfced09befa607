package control

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
)

// maxLag is how old the last sight of the log's end may be. A suspension acts
// within the time of one fetch; a replica that is cut off from the log stops
// deciding after this.
const maxLag = 5 * time.Second

// Topic is the declaration of a province's control topic.
func Topic(region string, replicas int) kafkalog.Topic {
	return kafkalog.Topic{
		Name: record.ControlTopic(region), Partitions: 1, Replicas: replicas,
		Config: map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},
	}
}

// Config is what a log is made of; all of it is required, but Outcome and Check.
type Config struct {
	Kafka  *kafkalog.Client
	Rules  Rules
	Now    func() time.Time
	Logger *slog.Logger
	// Check is asked what an order would come to before it is written: what a
	// replica can tell and the fold, which is the same for all, cannot. Its
	// error refuses the order.
	Check   func(*State) error
	Outcome func(*Outcome) // told of every order after the ones of the start; MUST NOT wait
}

// Log follows a province's control topic and holds what it comes to.
type Log struct {
	Config
	topic    string
	fetcher  *kafkalog.Fetcher
	producer *kafkalog.Producer
	state    atomic.Pointer[State]
	seen     atomic.Int64 // when the end of the log was last seen, in Unix nanoseconds

	mu      sync.Mutex
	waiting map[string]chan Outcome // by signed order
}

// Open folds the log to its end of now. Run follows it from there.
func Open(ctx context.Context, c Config) (*Log, error) {
	l := &Log{Config: c, topic: record.ControlTopic(c.Rules.Region), waiting: map[string]chan Outcome{}}
	l.state.Store(&State{})
	l.fetcher = c.Kafka.NewFetcher(kafkalog.FetcherConfig{Topic: l.topic, MaxWait: 250 * time.Millisecond})
	ends, err := c.Kafka.Offsets(ctx, l.topic)
	if err != nil {
		return nil, fmt.Errorf("control log of %s: %w", c.Rules.Region, err)
	}
	if len(ends) != 1 {
		return nil, fmt.Errorf("control log of %s: %d partitions, it must have one", c.Rules.Region, len(ends))
	}
	if ends[0].Start != 0 {
		return nil, fmt.Errorf("control log of %s: it begins at %d and must be whole", c.Rules.Region, ends[0].Start)
	}
	for l.state.Load().next < ends[0].Stable {
		if err := l.step(ctx); err != nil {
			return nil, fmt.Errorf("control log of %s: %w", c.Rules.Region, err)
		}
	}
	if l.producer, err = c.Kafka.NewProducer(ctx, kafkalog.ProducerConfig{}); err != nil {
		return nil, fmt.Errorf("control log of %s: %w", c.Rules.Region, err)
	}
	l.seen.Store(c.Now().UnixNano())
	return l, nil
}

// Close waits for what is being written. End Run first.
func (l *Log) Close(ctx context.Context) error { return l.producer.Close(ctx) }

// State is what the log comes to. When its end has not been seen for too long,
// the error carries problem.ControlStale, and nothing is to be decided
// (invariant 3).
func (l *Log) State() (*State, error) {
	if lag := l.Now().Sub(time.Unix(0, l.seen.Load())); lag > maxLag {
		return nil, problem.New(problem.ControlStale, "the end of the control log was last seen %s ago", lag.Truncate(time.Second))
	}
	return l.state.Load(), nil
}

// Run follows the log until ctx ends. While Kafka does not answer it tries
// again, and State goes stale.
func (l *Log) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := l.step(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		l.Logger.WarnContext(ctx, "the control log cannot be read, will go on", slog.String("region", l.Rules.Region), slog.Any("error", err))
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// step fetches once, folds what came, and tells who waits for it.
func (l *Log) step(ctx context.Context) error {
	s := l.state.Load()
	asked := l.Now()
	fetched, err := l.fetcher.Fetch(ctx, kafkalog.PartitionOffset{Partition: 0, Offset: s.next})
	if err != nil {
		return err
	}
	defer fetched.Release()
	p := &fetched.Partitions[0]
	entries := make([]Entry, len(p.Records))
	for i := range p.Records {
		entries[i] = Entry{Offset: p.Records[i].Offset, At: p.Records[i].Time, Order: string(p.Records[i].Value)}
	}
	next, outcomes := s, []Outcome(nil)
	if len(entries) > 0 || p.Next > s.next { // else it stays the same one, so that nothing is composed of it anew
		next, outcomes = l.Rules.Fold(s, entries)
		next.next = max(next.next, p.Next)
		l.state.Store(next)
	}
	if p.Stable >= 0 && next.next >= p.Stable {
		l.seen.Store(asked.UnixNano())
	}
	for i := range outcomes {
		l.tell(ctx, entries[len(entries)-len(outcomes)+i].Order, &outcomes[i])
	}
	return nil
}

// tell writes an outcome down and wakes who submitted the order.
func (l *Log) tell(ctx context.Context, signed string, o *Outcome) {
	l.mu.Lock()
	wait, ours := l.waiting[signed]
	delete(l.waiting, signed)
	l.mu.Unlock()
	if ours {
		wait <- *o
	}
	if l.producer == nil {
		return // of the start: told when it happened
	}
	attributes := []slog.Attr{
		slog.String("region", l.Rules.Region), slog.Int64("offset", o.Offset), slog.String("order", o.Order.ID),
		slog.String("kind", string(o.Order.Kind)), slog.String("subject", o.Order.Subject), slog.String("by", o.By),
	}
	if p := o.Refused(); p != nil {
		attributes = append(attributes, slog.String("problem", p.LogText()))
	}
	l.Logger.LogAttrs(ctx, slog.LevelInfo, "order", attributes...)
	if l.Outcome != nil {
		l.Outcome(o)
	}
}
