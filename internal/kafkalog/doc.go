// Package kafkalog is the hub's Kafka layer: it writes records once, reads
// exactly the committed ones, and declares topics. It is the only importer of
// segmentio/kafka-go, of which it uses the protocol messages and nothing above
// them (docs/adr/0001, docs/adr/0002).
//
//	Open ──► Client ─┬─ CreateTopics, Diff, Apply, ApplyACLs, Offsets, OffsetAt, Lag, Ping
//	                 ├─ NewProducer ──► Producer: Begin, Send, CommitOffsets, Commit, Abort, Flush
//	                 ├─ NewFetcher  ──► Fetcher: Fetch ──► Fetched.Release
//	                 │                  ReadRange on top of it
//	                 └─ NewTail     ──► Tail: the same, shared by many readers
//
// # Where to find what
//
//	client.go       the budget of a call and its repetitions
//	errors.go       what callers can tell apart; which answers are worth repeating
//	cluster.go      who leads what; pool.go: connections; conn.go: one connection
//	versions.go     which versions of the protocol are spoken
//	format.go       the record batch on the wire; encode.go, decode.go, compress.go
//	producer.go     a producer and its end; send.go: one call; writer.go: one partition;
//	                producewire.go: the request and its answer
//	txn.go          transactions; coordinator.go: what their coordinator is asked
//	fetcher.go      Fetch; fetch.go: one round of it; fetchwire.go: the answer's bytes
//	buffers.go      reused memory and who holds it
//	tail.go         one fetch for several readers of one place
//	admin.go        topics; declare.go: diff and apply; acl.go: rules
//	offsets.go      the ends of partitions; group.go: a group's offsets and lag
//	sasl.go         name and password; metrics.go: what is counted
//
// # What holds
//
// An acknowledged record is in the log once, in the order of its Send and its
// partition. One that failed is there at most once. A batch is repeated with
// the same bytes under the same sequence number, by which the broker knows it
// again; where the outcome stayed open, the sequence is never used for anything
// else: a producer goes on under a new producer id, a transaction can only be
// aborted, under a new epoch that keeps late batches out.
//
// A reader of committed records is given every one of them and nothing else,
// and reaches the stable end whatever lies there: compacted and aborted
// records, control and empty batches, holes.
//
// Every call has a deadline and nothing is repeated beyond it. No topic comes
// into being by being asked for. Errors and logs hold no record content
// (invariant 5).
//
// # Memory
//
// Send copies records into the batch that is about to leave, and a producer has
// at most one of them per partition; what waits is the caller's memory, and
// ProducerConfig.BufferBytes bounds it.
// Fetched records are slices of reused buffers until Release. What a batch may
// unpack to, and how many records and headers it may hold, is limited
// (format.go), and room is made as bytes arrive, not as a size claims.
//
// The answers to metadata and transaction requests are decoded by kafka-go,
// which sets aside what an array's length claims: a broker is trusted that far,
// a stranger that merely listens at its address is not (conn.agree), and TLS
// tells the two apart.
//
// # Metrics
//
// Three places see everything that is worth counting: Client.retryWithin
// (calls, repetitions, latency), writer.send (batches, records, bytes) and
// Fetcher.partition (records, bytes, distance to the end).
package kafkalog
