// Package connectortest is what every file source must do: one suite, run by
// the tests of each kind.
package connectortest
