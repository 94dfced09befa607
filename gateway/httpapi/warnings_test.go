package httpapi_test

import (
	"slices"
	"testing"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// What a connector found doubtful about a record reaches the consumer with it,
// unless it would tell something of a field that is not released.
func TestWarningsReachTheConsumer(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.doubts = []string{"check_character_doubtful", "region_abolished"}
	r.publish("bid_result", 1, func(_ int, set func(path, text string)) {
		set("region_code", "500112")
		set("deal_code", "A01-11500000MB17643950-20260401-000001-5")
	})
	trading := r.client("sc-trading")
	for _, c := range []struct {
		purpose string
		fields  []string
		want    []problem.Code
	}{
		{"cross_posting", nil, []problem.Code{problem.CheckDoubtful, problem.RegionAbolished}},
		{"cross_posting", []string{"deal_code", "status"}, []problem.Code{problem.CheckDoubtful}},
		{"cross_posting", []string{"region_code"}, []problem.Code{problem.RegionAbolished}},
		{"statistics", nil, nil}, // the province only, and no deal code
	} {
		records, _ := pull(t, trading, client.Query{Product: "bid_result", Purpose: c.purpose, Fields: c.fields})
		if len(records) != 1 || !slices.Equal(records[0].Warnings, c.want) {
			t.Errorf("%s %v: %d records, warnings of the first %v, want %v", c.purpose, c.fields, len(records), records[0].Warnings, c.want)
		}
	}
	r.doubts = nil
	r.publish("price_quote", 1, nil)
	if records, _ := pull(t, r.client("sc-commerce"), client.Query{Product: "price_quote", Purpose: "price_monitoring"}); len(records) != 1 || records[0].Warnings != nil {
		t.Errorf("a record without warnings: %+v", records)
	}
}
