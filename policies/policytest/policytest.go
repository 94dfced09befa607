package policytest

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

const (
	suffix     = ".yaml"
	testSuffix = "_test.yaml"
)

type file struct {
	Defaults *given      `yaml:"defaults,optional"`
	Cases    []testShape `yaml:"cases"`
}

// given is a request as a case writes it.
type given struct {
	At      *time.Time   `yaml:"at,optional"`
	Caller  *callerShape `yaml:"caller,optional"`
	Product string       `yaml:"product,optional"`
	Region  string       `yaml:"region,optional"`
	Purpose string       `yaml:"purpose,optional"`
	Asked   []string     `yaml:"asked,optional"`

	Delivery  policies.Delivery `yaml:"delivery,optional"` // page, if it is not said
	Emergency string            `yaml:"emergency,optional"`
}

type callerShape struct {
	Participant string `yaml:"participant"`
	Region      string `yaml:"region,optional"`
	Kind        string `yaml:"kind,optional"`
	System      string `yaml:"system,optional"`
}

type testShape struct {
	Name string `yaml:"name"`
	given
	Want wantShape `yaml:"want"`
}

type wantShape struct {
	Effect      effect                       `yaml:"effect"`
	Code        problem.Code                 `yaml:"code,optional"`
	Agreement   string                       `yaml:"agreement,optional"`
	Emergency   string                       `yaml:"emergency,optional"`
	Rule        string                       `yaml:"rule,optional"`
	Rows        string                       `yaml:"rows,optional"` // the predicate, as explain shows it; "all"
	Released    *int                         `yaml:"released,optional"`
	Obligations map[string]redact.Obligation `yaml:"obligations,optional"`
	Exactly     map[string]redact.Obligation `yaml:"exactly,optional"`
}

type effect string

// Run runs every case of the *_test.yaml files of a directory against the set that was loaded from it. A file of cases that
// cannot be read is an error (problem.ConfigInvalid, a line for each fault); a
// case that fails is not, it stands in the report.
func Run(dir fs.FS, set *policies.Set, cat *catalogue.Catalogue) (*Report, error) {
	r := runner{set: set, cat: cat, covered: map[string]bool{}, report: &Report{}}
	for _, folder := range policies.Folders() {
		names, err := fs.Glob(dir, folder+"/*"+suffix)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			r.file(dir, name, names)
		}
	}
	if len(r.faults) > 0 {
		return nil, problem.New(problem.ConfigInvalid, "policy tests:\n%s", r.faults)
	}
	r.coverage()
	return r.report, nil
}

type runner struct {
	set     *policies.Set
	cat     *catalogue.Catalogue
	faults  yamlfile.Faults
	covered map[string]bool // rule and agreement ids
	report  *Report
}

func (r *runner) file(dir fs.FS, name string, all []string) {
	subject, isTest := strings.CutSuffix(name, testSuffix)
	if !isTest {
		if test := strings.TrimSuffix(name, suffix) + testSuffix; !slices.Contains(all, test) {
			r.report.Gaps = append(r.report.Gaps, fmt.Sprintf("%s has no %s beside it", name, test))
		}
		return
	}
	if !slices.Contains(all, subject+suffix) {
		r.report.Gaps = append(r.report.Gaps, fmt.Sprintf("%s stands beside no %s", name, subject+suffix))
	}
	var f file
	doc, faults := yamlfile.Read(dir, name, &f, scalars()...)
	r.faults = append(r.faults, faults...)
	if len(faults) > 0 {
		return
	}
	r.report.Files++
	for i := range f.Cases {
		r.run(doc, i, &f)
	}
}

func scalars() []yamlfile.Scalar {
	return []yamlfile.Scalar{
		yamlfile.Text(redact.Parse), yamlfile.Text(parseTime), yamlfile.Text(parseCode), yamlfile.Text(parseEffect),
		yamlfile.Text(policies.ParseDelivery),
	}
}

func (r *runner) run(doc *yamlfile.Document, i int, f *file) {
	c := &f.Cases[i]
	faults := len(r.faults)
	fault := func(text string, path ...any) {
		r.faults = append(r.faults, doc.Fault(c.Name+": "+text, slices.Concat([]any{"cases", i}, path)...))
	}
	req := request(r.cat, c.given, f.Defaults, fault)
	r.checkWant(&c.Want, req.Product, fault)
	if len(r.faults) > faults {
		return
	}
	d := r.set.Decide(req)
	line, _ := doc.At("cases", i)
	result := Result{File: doc.File, Line: line, Name: c.Name, Failures: differences(&c.Want, &d, r.cat.Sensitivities(req.Product))}
	r.report.Results = append(r.report.Results, result)
	if len(result.Failures) == 0 {
		r.cover(&d)
	}
}

// request joins what is given with the defaults of its file.
func request(cat *catalogue.Catalogue, g given, defaults *given, fault func(string, ...any)) policies.Request {
	if defaults != nil {
		g = g.or(*defaults)
	}
	req := policies.Request{
		Product: g.Product, Region: g.Region, Purpose: g.Purpose, Asked: g.Asked,
		Delivery: cmp.Or(g.Delivery, policies.Page), Emergency: g.Emergency,
	}
	if g.At == nil {
		fault("there is no time: say at")
		return req
	}
	req.Time = *g.At
	if g.Caller == nil {
		fault("there is no caller")
		return req
	}
	req.Caller = Caller(cat, policies.Caller(*g.Caller))
	return req
}

// Caller completes a caller with the region and kind that the catalogue knows.
func Caller(cat *catalogue.Catalogue, c policies.Caller) policies.Caller {
	if p, ok := cat.Participant(c.Participant); ok {
		c.Region, c.Kind = cmp.Or(c.Region, p.Region), cmp.Or(c.Kind, p.Kind)
	}
	return c
}

func (g given) or(d given) given {
	out := given{
		At: cmp.Or(g.At, d.At), Caller: cmp.Or(g.Caller, d.Caller), Product: cmp.Or(g.Product, d.Product), Region: cmp.Or(g.Region, d.Region),
		Purpose: cmp.Or(g.Purpose, d.Purpose), Asked: g.Asked, Delivery: cmp.Or(g.Delivery, d.Delivery), Emergency: cmp.Or(g.Emergency, d.Emergency),
	}
	if out.Asked == nil {
		out.Asked = d.Asked
	}
	return out
}

// checkWant refuses expectations that could not fail.
func (r *runner) checkWant(w *wantShape, product string, fault func(string, ...any)) {
	switch permit := w.Effect == effect(policies.Permit.String()); {
	case permit && w.Code != "":
		fault("a permit has no code", "want", "code")
	case !permit && w.Code == "":
		fault("say with which code it is denied", "want")
	case !permit && (w.Agreement != "" || w.Emergency != "" || w.Rows != "" || w.Released != nil || w.Obligations != nil || w.Exactly != nil):
		fault("a denial has no agreement and no obligations", "want")
	}
	leaves := r.cat.Sensitivities(product)
	for path := range w.Obligations {
		if len(covered(path, leaves)) == 0 {
			fault(fmt.Sprintf("%s has no field %q", product, path), "want", "obligations", path)
		}
	}
	for path := range w.Exactly {
		if _, ok := leaves[path]; !ok {
			fault(fmt.Sprintf("%s has no field %q", product, path), "want", "exactly", path)
		}
	}
	if w.Rule != "" && !slices.ContainsFunc(r.set.Rules(), func(rule *policies.Rule) bool { return rule.ID == w.Rule }) {
		fault(fmt.Sprintf("there is no rule %q", w.Rule), "want", "rule")
	}
	if _, ok := r.set.Agreement(w.Agreement); w.Agreement != "" && !ok {
		fault(fmt.Sprintf("there is no agreement %q", w.Agreement), "want", "agreement")
	}
}

func (r *runner) cover(d *policies.Decision) {
	if id, _, ok := d.Under(); ok {
		r.covered[id] = true
	}
	for _, s := range d.Steps {
		if s.Outcome == policies.OutcomePermits && d.Effect == policies.Permit ||
			s.Outcome == policies.OutcomeDenies && d.Code == problem.ProviderDenied {
			r.covered[s.Rule] = true
		}
	}
}

func (r *runner) coverage() {
	for _, rule := range r.set.Rules() {
		r.report.Rules++
		if !r.covered[rule.ID] {
			r.report.Gaps = append(r.report.Gaps,
				fmt.Sprintf("%s: no case in which rule %s decides (%s)", rule.Source, rule.ID, rule.Effect))
			r.report.UncoveredRules++
		}
	}
	for _, e := range r.set.Emergencies() {
		r.report.Emergencies++
		if !r.covered[e.ID] {
			r.report.Gaps = append(r.report.Gaps, fmt.Sprintf("%s: no case to which emergency %s applies", e.Source, e.ID))
			r.report.UncoveredEmergencies++
		}
	}
	for _, a := range r.set.Agreements("", "", "") {
		r.report.Agreements++
		if !r.covered[a.ID] {
			r.report.Gaps = append(r.report.Gaps, fmt.Sprintf("%s: no case to which agreement %s applies", a.Source, a.ID))
			r.report.UncoveredAgreements++
		}
	}
}

func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a time: write it as 2026-01-31T09:00:00+08:00", s)
	}
	return t, nil
}

func parseCode(s string) (problem.Code, error) {
	code := problem.Code(s)
	if code.Entry().Code != code {
		return "", fmt.Errorf("there is no code %q", s)
	}
	return code, nil
}

func parseEffect(s string) (effect, error) {
	if s != policies.Permit.String() && s != policies.Deny.String() {
		return "", fmt.Errorf("unknown effect %q: use permit or deny", s)
	}
	return effect(s), nil
}
