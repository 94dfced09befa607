package client_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
)

func event(id string, day int, version uint32, operation, fields string) client.Record {
	return client.Record{
		EventID: id, Operation: operation, Version: version, DecisionTime: time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC), Record: json.RawMessage(fields),
	}
}

// The consumer's view is right in whatever order its records come.
func TestStateInEveryOrder(t *testing.T) {
	t.Parallel()
	all := []client.Record{
		event("a1", 1, 1, "upsert", `{"listing_id":"A","subject":{"name":"甲"}}`),
		event("a2", 1, 2, "upsert", `{"listing_id":"A","subject":{"name":"乙"}}`),
		event("a3", 3, 3, "removal", `{"listing_id":"A","subject":{"name":"乙"}}`),
		event("a1", 1, 1, "upsert", `{"listing_id":"A","subject":{"name":"甲"}}`), // a replay
		event("b1", 1, 1, "upsert", `{"listing_id":"B","subject":{"name":"丙"}}`),
		event("b2", 2, 2, "removal", `{"listing_id":"B","subject":{"name":"丙"}}`),
		event("b3", 4, 3, "upsert", `{"listing_id":"B","subject":{"name":"丙"},"life_cycle":"restored"}`),
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		s := client.NewState("listing_id")
		for i := range all {
			if _, err := s.Apply(&all[i]); err != nil {
				t.Fatal(err)
			}
		}
		if got, ok := s.Get(`"A"`); ok {
			t.Fatalf("what was removed stands: %s", got)
		}
		standing := slices.Collect(s.All())
		if len(standing) != 1 || string(standing[0]) != `{"listing_id":"B","subject":{"name":"丙"},"life_cycle":"restored"}` {
			t.Fatalf("%s", standing)
		}
	}
}

// What cannot be placed is an error.
func TestStateNeedsItsOrder(t *testing.T) {
	t.Parallel()
	s := client.NewState("dossier.case_no")
	for name, r := range map[string]client.Record{
		"no decision time": {EventID: "x", Version: 1, Operation: "upsert", Record: json.RawMessage(`{"dossier":{"case_no":"1"}}`)},
		"no key":           event("x", 1, 1, "upsert", `{"status":"closed"}`),
		"half a key":       event("x", 1, 1, "upsert", `{"dossier":{}}`),
	} {
		if done, err := s.Apply(&r); err == nil || done {
			t.Errorf("%s: took effect", name)
		}
	}
	good := event("x", 1, 1, "upsert", `{"dossier":{"case_no":"1"}}`)
	if done, err := s.Apply(&good); err != nil || !done {
		t.Errorf("%v, %v", done, err)
	}
}
