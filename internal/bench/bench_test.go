package bench

import (
	"context"
	"errors"
	"io"
	"log"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// fake is a contest whose sides write down what is done with them.
type fake struct {
	log  []string
	rows int // that the reference accounts for
	fail error
}

func (f *fake) side(name string, records func() int) contestant {
	return contestant{name: name, prepare: func(context.Context) (pass, error) {
		f.log = append(f.log, "prepare "+name)
		return pass{
			run: func(context.Context) (int, error) {
				f.log = append(f.log, "run "+name)
				return records(), f.fail
			},
			close: func() error { f.log = append(f.log, "close "+name); return nil },
		}, nil
	}}
}

func (f *fake) scenario(rows int) *scenario {
	return &scenario{name: "fake", unit: "rows/s", open: func(context.Context, *world, Frontend) (*contest, error) {
		return &contest{
			ours:       f.side("ours", func() int { return rows }),
			references: []contestant{f.side("reference", func() int { return f.rows })},
			close:      func() error { f.log = append(f.log, "close contest"); return nil },
		}, nil
	}}
}

func TestSidesTakeTurns(t *testing.T) {
	t.Parallel()
	f := &fake{rows: 10}
	o := Options{Repeat: 3, Progress: func(string, ...any) {}}
	r, err := o.contest(t.Context(), &world{rows: 10}, f.scenario(10))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for range 4 { // one round warms up
		for _, side := range []string{"ours", "reference"} {
			want = append(want, "prepare "+side, "run "+side, "close "+side)
		}
	}
	if want = append(want, "close contest"); !slices.Equal(f.log, want) {
		t.Errorf("it was done: %v", f.log)
	}
	if r.Repeats != 3 || r.Rows != 10 || r.Ours <= 0 || r.References["reference"] <= 0 {
		t.Errorf("%+v", r)
	}
}

func TestARecordTooFewIsNoResult(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, f := range map[string]*fake{"too few": {rows: 9}, "too many": {rows: 11}, "failed": {rows: 10, fail: broken}} {
		o := Options{Repeat: 1, Progress: func(string, ...any) {}}
		_, err := o.contest(t.Context(), &world{rows: 10}, f.scenario(10))
		if err == nil || errors.Is(err, broken) != (f.fail != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if f.log[len(f.log)-1] != "close contest" || !strings.HasPrefix(f.log[len(f.log)-2], "close ") {
			t.Errorf("%s: something stays open: %v", name, f.log)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ names, want []string }{
		{nil, slices.DeleteFunc(Names(), func(name string) bool { return strings.HasSuffix(name, "-real") })},
		{[]string{"pull/masked8", "connector/csv", "pull/masked8"}, []string{"connector/csv", "pull/masked8"}},
	} {
		chosen, err := choose(new(Options).possible(scenarios(), c.names), c.names)
		var got []string
		for _, s := range chosen {
			got = append(got, s.name)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, %v", c.names, got, err)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	t.Parallel()
	good := Options{Rows: 1, Repeat: 1, Frontend: frontend}
	for name, c := range map[string]struct {
		change func(*Options)
		names  []string
		says   []string
	}{
		"name":     {func(*Options) {}, []string{"pull/full", "pull/ful"}, append(Names(), `"pull/ful"`)},
		"no rows":  {func(o *Options) { o.Rows = 0 }, nil, []string{"rows"}},
		"rows":     {func(o *Options) { o.Rows = MaxRows + 1 }, nil, []string{"2000000"}},
		"repeat":   {func(o *Options) { o.Repeat = 0 }, nil, []string{"repetitions"}},
		"often":    {func(o *Options) { o.Repeat = MaxRepeat + 1 }, nil, []string{"100"}},
		"frontend": {func(o *Options) { o.Frontend = nil }, nil, []string{"frontend"}},
	} {
		o := good
		c.change(&o)
		err := Run(t.Context(), o, c.names, func(Result) error { t.Errorf("%s: a result", name); return nil })
		if problem.CodeOf(err) != problem.ConfigInvalid {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, text := range c.says {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v does not say %s", name, err, text)
			}
		}
	}
}

// brokerArgument makes the test's binary the other process of a benchmark.
const brokerArgument = "bench-broker"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == brokerArgument {
		if err := ServeBroker(context.Background(), os.Args[2], os.Stdin, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// A broker that nobody can start, or that is none, is an error and no hang.
func TestBrokerProcessFails(t *testing.T) {
	t.Parallel()
	for name, self := range map[string][]string{
		"nothing":   nil,
		"no file":   {"/nonexistent/hubctl"},
		"no broker": {os.Args[0], brokerArgument, "what"},
		"ends":      {"true"},
	} {
		if _, err := startOther(t.Context(), self, swallows, nil); err == nil {
			t.Errorf("%s: a broker was started", name)
		}
	}
	o := Options{Rows: 1, Repeat: 1, Frontend: frontend, Kafka: []string{"127.0.0.1:1"}, TempDir: t.TempDir()}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := Run(ctx, o, []string{"kafka/produce-real"}, func(Result) error { return nil }); err == nil {
		t.Error("a Kafka that is not there was measured")
	}
	if err := ServeBroker(t.Context(), repeats, strings.NewReader("\xff\xff\xff\xff"), io.Discard); err == nil {
		t.Error("a batch of 4 GiB was accepted")
	}
}

// TestRun runs everything on few rows: it works, is counted, and leaves
// nothing behind. It is not parallel, because it counts goroutines.
func TestRun(t *testing.T) {
	before := runtime.NumGoroutine()
	dir := t.TempDir()
	var got []string
	o := Options{Rows: 1200, Repeat: 1, Frontend: frontend, Progress: t.Logf, TempDir: dir, Broker: []string{os.Args[0], brokerArgument}}
	want := []string{"codec/masked8", "connector/csv", "pull/masked8"} // one of each kind; all of them is `make bench`
	if testing.Short() {
		want = want[:2]
	}
	if os.Getenv("HUB_BENCH") == "all" {
		want = slices.DeleteFunc(Names(), func(name string) bool { return strings.HasSuffix(name, "-real") })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // an error says more than go test's own end
	defer cancel()
	err := Run(ctx, o, want, func(r Result) error {
		got = append(got, r.Name)
		if r.Ours <= 0 || r.Min <= 0 || r.Max < r.Min || r.AllocsPerOp < 0 || r.Rows != 1200 || r.Repeats != 1 || len(r.References) == 0 {
			t.Errorf("%+v", r)
		}
		for name, ref := range r.References {
			if ref <= 0 || r.Ratios[name] <= 0 {
				t.Errorf("%s: %+v", name, r)
			}
		}
		return nil
	})
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	nothingRuns(t, before)
}

// A reference that hangs ends the run with an error.
func TestPassThatHangs(t *testing.T) {
	ended := make(chan struct{})
	defer close(ended)
	hangs := pass{
		run:   func(context.Context) (int, error) { <-ended; return 0, nil },
		close: func() error { <-ended; return nil },
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := hangs.within(ctx, time.Millisecond); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := within(time.Millisecond, hangs.close); err == nil {
		t.Error("a close that hangs is done")
	}
	late := pass{run: func(ctx context.Context) (int, error) { <-ctx.Done(); return 3, nil }}
	if n, err := late.within(ctx, time.Minute); n != 3 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d, %v", n, err)
	}
}

func nothingRuns(t *testing.T, before int) {
	t.Helper()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	o := Options{Rows: 1200, Repeat: 100, Frontend: frontend, TempDir: dir, Progress: func(format string, _ ...any) {
		if strings.HasPrefix(format, "%s, %s: ") { // the first round is done
			cancel()
		}
	}}
	err := Run(ctx, o, []string{"pull/full"}, func(Result) error { t.Error("a result"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
