// Package config is the example configurations: complete, commented, loaded by
// a test, and what the demo hub begins with.
package config
