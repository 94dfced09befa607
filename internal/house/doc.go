// Package house holds the module to its layout: which package may import
// which, how long a chain of imports may get, how large a file and a function.
// It has no code but tests, needs no network and reads the source as it stands,
// so it holds where no linter is installed.
//
//	tree_test.go      reads the module: packages, files, imports
//	imports_test.go   the import rules, and the test of this module
//	shape_test.go     rules on names, comments and sizes
//	rules_test.go     every rule is seen to fail on a small module made for it
//
// The rules are those of the design, section 1 (imports) and section 5 (sizes).
// A finding names file, line and what is wrong there, then what to do.
// Where a rule hinders a better design, change the rule here and write an ADR;
// there is no way to exempt a single file.
//
// Nested modules (deploy/…) and files with the build constraint "ignore" are
// not read. Build tags are not heeded: what is built only sometimes obeys too.
package house
