// Package signing signs what the gateway vouches for, receipts and grants,
// with a key that was made in this process and that Vault's PKI certified for
// a short time (invariant 8). When the key is exchanged, what the former one
// signed stays verifiable: every message carries its certificate.
package signing
