package sample_test

import (
	"bytes"
	"encoding/csv"
	"os"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/csvfile"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/sample"
	"github.com/chuanyu-exchange/hub/schemas"
)

// Every declared fault is found for its declared reason by the shipped mapping
// and the validators, and none is invented; no two good rows share a key.
func TestFaultsAreDeclared(t *testing.T) {
	t.Parallel()
	set, err := schemas.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, product := range sample.Products() {
		for _, region := range []string{"500000", "510000"} {
			s, _ := set.Schema(product + ".v1")
			var file bytes.Buffer
			want, err := sample.CSV(&file, product, sample.Options{Region: region, Rows: 2000, Seed: 7, FaultEvery: 13})
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile("../../deploy/config/mappings/" + map[string]string{"price_quote": "price_quote." + region, "consumer_complaint": product}[product] + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			m, err := connectors.ParseMapping(product, text, s)
			if err != nil {
				t.Fatal(err)
			}
			v, err := connectors.NewValidator(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := csvfile.Config{}.Read(&file, m.Columns())
			if err != nil {
				t.Fatal(err)
			}
			got := map[problem.Code]int64{}
			values := make([]schemas.Value, len(s.Leaves))
			n := 0
			for ; ; n++ {
				row, err := rows.Next()
				if err != nil {
					break
				}
				faults := m.Apply(&row, values)
				if len(faults) == 0 {
					faults = v.Validate(values, now)
				}
				if len(faults) > 0 {
					got[faults[0].Code]++
				}
			}
			if n != 2000 {
				t.Errorf("%s: %d rows", product, n)
			}
			for code := range got {
				if got[code] != want[code] {
					t.Errorf("%s of %s, %s: %d found, %d declared", product, region, code, got[code], want[code])
				}
			}
			if len(got) != len(want) || len(want) != 5 {
				t.Errorf("%s: found %v, declared %v", product, got, want)
			}
		}
	}
}

func TestDeterministicAndDistinct(t *testing.T) {
	t.Parallel()
	for _, product := range sample.Products() {
		var a, b bytes.Buffer
		o := sample.Options{Region: "500000", Rows: 20_000, Seed: 1}
		if _, err := sample.CSV(&a, product, o); err != nil {
			t.Fatal(err)
		}
		if _, err := sample.CSV(&b, product, o); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%s: two files of one seed differ", product)
		}
		rows, err := csv.NewReader(&a).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		keys := map[string]bool{}
		for _, r := range rows[1:] {
			key := r[0]
			if product == "price_quote" {
				key = r[0] + r[4] + r[5] + r[6]
			}
			keys[key] = true
		}
		if len(keys) != 20_000 {
			t.Errorf("%s: %d keys of 20000 rows", product, len(keys))
		}
	}
	if _, err := sample.CSV(&bytes.Buffer{}, "nothing", sample.Options{}); err == nil {
		t.Error("an unknown product was sampled")
	}
}
