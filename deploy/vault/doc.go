// Package vault says what a province's Vault or OpenBao is set up with, out of
// the catalogue: one connector for each product that the province provides.
//
//	policies/   every policy as it is written to the server, generated (`make generate`)
//	README.md   how to set a server up, and who gets what
//
// The rules themselves are internal/vault's; `hubctl vault bootstrap` applies
// them.
package vault
