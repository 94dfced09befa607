package kafkalog

import "encoding/binary"

// AnyPartition leaves the choice of the partition to Send: by key as Java's
// default partitioner chooses, so that every client finds a key in the same
// partition, and without a key one partition after another.
const AnyPartition int32 = -1

// keyPartition is the partition of a key among n: Java's
// Utils.toPositive(Utils.murmur2(key)) % n.
func keyPartition(key []byte, n int) int32 {
	return int32(int(murmur2(key)&0x7fffffff) % n)
}

// murmur2 is the 32-bit MurmurHash2 with the seed that Kafka's Java client
// uses (org.apache.kafka.common.utils.Utils.murmur2).
func murmur2(data []byte) uint32 {
	const (
		seed uint32 = 0x9747b28c
		m    uint32 = 0x5bd1e995
		r           = 24
	)
	h := seed ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * m
		k = (k ^ k>>r) * m
		h = h*m ^ k
	}
	if len(data) > 0 {
		var tail uint32
		for i, b := range data {
			tail |= uint32(b) << (8 * i)
		}
		h = (h ^ tail) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
