package config

import (
	"embed"
	"errors"
	"io/fs"
)

// Files holds connector*.yaml and mappings/*.yaml.
//
//go:embed connector*.yaml mappings/*.yaml
var Files embed.FS

// Mapping is the example mapping of a product, the region's own if it has one.
func Mapping(region, product string) ([]byte, error) {
	text, err := Files.ReadFile("mappings/" + product + "." + region + ".yaml")
	if errors.Is(err, fs.ErrNotExist) {
		text, err = Files.ReadFile("mappings/" + product + ".yaml")
	}
	return text, err
}
