// Package sample generates rows for the demo, the tests and the benchmarks:
// deterministic for a seed, with valid check digits, fictional names, and a
// declared number of faults of declared kinds. No row describes a real person:
// identity numbers have an unassigned region, telephone numbers a prefix that
// no operator has.
//
//	world.go      what all families speak of: counties, companies, persons, seasons
//	price.go      quotes and bulletins
//	complaint.go  complaints and reports
//	credit.go     the credit lists, with what happens to their entries
//	bid.go        notices, results, market entities
//	write.go      CSV, JSON, XLSX, XML
//
// The columns are those of the shipped mappings (deploy/config/mappings).
// Shares and seasons follow published statistics where there are any; the
// tables name them.
package sample
