package catalogue_test

import (
	"encoding/csv"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// Every unit that the action plan names for the clauses of our products is a
// participant of its side, under the name that the plan gives it.
func TestPartiesOfThePlan(t *testing.T) {
	t.Parallel()
	cat := load(t, catalogue.Shipped())
	f, err := os.Open("data/parties.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	ours := []string{"四", "五", "十三", "十四、十五", "十六", "二十一", "二十二", "二十三"}
	now, found := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), 0
	for _, row := range rows[1:] {
		if !slices.Contains(ours, row[0]) {
			continue
		}
		for i, region := range []string{"500000", "510000"} {
			for name := range strings.SplitSeq(row[i+1], "、") {
				if slices.Contains(notOurs, name) {
					continue
				}
				p, ok := cat.Named(name, now)
				if !ok || p.Region != region {
					t.Errorf("clause %s: %s of %s is nobody", row[0], name, region)
				}
				found++
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d names", found)
	}
}

// notOurs are units of clause 十三 whose part in it (legislation, judicial
// administration) carries no data of these products.
var notOurs = []string{"市委政法委", "市司法局", "省委政法委", "省司法厅"}

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
