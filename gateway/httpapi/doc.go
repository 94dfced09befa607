// Package httpapi is the gateway's face: HTTP in, HTTP out, nothing decided.
// gin lives here and nowhere else.
//
//	POST /oauth2/token                                 a grant for the certificate (RFC 6749 4.4, RFC 8705)
//	POST /oauth2/introspect                            what a token is worth (RFC 7662)
//	POST /oauth2/revoke                                the end of a token (RFC 7009)
//	GET  /.well-known/oauth-authorization-server       RFC 8414
//	GET  /.well-known/jwks.json                        RFC 7517
//	GET  /openapi.json                                 what follows, for machines
//	GET  /v1/products                                  what the caller may know of
//	GET  /v1/products/{product}                        its catalogue entry and fields
//	GET  /v1/products/{product}/records                a page: cursor, limit, purpose, fields
//	POST /v1/products/{product}/query                  the one record of a business key, which stands in the body
//	POST /v1/products/{product}/verify                 whether what is claimed of that record is true; no value leaves
//	GET  /v1/receipts/{id}                             a receipt as it was issued, for the two parties
//	GET  /v1/control                                   what the operators ordered, for operators
//	POST /v1/control/orders                            an order, signed by an operator
//
// TLS asks for a client certificate and takes any; package identity checks it,
// so that a refusal has a code and a place in the ledger. Every failure is one
// problem document (RFC 9457), written in one place; handlers return errors.
//
// A balancer passes TLS through. Where one must end it, only the proxies that
// are listed may pass certificates on (RFC 9440); from anyone else such a
// header refuses the request.
//
// [Admin] serves /healthz, /readyz and /metrics on a port of its own.
package httpapi
