package connectors_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
)

// fieldByField maps columns that bear the names of the fields.
func fieldByField(t *testing.T, product, schema string, fields []string) *connectors.Mapping {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "product: %s\nschema: %s\nfields:\n", product, schema)
	for _, f := range fields {
		fmt.Fprintf(&b, "  %s: {column: %s, layouts: [%q, %q]}\n", f, f, "2006-01-02 15:04:05", "2006-01-02 15:04")
	}
	text := b.String()
	for _, f := range fields { // layouts are for times alone
		if _, leaf, _ := schemaOf(t, schema).Leaf(f); leaf == nil || leaf.Kind.String() != "timestamp" {
			text = strings.Replace(text, fmt.Sprintf("%s: {column: %s, layouts: [%q, %q]}", f, f, "2006-01-02 15:04:05", "2006-01-02 15:04"), fmt.Sprintf("%s: {column: %s}", f, f), 1)
		}
	}
	m, err := connectors.ParseMapping("test.yaml", []byte(text), schemaOf(t, schema))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func fieldsOf(rows ...written) []string {
	all := map[string]bool{}
	for _, r := range rows {
		for f := range r {
			all[f] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// csvOf writes rows with one column for each field.
func csvOf(t *testing.T, fields []string, rows ...written) []byte {
	t.Helper()
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	lines := [][]string{fields}
	for _, r := range rows {
		line := make([]string, len(fields))
		for i, f := range fields {
			line[i] = r[f]
		}
		lines = append(lines, line)
	}
	if err := w.WriteAll(lines); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The provider's own versions: a removal is a removal, a version that comes
// late is published as what it is and loses, one that comes again is a
// duplicate, one with other content is quarantined.
func TestProvidersVersions(t *testing.T) {
	t.Parallel()
	v1 := listing.with(contents["abnormal_operation"]).with(written{"list_kind": "abnormal_operation"})
	v3 := v1.with(written{
		"life_cycle": "removed_early", "version": "3", "decision_date": "2026-03-01", "removed_date": "2026-03-01", "removal_reason": "repaired",
		"original_decision_no": "渝市监〔2026〕1号", "original_version": "1", "abnormal_reason": "",
	})
	v2 := v1.with(written{"version": "2", "life_cycle": "objection_noted", "objection_date": "2026-02-01", "original_decision_no": "渝市监〔2026〕1号", "original_version": "1"})
	changed := v2.with(written{"subject.name": "川渝测试贸易有限公司"})
	fields := fieldsOf(v1, v2, v3)
	r := newRigWith(t, "abnormal_operation_list", fieldByField(t, "abnormal_operation_list", "credit_listing.v1", fields))
	r.put("a.csv", csvOf(t, fields, v1, v3))
	if err := r.run(batches(1)); err != nil {
		t.Fatal(err)
	}
	r.put("b.csv", csvOf(t, fields, v2, v1, v3, changed, v1.with(written{"list_kind": "incentive"})))
	if err := r.run(batches(2)); err != nil {
		t.Fatal(err)
	}
	c := r.position.Counts
	if c.Published != 1 || c.Duplicates != 2 || c.Quarantined[problem.VersionConflict] != 1 || c.Quarantined[problem.RowForeign] != 1 {
		t.Errorf("counts of the second file: %+v", c)
	}
	var view record.Fold[string, string]
	var versions []uint32
	for key, stored := range r.records() {
		for _, s := range stored {
			view.Apply(key, s.env.Order(), s.env.Operation, s.line)
			versions = append(versions, s.env.Version)
			if (s.env.Operation == record.Removal) != (s.env.Version == 3) {
				t.Errorf("version %d is a %s", s.env.Version, s.env.Operation)
			}
		}
		if !view.Removed(key) {
			t.Error("the late version brought back what was removed")
		}
	}
	if !slices.Equal(versions, []uint32{1, 3, 2}) {
		t.Errorf("versions in the topic: %v", versions)
	}
}

// What only warns is published, recorded, counted and named in the record.
func TestWarningsAreTold(t *testing.T) {
	t.Parallel()
	row := listing.with(contents["abnormal_operation"]).with(written{"list_kind": "abnormal_operation", "subject.region_code": "500228"})
	fields := fieldsOf(row)
	r := newRigWith(t, "abnormal_operation_list", fieldByField(t, "abnormal_operation_list", "credit_listing.v1", fields))
	r.put("a.csv", csvOf(t, fields, row))
	if err := r.run(batches(1)); err != nil {
		t.Fatal(err)
	}
	if c := r.position.Totals; c.Published != 1 || c.Warned[problem.RegionAbolished] != 1 || c.QuarantinedRows() != 0 {
		t.Errorf("%+v", c)
	}
	for _, stored := range r.records() {
		if len(stored) != 1 || !slices.Equal(stored[0].env.Warnings, []string{string(problem.RegionAbolished)}) {
			t.Errorf("the record says %+v", stored)
		}
	}
	warnings, err := connectors.ReadWarnings(r.config.QuarantineDir, r.product.ID)
	if err != nil || len(warnings) != 1 || warnings[0].Row != 1 || len(warnings[0].Sealed) != 0 || !strings.Contains(warnings[0].Faults[0].Detail, "500155") {
		t.Errorf("%+v, %v", warnings, err)
	}
	if entries, err := connectors.ReadQuarantine(r.config.QuarantineDir, r.product.ID); err != nil || len(entries) != 0 {
		t.Errorf("%d entries in quarantine, %v", len(entries), err)
	}
}
