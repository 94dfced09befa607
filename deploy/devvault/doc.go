// Command devvault is a small Vault-compatible server for the demo and the
// tests of the hub: OpenBao 2.4.0 used as a library, so that nothing but Go is
// needed to have a real one.
//
//	main.go      flags, exit status, what ends the process
//	server.go    configuration file → core → listeners
//	backends.go  which engines, login methods, storages and audit devices are in
//	stubs/       empty stand-ins for the cloud key services, which are cut out
//
// It knows the secrets engines kv, pki and transit; the login methods approle,
// cert, jwt and oidc; the storages inmem, file and raft; the seals shamir and
// static; audit to a file. Its configuration is OpenBao's own HCL.
//
// For each listener it prints one line on standard output, in the order of the
// configuration, and nothing else:
//
//	serving 127.0.0.1:8200
//
// It is not for production: run a current Vault or OpenBao there. It is a
// module of its own because OpenBao would otherwise force some 180 modules and
// their versions on the hub.
package main
