package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// keyed is what `hubctl query` and `hubctl verify` have in common.
type keyed struct {
	who
	Product   string            `required:"" help:"Catalogue id, e.g. serious_violation_list."`
	Purpose   string            `required:"" help:"What the answer is for: a purpose of the agreement."`
	Key       map[string]string `placeholder:"FIELD=VALUE" help:"Business key, field by field, as a page writes it. What is about a person belongs into --from: arguments are seen by others on this machine."`
	From      string            `placeholder:"FILE" help:"Take the question from a JSON file, - for standard input: {\"key\": {…}, \"claims\": {…}}."`
	Emergency string            `placeholder:"ID" help:"Invoke this emergency access in an agreement's place: it raises an alarm and is reviewed."`
	Receipt   string            `placeholder:"FILE" help:"Keep the signed receipt here, and the body that it vouches for beside it."`
}

// lookup puts the question together.
func (q *keyed) lookup(claims map[string]string) (client.Lookup, error) {
	l := client.Lookup{Product: q.Product, Purpose: q.Purpose, Emergency: q.Emergency, Key: map[string]*string{}, Claims: map[string]*string{}}
	if q.From != "" {
		var asked struct {
			Key    map[string]*string `json:"key"`
			Claims map[string]*string `json:"claims"`
		}
		if err := readJSON(q.From, &asked); err != nil {
			return l, err
		}
		l.Key, l.Claims = asked.Key, asked.Claims
	}
	for _, add := range []struct {
		to   *map[string]*string
		from map[string]string
	}{{&l.Key, q.Key}, {&l.Claims, claims}} {
		for field, value := range add.from {
			if *add.to == nil {
				*add.to = map[string]*string{}
			}
			(*add.to)[field] = &value
		}
	}
	if len(l.Key) == 0 {
		return l, problem.New(problem.ConfigInvalid, "name the record: --key FIELD=VALUE, or --from")
	}
	return l, nil
}

// readJSON reads a file, or standard input, strictly.
func readJSON(file string, into any) error {
	in := io.Reader(os.Stdin)
	if file != "-" {
		f, err := os.Open(file) //nolint:gosec // the user names the file
		if err != nil {
			return problem.Wrap(problem.ConfigInvalid, err, "--from: %v", err)
		}
		defer func() { _ = f.Close() }() // only read
		in = f
	}
	d := json.NewDecoder(in)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return problem.New(problem.ConfigInvalid, "--from %s: it is not one JSON object of key and claims, with texts for values", file)
	}
	return nil
}

func (q *keyed) client() (*client.Client, error) {
	profile, err := q.profile(func() (string, error) { return agreedConsumer(q.Region, q.Product, q.Purpose) })
	if err != nil {
		return nil, err
	}
	return profile.Client(q.Region, time.Now)
}

func (q *keyed) keep(s *streams, a *client.Answer) error {
	s.say("receipt %s, verified", a.Receipt.ID)
	if q.Receipt == "" {
		return nil
	}
	if err := writeFile(q.Receipt, []byte(a.Signed)); err != nil {
		return err
	}
	return writeFile(q.Receipt+".body", a.Body)
}

type queryCommand struct {
	keyed
	Fields []string `help:"Only these fields, parted by commas."`
}

func (cmd *queryCommand) Run(s *streams) error {
	l, err := cmd.lookup(nil)
	if err != nil {
		return err
	}
	l.Fields, l.Claims = cmd.Fields, nil
	c, err := cmd.client()
	if err != nil {
		return err
	}
	defer c.Close()
	a, err := c.One(s.ctx, l)
	if err != nil {
		return err
	}
	line, err := json.Marshal(a.Record)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s.out, "%s\n", line); err != nil {
		return err
	}
	return cmd.keep(s, a)
}

type verifyClaimCommand struct {
	keyed
	Claim map[string]string `placeholder:"FIELD=VALUE" help:"What is claimed of the record, as a page would write it. Without one: that there is such a record."`
}

// Run prints yes or no; either is an answer, so it exits with 0.
func (cmd *verifyClaimCommand) Run(s *streams) error {
	l, err := cmd.lookup(cmd.Claim)
	if err != nil {
		return err
	}
	c, err := cmd.client()
	if err != nil {
		return err
	}
	defer c.Close()
	a, err := c.Verify(s.ctx, l)
	if err != nil {
		return err
	}
	word := "no · 不一致"
	if a.Verified {
		word = "yes · 一致"
	}
	if _, err := fmt.Fprintln(s.out, word); err != nil {
		return err
	}
	return cmd.keep(s, a)
}
