package policytest

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Report is what came of a run.
type Report struct {
	Files   int      // of cases
	Results []Result // in the order of files and cases
	Gaps    []string // what no case covers, a line each; empty when all is covered

	Rules, UncoveredRules           int
	Agreements, UncoveredAgreements int

	Emergencies, UncoveredEmergencies int
}

// Result is what came of one case.
type Result struct {
	File     string
	Line     int
	Name     string
	Failures []string // what was not as wanted; empty when it passed
}

// Failed is how many cases failed.
func (r *Report) Failed() int {
	n := 0
	for i := range r.Results {
		if len(r.Results[i].Failures) > 0 {
			n++
		}
	}
	return n
}

// Coverage is how many percent of rules, agreements and emergencies are covered, rounded
// down; 100 if there are none.
func (r *Report) Coverage() int {
	all := r.Rules + r.Agreements + r.Emergencies
	if all == 0 {
		return 100
	}
	return (all - r.UncoveredRules - r.UncoveredAgreements - r.UncoveredEmergencies) * 100 / all
}

// OK says whether there were cases, all passed, and nothing is uncovered.
func (r *Report) OK() bool { return len(r.Results) > 0 && r.Failed() == 0 && len(r.Gaps) == 0 }

// Print writes the report for people: what failed and what is uncovered, and
// with all also what passed; then a line of totals.
func (r *Report) Print(w io.Writer, all bool) error {
	var b strings.Builder
	for i := range r.Results {
		result := &r.Results[i]
		switch {
		case len(result.Failures) > 0:
			fmt.Fprintf(&b, "FAIL  %s:%d  %s\n", result.File, result.Line, result.Name)
			for _, f := range result.Failures {
				fmt.Fprintf(&b, "      %s\n", f)
			}
		case all:
			fmt.Fprintf(&b, "ok    %s:%d  %s\n", result.File, result.Line, result.Name)
		}
	}
	for _, gap := range r.Gaps {
		fmt.Fprintf(&b, "GAP   %s\n", gap)
	}
	fmt.Fprintf(&b, "%d cases in %d files, %d failed; %d of %d rules and %d of %d agreements covered\n",
		len(r.Results), r.Files, r.Failed(), r.Rules-r.UncoveredRules, r.Rules,
		r.Agreements-r.UncoveredAgreements, r.Agreements)
	_, err := io.WriteString(w, b.String())
	return err
}

// differences says in which points a decision is not as wanted.
func differences(w *wantShape, d *policies.Decision, leaves map[string]redact.Sensitivity) []string {
	var out []string
	differ := func(what string, want, got any) {
		out = append(out, fmt.Sprintf("%s: want %v, got %v", what, want, got))
	}
	if string(w.Effect) != d.Effect.String() || w.Code != d.Code {
		differ("effect", strings.TrimSpace(string(w.Effect)+" "+string(w.Code)),
			strings.TrimSpace(fmt.Sprintf("%s %s %s", d.Effect, d.Code, d.Detail)))
		return append(out, derivation(d)...)
	}
	if got := agreementOf(d); w.Agreement != "" && w.Agreement != got {
		differ("agreement", w.Agreement, got)
	}
	if got := emergencyOf(d); w.Emergency != "" && w.Emergency != got {
		differ("emergency", w.Emergency, got)
	}
	if got := rowsOf(d); w.Rows != "" && w.Rows != got {
		differ("rows", w.Rows, got)
	}
	if w.Rule != "" && !decided(d, w.Rule) {
		differ("rule", w.Rule, "others")
		out = append(out, derivation(d)...)
	}
	if w.Released != nil && *w.Released != len(d.Obligations) {
		differ("released", *w.Released, len(d.Obligations))
	}
	for _, path := range slices.Sorted(maps.Keys(w.Obligations)) {
		for _, leaf := range covered(path, leaves) {
			if got := d.Obligations.Of(leaf); got != w.Obligations[path] {
				differ(leaf, w.Obligations[path], got)
			}
		}
	}
	if w.Exactly != nil {
		out = append(out, inexact(w.Exactly, d.Obligations)...)
	}
	return out
}

func inexact(want map[string]redact.Obligation, got redact.Obligations) []string {
	var out []string
	paths := maps.Clone(want)
	maps.Copy(paths, got)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if want[path] != got[path] {
			out = append(out, fmt.Sprintf("%s: want %v, got %v", path, want[path], got[path]))
		}
	}
	return out
}

func agreementOf(d *policies.Decision) string {
	if d.Agreement == nil {
		return "none"
	}
	return d.Agreement.ID
}

func emergencyOf(d *policies.Decision) string {
	if d.Emergency == nil {
		return "none"
	}
	return d.Emergency.ID
}

// rowsOf is which records leave, "all" for no condition.
func rowsOf(d *policies.Decision) string {
	if d.Rows == nil {
		return "all"
	}
	return d.Rows.String()
}

func decided(d *policies.Decision, rule string) bool {
	return slices.ContainsFunc(d.Steps, func(s policies.Step) bool {
		return s.Rule == rule && (s.Outcome == policies.OutcomePermits || s.Outcome == policies.OutcomeDenies)
	})
}

// derivation shows how the decision came about, below a failure.
func derivation(d *policies.Decision) []string {
	out := make([]string, 0, len(d.Steps))
	for _, s := range d.Steps {
		out = append(out, fmt.Sprintf("  %-11s  %-40s  %s", s.Layer, s.Rule, s.Outcome))
	}
	return out
}

// covered are the leaves that a name stands for: one, or those of a block.
func covered(name string, leaves map[string]redact.Sensitivity) []string {
	var out []string
	for _, path := range slices.Sorted(maps.Keys(leaves)) {
		if redact.Covers(name, path) {
			out = append(out, path)
		}
	}
	return out
}
