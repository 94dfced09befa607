package connectors

import (
	"context"

	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Source yields batches and lets go of them.
type Source interface {
	// Next waits for a batch. A *problem.Problem says that a batch was
	// refused as a whole (it has been put aside with its reason) or that the
	// source itself cannot be read; the next call goes on. An error of ctx
	// ends the source.
	Next(ctx context.Context) (*source.Batch, error)
	// Verify says whether the batch is still what Next returned: a file
	// that was changed or removed while it was read is a problem. It MUST be
	// called before what was read is committed.
	Verify(b *source.Batch) error
	// Ack lets go of the batch. It MUST be called only after the last of its
	// records was committed (invariant 1). A fault puts the batch aside with
	// its reason instead.
	Ack(b *source.Batch, fault *problem.Problem) error
}
