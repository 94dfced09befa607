// Package bench compares the hub's speed with references, in one run on one
// machine: what `hubctl bench` prints. It judges nothing; budgets stand in the
// design, section 5, and a person holds the ratios against them
// (docs/adr/0006).
//
//	bench.go      Run: scenario after scenario, its sides in turn; measure: one pass
//	result.go     Result: medians, spread, ratios; Table: for people
//	scenarios.go  what there is to measure
//	world.go      schemas, catalogue, mapping and the rows that all sides work on
//	broker.go     an embedded Kafka
//	connector.go  ours: a file through the connector's pipeline
//	writer.go     reference: kafka-go's Writer, fed ready records
//	grant.go      ours and reference: grants signed in the process, and by Transit
//	gateway.go    a gateway with everything around it; authority.go: its certificates
//	pull.go       ours: all records through the gateway, in process and over TLS
//	reader.go     reference: kafka-go's Readers, decoding nothing
//	kafka.go      the Kafka layer by itself; kafkaclients.go: it, kafka-go and franz-go; kafkabroker.go: the other process
//	plain.go      reference: the endpoint as one would write it without the hub
//
// A scenario opens a contest: one contestant of ours and its references. A
// contestant is asked for pass after pass; each does the whole work once, and
// only its run is measured. Every pass must account for every row, or there is
// no result.
//
// The package is the one place outside internal/kafkalog and schemas that
// imports kafka-go and goavro: they are what is compared with. Neither hub nor
// connector links it (internal/house).
package bench
