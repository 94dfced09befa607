// Package source is what the kinds of sources and the pipeline agree on: a
// batch of rows, as text. connectors.Source is the interface that yields
// batches.
package source
