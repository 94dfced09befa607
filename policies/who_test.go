package policies_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// ahead is how far the brute force looks for the end of an answer.
const ahead = 45 // days

// bruteForce asks the reference everything and writes an answer a line.
func (w *worldOf) bruteForce(now time.Time) []string {
	var out []string
	for _, region := range []string{regionA, regionB} {
		byTime := w.byTime(region)
		for _, p := range append(providers(), w.participants...) {
			for _, purpose := range purposesOf {
				ids := []string{""}
				for _, e := range w.emergencies {
					ids = append(ids, e.id)
				}
				for _, id := range ids {
					for d := policies.Page; d <= policies.Verify; d++ {
						q := policies.Request{
							Caller:  policies.Caller{Participant: p.id, Region: p.region, Kind: p.kind},
							Product: "thing", Region: region, Purpose: purpose, Delivery: d, Emergency: id, Time: now,
						}
						out = append(out, w.answers(q, byTime)...)
					}
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// byTime says whether rules of a region's provider look at the time of day.
func (w *worldOf) byTime(region string) bool {
	return slices.ContainsFunc(w.rules, func(r ruleOf) bool {
		return (r.provider == providerA) == (region == regionA) && strings.Contains(r.when.text, "now.hour")
	})
}

func (w *worldOf) answers(q policies.Request, byTime bool) []string {
	first := w.decide(&q)
	if first.effect == policies.Deny {
		return nil
	}
	ends := map[string]time.Time{}
	step := time.Hour
	at := q.Time.Truncate(step).Add(step)
	if byTime {
		step = 24 * time.Hour
		at = q.Time.Add(step)
	}
	begin := q.Time
	for ; at.Before(begin.Add(ahead * 24 * time.Hour)); at = at.Add(step) {
		q.Time = at
		later := w.decide(&q)
		for path, o := range first.released {
			if _, ended := ends[path]; !ended && (later.released.Of(path) != o || texts(later.rows) != texts(first.rows)) {
				ends[path] = at
			}
		}
	}
	var out []string
	for path, o := range first.released {
		out = append(out, line(&q, path, o, first.agreement, ends[path], strings.Contains(texts(first.rows), "now.date")))
	}
	return out
}

func texts(of []rowCondition) string {
	var out []string
	for _, c := range of {
		if c.text != "" {
			out = append(out, c.text)
		}
	}
	return strings.Join(out, " && ")
}

func line(q *policies.Request, path string, o redact.Obligation, under string, until time.Time, dated bool) string {
	end := "-"
	if !until.IsZero() {
		end = until.UTC().Format(time.RFC3339)
	}
	return fmt.Sprint(q.Region, " ", path, " ", q.Caller.Participant, " ", q.Purpose, " ", o, " ", q.Delivery, " ", under, " ", end, " ", dated)
}

// Who says what asking for everything says, in small worlds.
func TestWhoEqualsBruteForce(t *testing.T) {
	t.Parallel()
	base, answers, ended, dated := seedBase(t), 0, 0, 0
	for seed := range uint64(max(10, scaled(1, 1))) {
		g := newGenerator(base + 4000 + seed)
		w := g.world()
		set := w.load(t)
		now := time.Date(2026, time.Month(3+g.IntN(7)), 1+g.IntN(28), g.IntN(24), g.IntN(60), 0, 0, time.UTC)
		if w.byTime(regionA) && w.byTime(regionB) && seed%2 != 0 { // too many of these
			continue
		}
		want := w.bruteForce(now)
		var got []string
		for _, a := range set.Who(policies.Question{At: now}) {
			for _, d := range a.Deliveries {
				until := a.Until
				if until.Sub(now) >= ahead*24*time.Hour {
					until = time.Time{}
				}
				q := policies.Request{Caller: policies.Caller{Participant: a.Participant}, Region: a.Region, Purpose: a.Purpose, Delivery: d}
				got = append(got, line(&q, a.Field, a.Obligation, a.Under, until, slices.Contains(a.Depends, "now.date")))
				answers++
				if !until.IsZero() {
					ended++
				}
				if slices.Contains(a.Depends, "now.date") {
					dated++
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("world %d at %v\n%s", base+4000+seed, now, firstDifference(got, want))
		}
	}
	if base == 0 && (answers < 60 || ended < 5 || dated < 5) {
		t.Errorf("%d answers, %d that end, %d of records by the date: this shows little", answers, ended, dated)
	}
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Sprintf("got  %s\nwant %s\n(%d and %d answers)", g, w, len(got), len(want))
		}
	}
	return ""
}

// The questions of an officer, in the simple world.
func TestWho(t *testing.T) {
	t.Parallel()
	w, q := flooded()
	w.rules[0].when = literally(`caller.system != "spy" && now.hour < 20`)
	w.agreements[0].rows = rowCondition{text: `row.unit == "kg"`}
	set := w.load(t)
	ask := func(question policies.Question) string {
		question.At = q.Time
		var b strings.Builder
		for _, a := range set.Who(question) {
			fmt.Fprintln(&b, a.Participant, a.Region, a.Field, a.Purpose, a.Obligation, a.Deliveries, a.Under, a.Emergency, a.RowsText(), //nolint:staticcheck // deliveries, not bytes
				a.Until.In(time.FixedZone("", 8*3600)).Format(time.DateTime), a.Depends)
		}
		return b.String()
	}
	const person = `consumer 500000 person.name monitoring mask:name [page] first false == "unit" "kg" 2027-01-01 09:30:00 [caller.system now.hour]
`
	for title, c := range map[string]struct {
		question policies.Question
		want     string
	}{
		"who reads this field": {policies.Question{Product: "thing", Field: "person.name"}, person},
		"who reads this block": {policies.Question{Field: "person"}, person + strings.NewReplacer("name monitoring", "phone monitoring", "mask:name", "keep").Replace(person)},
		"in an emergency":      {policies.Question{Field: "text"}, "consumer 500000 text handling keep [page] flood true  2026-06-02 09:30:00 [caller.system now.hour]\n"},
		"another region":       {policies.Question{Region: regionB}, ""},
		"another participant":  {policies.Question{Participant: providerA}, ""},
		"another system":       {policies.Question{System: "spy"}, ""},
		"a secret":             {policies.Question{Field: "reporter"}, ""},
	} {
		if got := ask(c.question); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", title, got, c.want)
		}
	}
	if got := strings.Count(ask(policies.Question{Participant: "consumer"}), "\n"); got != 5 {
		t.Errorf("the participant reads %d fields", got)
	}
}
