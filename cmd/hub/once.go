package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// summary is what --once prints. The keys of Regions are region and product.
type summary struct {
	OK      bool                          `json:"ok"`
	Faults  []string                      `json:"faults,omitempty"` // why it is not
	Took    float64                       `json:"took_seconds"`
	Regions map[string]map[string]account `json:"regions"`
}

// account is what one road carried in this run.
type account struct {
	Read             int64                  `json:"read"`
	Published        int64                  `json:"published"`
	Quarantined      map[problem.Code]int64 `json:"quarantined"`
	Duplicates       int64                  `json:"duplicates"`
	Held             int64                  `json:"held,omitempty"`       // until their publication time
	Superseded       int64                  `json:"superseded,omitempty"` // while they were held
	Released         int64                  `json:"released"`
	ReceiptsVerified int64                  `json:"receipts_verified"`
	FilesRefused     map[problem.Code]int64 `json:"files_refused,omitempty"`
}

// once runs the whole road once: consumers catch up with what lay there,
// connectors carry what is dropped, consumers pull it, and all is compared.
func (d *dev) once(ctx context.Context) error {
	if err := d.drainAll(ctx); err != nil {
		return err
	}
	for _, r := range d.roads { // what lay there before is not this run's
		r.released, r.receipts = 0, 0
		clear(r.seen)
	}
	marks, err := d.mark(ctx)
	if err != nil {
		return err
	}
	if err := d.carryAll(ctx); err != nil {
		return err
	}
	if err := d.drainAll(ctx); err != nil {
		return err
	}
	s := d.account()
	for _, r := range d.roads {
		for _, fault := range r.audit(ctx, marks[r]) {
			s.Faults = append(s.Faults, fmt.Sprintf("%s/%s: %s", r.province.region, r.product.ID, fault))
		}
	}
	s.OK = len(s.Faults) == 0
	s.Took = time.Since(d.started).Seconds()
	if err := d.print(s); err != nil {
		return err
	}
	if !s.OK {
		return problem.Wrap(problem.AnswerInvalid, errNotTrue, "%s", s.Faults[0])
	}
	return nil
}

func (d *dev) drainAll(ctx context.Context) error {
	errs := make([]error, len(d.roads))
	var all sync.WaitGroup
	for i, r := range d.roads {
		all.Go(func() { errs[i] = r.drain(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// carryAll drops the files and runs the connectors until each is done with its
// own.
func (d *dev) carryAll(ctx context.Context) error {
	for _, r := range d.roads {
		if err := r.feed(); err != nil {
			return err
		}
	}
	running, cancel := context.WithCancel(ctx)
	errs := make([]error, 2*len(d.roads))
	var connectors, waits sync.WaitGroup
	for i, r := range d.roads {
		connectors.Go(func() {
			if errs[2*i] = r.connector.Run(running); errs[2*i] != nil {
				cancel() // nothing will settle any more
			}
		})
		connectors.Go(func() { r.report(running) })
		waits.Go(func() { errs[2*i+1] = r.settle(running) })
	}
	waits.Wait()
	cancel()
	connectors.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(errs...)
}

// settle waits until nothing is left to carry: the drop directory is empty and
// the last batch complete, or refused.
func (r *road) settle(ctx context.Context) error {
	for {
		r.mu.Lock()
		idle := r.position.Batch == "" || r.position.Complete
		r.mu.Unlock()
		if idle && !r.connector.Source.Pending() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// report says now and then how far a long file is.
func (r *road) report(ctx context.Context) {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		p := r.position
		r.mu.Unlock()
		if p.Batch != "" && !p.Complete {
			r.province.say("%s of %s: %d rows of this file", r.product.ID, r.province.name, p.Rows)
		}
	}
}

// account is this run's part of the connectors' totals.
func (d *dev) account() *summary {
	s := &summary{Regions: map[string]map[string]account{}}
	for _, r := range d.roads {
		a := account{Quarantined: map[problem.Code]int64{}, Released: r.released, ReceiptsVerified: r.receipts}
		now, before := &r.position.Totals, &r.before.Totals
		a.Read, a.Published, a.Duplicates = now.Read-before.Read, now.Published-before.Published, now.Duplicates-before.Duplicates
		a.Held, a.Superseded = now.Held-before.Held, now.Superseded-before.Superseded
		for code, n := range now.Quarantined {
			if n -= before.Quarantined[code]; n > 0 {
				a.Quarantined[code] = n
			}
		}
		for _, p := range r.refused {
			if a.FilesRefused == nil {
				a.FilesRefused = map[problem.Code]int64{}
			}
			a.FilesRefused[p.Code]++
		}
		region := r.province.region
		if s.Regions[region] == nil {
			s.Regions[region] = map[string]account{}
		}
		s.Regions[region][r.product.ID] = a
		s.Faults = append(s.Faults, a.faults(region+"/"+r.product.ID)...)
	}
	return s
}

// faults are the sums that do not add up.
func (a *account) faults(road string) []string {
	var out []string
	var quarantined int64
	for _, n := range a.Quarantined {
		quarantined += n
	}
	if a.Read != a.Published+a.Duplicates+quarantined+a.Held+a.Superseded {
		out = append(out, fmt.Sprintf("%s: %d read, but %d published, %d duplicates, %d quarantined, %d held, %d superseded",
			road, a.Read, a.Published, a.Duplicates, quarantined, a.Held, a.Superseded))
	}
	if a.Released != a.Published {
		out = append(out, fmt.Sprintf("%s: %d published, but %d released", road, a.Published, a.Released))
	}
	for code, n := range a.FilesRefused {
		out = append(out, fmt.Sprintf("%s: %d files refused: %s", road, n, code))
	}
	return out
}

func (d *dev) print(s *summary) error {
	if d.cmd.JSON {
		return json.NewEncoder(d.out).Encode(s)
	}
	t := tabwriter.NewWriter(d.out, 0, 4, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "PROVINCE\tPRODUCT\tREAD\tPUBLISHED\tQUARANTINED\tDUPLICATES\tRELEASED\tRECEIPTS VERIFIED\t")
	for _, region := range slices.Sorted(maps.Keys(s.Regions)) {
		for _, product := range slices.Sorted(maps.Keys(s.Regions[region])) {
			a := s.Regions[region][product]
			_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", region, product, a.Read, a.Published,
				(&connectors.Counts{Quarantined: a.Quarantined}).QuarantinedRows(), a.Duplicates, a.Released, a.ReceiptsVerified)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, region := range slices.Sorted(maps.Keys(s.Regions)) {
		for _, product := range slices.Sorted(maps.Keys(s.Regions[region])) {
			a := s.Regions[region][product]
			for _, code := range slices.Sorted(maps.Keys(a.Quarantined)) {
				_, _ = fmt.Fprintf(d.out, "%s %s: %d × %s · %s\n", region, product, a.Quarantined[code], code.Entry().EN, code.Entry().ZH)
			}
		}
	}
	for _, fault := range s.Faults {
		_, _ = fmt.Fprintln(d.out, "NOT TRUE:", fault)
	}
	if s.OK {
		_, _ = fmt.Fprintf(d.out, "All of it is true: every row that was read was published, quarantined or a duplicate,\nevery published record was pulled by the other province, every receipt verifies. (%.1f s)\n", s.Took)
	}
	return nil
}
