package ident_test

import (
	"encoding/csv"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/schemas/ident"
)

func rows(t *testing.T, file string) [][]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	r.Comment = '#'
	all, err := r.ReadAll()
	if err != nil || len(all) < 2 {
		t.Fatalf("%s: %d rows, %v", file, len(all), err)
	}
	return all[1:]
}

// Every vector: valid, invalid, or accepted with a warning.
func TestVectors(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	checks := map[string]func(string) error{
		"uscc": ident.USCC, "orgcode": ident.OrgCode, "deal_code": ident.DealCode, "ean13": ident.EAN13,
		"cn_id": func(s string) error { return ident.ResidentID(s, now) },
	}
	seen := map[string]int{}
	for _, row := range rows(t, "testdata/identifier_vectors.csv") {
		kind, value, want := row[0], row[1], row[2]
		check, ok := checks[kind]
		if !ok {
			t.Fatalf("no validator for %s", kind)
		}
		got := "valid"
		if err := check(value); err != nil {
			got = "invalid"
			if _, only := errors.AsType[*ident.DealCheckError](err); only {
				got = "warn"
			}
		}
		if got != want {
			t.Errorf("%s %s is %s, want %s (%s)", kind, value, got, want, row[3])
		}
		seen[kind+want]++
	}
	if len(seen) != 10 {
		t.Errorf("only %v are tested", seen)
	}
}

func TestRegionTable(t *testing.T) {
	t.Parallel()
	table, err := ident.LoadRegions()
	if err != nil {
		t.Fatal(err)
	}
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	now := day("2026-06-01")
	for code, want := range map[string]error{
		"500000": nil, "510000": nil, "500112": nil, "510104": nil, "513402": nil, "500100": nil,
		"500199": ident.ErrRegionUnknown, "510200": ident.ErrRegionUnknown, "509900": ident.ErrRegionUnknown,
		"500228": ident.ErrRegionAbolished, "513425": ident.ErrRegionAbolished,
		"110105": nil, // another province: structure alone
		"990000": ident.ErrProvince, "50011": ident.ErrLength,
	} {
		if err := table.Check(code, now); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", code, err, want)
		}
	}
	if err := table.Check("500228", day("2016-11-30")); err != nil {
		t.Errorf("梁平县 in 2016: %v", err)
	}
	// A code that was given out again means another division before and after.
	for on, want := range map[string]string{"2011-11-30": "万盛区", "2011-12-01": "綦江区"} {
		if e, ok := table.At("500110", day(on)); !ok || e.Name != want {
			t.Errorf("500110 on %s is %q", on, e.Name)
		}
	}
	// Following successors ends at a division that stands.
	for code, want := range map[string]string{"510132": "510118", "512081": "510185", "500234": "500154"} {
		e, ok := table.At(code, day("2005-01-01"))
		if !ok || e.Successor != want || table.Check(e.Successor, now) != nil {
			t.Errorf("%s is succeeded by %q", code, e.Successor)
		}
	}
	if ident.Province("510104") != "510000" {
		t.Error("the province of 510104")
	}
}

// The edition in force is whole: 38 counties and districts of Chongqing, 21
// prefectures and 183 counties of Sichuan.
func TestRegionTableIsWhole(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	for _, row := range rows(t, "data/regions.csv") {
		code := row[0]
		switch {
		case row[4] != "" || code[2:] == "0000" || row[1] == "市辖区" || row[1] == "县":
		case code[:2] == "50":
			count["cq"]++
		case code[4:] == "00":
			count["prefecture"]++
		default:
			count["county"]++
		}
	}
	if count["cq"] != 38 || count["prefecture"] != 21 || count["county"] != 183 {
		t.Errorf("%v", count)
	}
}

func TestBidCodes(t *testing.T) {
	t.Parallel()
	const project, tender, section = "A0350010000000001", "A0350010000000001001", "A0350010000000001001002"
	for code, check := range map[string]func(string) error{
		project: ident.ProjectCode, tender: ident.TenderProjectCode, section: ident.BidSectionCode, "E48": ident.Industry, "A99": ident.DealClass,
	} {
		if err := check(code); err != nil {
			t.Errorf("%s: %v", code, err)
		}
	}
	if ident.Chained(project, tender) != nil || ident.Chained(tender, section) != nil {
		t.Error("the chain is refused")
	}
	for _, c := range []struct {
		err, want error
	}{
		{ident.Chained(project, project), ident.ErrPrefix},
		{ident.Chained(tender, "A0350010000000002001002"), ident.ErrPrefix},
		{ident.ProjectCode(tender), ident.ErrLength},
		{ident.ProjectCode("a0350010000000001"), ident.ErrStructure},
		{ident.ProjectCode("A0399010000000001"), ident.ErrProvince},
		{ident.ProjectCode("A03500100000000-1"), ident.ErrAlphabet},
		{ident.Industry("U01"), ident.ErrAlphabet},
		{ident.Industry("C3"), ident.ErrLength},
		{ident.DealCode("D03-12350100MB02709751-20200319-10264a-5"), ident.ErrStructure},
		{ident.DealCode("D03-12350100MB02709751-20201319-102642-5"), ident.ErrStructure},
		{ident.DealCode("D03 12350100MB02709751-20200319-102642-5"), ident.ErrStructure},
		{ident.DealCode("D03-12350100MB02709752-20200319-102642-5"), ident.ErrCheck},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("got %v, want %v", c.err, c.want)
		}
	}
}
