// Package control is what the operators of a province ordered and what
// follows from it: who is suspended, which agreement is, which certificate is
// revoked, whom the other province's bundle names, which policies are adopted,
// which keys are announced. The state is a log: one topic with one partition,
// never compacted, never expired, folded by every replica into the same
// [State] (invariant 9).
//
//	hubctl control ──► Order, signed by an operator ──► Log.Submit ──► topic
//	                                                                     │
//	a request ◄── State (immutable) ◄── Rules.Fold ◄── Log.Run ◄─────────┘
//
// An order takes effect by being folded and in no other way. Whoever submits
// one waits for it to come back out of the log, and is told what the fold made
// of it, which every replica made of it too: the fold is a pure function of the
// records and their place, and an order that does not hold stays in the log as
// evidence and changes nothing.
//
// Who may order what is divided between three duties, which are different
// people (三员分立); policies are proposed by one security officer and adopted
// only when another approves (four eyes). Every order is a JWS by the
// operator's own certificate, so that the log proves itself years later.
//
// A replica that has not seen the end of the log for five seconds answers
// problem.ControlStale instead of deciding on old orders (invariant 3).
//
// Participants and agreements that come by order, beside those of the files, are
// documents in the state; package gateway loads them into its snapshots.
//
//	order.go    the shape of an order, and its checks
//	duty.go     who may order what
//	state.go    what requests ask of the state
//	fold.go     the reducer
//	admit.go    of participants and agreements that are admitted
//	log.go      following the topic
//	submit.go   writing an order and waiting for what became of it
package control
