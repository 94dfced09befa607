package main

import (
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/sample"
)

type sampleCommand struct {
	Product string `arg:"" help:"Product of the catalogue, e.g. consumer_complaint."`
	Region  string `default:"500000" placeholder:"CODE" help:"500000 Chongqing, 510000 Sichuan (${default})."`
	Rows    int    `default:"1000" help:"How many rows (${default})."`
	First   int    `default:"0" placeholder:"N" help:"Number of the first row (${default}): rows of other numbers have other keys."`
	Faults  int    `default:"0" placeholder:"N" help:"Break every N-th row, in turn with each kind of fault (${default}: none). What was broken is told on standard error."`
	Seed    uint64 `default:"1" help:"Same seed, same file (${default})."`
	Format  string `default:"csv" enum:"csv,json,xlsx,xml" help:"csv, json (one object a line), xlsx or xml (rows at /data/record)."`
	Out     string `short:"o" placeholder:"FILE" help:"Write into this file instead of standard output."`
}

// Run writes fictional rows as a product's provider would drop them: in the
// columns of the shipped mapping.
func (cmd *sampleCommand) Run(s *streams) error {
	if !slices.Contains(sample.Products(), cmd.Product) {
		return problem.New(problem.RequestInvalid, "no samples of %q: there are %s", cmd.Product, strings.Join(sample.Products(), ", "))
	}
	if cmd.Region != "500000" && cmd.Region != "510000" || min(cmd.Rows, cmd.First, cmd.Faults) < 0 {
		return problem.New(problem.RequestInvalid, "--region is 500000 or 510000; no number may be below zero")
	}
	declared, err := cmd.write(s.out)
	if err != nil {
		return problem.Wrap(problem.FileUnreadable, err, "writing the sample: %v", err)
	}
	for _, code := range slices.Sorted(maps.Keys(declared.Quarantined)) {
		s.say("%6d × %s: %s · %s", declared.Quarantined[code], code, code.Entry().EN, code.Entry().ZH)
	}
	if declared.Duplicates > 0 {
		s.say("%6d × duplicate: the row before comes again · 前一行重复出现", declared.Duplicates)
	}
	return nil
}

func (cmd *sampleCommand) write(out io.Writer) (declared sample.Declared, err error) {
	if cmd.Out != "" {
		file, err := os.OpenFile(cmd.Out, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return declared, err
		}
		defer func() {
			if closeErr := file.Close(); err == nil {
				err = closeErr
			}
		}()
		out = file
	}
	return sample.Write(out, sample.Format(cmd.Format), cmd.Product, sample.Options{
		Region: cmd.Region, Rows: cmd.Rows, First: cmd.First, Seed: cmd.Seed, FaultEvery: cmd.Faults,
	})
}
