package client

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

var tree = fields{"a": {}, "b": {"c": {}, "d": {"e": {}}}}

func TestHold(t *testing.T) {
	t.Parallel()
	for record, want := range map[string]bool{
		`{}`: true, `{"a":1}`: true, ` { "a" : "x,}]" , "b" : {"c":[1,{"z":2}],"d":{"e":null}} } `: true, `{"b":null}`: true, `{"a":"\\\""}`: true,
		`{"z":1}`: false, `{"b":{"z":1}}`: false, `{"b":{"d":{"e":1,"f":2}}}`: false, `{"b":7}`: false, `{"b":[]}`: false, `{"\u0061":1}`: false, `[]`: false,
	} {
		if !json.Valid([]byte(record)) {
			t.Fatalf("the test's own %s is not JSON", record)
		}
		if got := tree.hold([]byte(record)); got != want {
			t.Errorf("%s: %v", record, got)
		}
	}
}

func TestParseRecord(t *testing.T) {
	t.Parallel()
	const good = `{"event_id":"e","operation":"upsert","version":3,"decision_time":"2026-01-02T03:04:05.000006Z","warnings":["region_abolished","x"],"record":{"a":1}}`
	r, err := parseRecord([]byte(good))
	if err != nil || r.EventID != "e" || r.Operation != "upsert" || r.Version != 3 || r.DecisionTime.Nanosecond() != 6000 || string(r.Record) != `{"a":1}` ||
		!slices.Equal(r.Warnings, []problem.Code{problem.RegionAbolished, "x"}) {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{
		"", "x", "[]", `{}`, good + good, `{"event_id":"e","version":1}`, `{"event_id":"e","version":1,"record":[]}`, `{"event_id":"e","version":1,"record":{},"more":1}`,
		`{"event_id":1,"version":1,"record":{}}`, `{"event_id":"e","version":"1","record":{}}`, `{"event_id":"e","version":4294967296,"record":{}}`,
		`{"event_id":"e","version":1,"decision_time":"soon","record":{}}`, `{"event_id":"e","version":1,"warnings":"x","record":{}}`, `{"event_id":"e","version":1,"warnings":[1],"record":{}}`,
	} {
		if r, err := parseRecord([]byte(bad)); err == nil {
			t.Errorf("%s was read as %+v", bad, r)
		}
	}
}

// The scan finds the members that encoding/json finds, in any valid object.
func FuzzEachMember(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":{"c":"x\\"},"d":[{},[]]}`))
	f.Add([]byte(`{ "" : "\"" }`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var want map[string]json.RawMessage
		if json.Unmarshal(text, &want) != nil || want == nil {
			_, _ = parseRecord(text)
			return
		}
		got := map[string]string{}
		if err := eachMember(text, func(name, value []byte) error {
			var plain string
			if err := json.Unmarshal(append(append([]byte{'"'}, name...), '"'), &plain); err != nil {
				return err
			}
			got[plain] = string(value)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
		for k := range want {
			if got[k] != string(want[k]) {
				t.Fatalf("%q: %s is %q, want %q", text, k, got[k], want[k])
			}
		}
	})
}
