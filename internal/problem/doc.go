// Package problem is the one table of what can go wrong, as people and
// programs are told of it.
//
// Every refusal, quarantined row, rejected file and failed command carries one
// [Code] of the table in table.go, shapes.go and rows.go. A code is stable: it is never
// renamed and never reused, because agencies write procedures against it. The
// table gives each code its HTTP status and its sentences in English and
// Chinese: what happened and what to do about it (invariant 10).
//
//	producer of an error          problem.New(problem.CursorInvalid, "offset is negative")
//	HTTP                          problem.From(err).Document("/v1/products")   → RFC 9457
//	quarantine, command line      problem.From(err).Error(), Entry.ZH, Entry.FixEN …
//
// What a Detail may hold: positions, names of fields, files, products and
// participants, limits. What it never holds: record content (invariant 5).
// [From] turns an error that carries no code into [Internal] and drops its
// text, so that nothing unforeseen leaks to a stranger.
package problem
