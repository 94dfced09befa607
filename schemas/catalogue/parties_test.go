package catalogue_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// parties is the table of the plan: clause, units of Chongqing, units of Sichuan.
func parties(t *testing.T, path string) [][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil || len(rows) != 25 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	return rows[1:]
}

var today = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// branches are what the last clause names without a unit: each side's of these
// branches.
var branches = map[string]string{"发展改革": "development_reform", "市场监管部门": "market_supervision"}

// Every unit that the action plan names is a participant of its side, under
// the name that the plan gives it; and every participant is named there, but
// for those that took over from one that is, and the statistics bureaus.
func TestPartiesOfThePlan(t *testing.T) {
	t.Parallel()
	cat := load(t, catalogue.Shipped())
	named := map[string]bool{"cq-stats": true, "sc-stats": true}
	for _, row := range parties(t, "data/parties.csv") {
		for i, region := range []string{"500000", "510000"} {
			for name := range strings.SplitSeq(row[i+1], "、") {
				p, ok := cat.Named(name, today)
				if kind, branch := branches[name]; branch {
					j := slices.IndexFunc(cat.Participants(), func(p *catalogue.Participant) bool { return p.Kind == kind && p.Region == region })
					if ok = j >= 0; ok {
						p = cat.Participants()[j]
					}
				}
				if !ok || p.Region != region {
					t.Errorf("clause %s: %s of %s is nobody", row[0], name, region)
					continue
				}
				named[p.ID] = true
			}
		}
	}
	for _, p := range cat.Participants() {
		if !named[p.ID] && !named[p.Successor] {
			t.Errorf("%s is not in the plan", p.ID)
		}
	}
}

// The table that the project carries is the one that it was taken from.
func TestPartiesAreCarriedWhole(t *testing.T) {
	t.Parallel()
	const source = "../../../shared/data/parties.csv"
	if _, err := os.Stat(source); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the source is not on this machine")
	}
	ours, theirs := parties(t, "data/parties.csv"), parties(t, source)
	for i := range ours {
		if !slices.Equal(ours[i], theirs[i]) {
			t.Errorf("%v, the source has %v", ours[i], theirs[i])
		}
	}
}

// Every participant is found under each of its names at each time of its term,
// and behind its end its successor is.
func TestEveryNameFindsItsUnit(t *testing.T) {
	t.Parallel()
	cat := load(t, catalogue.Shipped())
	ended := 0
	for _, p := range cat.Participants() {
		names := append([]string{p.NameZH, p.NameEN}, p.Aliases...)
		at := map[time.Time]string{today: p.ID}
		if p.ValidFrom != nil {
			at[*p.ValidFrom], at[p.ValidFrom.Add(-time.Second)] = p.ID, ""
		}
		if p.ValidTo != nil {
			behind := p.ValidTo.AddDate(0, 0, 1)
			at[behind.Add(-time.Second)], at[behind], at[today] = p.ID, p.Successor, p.Successor
			ended++
			next, ok := cat.Participant(p.Successor)
			if !ok || next.Kind != p.Kind || next.Region != p.Region || next.ValidFrom == nil || !next.ValidFrom.Equal(behind) {
				t.Errorf("%s ends at %s, and its successor is %+v", p.ID, behind, next)
			}
		}
		for instant, want := range at {
			for _, name := range names {
				got, ok := cat.Named(name, instant)
				if ok != (want != "") || ok && got.ID != want {
					t.Errorf("%s at %s: %+v, %v, want %s", name, instant, got, ok, want)
				}
			}
		}
	}
	if ended < 4 {
		t.Errorf("only %d participants have ended", ended)
	}
}

// Providers are admitted now, and the two sides of a product are of one branch:
// its rules speak of the counterpart by its kind.
func TestProvidersAreCounterparts(t *testing.T) {
	t.Parallel()
	cat := load(t, catalogue.Shipped())
	for _, product := range cat.Products() {
		kinds := map[string]bool{}
		for region, id := range product.Providers {
			p, ok := cat.Participant(id)
			if !ok || p.Region != region || !p.ValidAt(today) {
				t.Errorf("%s: %s is no provider in %s", product.ID, id, region)
				continue
			}
			kinds[p.Kind] = true
		}
		if got := slices.Sorted(maps.Keys(product.Providers)); !slices.Equal(got, []string{"500000", "510000"}) || len(kinds) != 1 {
			t.Errorf("%s: providers in %v of kinds %v", product.ID, got, kinds)
		}
	}
}

// A unit that was reorganised is found under its former name and is its
// successor; before its last day it is itself.
func TestSuccessor(t *testing.T) {
	t.Parallel()
	cat := load(t, catalogue.Shipped())
	for at, want := range map[string]string{"2023-08-17T12:00:00Z": "cq-pboc-former", "2023-08-17T16:00:00Z": "cq-pboc", "2026-01-01T00:00:00Z": "cq-pboc"} {
		instant, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := cat.Named("人行重庆营管部", instant); !ok || p.ID != want {
			t.Errorf("%s: %+v", at, p)
		}
	}
	if _, ok := cat.Named("无此单位", time.Now()); ok {
		t.Error("nobody was found")
	}
	for _, c := range []struct{ old, replacement, want string }{
		{"successor: cq-pboc\n", "successor: cq-bank\n", `its successor "cq-bank" is not in participants.yaml`},
		{"successor: cq-pboc\n", "successor: sc-pboc\n", "its successor belongs to another region"},
		{"successor: cq-pboc\n", "successor: cq-pboc-former\n", "its successors lead in a circle"},
		{"    validTo: 2023-08-17\n    successor: cq-pboc\n", "    successor: cq-pboc\n", "who has a successor has a last day"},
	} {
		_, err := catalogue.Load(edited(t, "participants.yaml", c.old, c.replacement), shippedFields(t))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "participants.yaml:") {
			t.Errorf("%s: %v", c.want, err)
		}
	}
}
