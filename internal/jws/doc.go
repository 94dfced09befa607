// Package jws signs and verifies what must still be checkable years later by
// anyone with the root certificates: receipts, access tokens, batch manifests
// and trust bundles. It is JWS in compact form (RFC 7515) with the signer's
// certificates in the header (x5c), by Ed25519 or P-256.
package jws
