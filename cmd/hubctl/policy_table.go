package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/policies"
)

// table is an answer that can be read, parsed or opened in a spreadsheet.
type table struct {
	title  string // above a table for people only
	header []string
	rows   [][]string
	json   any
}

func (t *table) print(w io.Writer, format string) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(t.json)
	case "csv":
		c := csv.NewWriter(w)
		if err := c.Write(t.header); err != nil {
			return err
		}
		return c.WriteAll(t.rows)
	}
	if _, err := io.WriteString(w, t.title); err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range append([][]string{t.header}, t.rows...) {
		if _, err := fmt.Fprintln(tw, strings.TrimRight(strings.Join(row, "\t"), "\t ")); err != nil {
			return err
		}
	}
	return tw.Flush()
}

// inChina is an instant in China's time, "" for none.
func inChina(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(yamlfile.China()).Format(time.RFC3339)
}

type accessRow struct {
	Product     string   `json:"product"`
	Region      string   `json:"region"`
	Field       string   `json:"field"`
	Participant string   `json:"participant"`
	Purpose     string   `json:"purpose"`
	Obligation  string   `json:"obligation"`
	Deliveries  []string `json:"deliveries"`
	Under       string   `json:"under,omitempty"`
	Emergency   bool     `json:"emergency,omitempty"`
	Rows        string   `json:"rows,omitempty"`
	Until       string   `json:"until,omitempty"`
	Depends     []string `json:"depends,omitempty"`
}

func accesses(found []policies.Access) *table {
	out := &table{header: []string{"product", "region", "field", "participant", "purpose", "obligation", "delivery", "under", "rows", "until", "depends"}}
	list := make([]accessRow, 0, len(found))
	for i := range found {
		a := &found[i]
		row := accessRow{
			Product: a.Product, Region: a.Region, Field: a.Field, Participant: a.Participant, Purpose: a.Purpose,
			Obligation: a.Obligation.String(), Under: a.Under, Emergency: a.Emergency, Rows: a.RowsText(), Until: inChina(a.Until), Depends: a.Depends,
		}
		for _, d := range a.Deliveries {
			row.Deliveries = append(row.Deliveries, d.String())
		}
		list = append(list, row)
		out.rows = append(out.rows, []string{
			row.Product, row.Region, row.Field, row.Participant, row.Purpose, row.Obligation, strings.Join(row.Deliveries, " "), row.Under,
			row.Rows, row.Until, strings.Join(row.Depends, " "),
		})
	}
	out.json = list
	return out
}

type explanation struct {
	Effect      string            `json:"effect"`
	Code        string            `json:"code,omitempty"`
	Detail      string            `json:"detail,omitempty"`
	Title       string            `json:"title,omitempty"`
	TitleZH     string            `json:"title_zh,omitempty"`
	Under       string            `json:"under,omitempty"`
	Emergency   bool              `json:"emergency,omitempty"`
	Rows        string            `json:"rows,omitempty"`
	Obligations map[string]string `json:"obligations,omitempty"`
	Steps       []policies.Step   `json:"steps"`
	Policies    string            `json:"policies"` // version
}

// explained decides a request, under the orders too, and says how the decision
// came about.
func explained(p *policySet, req *policies.Request, orders *control.View) *table {
	d := p.Decide(*req)
	under, _, _ := d.Under()
	if code, since := closes(orders, req.Region, req.Caller.Participant, under); code != "" && d.Effect == policies.Permit {
		d.Effect, d.Code, d.Detail, d.Obligations, d.Rows = policies.Deny, code, "by an order of "+inChina(since), nil, nil
		d.Steps = append(d.Steps, policies.Step{Layer: "orders", Rule: cmp.Or(under, req.Caller.Participant), Outcome: string(code)})
	}
	e := explanation{
		Effect: d.Effect.String(), Code: string(d.Code), Detail: d.Detail, Emergency: d.Emergency != nil,
		Steps: d.Steps, Policies: p.Version(), Obligations: map[string]string{},
	}
	e.Under = under
	var title strings.Builder
	fmt.Fprintf(&title, "%s", strings.ToUpper(e.Effect))
	if d.Effect == policies.Deny {
		entry := d.Code.Entry()
		e.Title, e.TitleZH = entry.EN, entry.ZH
		fmt.Fprintf(&title, " %s: %s\n%s\n%s", d.Code, entry.EN, entry.ZH, d.Detail)
	}
	if e.Under != "" {
		fmt.Fprintf(&title, " under %s", e.Under)
	}
	if d.Rows != nil {
		e.Rows = d.Rows.String()
		fmt.Fprintf(&title, "\nrecords: %s", e.Rows)
	}
	title.WriteString("\n\n")
	out := &table{header: []string{"layer", "rule or field", "outcome"}, title: title.String()}
	for _, s := range d.Steps {
		out.rows = append(out.rows, []string{s.Layer, s.Rule, s.Outcome})
	}
	for _, path := range slices.Sorted(maps.Keys(d.Obligations)) {
		e.Obligations[path] = d.Obligations[path].String()
		out.rows = append(out.rows, []string{"field", path, e.Obligations[path]})
	}
	out.json = e
	return out
}

type emergencyRow struct {
	ID        string   `json:"id"`
	State     string   `json:"state"`
	Reason    string   `json:"reason"`
	ReasonZH  string   `json:"reason_zh"`
	Consumer  string   `json:"consumer"`
	Provider  string   `json:"provider"`
	Product   string   `json:"product"`
	Purposes  []string `json:"purposes"`
	From      string   `json:"from"`
	Until     string   `json:"until"`
	GrantedBy []string `json:"granted_by"`
	Reviewer  string   `json:"reviewed_by,omitempty"`
	Finding   string   `json:"finding,omitempty"`
}

func emergencies(all []*policies.Emergency, at time.Time) *table {
	out := &table{header: []string{"id", "state", "reason", "consumer", "provider", "product", "from", "until", "granted by"}}
	list := make([]emergencyRow, 0, len(all))
	for _, e := range all {
		row := emergencyRow{
			ID: e.ID, State: stateOf(e, at), Reason: e.Reason, ReasonZH: policies.EmergencyReasons()[e.Reason], Consumer: e.Consumer,
			Provider: e.Provider, Product: e.Product, Purposes: e.Purposes, From: inChina(e.From), Until: inChina(e.Until), GrantedBy: e.GrantedBy,
		}
		if e.Review != nil {
			row.Reviewer, row.Finding = e.Review.By, e.Review.Finding
		}
		list = append(list, row)
		out.rows = append(out.rows, []string{
			row.ID, row.State, row.Reason + " " + row.ReasonZH, row.Consumer, row.Provider, row.Product, row.From, row.Until,
			strings.Join(row.GrantedBy, " "),
		})
	}
	out.json = list
	return out
}

func stateOf(e *policies.Emergency, at time.Time) string {
	switch {
	case e.InForce(at):
		return "IN FORCE"
	case e.ReviewDue(at):
		return "REVIEW DUE"
	case at.Before(e.From):
		return "to come"
	}
	return "reviewed"
}
