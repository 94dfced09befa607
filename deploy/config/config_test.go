package config_test

import (
	"bytes"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/csvfile"
	"github.com/chuanyu-exchange/hub/connectors/instance"
	"github.com/chuanyu-exchange/hub/deploy/config"
	"github.com/chuanyu-exchange/hub/internal/sample"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

func TestConnectorsLoad(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(config.Files, "connector*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		f, err := instance.Load(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := f.Offline(); err != nil || filepath.Base(f.SourceDir()) != "drop" {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// There is a mapping for every product of every region, it loads, and a good
// row of that product passes it and the validator.
func TestMappings(t *testing.T) {
	t.Parallel()
	set, err := schemas.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	cat, err := catalogue.Load(catalogue.Shipped(), set.Sensitivities, catalogue.WithCodes(set.Codes))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, product := range cat.Products() {
		for region := range product.Providers {
			text, err := config.Mapping(region, product.ID)
			if err != nil {
				t.Errorf("%s of %s has no mapping: %v", product.ID, region, err)
				continue
			}
			used[string(text)] = true
			tryMapping(t, set, product, region, text)
		}
	}
	files, err := fs.Glob(config.Files, "mappings/*.yaml")
	if err != nil || len(files) != len(used) {
		t.Errorf("%d files, %d of them are of a product; %v", len(files), len(used), err)
	}
}

func tryMapping(t *testing.T, set *schemas.Set, product *catalogue.Product, region string, text []byte) {
	t.Helper()
	s, _ := set.Schema(product.Schema)
	m, err := connectors.ParseMapping(product.ID, text, s)
	if err != nil {
		t.Error(err)
		return
	}
	v, err := connectors.NewValidator(s, product.Rows)
	if err != nil {
		t.Error(err)
		return
	}
	var file bytes.Buffer
	if _, err := sample.CSV(&file, product.ID, sample.Options{Region: region, Rows: 30, Seed: 1}); err != nil {
		t.Error(err)
		return
	}
	rows, err := csvfile.Config{}.Read(&file, m.Columns())
	if err != nil {
		t.Error(err)
		return
	}
	values := make([]schemas.Value, len(s.Leaves))
	for range 30 {
		row, err := rows.Next()
		if err != nil {
			t.Fatal(err)
		}
		faults := m.Apply(&row, values)
		if len(faults) == 0 {
			faults = v.Validate(values, time.Now())
		}
		for _, f := range faults {
			if !f.Warning {
				t.Errorf("%s of %s, row %d: %+v", product.ID, region, row.Number, f)
			}
		}
	}
	if m.Product != product.ID {
		t.Errorf("the mapping of %s is for %s", product.ID, m.Product)
	}
}
