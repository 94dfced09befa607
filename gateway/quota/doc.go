// Package quota says how much of what a caller may have now, and keeps count.
//
// The algorithm is GCRA (generic cell rate algorithm, ITU-T I.371): one instant
// is all that is kept of a key, the theoretical arrival time (TAT) at which its
// bucket would be full again.
//
//	      spent            free
//	|←── ahead ──→|←── what is left ──→|
//	now          TAT              now + burst × interval
//
// Map:
//
//	limit.go    Limit: units per period and burst; zero denies, Unlimited is said
//	gcra.go     Spend, Take, Refund: pure, time in, decision and new TAT out
//	store.go    Store: what keeps TATs, atomically and in bounded time
//	memory.go   Memory: a Store in this process
//	admit.go    Admission: per address before anything costs, per caller once it is known
//	reserve.go  Reserve and Reservation: what an agreement allows of requests and records
//	subjects.go SubjectStore: how many different subjects a consumer may learn of in a day
//	degrade.go  Degrade: what happens while the shared store does not answer
//
// A Store shared by all replicas is in internal/redis. quotatest is the suite
// that every Store passes.
//
// What holds (invariant 3): the zero Limit, the zero Allowance and the zero
// Decision refuse. Whatever a clock does, no key gets more than its burst plus
// its rate times the time by which its store's clock moved forward. A unit is
// given back at most once, and only up to a full bucket.
package quota
