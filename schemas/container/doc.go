// Package container reads and writes Avro object container files (Avro 1.12,
// "Object Container Files"): a file of records with its schema in front, which
// every Avro library opens. It is streaming: memory is one block, whatever the
// file's length.
//
//	Writer   schema, codec → Append(record body) … Close
//	Reader   file → Type, Metadata, then Next: one record body after the other
//	Skip     the length of a value, by its type: what splits a block into records
//
// Codecs: null, deflate (RFC 1951), snappy (with its CRC-32), zstandard.
//
// The bytes of a file come from strangers. Sizes and counts are refused by
// what remains of the file before anything is allocated for them, nesting is
// bounded, every block must end at its sync marker and every record at the
// next one. What is wrong is one of the Err values, with block and record in
// the text, and never a byte of the record.
package container
