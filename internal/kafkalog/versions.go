package kafkalog

import "github.com/segmentio/kafka-go/protocol"

// A connection asks its broker which versions it takes (conn.agree) and sends
// of each request the newest that both sides know. docs/reference/kafka-versions.md
// is the table of them; TestVersions holds it against this file, kafka-go and
// what brokers of Kafka 3.9 and 4.3 say.

// leastVersion is the oldest version of each request that this package can
// work with; all are in Kafka 2.5 and later.
var leastVersion = map[protocol.ApiKey]int16{
	protocol.Produce:        3, // record batches, transactions
	protocol.Fetch:          4, // isolation level, aborted transactions
	protocol.ListOffsets:    2, // isolation level
	protocol.Metadata:       4, // asks that a missing topic is not created
	protocol.InitProducerId: 3, // raises a producer's epoch (KIP-360)
	protocol.SaslHandshake:  1, // what follows is framed (KIP-152)
}

// ownVersion is the newest version of what is encoded or decoded here.
var ownVersion = map[protocol.ApiKey]int16{
	protocol.Produce:     8,  // produceRequest
	protocol.Fetch:       11, // parseFetch
	protocol.ApiVersions: 0,  // conn.agree; what every broker answers
}

// mostVersion is the newest version of a request that this package speaks.
func mostVersion(key protocol.ApiKey) int16 {
	if most, ok := ownVersion[key]; ok {
		return most
	}
	return key.MaxVersion()
}

// spoken are the versions of a request that this package speaks.
func spoken(key protocol.ApiKey) (least, most int16) {
	return max(key.MinVersion(), leastVersion[key]), mostVersion(key)
}
