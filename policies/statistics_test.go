package policies_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// shape is what the text of a schema says of a leaf, read here without the hub's reader.
type shape struct {
	logical string // logicalType, or type
	check   string
	sealed  bool
}

// shapesOf reads the leaves of a schema with their types: of an optional one or
// a list, of what it holds.
func shapesOf(t *testing.T, schema string) map[string]shape {
	t.Helper()
	type record struct {
		Type   any              `json:"type"`
		Fields []map[string]any `json:"fields"`
	}
	text, err := os.ReadFile("../schemas/" + schema + ".avsc")
	if err != nil {
		t.Fatal(err)
	}
	var root record
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	out := map[string]shape{}
	var walk func(fields []map[string]any, prefix string, sealed bool)
	walk = func(fields []map[string]any, prefix string, sealed bool) {
		for _, f := range fields {
			path := prefix + f["name"].(string)
			block, isSealed := f["sealed"].(map[string]any)
			if inner, ok := f["type"].(map[string]any); ok && inner["type"] == "record" {
				block = inner
			}
			if block != nil {
				var within []map[string]any
				for _, w := range block["fields"].([]any) {
					within = append(within, w.(map[string]any))
				}
				walk(within, path+".", sealed || isSealed)
				continue
			}
			check, _ := f["check"].(string)
			out[path] = shape{innermost(f["type"]), check, sealed}
		}
	}
	walk(root.Fields, "", false)
	return out
}

func innermost(of any) string {
	switch of := of.(type) {
	case string:
		return of
	case []any:
		return innermost(of[len(of)-1])
	case map[string]any:
		if logical, ok := of["logicalType"].(string); ok {
			return logical
		}
		if items, ok := of["items"]; ok {
			return innermost(items)
		}
		return innermost(of["type"])
	}
	return ""
}

// classifications are texts and numbers that say of which kind a thing is, and
// nothing of the thing: statistics are counted by them.
var classifications = []string{
	"price_quote.v1 commodity_code", "price_quote.v1 commodity_name", "price_quote.v1 currency", "price_quote.v1 volume_unit", "price_quote.v1 stock_unit",
	"credit_listing.v1 incentive.grade", "credit_listing.v1 incentive.year",
}

// coarse says whether a leaf that is released so tells a range or a kind, and
// nothing exact.
func coarse(schema, path string, s shape, ob redact.Obligation) bool {
	switch {
	case ob.Action == redact.Hash || ob.Action == redact.Null:
		return true // linkable within the agreement, and no more
	case s.sealed:
		return ob.Action == redact.Generalise && s.logical == "decimal"
	case s.logical == "decimal":
		return ob.Method == redact.ToBand || ob.Method == redact.ToFineBand
	case s.logical == "date" || strings.HasPrefix(s.logical, "timestamp"):
		return ob.Method == redact.ToMonth
	case s.check == "region":
		return ob.Method == redact.ToProvince
	case s.logical == "enum" || s.logical == "boolean":
		return true
	}
	return slices.Contains(classifications, schema+" "+path)
}

// Statistics get generalised fields only, whoever asks for whichever product:
// no exact figure, day, place, name or number.
func TestStatisticsAreGeneralised(t *testing.T) {
	t.Parallel()
	set, cat := shippedSet(t), shippedCatalogue(t)
	now := time.Date(2026, 6, 1, 1, 0, 0, 0, time.UTC)
	of := map[string]int{}
	for _, p := range cat.Products() {
		shapes := shapesOf(t, p.Schema)
		for _, who := range cat.Participants() {
			for region := range p.Providers {
				d := set.Decide(policies.Request{
					Caller:  policies.Caller{Participant: who.ID, Region: who.Region, Kind: who.Kind, System: "test"},
					Product: p.ID, Region: region, Purpose: "statistics", Delivery: policies.Page, Time: now,
				})
				if d.Effect != policies.Permit {
					continue
				}
				of[p.ID]++
				for path, ob := range d.Obligations {
					s, known := shapes[path]
					if !known || !coarse(p.Schema, path, s, ob) {
						t.Errorf("%s may have %s of %s/%s for statistics as %s: a %s %+v", who.ID, path, region, p.ID, ob, s.logical, s)
					}
				}
			}
		}
	}
	for _, p := range cat.Products() {
		named := slices.ContainsFunc(p.Purposes, func(u catalogue.Purpose) bool { return u.ID == "statistics" })
		if named != (of[p.ID] > 0) {
			t.Errorf("%s: the catalogue names statistics: %v, and %d may have it for them", p.ID, named, of[p.ID])
		}
	}
}
