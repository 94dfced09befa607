// Package identity finds out who calls: a participant's system, by the
// certificate it connected with and a grant that is bound to that certificate.
// Everything here is a pure function over its arguments and the time.
//
//	Trust         the authorities of both provinces and whom each may name: our
//	              own, and the other's by its signed trust bundle; and those
//	              outside of the exchange that either lists
//	Authenticate  certificate chain → Peer, checked here and not by TLS, so that a
//	              refusal has a code and a place in the ledger
//	Admit         Peer → Caller: the catalogue must know the participant
//	Grant         Caller → access token: OAuth 2.0 client credentials, a JWT by
//	              RFC 9068, bound to the certificate by RFC 8705
//	Open, HeldBy  access token → its claims, and whether this caller holds it
//	CheckAssertion client assertion (RFC 7523) → an id that may be used once
//	CheckForwarder whether a proxy may pass certificates on (RFC 9440)
//
// The zero Trust trusts nobody, the zero Peer is nobody (invariant 3).
package identity
