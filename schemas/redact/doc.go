// Package redact says what is to be done with each field of a record before it
// leaves: the language between policies, which ask, and schemas.View, which
// does.
//
//	policies.Decide  →  Obligations{field path → Obligation}  →  schemas.View
//
// It is strict by construction. The zero Obligation drops the field, a field
// that Obligations does not name is dropped, and two layers of policy are
// joined by [Obligations.Merge], which takes the stricter of the two for every
// field and drops where they ask for different things of the same strength
// (invariant 3: zero values deny, masking has no skip mode).
//
// The order of strictness is drop > null > hash > mask > generalise > keep.
//
//	obligation.go   Action, Method, Obligation, their strictest merge
//	mask.go         what each mask leaves visible of a text
//	generalise.go   region to province, date to month, amount to band
//	predicate.go    Predicate: which records leave at all, Kleene's three values
//	sensitivity.go  the classes of fields
package redact
