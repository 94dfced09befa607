// Command generate writes what is derived from the source: the ids of new
// schemas, and the reference tables under docs/reference.
//
//	go run ./internal/generate          write
//	go run ./internal/generate -check   say what would change, and fail if anything would
package main
