package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
)

// commit publishes the chunk and the position behind it in one transaction
// (invariant 1). What was quarantined is on disk before. A file that was
// changed while it was read ends the batch with nothing committed.
func (s *session) commit(ctx context.Context) error {
	if s.rows == 0 && !s.next.Complete {
		return nil
	}
	if err := s.Source.Verify(s.batch); err != nil {
		return errors.Join(err, s.abandon())
	}
	return s.transact(ctx, s.batchTail)
}

// transact publishes the chunk and what follows it in one transaction. What
// was quarantined or held back is on disk before. tail knows the chunk's
// offsets and ends with the position, which is s.next.
func (s *session) transact(ctx context.Context, tail func() ([]kafkalog.Record, error)) error {
	if err := s.sync(); err != nil {
		return err
	}
	if err := s.producer.Begin(); err != nil {
		return err
	}
	if err := s.producer.Send(ctx, s.chunk); err != nil {
		return fmt.Errorf("records of %s: %w", s.topic, err)
	}
	records, err := tail()
	if err != nil {
		return err
	}
	if err := s.producer.Send(ctx, records); err != nil {
		return fmt.Errorf("position of %s: %w", s.topic, err)
	}
	if err := s.producer.Commit(ctx); err != nil {
		return fmt.Errorf("commit of %s: %w", s.topic, err)
	}
	if err := s.index.commit(); err != nil {
		return err // the next run folds it anew
	}
	if s.hold != nil {
		s.hold.Commit()
	}
	s.position = s.next
	s.reset()
	s.Progress(s.position)
	return nil
}

// sync makes durable what the position is about to pass without publishing it.
func (s *session) sync() error {
	if err := s.quarant.Sync(); err != nil || s.hold == nil {
		return err
	}
	return s.hold.Sync()
}

// batchTail is the manifest of a batch that ends, and the position.
func (s *session) batchTail() (tail []kafkalog.Record, err error) {
	for i := range s.chunk {
		s.next.extend(s.chunk[i].Partition, s.chunk[i].Offset, s.ids[i].key, s.ids[i].content)
	}
	if s.next.Complete {
		m := record.Manifest{Complete: s.next.Fault == "", Fault: string(s.next.Fault), Partitions: s.next.Partitions}
		if tail, err = s.manifest(&m, &s.next.Counts); err != nil {
			return nil, err
		}
	}
	position, err := s.positionRecord()
	return append(tail, position), err
}

func (s *session) positionRecord() (kafkalog.Record, error) {
	position, err := json.Marshal(&s.next)
	return kafkalog.Record{Topic: record.PositionTopic(s.Region), Partition: 0, Key: []byte(s.txID), Value: position, Time: s.Now()}, err
}

// manifest completes and signs the manifest of what was carried.
func (s *session) manifest(m *record.Manifest, c *Counts) ([]kafkalog.Record, error) {
	m.Batch, m.Region, m.Product, m.Provider, m.Topic, m.Schema = s.batch.ID, s.Region, s.Product.ID, s.Provider, s.topic, s.Schema.Name
	m.ClosedAt = s.Now().UTC()
	m.Read, m.Published, m.Duplicates, m.Held, m.Superseded = c.Read, c.Published, c.Duplicates, c.Held, c.Superseded
	m.Quarantined, m.Warned = byCode(c.Quarantined), byCode(c.Warned)
	payload, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	signed, err := s.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("manifest of batch %s: %w", s.batch.ID, err)
	}
	return []kafkalog.Record{{
		Topic: record.ManifestTopic(s.Region), Partition: 0, Key: []byte(s.txID), Value: []byte(signed), Time: s.Now(),
	}}, nil
}

func byCode(counts map[problem.Code]int64) map[string]int64 {
	if len(counts) == 0 {
		return nil
	}
	out := make(map[string]int64, len(counts))
	for code, n := range counts {
		out[string(code)] = n
	}
	return out
}

// finish closes the batch: the rest of its rows and its manifest are
// committed, and only then is it let go of (invariant 1). A fault of the file
// closes it too, at the row where it broke off.
func (s *session) finish(ctx context.Context, err error) error {
	defer func() { _ = s.batch.Rows.Close() }() // read only
	fault, _ := errors.AsType[*problem.Problem](err)
	switch {
	case errors.Is(err, io.EOF):
	case fault == nil || !fileFault(fault.Code):
		return err // the road broke off, not the file
	case s.Source.Verify(s.batch) != nil: // the file changed under us: nothing more is committed
		return errors.Join(err, s.abandon())
	default:
		s.next.Fault = fault.Code
	}
	if !s.next.Complete {
		s.next.Complete = true
		s.next.Batches++
		if err := s.commit(ctx); err != nil {
			return err
		}
	}
	if err := s.Source.Ack(s.batch, fault); err != nil {
		return err
	}
	if fault != nil {
		return fault
	}
	return nil
}
