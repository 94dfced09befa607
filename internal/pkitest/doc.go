// Package pkitest is a certificate authority for tests that need no Vault: the
// same shapes of certificates that Vault's roles issue, with names and times of
// the test's choosing.
package pkitest
