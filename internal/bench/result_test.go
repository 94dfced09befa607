package bench

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1}, 5},
		{[]float64{100, 1, 3}, 3},
		{[]float64{4, 1000, 2, 1}, 3},
	} {
		given := slices.Clone(c.values)
		if got := median(c.values); got != c.want || !slices.Equal(given, c.values) {
			t.Errorf("median(%v) = %v; now %v", given, got, c.values)
		}
	}
}

func example() Result {
	s := &scenario{name: "a/b", unit: "rows/s", what: "what\nit is"}
	return newResult(s, []contestant{{name: "ours"}, {name: "quick"}, {name: "slow"}}, [][]measurement{
		{{rate: 300, allocs: 2}, {rate: 100.4, allocs: 1}, {rate: 200, allocs: 1.26}},
		{{rate: 400}, {rate: 400}, {rate: 900, allocs: 7}},
		{{rate: 30}, {rate: 5}, {rate: 7}},
	}, 1234)
}

func TestResultAsJSON(t *testing.T) {
	t.Parallel()
	line, err := json.Marshal(example())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"a/b","unit":"rows/s","ours":200,"references":{"quick":400,"slow":7},` +
		`"ratios":{"quick":0.5,"slow":28.571},"allocs_per_op":1.26,"rows":1234,"repeats":3,"min":100,"max":300}`
	if string(line) != want {
		t.Errorf("got  %s\nwant %s", line, want)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := Table(&b, []Result{example()}); err != nil {
		t.Fatal(err)
	}
	var lines [][]string
	for line := range strings.Lines(b.String()) {
		lines = append(lines, strings.Fields(line))
	}
	for i, want := range []string{
		"BENCHMARK SIDE MEDIAN SLOWEST – FASTEST ALLOCS RATIO",
		"a/b ours 200 rows/s 100 – 300 1.26",
		"quick 400 rows/s 400 – 900 0.00 0.50",
		"slow 7 rows/s 5 – 30 0.00 28.57",
	} {
		if got := strings.Join(lines[i], " "); got != want {
			t.Errorf("line %d: %q, want %q", i, got, want)
		}
	}
	for _, text := range []string{"1234 rows", "3 measured passes", "a/b\n  what\n  it is\n"} {
		if !strings.Contains(b.String(), text) {
			t.Errorf("%q is missing in\n%s", text, &b)
		}
	}
	b.Reset()
	if err := Table(&b, nil); err != nil || b.Len() > 0 {
		t.Errorf("without results: %q, %v", &b, err)
	}
}

func TestEveryScenarioSaysWhatItIs(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range scenarios() {
		if s.name == "" || !strings.HasSuffix(s.unit, "/s") || !strings.HasPrefix(s.what, "ours: ") || seen[s.name] {
			t.Errorf("%+v", s)
		}
		seen[s.name] = true
	}
	if names := Names(); len(names) != len(seen) || !slices.Equal(slices.Sorted(maps.Keys(seen)), slices.Sorted(slices.Values(names))) {
		t.Errorf("names: %v", names)
	}
}
