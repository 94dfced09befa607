// Package replay remembers what may be used once: the ids of client assertions
// (RFC 7523, section 3), until they end by themselves.
//
//	Store     what every implementation must do
//	Memory    in this process, for one replica
//
// internal/redis has the Store that all replicas share; replaytest.Run holds
// both to the same.
package replay
