// Package attacks is the table of what is tried against a gateway from outside,
// and of what must come of it: the code of the refusal and the entry in the
// ledger. It is the one place: docs/reference/attacks.md is generated from it,
// and a test of gateway/httpapi tries every line, and nothing that is not here.
package attacks
