package quota

import (
	"context"
	"errors"
	"fmt"
)

// Store keeps a theoretical arrival time for each key and decides on it.
//
// Of every implementation:
//   - each call MUST be atomic per key: of calls at the same time, in this or
//     any other process that shares the store, each sees what another left;
//   - it MUST decide as the pure functions of this package do, by one clock
//     that all who share the store share, never by a clock of the caller;
//   - it MUST return by the deadline of ctx, and by one of its own if ctx has
//     none, and MUST NOT repeat a call whose outcome it does not know: a Spend
//     that took effect twice shuts a caller out, a Refund that did lets it in;
//   - a call that fails MUST return an error that carries
//     problem.QuotaUnavailable, and a zero Decision; a caller that got an error
//     MUST take the units as spent;
//   - a key outside of [CheckKey] MUST be refused with [ErrKey];
//   - a key whose bucket is full MAY be forgotten, any other MUST NOT.
//
// quotatest.Run holds an implementation to this.
type Store interface {
	// Spend spends n units of key at once, all or none; see [Spend].
	Spend(ctx context.Context, key string, limit Limit, n int64) (Decision, error)
	// Take spends up to most units of key, at least one; see [Take].
	Take(ctx context.Context, key string, limit Limit, most int64) (Decision, error)
	// Refund gives back n units that were spent and not used, never beyond a
	// full bucket; see [Refund].
	Refund(ctx context.Context, key string, limit Limit, n int64) error
}

// MaxKey is the length of the longest key, in bytes.
const MaxKey = 512

// ErrKey says that a key is empty or longer than [MaxKey].
var ErrKey = errors.New("not a key of a quota")

// CheckKey is for stores: [ErrKey] if the key must be refused.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("%w: it has %d bytes, use 1 to %d", ErrKey, len(key), MaxKey)
	}
	return nil
}
