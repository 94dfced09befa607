package main

import (
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/policies/policytest"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

type policyCommand struct {
	Test        policyTestCommand        `cmd:"" help:"Run the *_test.yaml beside rules, agreements and emergencies, and name what no case covers."`
	Explain     policyExplainCommand     `cmd:"" help:"Decide one request and show how the decision came about."`
	Who         policyWhoCommand         `cmd:"" help:"Show who can read a field, or what a participant can read: how, for what, until when."`
	Diff        policyDiffCommand        `cmd:"" help:"Show which requests two directories of policies answer differently."`
	Emergencies policyEmergenciesCommand `cmd:"" help:"List emergency access: in force, to come, over and due for review."`
}

// policySet is a directory of policies, loaded.
type policySet struct {
	dir fs.FS
	cat *catalogue.Catalogue
	*policies.Set
}

// loadPolicySet loads a directory; "" is the one of this build.
func loadPolicySet(dir string) (*policySet, error) {
	shipped, err := schemas.Shipped()
	if err != nil {
		return nil, err
	}
	p := &policySet{dir: policies.Shipped()}
	if p.cat, err = catalogue.Load(catalogue.Shipped(), shipped.Sensitivities, catalogue.WithCodes(shipped.Codes)); err != nil {
		return nil, err
	}
	if dir != "" {
		p.dir = os.DirFS(dir)
	}
	p.Set, err = policies.Load(p.dir, p.cat, shipped.Fits)
	return p, err
}

// clock is a time that is the machine's unless it is said.
type clock struct {
	At string `placeholder:"TIME" help:"When, as 2026-01-31T09:00:00+08:00. Default: now."`
}

func (c *clock) time() (time.Time, error) {
	if c.At == "" {
		return time.Now(), nil
	}
	t, err := time.Parse(time.RFC3339, c.At)
	if err != nil {
		return t, problem.New(problem.ConfigInvalid, "--at: %q is not a time: write it as 2026-01-31T09:00:00+08:00", c.At)
	}
	return t, nil
}

type policyTestCommand struct {
	All      bool   `help:"Also list the cases that passed."`
	Coverage int    `default:"100" placeholder:"PERCENT" help:"How many of the rules and agreements cases must cover (${default})."`
	Dir      string `arg:"" optional:"" help:"Directory with rules/, agreements/ and emergencies/. Default: those of this build."`
}

func (cmd *policyTestCommand) Run(s *streams) error {
	p, err := loadPolicySet(cmd.Dir)
	if err != nil {
		return err
	}
	report, err := policytest.Run(p.dir, p.Set, p.cat)
	if err != nil {
		return err
	}
	if err := report.Print(s.out, cmd.All); err != nil {
		return err
	}
	switch {
	case len(report.Results) == 0:
		return problem.New(problem.ConfigInvalid, "there are no cases")
	case report.Failed() > 0:
		return problem.New(problem.ConfigInvalid, "the policies do not pass their tests: %d cases failed", report.Failed())
	case report.Coverage() < cmd.Coverage, cmd.Coverage >= 100 && len(report.Gaps) > 0:
		return problem.New(problem.ConfigInvalid, "cases cover %d %% of the rules and agreements, and shall cover %d %%: the gaps are named above",
			report.Coverage(), cmd.Coverage)
	}
	return nil
}

// question is a request on the command line.
type question struct {
	Participant string   `required:"" help:"Id of the participant that asks."`
	System      string   `help:"Which of its systems."`
	Product     string   `required:"" help:"What it asks for."`
	Region      string   `required:"" help:"Whose records: the provider's region, 500000 or 510000."`
	Purpose     string   `help:"What for."`
	Field       []string `help:"A field or block that it asks for; may be given again. Default: all that may be had."`
	Delivery    string   `default:"page" help:"page, bulk, query or verify (${default})."`
	Emergency   string   `help:"Id of the emergency access that it invokes."`
	clock
}

func (q *question) request(cat *catalogue.Catalogue) (policies.Request, error) {
	at, err := q.time()
	if err != nil {
		return policies.Request{}, err
	}
	delivery, err := policies.ParseDelivery(q.Delivery)
	if err != nil {
		return policies.Request{}, problem.New(problem.ConfigInvalid, "--delivery: %v", err)
	}
	return policies.Request{
		Caller:  policytest.Caller(cat, policies.Caller{Participant: q.Participant, System: q.System}),
		Product: q.Product, Region: q.Region, Purpose: q.Purpose, Asked: q.Field, Delivery: delivery, Emergency: q.Emergency, Time: at,
	}, nil
}

type policyExplainCommand struct {
	question
	ordered
	Format string `default:"table" enum:"table,json,csv" help:"table, json or csv (${default})."`
	Dir    string `arg:"" optional:"" help:"Directory of policies. Default: those of this build."`
}

func (cmd *policyExplainCommand) Run(s *streams) error {
	p, err := loadPolicySet(cmd.Dir)
	if err != nil {
		return err
	}
	orders, err := cmd.over(p)
	if err != nil {
		return err
	}
	req, err := cmd.request(p.cat)
	if err != nil {
		return err
	}
	return explained(p, &req, orders).print(s.out, cmd.Format)
}

type policyWhoCommand struct {
	Field       string `help:"A field or a block: who can read it."`
	Product     string `help:"Only of this product."`
	Region      string `help:"Only of the provider of this region."`
	Participant string `help:"Only this participant: what it can read."`
	System      string `help:"Ask as this system of each participant; rules may look at it."`
	ordered
	clock
	Format string `default:"table" enum:"table,json,csv" help:"table, json or csv (${default})."`
	Dir    string `arg:"" optional:"" help:"Directory of policies. Default: those of this build."`
}

func (cmd *policyWhoCommand) Run(s *streams) error {
	p, err := loadPolicySet(cmd.Dir)
	if err != nil {
		return err
	}
	orders, err := cmd.over(p)
	if err != nil {
		return err
	}
	at, err := cmd.time()
	if err != nil {
		return err
	}
	if err := cmd.check(p.cat); err != nil {
		return err
	}
	found := p.Who(policies.Question{
		Product: cmd.Product, Region: cmd.Region, Field: cmd.Field, Participant: cmd.Participant, System: cmd.System, At: at,
	})
	found = slices.DeleteFunc(found, func(a policies.Access) bool {
		code, _ := closes(orders, a.Region, a.Participant, a.Under)
		return code != ""
	})
	if len(found) == 0 {
		s.say("nobody can read that")
	}
	if slices.ContainsFunc(found, func(a policies.Access) bool { return slices.Contains(a.Deliveries, policies.Bulk) }) {
		s.say("bulk is allowed where it is named, and no endpoint serves it yet")
	}
	return accesses(found).print(s.out, cmd.Format)
}

// check refuses names that do not exist: "nobody" must not come of a misspelling.
func (cmd *policyWhoCommand) check(cat *catalogue.Catalogue) error {
	if cmd.Field == "" && cmd.Participant == "" && cmd.Product == "" {
		return problem.New(problem.ConfigInvalid, "name a --field, a --participant or a --product")
	}
	if _, ok := cat.Participant(cmd.Participant); !ok && cmd.Participant != "" {
		return problem.New(problem.ConfigInvalid, "there is no participant %q", cmd.Participant)
	}
	if _, ok := cat.Product(cmd.Product); !ok && cmd.Product != "" {
		return problem.New(problem.ConfigInvalid, "there is no product %q", cmd.Product)
	}
	if !cmd.fieldExists(cat) {
		return problem.New(problem.ConfigInvalid, "no product has a field %q", cmd.Field)
	}
	return nil
}

// fieldExists says whether one of the products has the field or block.
func (cmd *policyWhoCommand) fieldExists(cat *catalogue.Catalogue) bool {
	return slices.ContainsFunc(cat.Products(), func(p *catalogue.Product) bool {
		if cmd.Product != "" && cmd.Product != p.ID {
			return false
		}
		for path := range cat.Sensitivities(p.ID) {
			if cmd.Field == "" || redact.Covers(cmd.Field, path) {
				return true
			}
		}
		return false
	})
}

type policyDiffCommand struct {
	Before   string `arg:"" help:"Directory of the policies as they are; \"\" for those of this build."`
	After    string `arg:"" help:"Directory of the policies as they are to be."`
	Requests string `placeholder:"FILE" help:"Requests to ask both (docs/reference/policies.md). Default: every participant, product, purpose, delivery and emergency, at --at and when terms begin and end."`
	NoLooser bool   `help:"Fail if anything leaves that did not before."`
	clock
}

func (cmd *policyDiffCommand) Run(s *streams) error {
	before, err := loadPolicySet(cmd.Before)
	if err != nil {
		return err
	}
	after, err := loadPolicySet(cmd.After)
	if err != nil {
		return err
	}
	requests, err := cmd.requests(before, after)
	if err != nil {
		return err
	}
	changes, asked := policytest.Diff(before.Set, after.Set, requests)
	looser := 0
	for i := range changes {
		mark := "stricter"
		if changes[i].Looser {
			mark = "LOOSER"
			looser++
		}
		if _, err := fmt.Fprintf(s.out, "%-8s  %s\n          %s\n", mark, changes[i].Request.Name, strings.Join(changes[i].Details, "\n          ")); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(s.out, "%d of %d requests are answered differently, %d of them more freely\n", len(changes), asked, looser); err != nil {
		return err
	}
	if cmd.NoLooser && looser > 0 {
		return problem.New(problem.ConfigInvalid, "%d requests are answered more freely than before", looser)
	}
	return nil
}

func (cmd *policyDiffCommand) requests(before, after *policySet) (iter.Seq[policytest.Request], error) {
	if cmd.Requests == "" {
		at, err := cmd.time()
		return policytest.Everything(before.cat, at, before.Set, after.Set), err
	}
	requests, err := policytest.Requests(os.DirFS(filepath.Dir(cmd.Requests)), filepath.Base(cmd.Requests), before.cat)
	return slices.Values(requests), err
}

type policyEmergenciesCommand struct {
	clock
	Format string `default:"table" enum:"table,json,csv" help:"table, json or csv (${default})."`
	Dir    string `arg:"" optional:"" help:"Directory of policies. Default: those of this build."`
}

func (cmd *policyEmergenciesCommand) Run(s *streams) error {
	p, err := loadPolicySet(cmd.Dir)
	if err != nil {
		return err
	}
	at, err := cmd.time()
	if err != nil {
		return err
	}
	return emergencies(p.Emergencies(), at).print(s.out, cmd.Format)
}
