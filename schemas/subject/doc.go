// Package subject keeps the lines of schemas: what was published under one
// name, one revision after the other, and what the next one owes to them.
//
//	price_quote.v1.avsc      the first revision of major version 1
//	price_quote.v1.2.avsc    the second: same topic, same subject of the registry
//	price_quote.v2.avsc      another line, with a topic of its own; owes v1 nothing
//	compatibility.json       the level of each line, FULL_TRANSITIVE if it says nothing
//
// Why so strict by default: a topic keeps records for years, so a new reader
// meets every old writer, and consumers of thirty agencies move at their own
// time, so an old reader meets the new writer.
//
// [Load] refuses a set in which a published revision breaks its level; it runs
// in every test, in `make check` and when the hub starts (invariant 7).
package subject
