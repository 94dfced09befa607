package record_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/record"
)

// event is one record of one entry: what it says, and its place.
type event struct {
	says string
	op   record.Operation
	record.Order
}

func on(day int, version uint32, says string, op record.Operation) event {
	return event{says, op, record.Order{DecisionTime: time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC), Version: version, Tie: says}}
}

// permutations yields every order of the events.
func permutations(of []event, yield func([]event)) {
	var visit func(n int)
	visit = func(n int) {
		if n == len(of) {
			yield(of)
			return
		}
		for i := n; i < len(of); i++ {
			of[n], of[i] = of[i], of[n]
			visit(n + 1)
			of[n], of[i] = of[i], of[n]
		}
	}
	visit(0)
}

// Invariant 4: a listing, its correction, its removal, a late replay of an
// older version and its return: in every order of arrival the consumer's view
// is that of the last decision, and at every moment that of what has arrived.
func TestViewIsRightInEveryOrder(t *testing.T) {
	t.Parallel()
	listed := on(1, 1, "listed", record.Upsert)
	corrected := on(1, 2, "corrected the same day", record.Upsert)
	removed := on(3, 3, "removed", record.Removal)
	restored := on(5, 4, "restored", record.Upsert)
	replayed := on(1, 1, "listed", record.Upsert)
	renumbered := on(2, 9, "an old decision that comes with a high version", record.Upsert)
	revoked := on(5, 5, "revoked the same day", record.Removal)
	for name, c := range map[string]struct {
		events []event
		want   string // "" for removed
	}{
		"listed":            {[]event{listed, replayed}, "listed"},
		"corrected":         {[]event{listed, corrected, replayed}, "corrected the same day"},
		"removed":           {[]event{listed, corrected, removed, replayed, renumbered}, ""},
		"restored":          {[]event{listed, corrected, removed, restored, replayed, renumbered}, "restored"},
		"revoked again":     {[]event{listed, removed, restored, revoked, replayed, renumbered}, ""},
		"a removal alone":   {[]event{removed, replayed}, ""},
		"two say version 2": {[]event{corrected, on(1, 2, "another correction", record.Upsert), listed}, "corrected the same day"},
	} {
		n := 0
		permutations(c.events, func(order []event) {
			n++
			var view record.Fold[string, string]
			for i, e := range order {
				view.Apply("L1", e.Order, e.op, e.says)
				if want := last(order[:i+1]); view.Removed("L1") != (want.op == record.Removal) || standing(&view) != want.stands() {
					t.Fatalf("%s: after %v the view is %q", name, order[:i+1], standing(&view))
				}
			}
			if got := standing(&view); got != c.want {
				t.Fatalf("%s: in order %v the view is %q", name, order, got)
			}
		})
		if n < 2 {
			t.Fatalf("%s: %d orders", name, n)
		}
	}
}

func (e event) stands() string {
	if e.op == record.Removal {
		return ""
	}
	return e.says
}

// last is the event that takes effect, found without the rule under test: the
// greatest of (day, version, tie) as text.
func last(events []event) event {
	rank := func(e event) string {
		return e.DecisionTime.Format(time.DateOnly) + strconv.Itoa(int(1000+e.Version)) + e.Tie
	}
	return slices.MaxFunc(events, func(a, b event) int {
		if rank(a) < rank(b) {
			return -1
		}
		return 1
	})
}

func standing(f *record.Fold[string, string]) string {
	v, _ := f.Get("L1")
	return v
}

// Random histories of many entries, delivered in any order and some of it
// twice, end in the same view.
func TestViewConverges(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	type message struct {
		key string
		event
	}
	var all []message
	for key := range 40 {
		for range 1 + rng.IntN(6) {
			op := record.Upsert
			if rng.IntN(3) == 0 {
				op = record.Removal
			}
			all = append(all, message{strconv.Itoa(key), on(1+rng.IntN(4), uint32(1+rng.IntN(3)), strconv.Itoa(rng.Int()), op)})
		}
	}
	view := func() map[string]string {
		var f record.Fold[string, string]
		for _, m := range all {
			f.Apply(m.key, m.Order, m.op, m.says)
			if rng.IntN(4) == 0 && f.Apply(m.key, m.Order, m.op, m.says) {
				t.Fatal("the same record took effect twice")
			}
		}
		return maps.Collect(f.All)
	}
	want := view()
	for range 200 {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if got := view(); !maps.Equal(got, want) {
			t.Fatalf("another order, another view: %v, %v", got, want)
		}
	}
}

func TestWarningsTravel(t *testing.T) {
	t.Parallel()
	e := record.Envelope{
		Product: "p", Provider: "x", EventID: record.EventID(record.Digest{1}, record.Digest{2}, 1), Operation: record.Removal, Version: 1,
		DecisionTime: time.UnixMicro(1).UTC(), Content: record.Digest{2}, Batch: "b", Warnings: []string{"check_character_doubtful", "region_abolished"},
	}
	got, err := record.ParseEnvelope(e.Headers())
	if err != nil || !slices.Equal(got.Warnings, e.Warnings) {
		t.Errorf("%v, %v", got.Warnings, err)
	}
	for _, bad := range []string{"", "a,", `a","b`, "A"} {
		headers := maps.Collect(e.Headers())
		headers["hub-warnings"] = []byte(bad)
		if _, err := record.ParseEnvelope(maps.All(headers)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
