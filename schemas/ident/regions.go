package ident

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"time"
)

//go:embed data/regions.csv
var regionsCSV string

// What can be wrong with a region code that the table knows, or should.
var (
	ErrRegionUnknown   = errors.New("the two provinces have and had no division with this code")
	ErrRegionAbolished = errors.New("the division was abolished before this day")
)

// RegionEntry is one division under one code for one span of time. A code that
// was given to another division later has two entries.
type RegionEntry struct {
	Code, Name, Parent string
	// ValidFrom and ValidTo are days in UTC; the zero time is without a bound.
	// ValidTo is the first day on which it no longer stands.
	ValidFrom, ValidTo time.Time
	Successor          string // code, of an abolished one
}

// Regions is the versioned table of GB/T 2260 for Chongqing and Sichuan. It is
// immutable.
type Regions struct {
	entries map[string][]RegionEntry // by code, oldest first
}

// LoadRegions reads the table that this build carries; data/regions.csv says
// where it comes from.
func LoadRegions() (*Regions, error) { return parseRegions(regionsCSV) }

func parseRegions(source string) (*Regions, error) {
	r := csv.NewReader(strings.NewReader(source))
	r.Comment, r.FieldsPerRecord = '#', 6
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 2 {
		return nil, fmt.Errorf("regions.csv: %d rows, %w", len(rows), err)
	}
	t := &Regions{entries: map[string][]RegionEntry{}}
	for i, row := range rows[1:] {
		e := RegionEntry{Code: row[0], Name: row[1], Parent: row[2], Successor: row[5]}
		if err := errors.Join(Region(e.Code), day(row[3], &e.ValidFrom), day(row[4], &e.ValidTo)); err != nil {
			return nil, fmt.Errorf("regions.csv, row %d: %w", i+1, err)
		}
		t.entries[e.Code] = append(t.entries[e.Code], e)
	}
	for code, entries := range t.entries {
		for _, e := range entries {
			if _, ok := t.entries[e.Successor]; e.Successor != "" && !ok {
				return nil, fmt.Errorf("regions.csv: the successor %s of %s is not in it", e.Successor, code)
			}
		}
	}
	return t, nil
}

func day(s string, t *time.Time) (err error) {
	if s != "" {
		*t, err = time.Parse(time.DateOnly, s)
	}
	return err
}

// Check holds a code of the two provinces against the table on a day: a code
// that they never had is [ErrRegionUnknown], one that was abolished before the
// day [ErrRegionAbolished], with its successor; a code of another province is
// checked in its structure alone. A code that comes early is accepted: systems
// change over before the edition is printed.
func (t *Regions) Check(code string, on time.Time) error {
	if err := Region(code); err != nil {
		return err
	}
	if code[:2] != "50" && code[:2] != "51" {
		return nil
	}
	entries := t.entries[code]
	if len(entries) == 0 {
		return ErrRegionUnknown
	}
	last := entries[len(entries)-1]
	if !last.ValidTo.IsZero() && !on.Before(last.ValidTo) {
		return fmt.Errorf("%w; its successor is %s", ErrRegionAbolished, last.Successor)
	}
	return nil
}

// At is the division that had a code on a day.
func (t *Regions) At(code string, on time.Time) (RegionEntry, bool) {
	for _, e := range t.entries[code] {
		if !on.Before(e.ValidFrom) && (e.ValidTo.IsZero() || on.Before(e.ValidTo)) {
			return e, true
		}
	}
	return RegionEntry{}, false
}

// Province is the code of the province that a division belongs to: 500112 →
// 500000. The code must have passed [Region].
func Province(code string) string { return code[:2] + "0000" }
