// Package schemas holds the published Avro schemas of the exchange and the two
// programs that run on their bytes: [Encoder] writes them at the provider,
// [View] reads, redacts and renders them on the way out.
//
//	*.avsc              one file for each published version, never changed (invariant 7)
//	schemas.lock.json   name → id and SHA-256: an id is allotted once
//	Set, Schema, Leaf   the parsed files: every leaf with its Chinese name, source, sensitivity
//	Encoder             []Value, one for each leaf → Avro body, sealed blocks included
//	View                Avro body + redact.Obligations → JSON, Avro or CSV, redacted while it is decoded
//	frame.go            0x00, 4-byte id, body: what registry clients call the wire format
//
// Beyond Avro a field carries attributes of ours, which other Avro libraries
// pass over: "zh" (Chinese name), "source" (rule or standard it comes from),
// "sensitivity" (see package redact), "check" (a validator's name) and, on a
// field of type bytes, "sealed": the record schema of what lies encrypted in
// it. A field that is personal, sensitive or secret must lie in a sealed
// block; [Parse] refuses a schema where one does not.
//
// Parse accepts the part of Avro that the exchange uses and refuses the rest by
// name: maps, fixed, floats, recursion, unions other than with null. ParseAvro
// takes all of Avro for a View.
//
// # How a View works
//
// CompileView turns writer, reader and obligations into parts, one for each
// value: a function and its constants. Append runs them over the bytes once.
//
//	schema.go, kind.go    Schema, Leaf, Kind; the paths of any schema's leaves
//	parse.go              the rules of the exchange, over package avro
//	compile.go, compile_record.go, part.go    resolution + obligations → parts
//	run.go                Run: where in the bytes it stands, limits, errors
//	skip.go               passing over bytes, in one loop for fields in sequence
//	json.go, text.go, number.go, calendar.go    how each kind becomes JSON
//	redacted.go           masks, generalisations, hashes, sealed blocks
//	json_writing.go, avro_writing.go, csv_writing.go    what differs between formats
//	predicate.go, literal.go    which records are released at all
//
// The package is pure: after loading it touches no clock, network or file.
package schemas
