package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

type acknowledgeCommand struct {
	who
	Product string    `arg:"" help:"Catalogue id, e.g. price_bulletin."`
	Purpose string    `required:"" help:"Purpose under which the record was pulled, e.g. emergency_coordination."`
	Receipt string    `required:"" placeholder:"ID" help:"Receipt that came with the record."`
	Event   string    `required:"" placeholder:"ID" help:"event_id of the record."`
	Measure []string  `required:"" help:"What was done: noted, monitoring_strengthened, market_inspected, supply_organised, reserves_released, price_intervention, public_informed. Parted by commas."`
	At      time.Time `help:"When it was done, as 2026-01-31T09:00:00+08:00. Default: now."`
	Out     string    `placeholder:"FILE" help:"Keep the signed acknowledgement here."`
}

func (cmd *acknowledgeCommand) Run(s *streams) error {
	profile, err := cmd.profile(func() (string, error) { return agreedConsumer(cmd.Region, cmd.Product, cmd.Purpose) })
	if err != nil {
		return err
	}
	c, err := profile.Client(cmd.Region, time.Now)
	if err != nil {
		return err
	}
	defer c.Close()
	a := client.Acknowledgement{Product: cmd.Product, Purpose: cmd.Purpose, Receipt: cmd.Receipt, EventID: cmd.Event, TakenAt: cmd.At}
	if a.TakenAt.IsZero() {
		a.TakenAt = time.Now()
	}
	for _, m := range cmd.Measure {
		a.Measures = append(a.Measures, receipt.Measure(m))
	}
	signed, r, err := c.Acknowledge(s.ctx, a)
	if err != nil {
		return err
	}
	if cmd.Out != "" {
		if err := writeFile(cmd.Out, []byte(signed)); err != nil {
			return err
		}
	}
	standing := "in time, due " + r.Due.Local().Format(time.RFC3339)
	if r.Late {
		standing = "LATE, it was due " + r.Due.Local().Format(time.RFC3339)
	}
	_, err = fmt.Fprintf(s.out, "acknowledged as %s, %s\n", r.ID, standing)
	return err
}

type acknowledgementsCommand struct {
	who
	Product string        `arg:"" help:"Catalogue id of a product that is ours, e.g. price_bulletin."`
	Since   time.Duration `default:"720h" help:"How far back (${default})."`
}

func (cmd *acknowledgementsCommand) Run(s *streams) error {
	profile, err := cmd.profile(func() (string, error) {
		return "", problem.New(problem.ConfigInvalid, "say as whom: --as, e.g. --as cq-commerce")
	})
	if err != nil {
		return err
	}
	c, err := profile.Client(cmd.Region, time.Now)
	if err != nil {
		return err
	}
	defer c.Close()
	t := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "EVENT\tBY\tTAKEN\tDUE\tIN TIME\tMEASURES")
	since, from := time.Now().Add(-cmd.Since), int64(0)
	for {
		page, err := c.Acknowledgements(s.ctx, cmd.Product, since, from)
		if err != nil {
			return err
		}
		for _, a := range page.Acknowledgements {
			var measures []string
			for _, m := range a.Measures {
				measures = append(measures, string(m))
			}
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%t\t%s\n", a.EventID, a.Consumer, a.TakenAt.Local().Format(time.DateTime),
				a.Due.Local().Format(time.DateTime), !a.Late, strings.Join(measures, ","))
		}
		if page.AtEnd {
			return t.Flush()
		}
		from = page.Next
	}
}
