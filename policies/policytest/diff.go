package policytest

import (
	"cmp"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

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
// leaves or why not, and how much it asked.
func Diff(before, after *policies.Set, requests iter.Seq[Request]) (out []Change, asked int) {
	for r := range requests {
		asked++
		was, is := before.Decide(r.Request), after.Decide(r.Request)
		c := Change{Request: r}
		c.compare(&was, &is)
		if len(c.Details) > 0 {
			c.Request.Name = cmp.Or(r.Name, described(&r.Request))
			out = append(out, c)
		}
	}
	return out, asked
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

// Everything is what Diff is asked when nobody wrote requests down: each
// participant asks for each product of each region, for each purpose, by each
// delivery, without an emergency and with each that one of the sets grants it.
// It asks at an instant, and when something of its own begins and is over in
// one of the sets (a term, an emergency, its admission): then, and at that
// instant's time of day, for rules may look at the hour. What rules say of
// other days and hours, of systems and of the number of fields, requests must ask.
func Everything(cat *catalogue.Catalogue, at time.Time, sets ...*policies.Set) iter.Seq[Request] {
	var emergencies []*policies.Emergency
	for _, s := range sets {
		emergencies = append(emergencies, s.Emergencies()...)
	}
	return func(yield func(Request) bool) {
		for _, p := range cat.Products() {
			for _, region := range slices.Sorted(maps.Keys(p.Providers)) {
				for _, who := range cat.Participants() {
					o := newOccasions(at, who)
					for _, s := range sets {
						o.addAgreements(s.Agreements(who.ID, p.ID, region))
					}
					for _, e := range emergencies {
						if e.Consumer == who.ID && e.Product == p.ID && e.Region == region {
							o.add(e.ID, e.From, e.Until)
						}
					}
					if !o.ask(p, region, who, yield) {
						return
					}
				}
			}
		}
	}
}

// occasions are when a participant asks for one product, by the emergency that
// it invokes; "" for none.
type occasions struct {
	at     time.Time
	always []time.Time
	under  map[string][]time.Time
}

func newOccasions(at time.Time, who *catalogue.Participant) *occasions {
	o := &occasions{at: at, always: []time.Time{at}, under: map[string][]time.Time{}}
	if who.ValidFrom != nil {
		o.always = append(o.always, *who.ValidFrom, o.sameTimeOfDay(*who.ValidFrom))
	}
	o.add("")
	return o
}

func (o *occasions) add(emergency string, edges ...time.Time) {
	instants := append(o.under[emergency], o.always...)
	for _, edge := range edges {
		instants = append(instants, edge, o.sameTimeOfDay(edge))
	}
	slices.SortFunc(instants, time.Time.Compare)
	o.under[emergency] = slices.CompactFunc(instants, time.Time.Equal)
}

// sameTimeOfDay is the first instant from t on at the time of day of o.at; in
// China all days are of one length.
func (o *occasions) sameTimeOfDay(t time.Time) time.Time {
	const day = 24 * time.Hour
	return t.Add(((o.at.Sub(t) % day) + day) % day)
}

func (o *occasions) addAgreements(all []*policies.Agreement) {
	for _, a := range all {
		o.add("", a.Term.NotBefore, a.Term.NotAfter.AddDate(0, 0, 1))
	}
}

// ask yields the requests and says whether more are wanted.
func (o *occasions) ask(p *catalogue.Product, region string, who *catalogue.Participant, yield func(Request) bool) bool {
	r := policies.Request{Caller: policies.Caller{Participant: who.ID, Region: who.Region, Kind: who.Kind}, Product: p.ID, Region: region}
	for _, purpose := range p.Purposes {
		r.Purpose = purpose.ID
		for _, r.Emergency = range slices.Sorted(maps.Keys(o.under)) {
			for _, r.Time = range o.under[r.Emergency] {
				for r.Delivery = policies.Page; r.Delivery <= policies.Verify; r.Delivery++ {
					if !yield(Request{Request: r}) {
						return false
					}
				}
			}
		}
	}
	return true
}

// described is the name of a request that has none.
func described(r *policies.Request) string {
	name := fmt.Sprintf("%s asks for %s of %s for %s by %s on %s",
		r.Caller.Participant, r.Product, r.Region, r.Purpose, r.Delivery, r.Time.In(yamlfile.China()).Format(time.RFC3339))
	if r.Emergency != "" {
		name += " under " + r.Emergency
	}
	return name
}
