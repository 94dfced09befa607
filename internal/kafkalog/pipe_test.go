//go:build faults

package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// pipe writes rows in transactions, each with the position that it leads to,
// the way a connector does: as a record and as a group's offset. Now and then
// it aborts, and once it dies: what it was is left open, and another process
// goes on from the position in Kafka.
func (r *round) pipe(rng *rand.Rand) {
	dies := 1 + rng.IntN(8) // the transaction in which it dies
	for row, n := 0, 0; row < pipeRows && !r.t.Failed(); {
		w, err := r.takeOver()
		if err == nil {
			row, err = r.position(w.client)
		}
		for err == nil && row < pipeRows {
			r.pace()
			n++
			if n == dies {
				r.leave(w, row)
				r.restarts++
				break
			}
			row, err = r.transact(w, rng, row)
		}
		if err != nil && (r.ctx.Err() != nil || !recoverable(err)) {
			r.t.Errorf("the pipe cannot go on at row %d: %v", row, err)
			return
		}
		r.committed.Store(int64(row))
	}
}

// recoverable errors are those after which another process may go on.
func recoverable(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrFenced) || errors.Is(err, ErrExpired) || errors.Is(err, ErrAbortOnly)
}

// pipeWriter is one life of the pipe's process.
type pipeWriter struct {
	client *Client
	*Producer
}

func (r *round) takeOver() (*pipeWriter, error) {
	client := r.open(r.arena.timeout)
	p, err := r.producer(client, ProducerConfig{TransactionalID: r.piped, BatchBytes: 4 << 10, TransactionTimeout: 10 * time.Second})
	return &pipeWriter{client, p}, err
}

func (r *round) group() string { return "pipe-" + r.piped }

// position is the row after the last committed one.
func (r *round) position(c *Client) (row int, err error) {
	for {
		ends, err := c.Offsets(r.ctx, r.reached)
		if err == nil && ends[0].Stable == ends[0].End {
			err = c.ReadRange(r.ctx, r.reached, 0, ends[0].Start, ends[0].End, func(rec FetchedRecord) error {
				var err error
				row, err = strconv.Atoi(string(rec.Value))
				return err
			})
			if err == nil {
				err = r.together(c, row)
			}
			if err == nil {
				return row, nil
			}
		}
		if err != nil && !errors.Is(err, ErrUnavailable) || r.ctx.Err() != nil {
			return 0, errors.Join(err, r.ctx.Err())
		}
	}
}

// together waits until the group's offset, too, is that of the last committed
// transaction: its marker may be written a little later.
func (r *round) together(c *Client, row int) error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		lag, err := c.Lag(r.ctx, r.group(), r.reached)
		if err != nil {
			return err
		}
		if at := lag[0].Committed; at == int64(row) || row == 0 && at == -1 {
			return nil
		} else if time.Now().After(deadline) {
			return fmt.Errorf("the position is %d as a record and %d as a group's offset", row, at)
		}
	}
}

// rows of one transaction, and what stands for the position.
func (r *round) rows(number, from, to int) []Record {
	records := make([]Record, 0, to-from+1)
	for row := from; row < to; row++ {
		records = append(records, Record{Topic: r.piped, Partition: int32(row % 2), Value: fmt.Appendf(nil, "t%d.%d", number, row)})
	}
	return append(records, Record{Topic: r.reached, Value: strconv.AppendInt(nil, int64(to), 10)})
}

// leave writes half of a transaction and is gone.
func (r *round) leave(w *pipeWriter, row int) {
	number := r.book.begin(row, row+10)
	if w.Begin() == nil {
		_ = w.Send(r.ctx, r.rows(number, row, row+10)) // nobody is left to care
	}
	r.book.end(number, vanished)
	_ = w.client.Close()
}

// transact moves the pipe on by one transaction and returns the row that it
// has reached.
func (r *round) transact(w *pipeWriter, rng *rand.Rand, row int) (int, error) {
	to := min(row+1+rng.IntN(150), pipeRows)
	number := r.book.begin(row, to)
	if err := w.Begin(); err != nil {
		r.book.end(number, vanished)
		return row, err
	}
	records := r.rows(number, row, to)
	half := rng.IntN(len(records))
	err := w.Send(r.ctx, records[:half])
	if err == nil {
		err = w.Send(r.ctx, records[half:])
	}
	if err == nil {
		err = w.CommitOffsets(r.ctx, r.group(), r.reached, PartitionOffset{0, int64(to)})
	}
	if err == nil && rng.IntN(6) > 0 {
		return r.commit(w, number, row, to)
	}
	r.book.end(number, vanished)
	if err := r.abort(w); err != nil {
		return row, err
	}
	return r.position(w.client)
}

// commit asks again when the answer does not come, and when none comes at all
// lets the log tell.
func (r *round) commit(w *pipeWriter, number, row, to int) (int, error) {
	var err error
	for range 3 {
		err = w.Commit(r.ctx)
		if err == nil {
			r.book.end(number, stands)
			r.committed.Store(int64(to))
			return to, nil
		}
		if !errors.Is(err, ErrUnavailable) {
			break
		}
	}
	if errors.Is(err, ErrAbortOnly) {
		r.book.end(number, vanished)
	}
	if err := r.abort(w); err != nil {
		return row, err
	}
	return r.position(w.client)
}

func (r *round) abort(w *pipeWriter) error {
	ctx, cancel := context.WithTimeout(r.ctx, 3*r.arena.timeout)
	defer cancel()
	for {
		err := w.Abort(ctx)
		if err == nil || !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return err
		}
	}
}
