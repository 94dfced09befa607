package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Limits of a run: they bound its memory and its time.
const (
	MaxRows   = 2_000_000
	MaxRepeat = 100
)

const (
	callTimeout = 10 * time.Second // of one call to a broker or a gateway of this process
	passTimeout = 5 * time.Minute  // of one pass
	endTimeout  = time.Minute      // of a pass's close
)

// Options say how much is measured and how often.
type Options struct {
	Rows     int // that every pass carries or pulls, 1 to MaxRows
	Repeat   int // measured passes of each side, 1 to MaxRepeat
	Frontend Frontend
	// Progress is told what is going on, a line at a time; nil: nobody is.
	Progress func(format string, args ...any)
	// Broker is a command line that runs ServeBroker when the kind is added to
	// it: the broker of kafka/… is another process.
	Broker []string
	// Kafka are brokers of a running Apache Kafka, host:port, for kafka/…-real;
	// nil: they are left out.
	Kafka []string
	// TempDir is where the run makes a directory, which it removes at its
	// end; "": the system's.
	TempDir string
}

// Names are the scenarios, in the order in which they are measured.
func Names() []string {
	var out []string
	for _, s := range scenarios() {
		out = append(out, s.name)
	}
	return out
}

// Run measures the named scenarios, all if none is named, and hands each
// result to each as soon as there is one. An unknown name or an option out of
// its limits is problem.ConfigInvalid, before anything is done.
func Run(ctx context.Context, o Options, names []string, each func(Result) error) (err error) {
	chosen, err := choose(o.possible(scenarios(), names), names)
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.TempDir, "hub-bench-")
	if err != nil {
		return fmt.Errorf("directory of the benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w, err := newWorld(dir, o.Rows)
	if err != nil {
		return err
	}
	w.self, w.kafka = o.Broker, o.Kafka
	for i := range chosen {
		r, err := o.contest(ctx, w, &chosen[i])
		if err != nil {
			return fmt.Errorf("%s: %w", chosen[i].name, err)
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// check says what is wrong with the options, and completes them.
func (o *Options) check() error {
	switch {
	case o.Rows < 1 || o.Rows > MaxRows:
		return problem.New(problem.ConfigInvalid, "rows: %d, give 1 to %d", o.Rows, MaxRows)
	case o.Repeat < 1 || o.Repeat > MaxRepeat:
		return problem.New(problem.ConfigInvalid, "repetitions: %d, give 1 to %d", o.Repeat, MaxRepeat)
	case o.Frontend == nil:
		return problem.New(problem.ConfigInvalid, "the benchmark has no frontend for its gateway")
	}
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	return nil
}

// possible leaves out what needs a running Kafka, if there is none and nobody
// asks for it by name.
func (o *Options) possible(all []scenario, names []string) []scenario {
	if len(o.Kafka) > 0 || len(names) > 0 {
		return all
	}
	return slices.DeleteFunc(all, func(s scenario) bool { return s.real })
}

// choose finds scenarios by name, each once, in their own order.
func choose(all []scenario, names []string) ([]scenario, error) {
	if len(names) == 0 {
		return all, nil
	}
	var known []string
	var out []scenario
	for _, s := range all {
		known = append(known, s.name)
		if slices.Contains(names, s.name) {
			out = append(out, s)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, problem.New(problem.ConfigInvalid, "there is no benchmark %q; there are: %s", name, strings.Join(known, ", "))
		}
	}
	return out, nil
}

// scenario is one line of the budgets.
type scenario struct {
	name string
	unit string // of ours and references: a rate, the more the better
	what string // is measured on either side, for people
	real bool   // it needs a running Apache Kafka
	// clock tells the time by which a pass is measured; nil: the wall's.
	clock func() time.Duration
	most  int // rows of a pass, however many are asked for; 0: no limit of its own
	open  func(ctx context.Context, w *world, f Frontend) (*contest, error)
}

// contest is a scenario that is ready to be run.
type contest struct {
	ours       contestant
	references []contestant
	close      func() error
}

func (c *contest) sides() []contestant { return append([]contestant{c.ours}, c.references...) }

// contestant is one side of a contest.
type contestant struct {
	name    string
	prepare func(ctx context.Context) (pass, error) // not measured
}

// pass is the whole work of a contestant, once.
type pass struct {
	run   func(ctx context.Context) (records int, err error) // measured
	close func() error                                       // not measured
}

// measurement is what one pass took.
type measurement struct {
	rate   float64 // records per second
	allocs float64 // of the whole process, per record
}

// contest lets the sides take turns: what disturbs the machine for a while
// then disturbs all of them. The first round only warms up.
func (o *Options) contest(ctx context.Context, w *world, s *scenario) (_ Result, err error) {
	rows := w.rows
	if s.most > 0 {
		rows = min(rows, s.most)
	}
	o.Progress("%s: setting up %d rows", s.name, rows)
	c, err := s.open(ctx, w, o.Frontend)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	sides := c.sides()
	taken := make([][]measurement, len(sides))
	for round := range o.Repeat + 1 {
		var told []string
		for i := range sides {
			m, err := sides[i].measure(ctx, rows, s.clock)
			if err != nil {
				return Result{}, fmt.Errorf("%s: %w", sides[i].name, err)
			}
			if round > 0 {
				taken[i] = append(taken[i], m)
			}
			told = append(told, fmt.Sprintf("%s %.0f %s", sides[i].name, m.rate, s.unit))
		}
		o.Progress("%s, %s: %s", s.name, roundName(round, o.Repeat), strings.Join(told, ", "))
	}
	return newResult(s, sides, taken, rows), nil
}

func roundName(round, repeat int) string {
	if round == 0 {
		return "warm-up"
	}
	return fmt.Sprintf("%d of %d", round, repeat)
}

// measure does one pass. Garbage of what came before is collected first, so
// that nobody pays for another's.
func (c *contestant) measure(ctx context.Context, want int, clock func() time.Duration) (m measurement, err error) {
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	p, err := c.prepare(ctx)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, within(endTimeout, p.close)) }()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if clock == nil {
		began := time.Now()
		clock = func() time.Duration { return time.Since(began) }
	}
	began := clock()
	n, err := p.within(ctx, callTimeout)
	took := clock() - began
	runtime.ReadMemStats(&after)
	switch {
	case err != nil:
		return m, err
	case n != want:
		return m, fmt.Errorf("it was done with %d records, and there are %d", n, want)
	}
	return measurement{
		rate:   float64(n) / took.Seconds(),
		allocs: float64(after.Mallocs-before.Mallocs) / float64(n),
	}, nil
}

// within runs the pass and gives it up, with some grace, when ctx ends, whether
// it heeds ctx or not: the clients of others have places in which they wait for
// ever.
func (p *pass) within(ctx context.Context, grace time.Duration) (int, error) {
	type outcome struct {
		n   int
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		n, err := p.run(ctx)
		done <- outcome{n, err}
	}()
	select {
	case o := <-done:
		return o.n, errors.Join(context.Cause(ctx), o.err) // one that was cut short may say nothing of it
	case <-ctx.Done():
	}
	select { // it should notice as well
	case o := <-done:
		return o.n, errors.Join(context.Cause(ctx), o.err)
	case <-time.After(grace):
		return 0, fmt.Errorf("the pass does not end with its time: %w", context.Cause(ctx))
	}
}

// within calls end and gives it up after a while. kafka-go's Reader waits in
// Close for its own goroutines, one of which may wait for a broker.
func within(limit time.Duration, end func() error) error {
	done := make(chan error, 1)
	go func() { done <- end() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("it could not be closed in %v", limit)
	}
}
