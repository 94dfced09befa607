// Package avro reads Avro 1.12 schemas of any kind into a tree that the rest
// of the project decides on: what resolves with what, what a decoder does with
// each byte, what a fingerprint covers. It is pure and knows nothing of the
// exchange's own attributes, which it hands on as Props.
//
//	Parse   source → *Type, or an *Error with the path and the rule
//	Type    one type; a name that is used again is the same pointer, so a
//	        recursive schema is a ring
//	Fits    says whether a JSON value is a default of a type
//
// A path in an error is the way down from the outermost type: field names
// joined by dots, [] for the items of an array, {} for the values of a map,
// (n) for the n-th branch of a union, from 0.
//
// Where Avro's specification leaves room, the strict reading is taken: names
// are defined before they are used, unions and enums are not empty, JSON
// objects name no attribute twice. A logical type that does not fit what it
// annotates is no error, as the specification asks: it stays in Props.
package avro
