package policytest

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Request is a request with a name.
type Request struct {
	Name string
	policies.Request
}

type requestFile struct {
	Defaults *given         `yaml:"defaults,optional"`
	Requests []requestShape `yaml:"requests"`
}

type requestShape struct {
	Name string `yaml:"name"`
	given
}

// Requests reads a file of requests: defaults as in cases, then requests, each
// a case without want. Faults are problem.ConfigInvalid, a line for each.
func Requests(dir fs.FS, file string, cat *catalogue.Catalogue) ([]Request, error) {
	var f requestFile
	doc, faults := yamlfile.Read(dir, file, &f, scalars()...)
	if len(faults) > 0 {
		return nil, problem.New(problem.ConfigInvalid, "requests:\n%s", faults)
	}
	var out []Request
	for i := range f.Requests {
		r := &f.Requests[i]
		out = append(out, Request{r.Name, request(cat, r.given, f.Defaults, func(text string, path ...any) {
			faults = append(faults, doc.Fault(r.Name+": "+text, slices.Concat([]any{"requests", i}, path)...))
		})})
	}
	if len(faults) > 0 {
		return nil, problem.New(problem.ConfigInvalid, "requests:\n%s", faults)
	}
	return out, nil
}

// Change is a request that two sets of policies answer differently.
type Change struct {
	Request Request
	// Looser says whether something leaves now that did not before; of row
	// conditions that differ it cannot be told, so they count as looser.
	Looser  bool
	Details []string // a line each: what was, what is
}

// Diff asks both sets the same and says where the answers differ in what
// leaves or why not.
func Diff(before, after *policies.Set, requests []Request) []Change {
	var out []Change
	for _, r := range requests {
		was, is := before.Decide(r.Request), after.Decide(r.Request)
		c := Change{Request: r}
		c.compare(&was, &is)
		if len(c.Details) > 0 {
			out = append(out, c)
		}
	}
	return out
}

func (c *Change) add(looser bool, format string, args ...any) {
	c.Looser = c.Looser || looser
	c.Details = append(c.Details, fmt.Sprintf(format, args...))
}

func (c *Change) compare(was, is *policies.Decision) {
	if was.Effect != is.Effect || was.Code != is.Code {
		c.add(was.Effect == policies.Deny && is.Effect == policies.Permit, "%s → %s", outcome(was), outcome(is))
	}
	if a, b := rowsOf(was), rowsOf(is); a != b && was.Effect == is.Effect {
		c.add(is.Rows == nil || was.Rows != nil, "records: %s → %s", a, b)
	}
	paths := maps.Clone(was.Obligations)
	if paths == nil {
		paths = redact.Obligations{}
	}
	maps.Copy(paths, is.Obligations)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		a, b := was.Obligations.Of(path), is.Obligations.Of(path)
		if a != b {
			c.add(redact.Strictest(a, b) != b, "%s: %s → %s", path, a, b)
		}
	}
}

func outcome(d *policies.Decision) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s", d.Effect, d.Code))
}

// Everything is a request for each participant, product, region and purpose:
// what Diff is asked when nobody wrote requests down.
func Everything(cat *catalogue.Catalogue, at policies.Request) []Request {
	var out []Request
	for _, p := range cat.Products() {
		for _, region := range slices.Sorted(maps.Keys(p.Providers)) {
			for _, who := range cat.Participants() {
				for _, purpose := range p.Purposes {
					r := at
					r.Caller = policies.Caller{Participant: who.ID, Region: who.Region, Kind: who.Kind}
					r.Product, r.Region, r.Purpose = p.ID, region, purpose.ID
					out = append(out, Request{fmt.Sprintf("%s asks for %s of %s for %s", who.ID, p.ID, region, purpose.ID), r})
				}
			}
		}
	}
	return out
}
