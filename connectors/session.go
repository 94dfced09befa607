package connectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/connectors/hold"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// session is what a run knows between its start and its end: the producer, the
// committed position, the index, and the chunk that is being gathered for the
// next transaction.
type session struct {
	*Pipeline
	producer *kafkalog.Producer
	index    *index
	quarant  *Quarantine
	hold     *hold.Store    // nil if the product has no embargo
	unsealer *sealed.Opener // of held rows
	position Position       // committed

	batch   *source.Batch
	sealer  *sealed.Sealer // of the batch's month; nil if the schema seals nothing
	month   string
	values  []schemas.Value
	scratch []byte

	next     Position // position behind the chunk, once it is committed
	chunk    []kafkalog.Record
	ids      []identity
	rows     int // of the chunk, also those that were not published
	bytes    int
	gathered time.Time // when the chunk's first row was read

	paced    int64 // rows since paceFrom
	paceFrom time.Time
}

// maxChunkBytes bounds what one transaction holds in memory.
const maxChunkBytes = 4 << 20

// begin takes a batch up. One that was carried in part goes on behind its last
// committed row; any other begins at its first.
func (s *session) begin(b *source.Batch) {
	s.batch = b
	if s.position.Batch != b.ID {
		s.next.Batch, s.next.Rows, s.next.Complete, s.next.Fault = b.ID, 0, false, ""
		s.next.Counts, s.next.Partitions = Counts{}, nil
	}
	s.paced, s.paceFrom = 0, s.Now()
}

// carry reads the rows of the batch behind the position and hands each to one,
// committing whenever a chunk is full. It returns io.EOF at the end of the
// batch, or why the batch or the road broke off.
func (s *session) carry(ctx context.Context, one func(*source.Row) error) error {
	if s.next.Complete {
		return io.EOF // committed before a restart, but not let go of
	}
	for {
		row, err := s.read()
		if err == nil {
			err = one(row)
		}
		if err == nil && s.full() {
			if err = s.commit(ctx); err == nil {
				_, err = s.releaseDue(ctx)
			}
		}
		if err == nil {
			err = s.pace(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// read returns the next row that is not carried yet, and counts it.
func (s *session) read() (*source.Row, error) {
	for {
		row, err := s.batch.Rows.Next()
		if fault, ok := errors.AsType[*problem.Problem](err); ok {
			return nil, problem.Wrap(fault.Code, err, "%s: %s", s.batch.Name, fault.Detail)
		}
		if err != nil {
			return nil, err
		}
		if row.Number <= s.position.Rows && s.position.Batch == s.batch.ID {
			continue
		}
		if s.rows == 0 {
			s.gathered = s.Now()
		}
		s.rows++
		s.next.Rows = row.Number
		s.next.Counts.Read++
		s.next.Totals.Read++
		return &row, nil
	}
}

// full says that a chunk is to be committed: it is large, or has been gathered
// for so long that what is in it should be seen.
func (s *session) full() bool {
	return s.rows >= s.ChunkRows || s.bytes >= maxChunkBytes ||
		s.MaxRowsPerSecond > 0 && s.Now().Sub(s.gathered) > 200*time.Millisecond
}

// pace waits while the rows run ahead of MaxRowsPerSecond.
func (s *session) pace(ctx context.Context) error {
	if s.MaxRowsPerSecond <= 0 {
		return nil
	}
	s.paced++
	due := s.paceFrom.Add(time.Duration(s.paced) * time.Second / time.Duration(s.MaxRowsPerSecond))
	if ahead := due.Sub(s.Now()); ahead > 5*time.Millisecond {
		return pause(ctx, ahead)
	}
	return ctx.Err()
}

// judge says what becomes of a validated row: published under its identity,
// with its warnings told; passed over as a duplicate; or its faults.
func (s *session) judge(row *source.Row, found []Fault) (identity, []Fault, error) {
	warnings, faults := parted(found)
	if len(faults) > 0 {
		return identity{}, faults, nil
	}
	id, faults, err := s.identify()
	if err != nil || len(faults) > 0 || id.duplicate {
		return id, faults, err
	}
	return id, nil, s.warn(row, &id, warnings)
}

// warn records what only warns: beside the quarantine, in the counts, and in
// the headers of the record, so that nobody takes it in silently.
func (s *session) warn(row *source.Row, id *identity, warnings []Fault) error {
	for _, w := range warnings {
		id.warnings = append(id.warnings, string(w.Code))
		s.next.Counts.warn(w.Code, 1)
		s.next.Totals.warn(w.Code, 1)
	}
	if len(warnings) == 0 {
		return nil
	}
	return s.quarant.Add(s.batch, row, nil, warnings, s.Now())
}

func (s *session) countQuarantined(faults []Fault) {
	s.next.Counts.quarantine(faults[0].Code, 1)
	s.next.Totals.quarantine(faults[0].Code, 1)
}

func (s *session) quarantine(row *source.Row, faults []Fault) error {
	s.countQuarantined(faults)
	return s.quarant.Add(s.batch, row, s.batch.Rows.Raw(), faults, s.Now())
}

// encode writes the framed value of the mapped row, its blocks sealed.
func (s *session) encode(ctx context.Context, key record.Digest) ([]byte, error) {
	var sealer schemas.Sealer
	if s.Schema.Seals() {
		if err := s.useMonth(ctx); err != nil {
			return nil, err
		}
		sealer = s.sealer
	}
	value := schemas.AppendFrame(make([]byte, 0, 512), s.Schema.ID)
	return s.encoder.Append(value, s.values, key[:], sealer)
}

// useMonth takes a data key under the product's key of the current month.
func (s *session) useMonth(ctx context.Context) error {
	month := s.Now().In(china).Format("200601")
	if month == s.month {
		return nil
	}
	name := sealed.KeyName(s.Product.ID, month)
	plain, wrapped, err := s.DataKey(ctx, name)
	if err != nil {
		return fmt.Errorf("sealing key %s: %w", name, err)
	}
	s.sealer, err = sealed.NewSealer(name, wrapped, plain)
	if err == nil {
		s.month = month
	}
	return err
}

// publish enters the record into the chunk of the next transaction.
func (s *session) publish(_ context.Context, id identity, value []byte) error {
	e := record.Envelope{
		Product: s.Product.ID, Provider: s.Provider, Operation: s.operation(), Version: id.version,
		EventID: record.EventID(id.key, id.content, id.version), Content: id.content, Batch: s.batch.ID,
		DecisionTime: s.decisionTime(), Warnings: id.warnings,
	}
	r := kafkalog.Record{Topic: s.topic, Partition: kafkalog.AnyPartition, Key: id.key[:], Value: value, Time: s.Now()}
	for name, v := range e.Headers() {
		r.Headers = append(r.Headers, kafkalog.Header{Key: name, Value: v})
	}
	if err := s.index.stage(id.key, id.content, id.version); err != nil {
		return err
	}
	s.chunk = append(s.chunk, r)
	s.ids = append(s.ids, id)
	s.bytes += len(value)
	s.next.Counts.Published++
	s.next.Totals.Published++
	return nil
}

// abandon forgets the chunk.
func (s *session) abandon() error {
	s.index.drop()
	s.reset()
	if s.hold == nil {
		return nil
	}
	return s.hold.Rollback()
}

// reset begins a new chunk behind the committed position.
func (s *session) reset() {
	s.next = s.position
	s.next.Counts, s.next.Totals = s.position.Counts.clone(), s.position.Totals.clone()
	s.next.Held = slices.Clone(s.position.Held)
	s.next.Partitions = append([]record.ManifestPartition(nil), s.position.Partitions...)
	s.chunk, s.ids, s.rows, s.bytes = s.chunk[:0], s.ids[:0], 0, 0
}
