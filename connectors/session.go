package connectors

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

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
	position Position // committed

	batch   *Batch
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

// identity is what makes a row's record: its key, its content, its version.
type identity struct {
	key, content record.Digest
	version      uint32
	duplicate    bool
}

// maxChunkBytes bounds what one transaction holds in memory.
const maxChunkBytes = 4 << 20

// resume is the one way to begin, after a start, a crash and a failure alike:
// the new producer fences a former one and resolves its open transaction, and
// what counts is then read from Kafka.
func (p *Pipeline) resume(ctx context.Context) (_ *session, err error) {
	s := &session{Pipeline: p, index: newIndex(), values: make([]schemas.Value, len(p.Schema.Leaves))}
	s.producer, err = p.Kafka.NewProducer(ctx, kafkalog.ProducerConfig{TransactionalID: p.txID})
	if err != nil {
		return nil, fmt.Errorf("producer of %s: %w", p.txID, err)
	}
	defer func() {
		if err != nil {
			s.close(ctx)
		}
	}()
	if s.position, err = ReadPosition(ctx, p.Kafka, p.Region, p.txID); err != nil {
		return nil, err
	}
	s.reset()
	if err := s.fold(ctx); err != nil {
		return nil, err
	}
	key := QuarantineKey(p.Provider)
	plain, wrapped, err := p.DataKey(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("quarantine key: %w", err)
	}
	sealer, err := sealed.NewSealer(key, wrapped, plain)
	if err != nil {
		return nil, err
	}
	s.quarant, err = NewQuarantine(p.QuarantineDir, p.Product.ID, sealer)
	return s, err
}

// fold reads the index from the records of this provider in the topic.
func (s *session) fold(ctx context.Context) error {
	ends, err := s.Kafka.Offsets(ctx, s.topic)
	if err != nil {
		return fmt.Errorf("index of %s: %w", s.topic, err)
	}
	for _, e := range ends {
		err := s.Kafka.ReadRange(ctx, s.topic, e.Partition, e.Start, e.Stable, func(r kafkalog.FetchedRecord) error {
			env, err := record.ParseEnvelope(headersOf(&r))
			if err != nil {
				return fmt.Errorf("%s, partition %d, offset %d: %w", s.topic, e.Partition, r.Offset, err)
			}
			if env.Provider == s.Provider && len(r.Key) == record.DigestSize {
				s.index.fold(record.Digest(r.Key), env.Content, env.Version)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("index of %s: %w", s.topic, err)
		}
	}
	return nil
}

func headersOf(r *kafkalog.FetchedRecord) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, h := range r.Headers {
			if !yield(h.Key, h.Value) {
				return
			}
		}
	}
}

func (s *session) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := s.producer.Close(ctx)
	if s.quarant != nil {
		err = errors.Join(err, s.quarant.Close())
	}
	if err != nil {
		s.Logger.WarnContext(ctx, "closing the pipeline", "product", s.Product.ID, "error", err)
	}
}

// begin takes a batch up. One that was carried in part goes on behind its last
// committed row; any other begins at its first.
func (s *session) begin(b *Batch) {
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
func (s *session) carry(ctx context.Context, one func(*Row) error) error {
	if s.next.Complete {
		return io.EOF // committed before a restart, but not let go of
	}
	for {
		row, err := s.batch.Rows.Next()
		if err != nil {
			return err
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
		if err := one(&row); err != nil {
			return err
		}
		if s.rows >= s.ChunkRows || s.bytes >= maxChunkBytes || s.slow() {
			if err := s.commit(ctx); err != nil {
				return err
			}
		}
		if err := s.pace(ctx); err != nil {
			return err
		}
	}
}

// slow says that a chunk has been gathered for so long that what is in it
// should be seen, full or not.
func (s *session) slow() bool {
	return s.MaxRowsPerSecond > 0 && s.Now().Sub(s.gathered) > 200*time.Millisecond
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

func (s *session) quarantine(row *Row, faults []Fault) error {
	s.next.Counts.quarantine(faults[0].Code, 1)
	s.next.Totals.quarantine(faults[0].Code, 1)
	return s.quarant.Add(s.batch, row, s.batch.Rows.Raw(), faults, s.Now())
}

// clear passes blocks through unsealed: for digests, which cover what a record
// says and not how it was sealed this time.
type clear struct{}

func (clear) Seal(dst, plain, _ []byte) ([]byte, error) { return append(dst, plain...), nil }

// identify finds out what the mapped row is: new, changed, or a duplicate of
// the last record of its key. What cannot be encoded is the row's fault.
func (s *session) identify() (identity, []Fault) {
	parts := make([][]byte, len(s.keyLeaves))
	for i, leaf := range s.keyLeaves {
		parts[i] = keyPart(&s.values[leaf])
	}
	id := identity{key: record.Key(s.ProductKey, parts...)}
	body, err := s.encoder.Append(s.scratch[:0], s.values, nil, clear{})
	if err != nil {
		return id, []Fault{{Code: problem.NumberOutOfRange, Detail: err.Error()}}
	}
	s.scratch = body
	id.content = record.Content(s.ProductKey, body)
	id.version, id.duplicate = s.index.next(id.key, id.content)
	if id.duplicate {
		s.next.Counts.Duplicates++
		s.next.Totals.Duplicates++
	}
	return id, nil
}

func keyPart(v *schemas.Value) []byte {
	switch {
	case !v.Set:
		return nil
	case v.Bytes != nil:
		return v.Bytes
	}
	return binary.AppendVarint(nil, v.Int)
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
		Product: s.Product.ID, Provider: s.Provider, Operation: record.Upsert, Version: id.version,
		EventID: record.EventID(id.key, id.content, id.version), Content: id.content, Batch: s.batch.ID,
		DecisionTime: s.decisionTime(),
	}
	r := kafkalog.Record{Topic: s.topic, Partition: kafkalog.AnyPartition, Key: id.key[:], Value: value, Time: s.Now()}
	for name, v := range e.Headers() {
		r.Headers = append(r.Headers, kafkalog.Header{Key: name, Value: v})
	}
	s.index.stage(id.key, id.content, id.version)
	s.chunk = append(s.chunk, r)
	s.ids = append(s.ids, id)
	s.bytes += len(value)
	s.next.Counts.Published++
	s.next.Totals.Published++
	return nil
}

func (s *session) decisionTime() time.Time {
	v := s.values[s.decision].Int
	if s.Schema.Leaves[s.decision].Kind == schemas.Date {
		return time.Unix(v*86400, 0).UTC()
	}
	return time.UnixMilli(v).UTC()
}

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
	s.index.commit()
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
	for code, n := range s.next.Counts.Quarantined {
		if m.Quarantined == nil {
			m.Quarantined = map[string]int64{}
		}
		m.Quarantined[string(code)] = n
	}
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

// abandon forgets the chunk.
func (s *session) abandon() {
	s.index.drop()
	s.reset()
}

// reset begins a new chunk behind the committed position.
func (s *session) reset() {
	s.next = s.position
	s.next.Counts, s.next.Totals = s.position.Counts.clone(), s.position.Totals.clone()
	s.next.Partitions = append([]record.ManifestPartition(nil), s.position.Partitions...)
	s.chunk, s.ids, s.rows, s.bytes = s.chunk[:0], s.ids[:0], 0, 0
}
