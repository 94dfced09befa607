// Package hold keeps rows that may not leave yet, on the provider's own disk:
// one file for each batch, readable by its owner alone, each row sealed with a
// key that only its provider may use.
//
//	<dir>/<batch>.held     {"row":7,"due":1767225600000,"sealed":"…"}   a line for each row
//	<dir>/<batch>.orphan   lines that no committed position knows of
//
// The store decides nothing. How many of a batch's lines count is said by the
// connector's position in Kafka, which is committed with what stands beside
// them: [Open] cuts off what a crash left behind it, and a line that it misses
// is an error, never a silence. A batch's rows go out in one order, by due time
// and then by number, so that one count says which have gone.
package hold
