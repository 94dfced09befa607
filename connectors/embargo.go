package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/chuanyu-exchange/hub/connectors/hold"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// A row whose publication time has not come does not leave the provider: it
// waits in the hold, sealed, and the position passes it only after it is
// durable there. When its time comes it goes out in a transaction that also
// carries how many rows of its batch have gone, so that it goes out once. See
// docs/adr/0019-embargo.md.

// HeldBatch says where the held rows of a batch stand.
type HeldBatch struct {
	Batch    string `json:"batch"`
	Rows     int64  `json:"rows"`     // that lie in the hold
	Released int64  `json:"released"` // of them, in their order
}

// heldRow is what the hold keeps of a row: its mapped values, so that it goes
// out as it was read, whatever the mapping is by then.
type heldRow struct {
	Schema   string          `json:"schema"`
	Line     int64           `json:"line"`
	Values   []schemas.Value `json:"values"`
	Warnings []Fault         `json:"warnings,omitempty"`
}

// openHold opens the hold of a product that has an embargo, as the position
// knows it.
func (s *session) openHold(ctx context.Context, sealer *sealed.Sealer) error {
	if s.embargo < 0 {
		return nil
	}
	committed := map[string]int64{}
	for _, h := range s.position.Held {
		committed[h.Batch] = h.Rows
		if h.Released == h.Rows {
			committed[h.Batch] = 0 // they have gone; the file may have, too
		}
	}
	var orphans []string
	var err error
	s.hold, orphans, err = hold.Open(filepath.Join(s.QuarantineDir, s.Product.ID, "held"), sealer, committed)
	for _, file := range orphans {
		s.Logger.WarnContext(ctx, "held rows that no position knows of are kept aside", slog.String("product", s.Product.ID), slog.String("file", file))
	}
	if err != nil {
		return err
	}
	s.unsealer = sealed.NewOpener(s.Unwrap, maxHeldKeys)
	return s.forget()
}

// maxHeldKeys bounds the data keys that are kept to open held rows.
const maxHeldKeys = 64

// embargoed says until when the mapped row must wait; false if it may leave.
func (s *session) embargoed() (until int64, waits bool) {
	if s.embargo < 0 || !s.values[s.embargo].Set {
		return 0, false
	}
	until = s.values[s.embargo].Int
	return until, until > s.Now().UnixMilli()
}

// holdBack puts the mapped row into the hold.
func (s *session) holdBack(row *source.Row, until int64, warnings []Fault) error {
	content, err := json.Marshal(heldRow{Schema: s.Schema.Name, Line: row.Line, Values: s.values, Warnings: warnings})
	if err != nil {
		return err
	}
	added, err := s.hold.Add(s.batch.ID, row.Number, until, content)
	if err != nil {
		return err
	}
	if !added { // a batch that is read from its beginning again
		s.next.Counts.Duplicates++
		s.next.Totals.Duplicates++
		return nil
	}
	s.next.Counts.Held++
	s.next.Totals.Held++
	i := slices.IndexFunc(s.next.Held, func(h HeldBatch) bool { return h.Batch == s.batch.ID })
	if i < 0 {
		i = len(s.next.Held)
		s.next.Held = append(s.next.Held, HeldBatch{Batch: s.batch.ID})
	}
	s.next.Held[i].Rows++
	return nil
}

// take returns the next batch of the source. While it waits, rows whose time
// has come go out.
func (s *session) take(ctx context.Context) (*source.Batch, error) {
	for {
		then, err := s.releaseDue(ctx)
		if err != nil || then == 0 {
			if err != nil {
				return nil, err
			}
			return s.Source.Next(ctx)
		}
		wait := time.UnixMilli(then).Sub(s.Now())
		waiting, cancel := context.WithTimeout(ctx, min(max(wait, time.Millisecond), time.Second))
		batch, err := s.Source.Next(waiting)
		over := waiting.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !over || !errors.Is(err, context.DeadlineExceeded) {
			return batch, err
		}
	}
}

// releaseDue lets all rows out whose time has come, and says when the next one
// is due; 0 if none waits. The rows of a batch that is still being carried
// wait for its end, because only then their order is known.
func (s *session) releaseDue(ctx context.Context) (then int64, err error) {
	if s.hold == nil {
		return 0, nil
	}
	for i := 0; i < len(s.position.Held); {
		h := s.position.Held[i]
		if h.Batch == s.position.Batch && !s.position.Complete {
			i++
			continue
		}
		due, next := s.hold.Next(h.Batch, h.Released, s.Now().UnixMilli(), s.ChunkRows)
		if len(due) > 0 {
			if err := s.release(ctx, i, due); err != nil {
				return 0, err
			}
			continue // the same place: more of this batch, or the one behind it
		}
		if next > 0 && (then == 0 || next < then) {
			then = next
		}
		i++
	}
	return then, nil
}

// release publishes the rows of one held batch that are due, with the position
// behind them, in one transaction (invariant 1).
func (s *session) release(ctx context.Context, i int, due []hold.Row) error {
	h := &s.next.Held[i]
	id := h.Batch
	carried, counts := s.batch, s.next.Counts
	s.batch = &source.Batch{ID: id + "+" + strconv.FormatInt(h.Released, 10), Name: "held rows of batch " + id}
	s.next.Counts = Counts{Read: int64(len(due))}
	defer func() { s.batch = carried }()
	for _, row := range due {
		if err := s.releaseRow(ctx, id, row); err != nil {
			return err
		}
	}
	h.Released += int64(len(due))
	s.next.Totals.Held -= int64(len(due))
	released := s.next.Counts
	s.next.Counts = counts
	if err := s.transact(ctx, func() ([]kafkalog.Record, error) { return s.releaseTail(id, &released) }); err != nil {
		return err
	}
	return s.forget()
}

// forget lets go of the batches whose held rows have all gone out. A crash
// between their last transaction and this leaves files whose rows the position
// knows to have gone.
func (s *session) forget() error {
	var errs []error
	s.position.Held = slices.DeleteFunc(s.position.Held, func(h HeldBatch) bool {
		if h.Released == h.Rows {
			errs = append(errs, s.hold.Drop(h.Batch))
		}
		return h.Released == h.Rows
	})
	s.next.Held = slices.Clone(s.position.Held)
	return errors.Join(errs...)
}

// readHeld opens a row of the hold: as it was validated, and its bytes.
func (s *session) readHeld(ctx context.Context, batch string, row hold.Row) (held heldRow, plain []byte, err error) {
	plain, err = s.hold.Read(batch, row, s.unsealer.Session(ctx, QuarantineKey(s.Provider, s.Product.ID)))
	if err != nil {
		return held, nil, fmt.Errorf("held row %d of batch %s: %w", row.Number, batch, err)
	}
	if err := json.Unmarshal(plain, &held); err != nil {
		return held, nil, problem.Wrap(problem.HeldRowsMissing, err, "held row %d of batch %s", row.Number, batch)
	}
	if held.Schema != s.Schema.Name || len(held.Values) != len(s.values) {
		return held, nil, problem.New(problem.SchemaUnknown, "held row %d of batch %s was read under %s: let the former connector release it first", row.Number, batch, held.Schema)
	}
	return held, plain, nil
}

// releaseRow enters one held row into the chunk: what was published, corrected
// or withdrawn meanwhile is not published any more.
func (s *session) releaseRow(ctx context.Context, batch string, row hold.Row) error {
	held, plain, err := s.readHeld(ctx, batch, row)
	if err != nil {
		return err
	}
	copy(s.values, held.Values)
	place := &source.Row{Number: row.Number, Line: held.Line}
	id, faults, err := s.identify()
	if err != nil {
		return err
	}
	newest, err := s.index.newest(id.key)
	switch {
	case err != nil:
		return err
	case len(faults) > 0:
		s.countQuarantined(faults)
		return s.quarant.Add(s.batch, place, plain, faults, s.Now())
	case id.duplicate:
		return nil
	case s.version >= 0 && newest > id.version:
		s.next.Counts.Superseded++
		s.next.Totals.Superseded++
		return nil
	}
	if err := s.warn(place, &id, held.Warnings); err != nil {
		return err
	}
	value, err := s.encode(ctx, id.key)
	if err != nil {
		return err
	}
	return s.publish(ctx, id, value)
}

// releaseTail is the manifest of the rows that went out, and the position.
func (s *session) releaseTail(of string, c *Counts) ([]kafkalog.Record, error) {
	m := record.Manifest{Complete: true, HeldOf: of}
	var placed Position
	for i := range s.chunk {
		placed.extend(s.chunk[i].Partition, s.chunk[i].Offset, s.ids[i].key, s.ids[i].content)
	}
	m.Partitions = placed.Partitions
	manifest, err := s.manifest(&m, c)
	if err != nil {
		return nil, err
	}
	position, err := s.positionRecord()
	return append(manifest, position), err
}
