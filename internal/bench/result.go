package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// Result is what a scenario came to. All numbers are medians of its passes but
// Min and Max.
type Result struct {
	Name       string             `json:"name"`
	Unit       string             `json:"unit"`
	Ours       float64            `json:"ours"`
	References map[string]float64 `json:"references"`
	// Ratios are how many times better than that reference: ours/reference,
	// because every unit is a rate.
	Ratios map[string]float64 `json:"ratios"`
	// AllocsPerOp counts the heap allocations of the whole process for each
	// record of ours: broker and consumer run in it, too.
	AllocsPerOp float64 `json:"allocs_per_op"`
	Rows        int     `json:"rows"`    // of one pass
	Repeats     int     `json:"repeats"` // passes of each side
	Min         float64 `json:"min"`     // slowest and fastest pass of ours
	Max         float64 `json:"max"`

	what  string
	sides []sideResult // ours, then the references
}

// sideResult is one side of a result.
type sideResult struct {
	name             string
	median, min, max float64 // rate
	allocs           float64
}

func newResult(s *scenario, sides []contestant, taken [][]measurement, rows int) Result {
	r := Result{
		Name: s.name, Unit: s.unit, Rows: rows, Repeats: len(taken[0]), what: s.what,
		References: map[string]float64{}, Ratios: map[string]float64{},
	}
	for i := range sides {
		r.sides = append(r.sides, summarise(sides[i].name, taken[i]))
	}
	ours := &r.sides[0]
	r.Ours, r.Min, r.Max, r.AllocsPerOp = round(ours.median, 0), round(ours.min, 0), round(ours.max, 0), round(ours.allocs, 3)
	for _, ref := range r.sides[1:] {
		r.References[ref.name] = round(ref.median, 0)
		r.Ratios[ref.name] = round(ours.median/ref.median, 3)
	}
	return r
}

func summarise(name string, taken []measurement) sideResult {
	var rates, allocs []float64
	for _, m := range taken {
		rates, allocs = append(rates, m.rate), append(allocs, m.allocs)
	}
	return sideResult{
		name: name, median: median(rates), min: slices.Min(rates), max: slices.Max(rates), allocs: median(allocs),
	}
}

// median of at least one value: the middle one, or the mean of the middle two.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

func round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}

// Table writes results for people: a line for each side, then what the lines
// mean.
func Table(w io.Writer, results []Result) error {
	if len(results) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	line := func(cells ...string) {
		_, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) // an error stays with t until Flush
	}
	line("BENCHMARK", "SIDE", "MEDIAN", "SLOWEST – FASTEST", "ALLOCS", "RATIO")
	for i := range results {
		r := &results[i]
		for s, side := range r.sides {
			name, ratio := "", fmt.Sprintf("%.2f", r.Ratios[side.name])
			if s == 0 {
				name, ratio = r.Name, ""
			}
			line(name, side.name, fmt.Sprintf("%.0f %s", side.median, r.Unit),
				fmt.Sprintf("%.0f – %.0f", side.min, side.max), fmt.Sprintf("%.2f", side.allocs), ratio)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return explain(w, results)
}

func explain(w io.Writer, results []Result) error {
	first := &results[0]
	_, err := fmt.Fprintf(w, `
%d rows in each pass, %d measured passes of each side in turn after one that warms up.
RATIO: how many times better the hub is than this reference; below 1, it is slower.
ALLOCS: heap allocations per record of the whole process, with what else runs in it.
`, first.Rows, first.Repeats)
	for i := range results {
		if err == nil {
			_, err = fmt.Fprintf(w, "\n%s\n  %s\n", results[i].Name, strings.ReplaceAll(results[i].what, "\n", "\n  "))
		}
	}
	return err
}
