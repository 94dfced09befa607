package connectors

import (
	"context"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Row is one row of a source, as text.
type Row struct {
	Number int64 // counted from 1 within the batch
	Line   int64 // line of the file it begins at, 0 if the kind has no lines
	// Cells are the columns that the source was opened with, in that order;
	// valid until the next call of RowReader.Next.
	Cells []string
	// Fault says that the row could not be taken apart; it goes to
	// quarantine as it is and the batch goes on.
	Fault *problem.Problem
}

// RowReader reads the rows of one batch.
type RowReader interface {
	// Next returns the next row, or io.EOF behind the last. Any other error
	// is a *problem.Problem: the batch cannot be read further.
	Next() (Row, error)
	// Raw is the current row as it stands in the source, for quarantine:
	// all of it, also what the mapping does not use.
	Raw() []byte
	Close() error
}

// Batch is what a source hands over at once: one file.
type Batch struct {
	ID   string // the same for the same unchanged file, also after a restart; holds no content
	Name string // for people: the file's name
	Rows RowReader
}

// Source yields batches and lets go of them.
type Source interface {
	// Next waits for a batch. A *problem.Problem says that a batch was
	// refused as a whole (it has been put aside with its reason) or that the
	// source itself cannot be read; the next call goes on. An error of ctx
	// ends the source.
	Next(ctx context.Context) (*Batch, error)
	// Verify says whether the batch is still what Next returned: a file
	// that was changed or removed while it was read is a problem. It MUST be
	// called before what was read is committed.
	Verify(b *Batch) error
	// Ack lets go of the batch. It MUST be called only after the last of its
	// records was committed (invariant 1). A fault puts the batch aside with
	// its reason instead.
	Ack(b *Batch, fault *problem.Problem) error
}
