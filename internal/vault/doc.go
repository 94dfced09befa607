// Package vault is the hub's only way to Vault or OpenBao, and the only
// importer of their client library.
//
//	client.go     Open, Ready, Close: one AppRole login for each process
//	session.go    its token: renewed, replaced when it ends or was revoked
//	request.go    one call: its deadline, and what its failure means
//	pki.go        Certify: a key made in this process gets a certificate
//	identity.go   such a key and certificate, exchanged at half of its life
//	transit.go    data keys for sealing, their unwrapping, the rare signature
//	kv.go         shared symmetric keys, by version
//	names.go      mounts, roles and keys: how they are called
//	provision.go  what has to be set up on the server for a province
//	roles.go      its PKI roles · policies.go  who may do what
//
// A private signing key never leaves the process that made it; shared
// symmetric keys lie in Vault, versioned; neither is ever in a configuration
// file (invariant 8).
//
// What a caller needs to know of a failure:
//
//	problem.VaultUnavailable   sealed, dead, hung or overloaded: it passes; try again
//	ErrDenied                  the role may not do this: it does not pass by itself
//	ErrNotFound                no such key, version or role; for a sealing key: erased
//
// No error and no log line of this package holds a token, a secret id, a data
// key or what the server echoed of a request that carried one.
package vault
