// Package revocation knows what certificate authorities say of the
// certificates that they issued: by CRL (RFC 5280) and by OCSP (RFC 6960). The
// control log revokes within seconds and needs none of this; it is for
// authorities that publish, and above all for those outside of the exchange.
//
//	state.go    State: what is known → good, revoked, unknown; pure, immutable
//	crl.go      a CRL, checked: bytes and issuer → list
//	ocsp.go     an OCSP answer, checked: bytes, certificate and issuer → answer
//	fetch.go    Fetcher: asks in the background and never on the way of a request
//	http.go     one GET or POST, bounded in time and size
//
// A request asks [Fetcher.Check], which answers from what it knows. What is not
// known, or known only from too long ago, is problem.CertificateStatus and
// refuses (invariant 3): an authority that cannot be reached lets nobody in.
package revocation
