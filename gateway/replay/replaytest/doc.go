// Package replaytest is the conformance suite of replay.Store.
package replaytest
