// Package sample generates rows for the demo, the tests and the benchmarks:
// deterministic for a seed, with valid check digits, fictional names, and a
// declared number of faults of declared kinds. No row describes a real person:
// identity numbers have an unassigned region, telephone numbers a prefix that
// no operator has.
//
// The columns are those of the shipped mappings (deploy/config/mappings).
package sample
