package httpapi_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

const priceAgreement = "agreements/price_quote-cq-commerce-sc-commerce.yaml"

// evolved is the shipped schemas with price_quote.v1.2, which is v1 with the
// replacements, and a catalogue whose connectors write it.
func evolved(t *testing.T, levels string, replace ...string) (schemaFiles, catalogueFiles fs.FS) {
	t.Helper()
	dir := overlay(t, schemas.Files())
	first := string(dir["price_quote.v1.avsc"].Data)
	second := strings.NewReplacer(replace...).Replace(first)
	if second == first {
		t.Fatal("nothing is replaced")
	}
	dir["price_quote.v1.2.avsc"] = &fstest.MapFile{Data: []byte(second)}
	if levels != "" {
		dir[schemas.LevelsFile] = &fstest.MapFile{Data: []byte(levels)}
	}
	lock, err := schemas.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	dir[schemas.LockFile] = &fstest.MapFile{Data: lock}
	products := overlay(t, catalogue.Shipped())
	text := string(products["products.yaml"].Data)
	products["products.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(text, "schema: price_quote.v1\n", "schema: price_quote.v1.2\n", 1))}
	return dir, products
}

func overlay(t *testing.T, dir fs.FS) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	err := fs.WalkDir(dir, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(dir, path)
		out[path] = &fstest.MapFile{Data: b}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const (
	lastField = `{"name": "status",`
	withNote  = `{"name": "note", "type": ["null", "string"], "default": null, "zh": "备注", "source": "x", "sensitivity": "public" },
    {"name": "status",`
)

// A consumer that names the version it was written for gets every record in
// it, whichever version a connector wrote, in every format.
func TestVersionsAreResolved(t *testing.T) {
	t.Parallel()
	dir, products := evolved(t, "", lastField, withNote)
	r := newRigOn(t, map[string]string{}, dir, products)
	r.publishAs("price_quote.v1", "price_quote", 5, nil)
	r.publish("price_quote", 5, func(_ int, set func(path, text string)) { set("note", "节前") })
	c := r.client("sc-commerce")
	c2 := r.olderClient("sc-commerce") // knows v1 only
	for _, format := range []client.Format{client.JSON, client.Avro, client.CSV} {
		for version, want := range map[string]int{"1": 0, "2": 5, "latest": 5, "": 5} {
			asks := c
			if version == "1" {
				asks = c2
			}
			notes, reader := 0, "price_quote.v1.2"
			if version == "1" {
				reader = "price_quote.v1"
			}
			_, pages := pull(t, asks, client.Query{Product: "price_quote", Purpose: "price_monitoring", Format: format, Version: version})
			records := 0
			for _, p := range pages {
				if slices.ContainsFunc(p.Receipt.Schemas, func(of string) bool { return of != reader }) != (p.Receipt.Reader == reader) {
					t.Errorf("%s, version %q: schemas %v, reader %q", format, version, p.Receipt.Schemas, p.Receipt.Reader)
				}
				for _, one := range decoded(t, format, p.Body) {
					records++
					if strings.Contains(flat(one), "节前") {
						notes++
					}
				}
			}
			if records != 10 || notes != want {
				t.Errorf("%s, version %q: %d records, %d with a note, want %d", format, version, records, notes, want)
			}
		}
	}
}

func flat(one map[string]any) string {
	var out strings.Builder
	for _, v := range flattened(one) {
		out.WriteString(v.(string) + "\n")
	}
	return out.String()
}

// A version that cannot hold what the newest says is refused by name, and the
// ledger knows; without a version nothing changes for the consumer.
func TestIncompatibleVersion(t *testing.T) {
	t.Parallel()
	dir, products := evolved(t, `{"default": "FULL_TRANSITIVE", "subjects": {"price_quote.v1": "NONE"}}`,
		`{"name": "raw_unit", "type": "string",`, `{"name": "raw_unit", "type": "boolean",`)
	r := newRigOn(t, map[string]string{}, dir, products)
	r.publish("price_quote", 3, nil)
	p := r.admitted("sc-commerce")
	for _, format := range []string{"ndjson", "avro", "csv"} {
		if a := r.get(p, prices+"&format="+format+"&schema_version=1"); a.code != problem.VersionIncompatible || !strings.Contains(string(a.body), "raw_unit") {
			t.Errorf("%s: %d %s %s", format, a.status, a.code, a.body)
		}
		if a := r.get(p, prices+"&format="+format); a.status != 200 {
			t.Errorf("%s, no version: %d %s", format, a.status, a.code)
		}
	}
	entries := r.entries()
	if n := len(slices.DeleteFunc(entries, func(e receipt.Entry) bool {
		return e.Code != problem.VersionIncompatible || e.Consumer != "sc-commerce"
	})); n != 3 {
		t.Errorf("%d refusals in the ledger", n)
	}
}

// What a row condition excludes is not released in any format, counts nowhere
// and has no receipt of its own; nor does an older version, which does not know
// the field that the condition is about, let it out.
func TestExcludedInEveryFormat(t *testing.T) {
	t.Parallel()
	dir, products := evolved(t, "", lastField, withNote)
	text := agreement("some", "sc-commerce", "price_quote", "cq-commerce", "price_monitoring", "2026-01-01", "2035-12-31", 1000, 1000)
	r := newRigOn(t, map[string]string{priceAgreement: text + "rows: row.note == \"公开\"\n"}, dir, products)
	r.publish("price_quote", 12, func(i int, set func(path, text string)) {
		set("note", []string{"公开", "内部", "公开的"}[i%3])
		set("market_name", []string{"可见市场", "不可见市场", "不可见市场"}[i%3])
	})
	r.publishAs("price_quote.v1", "price_quote", 3, func(_ int, set func(path, text string)) { set("market_name", "不可见市场") })
	for _, format := range []client.Format{client.JSON, client.Avro, client.CSV} {
		for _, version := range []string{"", "1", "2"} {
			_, pages := pull(t, r.client("sc-commerce"), client.Query{Product: "price_quote", Purpose: "price_monitoring", Format: format, Version: version, Limit: 3})
			released := 0
			for _, p := range pages {
				holdsNone(t, string(format)+" of version "+version, p.Body, []string{"不可见市场"})
				released += len(decoded(t, format, p.Body))
				if p.Receipt.Records == 0 || len(p.Receipt.Withheld) > 0 {
					t.Errorf("%s: %+v", format, p.Receipt)
				}
			}
			if released != 4 {
				t.Errorf("%s, version %q: %d of 4 records", format, version, released)
			}
		}
	}
}
