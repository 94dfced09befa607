package config_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/instance"
	"github.com/chuanyu-exchange/hub/deploy/config"
	"github.com/chuanyu-exchange/hub/schemas"
)

func TestConnectorLoads(t *testing.T) {
	t.Parallel()
	f, err := instance.Load("connector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Offline(); err != nil {
		t.Fatal(err)
	}
}

func TestMappingsLoad(t *testing.T) {
	t.Parallel()
	set, err := schemas.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(config.Files, "mappings/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		product, _, _ := strings.Cut(strings.TrimPrefix(file, "mappings/"), ".")
		text, err := config.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, ok := set.Schema(product + ".v1")
		if !ok {
			t.Fatalf("%s: no schema %s.v1", file, product)
		}
		if _, err := connectors.ParseMapping(file, text, s); err != nil {
			t.Error(err)
		}
	}
}
