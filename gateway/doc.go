// Package gateway is the road of one request out of a province:
// [Gateway.Exchange] calls its steps in order over one immutable [Snapshot],
// and reads like the table of the design.
//
//	identity   10  certificate and grant → Caller
//	quota      11  admission: protects what follows
//	policies   12  Decision with obligations; a refusal is recorded, then returned
//	quota      13  the agreement's requests and records, reserved
//	schemas    14  the View, compiled once for (schema, obligations)
//	feed       15  committed records by cursor, each through the View
//	signing    16  a receipt over the salted digest
//	ledger     17  the entry with the receipt: durable before anything leaves
//	httpapi    18  writes the answer
//
// Invariant 2 is the order of steps 17 and 18; invariant 3 is that every step
// that fails ends the road; invariant 9 is that nothing of a request stays
// behind in the process; invariant 11 is that nothing else reads product
// topics for a stranger.
package gateway
