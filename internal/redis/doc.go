// Package redis is the province's Redis as the hub uses it, and the only place
// that knows go-redis.
//
//	client.go       Open, Ping, Close: one server, by URL, with a deadline on every call
//	quota.go        QuotaStore: quota.Store, shared by all replicas of a gateway
//	quota.lua       its one script: GCRA, atomically, by the server's clock
//	replay.go       ReplayStore: replay.Store, what may be used once
//
// Redis holds counters only: no record, no identity beyond the ids of callers
// and agreements in keys (invariant 5). Losing it loses no data; what the hub
// does while it is away is design, section 6.
//
// For operators: set maxmemory-policy to noeviction or volatile-ttl. A policy
// that evicts by use forgets busy quota keys, and a forgotten key is a full
// bucket. Every key has a time to live and vanishes when its bucket is full.
package redis
