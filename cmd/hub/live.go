package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// live runs connectors and consumers until ctx ends, and shows how they get
// on: a table that is drawn anew on a terminal, a line for each change
// otherwise.
func (d *dev) live(ctx context.Context) error {
	d.welcome()
	for _, r := range d.roads {
		if len(d.drops) == 0 && (r.position.Batches > 0 || r.connector.Source.Pending()) {
			continue // there is a state already: no new samples
		}
		if err := r.feed(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for _, r := range d.roads {
		all.Go(func() { d.watch(r, r.connector.Run(ctx)) })
		all.Go(func() { r.follow(ctx) })
	}
	if isTerminal(d.out) {
		d.table(ctx)
	} else {
		d.lines(ctx)
	}
	d.say("stopping …")
	cancel()
	all.Wait()
	return nil
}

// watch tells when a connector ended before it was told to.
func (d *dev) watch(r *road, err error) {
	if err != nil {
		d.say("%s of %s stopped: %s", r.product.ID, r.province.name, problem.From(err).Terminal())
	}
}

func (d *dev) welcome() {
	d.say("")
	for _, p := range d.provinces {
		d.say("%s  gateway %s   metrics %s/metrics", p.name, p.gateway.url, p.gateway.admin)
	}
	d.say("state in %s; drop files into %s/<region>/drop/<product>/; Ctrl-C ends", d.data, d.data)
	d.say("ready after %.1f s", time.Since(d.started).Seconds())
	d.say("")
}

// row is one line of the table.
type row struct {
	read, published, quarantined, duplicates, released, receipts int64
	note                                                         string
}

func (r *road) row() row {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &r.position.Totals
	out := row{read: t.Read, published: t.Published, quarantined: t.QuarantinedRows(), duplicates: t.Duplicates, released: r.state.Released, receipts: r.state.Receipts}
	if r.fault != nil && out.released < out.published {
		out.note = string(problem.CodeOf(r.fault))
	}
	return out
}

// table redraws itself in place.
func (d *dev) table(ctx context.Context) {
	drawn := 0
	for {
		var b bytes.Buffer
		t := tabwriter.NewWriter(&b, 0, 4, 2, ' ', tabwriter.AlignRight)
		_, _ = fmt.Fprintln(t, "PROVINCE\tPRODUCT\tREAD\tPUBLISHED\tQUARANTINED\tDUPLICATES\tRELEASED\tRECEIPTS\t")
		for _, r := range d.roads {
			c := r.row()
			_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t %s\n", r.province.region, r.product.ID, c.read, c.published, c.quarantined, c.duplicates, c.released, c.receipts, c.note)
		}
		_ = t.Flush() // into memory
		if drawn > 0 {
			_, _ = fmt.Fprintf(d.out, "\x1b[%dA", drawn)
		}
		for line := range bytes.Lines(b.Bytes()) {
			_, _ = fmt.Fprintf(d.out, "\x1b[2K%s", line)
		}
		drawn = bytes.Count(b.Bytes(), []byte("\n"))
		select {
		case <-ctx.Done():
			return
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// lines prints a road when it has changed, at most once a second.
func (d *dev) lines(ctx context.Context) {
	shown := make([]row, len(d.roads))
	for {
		for i, r := range d.roads {
			c := r.row()
			if c == shown[i] {
				continue
			}
			shown[i] = c
			_, _ = fmt.Fprintf(d.out, "%s %s read=%d published=%d quarantined=%d duplicates=%d released=%d receipts=%d %s\n",
				r.province.region, r.product.ID, c.read, c.published, c.quarantined, c.duplicates, c.released, c.receipts, c.note)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}
