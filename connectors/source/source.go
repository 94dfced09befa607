package source

import "github.com/chuanyu-exchange/hub/internal/problem"

// Row is one row of a source, as text.
type Row struct {
	Number int64 // counted from 1 within the batch
	Line   int64 // line of the file it begins at, 0 if the kind has no lines
	// Cells are the columns that the source was opened with, in that order;
	// valid until the next call of Reader.Next.
	Cells []string
	// Fault says that the row could not be taken apart; it goes to
	// quarantine as it is and the batch goes on.
	Fault *problem.Problem
}

// Reader reads the rows of one batch.
type Reader interface {
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
	Rows Reader
}
