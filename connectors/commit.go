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
		s.abandon()
		return err
	}
	if err := s.quarant.Sync(); err != nil {
		return err
	}
	if err := s.producer.Begin(); err != nil {
		return err
	}
	if err := s.send(ctx); err != nil {
		return err
	}
	if err := s.producer.Commit(ctx); err != nil {
		return fmt.Errorf("commit of %s: %w", s.topic, err)
	}
	if err := s.index.commit(); err != nil {
		return err // the next run folds it anew
	}
	s.position = s.next
	s.reset()
	s.Progress(s.position)
	return nil
}

// send produces the chunk, then, knowing its offsets, the manifest of a batch
// that ends, and the position.
func (s *session) send(ctx context.Context) error {
	if err := s.producer.Send(ctx, s.chunk); err != nil {
		return fmt.Errorf("records of %s: %w", s.topic, err)
	}
	for i := range s.chunk {
		s.next.extend(s.chunk[i].Partition, s.chunk[i].Offset, s.ids[i].key, s.ids[i].content)
	}
	tail := make([]kafkalog.Record, 0, 2)
	if s.next.Complete {
		manifest, err := s.manifest()
		if err != nil {
			return err
		}
		tail = append(tail, kafkalog.Record{
			Topic: record.ManifestTopic(s.Region), Partition: 0, Key: []byte(s.txID), Value: manifest, Time: s.Now(),
		})
	}
	position, err := json.Marshal(&s.next)
	if err != nil {
		return err
	}
	tail = append(tail, kafkalog.Record{
		Topic: record.PositionTopic(s.Region), Partition: 0, Key: []byte(s.txID), Value: position, Time: s.Now(),
	})
	if err := s.producer.Send(ctx, tail); err != nil {
		return fmt.Errorf("position of %s: %w", s.topic, err)
	}
	return nil
}

func (s *session) manifest() ([]byte, error) {
	m := record.Manifest{
		Batch: s.batch.ID, Region: s.Region, Product: s.Product.ID, Provider: s.Provider, Topic: s.topic, Schema: s.Schema.Name,
		ClosedAt: s.Now().UTC(), Complete: s.next.Fault == "", Fault: string(s.next.Fault),
		Read: s.next.Counts.Read, Published: s.next.Counts.Published, Duplicates: s.next.Counts.Duplicates,
		Partitions: s.next.Partitions,
	}
	m.Quarantined, m.Warned = byCode(s.next.Counts.Quarantined), byCode(s.next.Counts.Warned)
	payload, err := json.Marshal(&m)
	if err != nil {
		return nil, err
	}
	signed, err := s.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("manifest of batch %s: %w", s.batch.ID, err)
	}
	return []byte(signed), nil
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
	case s.Source.Verify(s.batch) != nil:
		s.abandon() // the file changed under us: nothing more is committed
		return err
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
