// Package policytest runs the cases that stand beside policies: for
// rules/x.yaml and agreements/y.yaml the files rules/x_test.yaml and
// agreements/y_test.yaml, and so beside emergencies. `go test` and `hubctl policy test` both call [Run].
//
//	defaults:                # for every case of the file that does not say otherwise
//	  at: 2026-06-01T09:00:00+08:00
//	  caller: {participant: sc-commerce}
//	  product: price_quote
//	  region: "500000"
//	cases:
//	  - name: what is to be true, as a sentence
//	    purpose: price_monitoring
//	    asked: [low_price]
//	    delivery: page       # if it is not said; or bulk, query, verify
//	    emergency: flood-1   # the emergency access that is invoked
//	    want:
//	      effect: permit     # or deny, which needs a code
//	      code: agreement_ended
//	      agreement: …       # the one that applies
//	      emergency: …       # the one that took the agreement's place
//	      rows: …            # the predicate of the records, or "all"
//	      rule: …            # one that permits or denies, as "product.rule"
//	      released: 8        # how many fields
//	      obligations: {low_price: keep, complainant: drop}   # some fields; a block is all of its fields
//	      exactly: {…}       # all fields that are released, and no others
//
// The caller's region and kind are those of the catalogue unless the case says
// otherwise. A rule that permits is covered by a case that it permits, one that
// denies by a case that it denies, an agreement by a case that it applies to;
// the report names what is not.
//
// [Requests] reads such requests without expectations, and [Diff] says where
// two sets of policies answer them differently.
package policytest
