package ident_test

import (
	"errors"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/schemas/ident"
)

func TestUSCC(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{
		"9144030071526726XG":  nil,
		"9150000020286320X6":  nil,
		"91510500204706718H":  nil,
		"11500000MB17643950":  nil,
		"12350100MB02709751":  nil,
		"91350100M000100Y43":  nil,
		"9144030071526726XA":  ident.ErrCheck,
		"91359128593462349A":  ident.ErrCheck,
		"9144030071526726X":   ident.ErrLength,
		"9144030071526726XGG": ident.ErrLength,
		"9I44030071526726XG":  ident.ErrAlphabet,
		"9144030071526726xg":  ident.ErrAlphabet,
		"":                    ident.ErrLength,
	} {
		if err := ident.USCC(code); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", code, err, want)
		}
	}
	// The outer check digit alone does not see this one: the inner is wrong.
	body := "911101057152672611"[:17]
	check, err := ident.USCCCheck(body)
	if err != nil {
		t.Fatal(err)
	}
	if err := ident.USCC(body + string(check)); !errors.Is(err, ident.ErrOrgCheck) {
		t.Errorf("a wrong organisation code: %v", err)
	}
}

func TestResidentID(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for code, want := range map[string]error{
		"11010519491231002X": nil, // the standard's own example
		"440524188001010014": nil, // its second
		"509900199001010013": nil, // unassigned region
		"519900198512310023": nil,
		"110105194912310021": ident.ErrCheck,
		"509900199013010010": ident.ErrBirthDate,
		"50990020990101001X": ident.ErrBirthDate,
		"5099001990010100":   ident.ErrLength,
		"50990019900101001A": ident.ErrCheck,
		"A09900199001010013": ident.ErrAlphabet,
	} {
		if err := ident.ResidentID(code, now); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", code, err, want)
		}
	}
}

func TestRegion(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{
		"500000": nil, "510104": nil, "110105": nil,
		"990000": ident.ErrProvince, "5000": ident.ErrLength, "50000a": ident.ErrAlphabet, "1 1200": ident.ErrAlphabet,
	} {
		if err := ident.Region(code); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", code, err, want)
		}
	}
}

func FuzzIdentifiers(f *testing.F) {
	f.Add("9144030071526726XG")
	f.Add("11010519491231002X")
	f.Fuzz(func(_ *testing.T, s string) {
		_ = ident.USCC(s)
		_ = ident.ResidentID(s, time.Unix(0, 0))
		_ = ident.Region(s)
		_ = ident.DealCode(s)
		_ = ident.BidSectionCode(s)
		_ = ident.EAN13(s)
	})
}
