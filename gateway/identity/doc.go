// Package identity finds out who calls: a participant's system, by the
// certificate it connected with and a grant that is bound to that certificate.
// Everything here is a pure function over its arguments and the time.
//
//	Trust         the root certificates of both provinces: our own, and the
//	              other's by its signed trust bundle
//	Authenticate  certificate chain → Peer, checked here and not by TLS, so that a
//	              refusal has a code and a place in the ledger
//	Admit         Peer → Caller: the catalogue must know the participant
//	Grant         Caller → access token: OAuth 2.0 client credentials, a JWT by
//	              RFC 9068, bound to the certificate by RFC 8705
//	CheckGrant    access token → the Caller who holds it, with the same certificate
//
// The zero Trust trusts nobody, the zero Peer is nobody (invariant 3).
package identity
