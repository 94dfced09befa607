// Package policies decides who may see which field of which product, for which
// purpose, until when, and why: [Set.Decide], a pure function of its Request
// and of what was loaded (invariant 6). The same request gives the same answer,
// with its derivation.
//
// # The layers
//
// A request passes them in this order; a deny at any of them wins, and what
// cannot be evaluated denies (invariant 3).
//
//	request      the product is provided in the region; the caller is an admitted participant
//	share_class  不予共享 denies; a purpose is named; 有条件 caps what may leave (secret
//	             never), 无条件 to the public and internal fields
//	provider     the provider's rules that deny, and any rule that cannot be evaluated
//	agreement    有条件 only: the one in force now that names the purpose, or the
//	             emergency access that the caller invokes in its place; and the delivery
//	provider     the provider's rules that permit: without one the answer is no
//	rows         of the records those that the row conditions of all layers let
//	fields       the strictest of all layers for each field, where every rule that
//	             permits is a layer; a field that one of them does not name is dropped;
//	             a field that was asked for and is dropped denies
//
// All rules are evaluated in one pass, and the steps of a decision list them
// together. That rules which deny count before the agreement, and the want of a
// rule that permits only after it, is for the reason that is told: a caller
// whose agreement ended hears that, not that no rule matched. Whether the answer
// is yes does not depend on the order.
//
// # What is written
//
//	rules/*.yaml        of one product: product, providers, rules
//	  id, nameZH        the rule's name; told to who is denied by it
//	  effect            permit or deny
//	  when              a condition in CEL
//	  obligations       of a rule that permits: by class of field, and by field
//	                    (which goes before its class): keep, generalise:METHOD,
//	                    mask:METHOD, hash, null, drop; see package redact
//	  rows              which records leave, translated to a redact.Predicate
//	agreements/*.yaml   one 共享协议 each: see Agreement
//	emergencies/*.yaml  one 应急调用 each: see Emergency
//	*_test.yaml         beside each: cases, run by package policytest; not part of the policy
//
// docs/reference/policies.md has the language, with the variables of a
// condition ([Environment]): all that it can see. There are no conversions and
// no time zones, so that a condition reads nothing outside its request. A
// misspelt name, a result that is not a bool, and a condition whose cost has no
// bound or too high a one are faults of the file.
//
// Files: decide.go (the layers), request.go (what goes in and comes out),
// rule.go, clauses.go, agreement.go and emergency.go (shapes and checks),
// environment.go and condition.go (CEL), rows.go (row conditions), delivery.go,
// set.go (Load, look up, version), layer.go (obligations as the layers hold
// them), who.go (who may read what), jsonschema.go (for editors).
package policies
