package sample_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/csvfile"
	"github.com/chuanyu-exchange/hub/connectors/jsonfile"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/connectors/xlsxfile"
	"github.com/chuanyu-exchange/hub/connectors/xmlfile"
	"github.com/chuanyu-exchange/hub/deploy/config"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/sample"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// rows is how many rows of each product are looked at: few of them with -short,
// else ten times as many, or as many as HUB_SAMPLE_ROWS says; `make test-faults`
// says 100000.
func rows(few int) int {
	if n, err := strconv.Atoi(os.Getenv("HUB_SAMPLE_ROWS")); err == nil {
		return n
	}
	if testing.Short() {
		return few
	}
	return 10 * few
}

// carried is what becomes of the rows of a file: read, mapped and validated as
// the connector does it.
type carried struct {
	product *catalogue.Product
	schema  *schemas.Schema
	read    int
	faults  sample.Declared
}

// world is read once: it takes longer than most tests.
var world = sync.OnceValues(func() (*schemas.Set, *catalogue.Catalogue) {
	set, err := schemas.Shipped()
	if err != nil {
		panic(err)
	}
	cat, err := catalogue.Load(catalogue.Shipped(), set.Sensitivities, catalogue.WithCodes(set.Codes))
	if err != nil {
		panic(err)
	}
	return set, cat
})

// carry reads a file of a product; each is called for every good row.
func carry(t *testing.T, product, region string, open func(columns []string) (source.Reader, error), each func(cells map[string]string, values []schemas.Value)) *carried {
	t.Helper()
	set, cat := world()
	p, _ := cat.Product(product)
	s, _ := set.Schema(p.Schema)
	c := &carried{product: p, schema: s, faults: sample.Declared{Quarantined: map[problem.Code]int64{}}}
	text, err := config.Mapping(region, product)
	if err != nil {
		t.Fatal(err)
	}
	m, err := connectors.ParseMapping(product, text, s)
	if err != nil {
		t.Fatal(err)
	}
	v, err := connectors.NewValidator(s, p.Rows)
	if err != nil {
		t.Fatal(err)
	}
	r, err := open(m.Columns())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	last, keys := map[string][sha256.Size]byte{}, leaves(t, product)
	values := make([]schemas.Value, len(s.Leaves))
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return c
		}
		if err != nil {
			t.Fatal(err)
		}
		c.read++
		faults := m.Apply(&row, values)
		if len(faults) == 0 {
			faults = v.Validate(values, now)
		}
		faults = slices.DeleteFunc(faults, func(f connectors.Fault) bool { return f.Warning })
		if len(faults) > 0 {
			c.faults.Quarantined[faults[0].Code]++
			continue
		}
		key, content := textOf(values, keys...), sha256.Sum256([]byte(textOf(values)))
		if last[key] == content {
			c.faults.Duplicates++
			continue
		}
		last[key] = content
		if each != nil {
			cells := map[string]string{}
			for i, name := range m.Columns() {
				cells[name] = row.Cells[i]
			}
			each(cells, values)
		}
	}
}

// csv makes a sample and returns how to open it.
func csv(t *testing.T, product string, o sample.Options) (func(columns []string) (source.Reader, error), sample.Declared) {
	t.Helper()
	var file bytes.Buffer
	faults, err := sample.CSV(&file, product, o)
	if err != nil {
		t.Fatal(err)
	}
	return func(columns []string) (source.Reader, error) { return csvfile.Config{}.Read(&file, columns) }, faults
}

// Every declared fault is found for its declared reason by the shipped mapping
// and the validators; none is missed and none invented.
func TestFaultsAreDeclared(t *testing.T) {
	t.Parallel()
	n := rows(120)
	for _, product := range sample.Products() {
		for _, region := range []string{"500000", "510000"} {
			open, want := csv(t, product, sample.Options{Region: region, Rows: n, Seed: 7, FaultEvery: 13})
			got := carry(t, product, region, open, nil)
			if got.read != n {
				t.Errorf("%s of %s: %d rows", product, region, got.read)
			}
			if !maps.Equal(got.faults.Quarantined, want.Quarantined) || got.faults.Duplicates != want.Duplicates {
				t.Errorf("%s of %s: found %v, declared %v", product, region, got.faults, want)
			}
			kinds := slices.Compact(slices.Sorted(slices.Values(sample.Faults(product))))
			if len(kinds) < 5 || len(want.Quarantined) != len(kinds) || want.Duplicates == 0 {
				t.Errorf("%s: %d kinds of faults, %d of them occur, %d duplicates", product, len(kinds), len(want.Quarantined), want.Duplicates)
			}
		}
	}
}

// Without faults every row is good, no two have the same key (and version, of
// an entry of a list), and a seed says it all.
func TestGoodRows(t *testing.T) {
	t.Parallel()
	n := rows(60)
	for _, product := range sample.Products() {
		open, _ := csv(t, product, sample.Options{Region: "510000", Rows: n, Seed: 1})
		keys, keyLeaves := map[string]bool{}, leaves(t, product)
		got := carry(t, product, "510000", open, func(_ map[string]string, values []schemas.Value) {
			keys[textOf(values, keyLeaves...)] = true
		})
		if len(got.faults.Quarantined) > 0 || got.faults.Duplicates > 0 || len(keys) != n {
			t.Errorf("%s: %d rows, %d keys, faults %v", product, got.read, len(keys), got.faults)
		}
	}
	var a, b bytes.Buffer
	o := sample.Options{Region: "500000", Rows: n, Seed: 1, FaultEvery: 9}
	for _, product := range sample.Products() {
		_, err1 := sample.CSV(&a, product, o)
		_, err2 := sample.CSV(&b, product, o)
		if err1 != nil || err2 != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%s: two files of one seed differ", product)
		}
	}
	if _, err := sample.CSV(&bytes.Buffer{}, "nothing", sample.Options{Region: "500000"}); err == nil {
		t.Error("an unknown product was sampled")
	}
	if _, err := sample.CSV(&bytes.Buffer{}, "price_quote", sample.Options{Region: "110000"}); err == nil {
		t.Error("an unknown region was sampled")
	}
}

// textOf tells records apart by some of their fields, or by all.
func textOf(values []schemas.Value, leaves ...int) string {
	var text []byte
	add := func(v *schemas.Value) {
		text = strconv.AppendBool(append(text, v.Bytes...), v.Set)
		text = strconv.AppendInt(text, v.Int, 10)
		for _, n := range v.Ints {
			text = strconv.AppendInt(append(text, ','), n, 10)
		}
		for _, s := range v.Texts {
			text = append(append(text, ','), s...)
		}
		text = append(text, 0)
	}
	if leaves == nil {
		for i := range values {
			add(&values[i])
		}
	}
	for _, i := range leaves {
		add(&values[i])
	}
	return string(text)
}

// leaves are the fields that tell records of a product apart.
func leaves(t *testing.T, product string) []int {
	t.Helper()
	set, cat := world()
	p, _ := cat.Product(product)
	s, _ := set.Schema(p.Schema)
	var out []int
	for _, path := range append(slices.Clone(p.Key), p.Version) {
		if i, _, ok := s.Leaf(path); ok {
			out = append(out, i)
		}
	}
	return out
}

// The four formats hold the same rows.
func TestFormats(t *testing.T) {
	t.Parallel()
	n := 20
	if testing.Short() {
		n = 5
	}
	for _, product := range sample.Products() {
		var want []string
		for _, format := range []sample.Format{sample.FormatCSV, sample.FormatJSON, sample.FormatXLSX, sample.FormatXML} {
			var file bytes.Buffer
			if _, err := sample.Write(&file, format, product, sample.Options{Region: "500000", Rows: n, Seed: 3}); err != nil {
				t.Fatal(err)
			}
			var got []string
			carry(t, product, "500000", func(columns []string) (source.Reader, error) {
				switch format {
				case sample.FormatJSON:
					return jsonfile.Config{}.Read(&file, columns)
				case sample.FormatXLSX:
					return xlsxfile.Config{}.Read(bytes.NewReader(file.Bytes()), columns)
				case sample.FormatXML:
					return xmlfile.Config{Row: sample.XMLRow}.Read(&file, columns)
				}
				return csvfile.Config{}.Read(&file, columns)
			}, func(cells map[string]string, _ []schemas.Value) { got = append(got, fmt.Sprint(cells)) })
			if format == sample.FormatCSV {
				want = got
			}
			if len(got) != n || !slices.Equal(got, want) {
				t.Errorf("%s as %s: %d rows, not those of the CSV file", product, format, len(got))
			}
		}
	}
	if _, err := sample.Write(io.Discard, "pdf", "price_quote", sample.Options{Region: "500000"}); err == nil {
		t.Error("an unknown format was written")
	}
}
