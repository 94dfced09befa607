// Package kafkatest runs Apache Kafka for tests, broker by broker, by the
// script deploy/kafka/kafka.sh: real processes that a test can kill and start
// again. Their logs are kept when the test fails, and none of them outlives
// the test process, however that ends.
//
//	cluster.go  Start, Kill, Restart
//	process.go  one broker's process; it dies with ours
package kafkatest
