// Package evolve decides how one schema follows another: what a reader makes
// of a writer's bytes, whether a new version may be published beside the old
// ones, and what identifies a schema. It is pure and stands on schemas/avro.
//
//	Resolve       (writer, reader) → how each part is read, by Avro 1.12
//	Mismatches    all reasons why it cannot be read
//	Level.Check   a new version against the published ones: BACKWARD … NONE
//	Diff          what changed, field by field
//	Canonical     Parsing Canonical Form
//	Fingerprint   CRC-64-AVRO, MD5, SHA-256 of it
//
// Compatibility is resolution asked twice: a version is BACKWARD compatible if
// it resolves what the old one wrote, FORWARD if the old one resolves what it
// writes. There is one set of rules, so what is accepted here is what a View
// can read. Where Avro leaves room they are the strict ones; docs/adr/0023
// lists what other libraries would let pass.
package evolve
