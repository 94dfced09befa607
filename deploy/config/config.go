// Package config is the example configurations: complete, commented, loaded by
// a test, and what the demo hub begins with.
package config

import "embed"

// Files holds connector.yaml and mappings/*.yaml.
//
//go:embed connector.yaml mappings/*.yaml
var Files embed.FS
