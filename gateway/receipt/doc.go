// Package receipt is the formats of the evidence: what a gateway hands to a
// consumer, what it writes into its ledger, and where a consumer stands. It is
// pure and can be imported by anyone who wants to verify.
//
//	Receipt   what was released to whom, under which agreement, purpose and
//	          policy, from which offsets, with a salted digest of the body; a JWS
//	          signed by a key that the province's authority certified for its
//	          gateway. [Verify] needs nothing but the root certificates.
//	Entry     one line of the ledger: a release (with its receipt), a refusal, or
//	          the failed authentications of one address in one minute
//	Cursor    where a consumer stands: a closed range of offsets, authenticated,
//	          held by the consumer alone (invariant 9)
//
// Neither holds record content (invariant 5): the digest of a body is salted
// with a random value that only the receipt names.
package receipt
