package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
)

// Topic is the declaration of a province's ledger topic.
func Topic(region string, replicas int) kafkalog.Topic {
	return kafkalog.Topic{
		Name: record.LedgerTopic(region), Partitions: 1, Replicas: replicas,
		Config: map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},
	}
}

// Ledger appends to and reads the ledger of one province.
type Ledger struct {
	client   *kafkalog.Client
	producer *kafkalog.Producer
	topic    string
}

// Open returns the ledger of a province, whose topic must exist.
func Open(ctx context.Context, client *kafkalog.Client, region string) (*Ledger, error) {
	producer, err := client.NewProducer(ctx, kafkalog.ProducerConfig{})
	if err != nil {
		return nil, fmt.Errorf("ledger of %s: %w", region, err)
	}
	return &Ledger{client: client, producer: producer, topic: record.LedgerTopic(region)}, nil
}

// Close waits for what is being written.
func (l *Ledger) Close(ctx context.Context) error { return l.producer.Close(ctx) }

// Append makes an entry durable: all in-sync replicas have it when Append
// returns nil. Its error carries problem.LedgerUnavailable; the entry may then
// have been written or not.
func (l *Ledger) Append(ctx context.Context, e *receipt.Entry) error {
	value, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("ledger entry: %w", err)
	}
	records := []kafkalog.Record{{Topic: l.topic, Partition: 0, Key: []byte(e.ID), Value: value, Time: e.At}}
	if err := l.producer.Send(ctx, records); err != nil {
		return problem.Wrap(problem.LedgerUnavailable, err, "")
	}
	return nil
}

// How far the time in an id and the time in the topic may be apart: replicas'
// clocks, and entries that wait for the batch before theirs.
const (
	searchBack  = 2 * time.Minute
	searchAhead = 2 * time.Minute
)

var errFound = errors.New("found")

// Find returns the entry of an id, or problem.ReceiptUnknown.
func (l *Ledger) Find(ctx context.Context, id string) (*receipt.Entry, error) {
	unknown := problem.New(problem.ReceiptUnknown, "")
	parsed, err := uuid.Parse(id)
	if err != nil || parsed.Version() != 7 || parsed.String() != id {
		return nil, unknown
	}
	seconds, nanos := parsed.Time().UnixTime()
	at := time.Unix(seconds, nanos)
	from, err := l.client.OffsetAt(ctx, l.topic, 0, at.Add(-searchBack))
	if err != nil {
		return nil, problem.Wrap(problem.KafkaUnavailable, err, "")
	}
	to, err := l.client.OffsetAt(ctx, l.topic, 0, at.Add(searchAhead))
	if err != nil {
		return nil, problem.Wrap(problem.KafkaUnavailable, err, "")
	}
	var found receipt.Entry
	err = l.client.ReadRange(ctx, l.topic, 0, from, to, func(r kafkalog.FetchedRecord) error {
		if string(r.Key) != id {
			return nil
		}
		if err := json.Unmarshal(r.Value, &found); err != nil {
			return fmt.Errorf("ledger offset %d: %w", r.Offset, err)
		}
		return errFound
	})
	switch {
	case errors.Is(err, errFound):
		return &found, nil
	case err != nil:
		return nil, problem.Wrap(problem.KafkaUnavailable, err, "")
	}
	return nil, unknown
}

// Scan calls fn for every entry, oldest first.
func (l *Ledger) Scan(ctx context.Context, fn func(offset int64, e *receipt.Entry) error) error {
	ends, err := l.client.Offsets(ctx, l.topic)
	if err != nil {
		return problem.Wrap(problem.KafkaUnavailable, err, "")
	}
	for _, end := range ends {
		err := l.client.ReadRange(ctx, l.topic, end.Partition, end.Start, end.Stable, func(r kafkalog.FetchedRecord) error {
			var e receipt.Entry
			if err := json.Unmarshal(r.Value, &e); err != nil {
				return fmt.Errorf("ledger offset %d: %w", r.Offset, err)
			}
			return fn(r.Offset, &e)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

var errEnough = errors.New("enough")

// Entries implements gateway.Ledger.
func (l *Ledger) Entries(ctx context.Context, since time.Time, from, most int64, fn func(*receipt.Entry) bool) (next int64, atEnd bool, err error) {
	ends, err := l.client.Offsets(ctx, l.topic)
	if err != nil || len(ends) != 1 {
		return 0, false, problem.Wrap(problem.KafkaUnavailable, err, "")
	}
	if from == 0 {
		if from, err = l.client.OffsetAt(ctx, l.topic, 0, since); err != nil {
			return 0, false, problem.Wrap(problem.KafkaUnavailable, err, "")
		}
	}
	end := ends[0].Stable
	if from > end {
		return end, true, nil
	}
	next = max(from, ends[0].Start)
	end = min(end, next+most)
	err = l.client.ReadRange(ctx, l.topic, 0, next, end, func(r kafkalog.FetchedRecord) error {
		var e receipt.Entry
		if err := json.Unmarshal(r.Value, &e); err != nil {
			return fmt.Errorf("ledger offset %d: %w", r.Offset, err)
		}
		next = r.Offset + 1
		if !fn(&e) {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return next, next >= ends[0].Stable, nil
	case err != nil:
		return 0, false, problem.Wrap(problem.KafkaUnavailable, err, "")
	}
	return end, end >= ends[0].Stable, nil
}
