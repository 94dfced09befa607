package config

import "embed"

// Files holds connector.yaml and mappings/*.yaml.
//
//go:embed connector.yaml mappings/*.yaml
var Files embed.FS
