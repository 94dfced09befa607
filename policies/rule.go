package policies

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// maxRules bounds what one decision evaluates.
const maxRules = 64

var ruleID = regexp.MustCompile(`^[a-z][a-z0-9_]{1,62}$`)

// Rule is a provider's rule: whom it lets have which of its fields, or whom it
// never does.
type Rule struct {
	ID      string // product and rule: "price_quote.other_side_commerce"
	Source  string // "rules/price_quote.yaml:12"
	NameZH  string
	Effect  Effect
	When    string
	Rows    string // which records it lets out at all; "": all
	Classes map[redact.Sensitivity]redact.Obligation
	Fields  map[string]redact.Obligation

	condition *condition
	rows      *rowScope
	layer     layer
}

// ruleFile is the shape of a file of rules.
type ruleFile struct {
	Product   string      `yaml:"product"`
	Providers []string    `yaml:"providers"`
	Rules     []ruleShape `yaml:"rules"`
}

type ruleShape struct {
	ID          string            `yaml:"id"`
	NameZH      string            `yaml:"nameZH"`
	Effect      Effect            `yaml:"effect"`
	When        string            `yaml:"when"`
	Rows        string            `yaml:"rows,optional"`
	Obligations *obligationsShape `yaml:"obligations,optional"`
}

type obligationsShape struct {
	Classes map[redact.Sensitivity]redact.Obligation `yaml:"classes,optional"`
	Fields  map[string]redact.Obligation             `yaml:"fields,optional"`
}

// addRules checks a file of rules and adds them to the set.
func (l *loader) addRules(doc *yamlfile.Document, f *ruleFile) {
	p, ok := l.set.products[f.Product]
	if !ok {
		l.faults = append(l.faults, doc.Fault(fmt.Sprintf("there is no product %q in the catalogue", f.Product), "product"))
		return
	}
	regions := l.regions(doc, p, f.Providers)
	for i := range f.Rules {
		r := l.rule(doc, p, &f.Rules[i], i)
		if slices.ContainsFunc(l.set.rules, func(other *Rule) bool { return other.ID == r.ID }) {
			l.faults = append(l.faults, doc.Fault(r.ID+": a rule with this id exists already", "rules", i, "id"))
			continue
		}
		l.set.rules = append(l.set.rules, r)
		for _, region := range regions {
			p.rules[region] = append(p.rules[region], r)
			if len(p.rules[region]) == maxRules+1 {
				l.faults = append(l.faults, doc.Fault(
					fmt.Sprintf("more than %d rules for %s in %s: join some", maxRules, p.ID, region), "rules", i))
			}
		}
	}
}

// regions are where the named providers provide the product.
func (l *loader) regions(doc *yamlfile.Document, p *product, providers []string) []string {
	var out []string
	if len(providers) == 0 {
		l.faults = append(l.faults, doc.Fault("providers names nobody whose rules these are", "providers"))
	}
	for i, id := range providers {
		before := len(out)
		for _, region := range slices.Sorted(maps.Keys(p.Providers)) {
			if p.Providers[region] == id && !slices.Contains(out, region) {
				out = append(out, region)
			}
		}
		if len(out) == before {
			l.faults = append(l.faults, doc.Fault(fmt.Sprintf("%q does not provide %s, or stands twice", id, p.ID), "providers", i))
		}
	}
	return out
}

func (l *loader) rule(doc *yamlfile.Document, p *product, s *ruleShape, i int) *Rule {
	line, _ := doc.At("rules", i)
	r := &Rule{
		ID: p.ID + "." + s.ID, Source: fmt.Sprintf("%s:%d", doc.File, line),
		NameZH: s.NameZH, Effect: s.Effect, When: s.When, Rows: s.Rows,
	}
	fault := func(text string, path ...any) {
		l.faults = append(l.faults, doc.Fault(r.ID+": "+text, slices.Concat([]any{"rules", i}, path)...))
	}
	if !ruleID.MatchString(s.ID) {
		fault("an id is 2 to 63 of a-z, 0-9 and _, and begins with a letter", "id")
	}
	condition, err := l.set.names.compile(l.env, s.When)
	if err != nil {
		fault(err.Error(), "when")
	}
	r.condition = condition
	if r.rows, err = l.rows(p, s.Rows); err != nil {
		fault(err.Error(), "rows")
	}
	if s.Effect == Deny && s.Rows != "" {
		fault("a rule that denies has no rows: it denies them all", "rows")
	}
	switch o := s.Obligations; {
	case s.Effect == Deny && o != nil:
		fault("a rule that denies has no obligations", "obligations")
	case s.Effect == Permit && (o == nil || len(o.Classes)+len(o.Fields) == 0):
		fault("a rule that permits says what is done with the fields: add obligations by classes or fields", "obligations")
	case o != nil:
		r.Classes, r.Fields = o.Classes, o.Fields
		checkObligations(p, r, fault)
		r.layer = p.byClass(r.Classes, r.Fields)
	}
	return r
}

func checkObligations(p *product, r *Rule, fault func(string, ...any)) {
	if o := r.Classes[redact.Secret]; o.Action != redact.Drop {
		fault("secret fields are never released: drop them", "obligations", "classes", redact.Secret.String())
	}
	for _, path := range slices.Sorted(maps.Keys(r.Fields)) {
		if text := p.fieldFault(path, r.Fields[path]); text != "" {
			fault(text, "obligations", "fields", path)
		}
	}
}
