// Package connectors is the road of a row from a system of a province to its
// own Kafka. [Pipeline.Run] is that road:
//
//	Source.Next        1  a file of the drop directory (dropdir; csvfile, jsonfile, xlsxfile, xmlfile read it)
//	Mapping.Apply      2  columns → fields, units and code lists normalised, raw value kept
//	Validate           3  check digits, code lists, order of prices and dates
//	Quarantine.Add        a bad row: sealed, on the provider's side, with its reasons
//	Index              	  same key and content: a duplicate; other content: a new version
//	sealed.Sealer      4  personal and sensitive blocks are encrypted
//	schemas.Encoder    5  Avro in its frame
//	kafkalog.Producer  6  records, source position and, at the end of a batch,
//	                      its signed manifest, in one transaction
//	Source.Ack         7  only after the commit
//
// Invariant 1 lives here: a row is let go of only after the transaction with
// its record committed; the position travels in that transaction, so that after
// a kill at any instruction the next start continues behind the last committed
// row. There is one way to recover, used after a crash and after every failed
// transaction alike: fence the former producer, read the position from Kafka,
// fold the index from the topic, go on.
//
// A source kind is a package whose Config is the plug-in: Config.Open(columns)
// returns a [Source]. Package connectortest holds what every source must do.
package connectors
