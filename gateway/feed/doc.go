// Package feed reads pages of a product out of Kafka: committed records of a
// closed range of offsets, partition after partition, each through the View
// that redacts it. A page is a pure function of the cursor, the limit and the
// log: whoever asks again, at whatever replica, gets the same records unless
// they have expired or are no longer allowed (invariant 9).
//
// One record of a page is one line of JSON: what consumers need to order and to
// deduplicate, and the redacted record. As Avro and as CSV it holds the same
// (envelope.go).
//
//	{"event_id":"…","operation":"upsert","version":1,"decision_time":"…","record":{…}}
//
// decision_time stands there only if the field that it comes from is released.
// A record that its connector published with a warning has "warnings":["code"]
// before its fields, unless the field that is warned of is not released.
//
// Consumers who follow a topic at its head share what is fetched from Kafka:
// pages are read through a kafkalog.Tail, which keeps the last of it for a short
// while and holds no position of anybody.
//
// A question about one business key is answered from the newest record of that
// key (Newest). Where it lies is remembered from one question to the next, by
// fingerprints that say nothing; what is remembered can be read again from the
// log at any replica.
//
// A record that cannot be released (unreadable, unredactable, its sealing key
// destroyed) is left out and counted by reason; the page goes on (invariant 3).
package feed
