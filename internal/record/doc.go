// Package record is what a connector, a push and a gateway agree on about one
// record in Kafka: where it lies, under which key, and what its headers say.
// It is pure: no clock, no network, no Kafka client.
//
//	topic      <region>.<product>.v<major>      one for each product of a province
//	key        HMAC-SHA-256(product key, business key)   [Key]
//	headers    product, provider, event id, operation, decision time, version,
//	           content digest                    [Envelope]
//	value      0x00, schema id (4 bytes), Avro body      (package schemas)
//
// Beside the product topics a province has three of its own: positions (where
// each connector stands in its source), manifests (what each batch held,
// signed) and the ledger (what was released and refused).
//
// Keys and content digests are keyed with a secret of the product, which Vault
// holds: without it nobody can confirm a guess about a record from its key or
// header (invariant 5).
package record
