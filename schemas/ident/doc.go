// Package ident checks the identifiers that records carry: pure functions over
// the published algorithms, each with its standard. A value that fails is
// quarantined by the connector; nothing is ever repaired in silence.
//
//	USCC         unified social credit code, GB 32100-2015, with the check
//	             digit of the organisation code in it, GB 11714-1997
//	ResidentID   resident identity number, GB 11643-1999
//	Region       administrative division, GB/T 2260, structure only
//
// The errors say which rule failed and never hold the value.
package ident
