// Package ledger is the province's record of what left it and what was
// refused: one topic with one partition, never compacted, never expired,
// written by every replica of the gateway.
//
// [Ledger.Append] returns when the entry is durable, and a release waits for
// it (invariant 2); an entry is never changed (invariant 7). An entry is found
// by its id alone, without an index: the id is a UUIDv7, whose time says where
// in the topic to look, so any replica can answer for any receipt.
//
// Who could not be identified is not written down one by one, or anyone could
// fill the ledger: [Failures] counts them by address, reason and minute.
package ledger
