package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// who says as whom to call, and where.
type who struct {
	Region  string `default:"500000" placeholder:"CODE" help:"Whose gateway to ask: 500000 Chongqing, 510000 Sichuan (${default})."`
	Profile string `placeholder:"FILE" help:"The participant's profile. Default: one of the demo under --data that has an agreement."`
	As      string `placeholder:"PARTICIPANT" help:"Of the demo's participants, call as this one."`
	Data    string `default:".hub-dev" placeholder:"DIR" help:"State directory of the demo (${default})."`
}

// profile finds the profile to call with. consumer names who has an agreement
// and is used when nobody is named.
func (w *who) profile(consumer func() (string, error)) (*client.Profile, error) {
	if w.Profile != "" {
		return client.LoadProfile(w.Profile)
	}
	id := w.As
	if id == "" {
		var err error
		if id, err = consumer(); err != nil {
			return nil, err
		}
	}
	found, err := filepath.Glob(filepath.Join(w.Data, "*", "participants", id, "profile.yaml"))
	if err != nil || len(found) != 1 {
		return nil, problem.New(problem.ConfigInvalid,
			"there is no profile of %s under %s: start the demo with `make run`, or name a profile with --profile", id, w.Data)
	}
	return client.LoadProfile(found[0])
}

type pullCommand struct {
	who
	Product   string        `required:"" help:"Catalogue id, e.g. price_quote."`
	Purpose   string        `required:"" help:"What the records are for: a purpose of the agreement, e.g. price_monitoring."`
	Follow    bool          `short:"f" help:"Stay at the end and wait for more."`
	Fields    []string      `help:"Only these fields, parted by commas."`
	Format    string        `default:"json" enum:"json,avro,csv" help:"What to print: json (one object a line), avro (an object container file) or csv (${default})."`
	Version   string        `name:"schema-version" placeholder:"N" help:"Resolve records into this version of the product's schema, as its registry counts them. Default: the newest."`
	Limit     int           `help:"Records of a page at the most. Default: the gateway's."`
	Pages     int           `help:"Stop after so many pages. Default: at the end of what is published."`
	State     string        `placeholder:"FILE" help:"Begin at the cursor in this file, and keep the cursor there."`
	Receipts  string        `placeholder:"DIR" help:"Keep every receipt and the body that it vouches for in this directory."`
	Emergency string        `placeholder:"ID" help:"Invoke this emergency access in an agreement's place: it is short, raises an alarm with its reason, and is reviewed."`
	Patience  time.Duration `default:"1m" help:"How long to wait in one stretch for a gateway that does not answer or refuses by quota (${default})."`
}

var errEnough = errors.New("enough pages")

func (cmd *pullCommand) Run(s *streams) error {
	profile, err := cmd.profile(func() (string, error) { return agreedConsumer(cmd.Region, cmd.Product, cmd.Purpose) })
	if err != nil {
		return err
	}
	c, err := profile.Client(cmd.Region, time.Now)
	if err != nil {
		return err
	}
	defer c.Close()
	cursor, err := cmd.cursor()
	if err != nil {
		return err
	}
	out, format := newPageWriter(cmd.Format, s.out)
	p := puller{cmd: cmd, streams: s, participant: profile.Participant, pageWriter: out}
	wait := time.Duration(0)
	if cmd.Follow {
		wait = time.Second
	}
	q := client.Query{Product: cmd.Product, Purpose: cmd.Purpose, Fields: cmd.Fields, Limit: cmd.Limit, Cursor: cursor, Emergency: cmd.Emergency, Format: format, Version: cmd.Version}
	err = c.Follow(s.ctx, q, wait, cmd.Patience, p.page)
	if p.pages > 0 || err == nil {
		s.say("%s pulled %d records in %d pages from %s, every receipt verified", p.participant, p.records, p.pages, cmd.Region)
	}
	if errors.Is(err, errEnough) || errors.Is(err, context.Canceled) && s.ctx.Err() != nil {
		return nil
	}
	return err
}

// agreedConsumer is the participant of another region that has an agreement
// for the purpose, by the policies of this build.
func agreedConsumer(region, product, purpose string) (string, error) {
	set, err := shippedPolicies()
	if err != nil {
		return "", err
	}
	var purposes []string
	for _, a := range set.Agreements("", product, region) {
		if slices.Contains(a.Purposes, purpose) {
			return a.Consumer, nil
		}
		for _, p := range a.Purposes {
			purposes = append(purposes, p+" ("+a.Consumer+")")
		}
	}
	if purposes == nil {
		return "", problem.New(problem.AgreementMissing, "nobody has an agreement for %s of %s: is it a product? See hubctl products", product, region)
	}
	slices.Sort(purposes)
	return "", problem.New(problem.AgreementMissing, "nobody has an agreement for %s of %s with purpose %q; there is: %s",
		product, region, purpose, strings.Join(slices.Compact(purposes), ", "))
}

func shippedPolicies() (*policies.Set, error) {
	set, err := schemas.Shipped()
	if err != nil {
		return nil, err
	}
	cat, err := catalogue.Load(catalogue.Shipped(), set.Sensitivities, catalogue.WithCodes(set.Codes))
	if err != nil {
		return nil, err
	}
	return policies.Load(policies.Shipped(), cat, set.Fits)
}

// pullState is the file of --state.
type pullState struct {
	Cursor string `json:"cursor"`
}

func (cmd *pullCommand) cursor() (string, error) {
	if cmd.State == "" {
		return "", nil
	}
	text, err := os.ReadFile(cmd.State)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var state pullState
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err != nil {
		return "", problem.Wrap(problem.ConfigInvalid, err, "--state %s: %v", cmd.State, err)
	}
	return state.Cursor, nil
}

// puller takes pages.
type puller struct {
	cmd *pullCommand
	*streams
	pageWriter
	participant string
	records     int64
	pages       int
}

// page prints a verified page, and only then moves the cursor on: whoever is
// interrupted between the two sees records again and misses none.
func (p *puller) page(page *client.Page) error {
	if err := p.write(page); err != nil {
		return err
	}
	if page.Receipt != nil {
		p.pages++
		p.records += page.Receipt.Records
		if err := p.keepReceipt(page); err != nil {
			return err
		}
		p.say("receipt %s: %d records, %d bytes, policy %.14s…", page.Receipt.ID, page.Receipt.Records, page.Receipt.Body.Bytes, page.Receipt.Policy)
		for code, n := range page.Receipt.Withheld {
			p.say("  %d records withheld: %s · %s", n, code.Entry().EN, code.Entry().ZH)
		}
	}
	if p.cmd.State != "" {
		text, err := json.Marshal(pullState{page.Next})
		if err != nil {
			return err
		}
		if err := writeFile(p.cmd.State, text); err != nil {
			return err
		}
	}
	if p.cmd.Pages > 0 && p.pages >= p.cmd.Pages {
		return errEnough
	}
	return nil
}

func (p *puller) keepReceipt(page *client.Page) error {
	if p.cmd.Receipts == "" {
		return nil
	}
	if err := os.MkdirAll(p.cmd.Receipts, 0o700); err != nil {
		return problem.Wrap(problem.ConfigInvalid, err, "--receipts: %v", err)
	}
	base := filepath.Join(p.cmd.Receipts, page.Receipt.ID)
	return errors.Join(writeFile(base+".jws", []byte(page.Signed)), writeFile(base+".body", page.Body))
}

// writeFile replaces a file in one step, for its owner alone.
func writeFile(path string, content []byte) error {
	tmp := path + ".new"
	err := os.WriteFile(tmp, content, 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return problem.Wrap(problem.ConfigInvalid, err, "%v", err)
	}
	return nil
}

type productsCommand struct {
	who
	ID string `arg:"" optional:"" help:"Show one product with its fields."`
}

func (cmd *productsCommand) Run(s *streams) error {
	profile, err := cmd.profile(func() (string, error) { return agreedConsumer(cmd.Region, "price_quote", "price_monitoring") })
	if err != nil {
		return err
	}
	c, err := profile.Client(cmd.Region, time.Now)
	if err != nil {
		return err
	}
	defer c.Close()
	ask := c.Products
	if cmd.ID != "" {
		ask = func(ctx context.Context) (json.RawMessage, error) { return c.Product(ctx, cmd.ID) }
	}
	doc, err := ask(s.ctx)
	if err != nil {
		return err
	}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return problem.Wrap(problem.AnswerInvalid, err, "")
	}
	_, err = fmt.Fprintf(s.out, "%s\n", out)
	return err
}
