// Package mutants shows that the tests can fail: each file of testdata is a
// change that breaks a promise of the hub, laid over the source as a build
// overlay, and the test that must notice it. The source itself is not touched.
//
// A file is a txtar archive. Its comment says what is broken and how it is
// noticed; each pair of files is a piece of source and what takes its place.
//
//	invariant: 1
//	file: connectors/commit.go
//	test: ./connectors -run TestAckAfterCommit
//	-- find --
//	…
//	-- replace --
//	…
//
// A piece that is not found exactly once is an error, so that a mutant cannot
// rot in silence. More than one file or test may be named; each test alone must
// notice the mutant.
package mutants
