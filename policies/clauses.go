package policies

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// maxQuota bounds the numbers of a quota.
const maxQuota = 1_000_000_000_000

// Clauses say what is opened to whom: the part that an agreement and an
// emergency access have in common.
type Clauses struct {
	Basis    []string `yaml:"basis"`    // 依据
	Scenario string   `yaml:"scenario"` // 场景

	Provider string   `yaml:"provider"` // participant id
	Region   string   `yaml:"region"`   // of the provider
	Product  string   `yaml:"product"`
	Major    int      `yaml:"major"` // of the product
	Consumer string   `yaml:"consumer"`
	Purposes []string `yaml:"purposes"` // of the product's
	// Fields say what is done with each leaf. "*" stands for the public and
	// internal ones that are not named; what is neither is dropped.
	Fields   map[string]redact.Obligation `yaml:"fields"`
	Rows     string                       `yaml:"rows,optional"`     // which records leave at all; none: all
	Delivery []Delivery                   `yaml:"delivery,optional"` // none: what the method of an agreement means; of an emergency, page
	Quota    Quota                        `yaml:"quota"`
}

// Quota is how much is allowed; all numbers are at least 1.
type Quota struct {
	RequestsPerMinute int64 `yaml:"requestsPerMinute"`
	RecordsPerDay     int64 `yaml:"recordsPerDay"`
	// SubjectsPerDay bounds about how many different subjects (the business
	// keys of the records) the consumer may learn in a day; nil: not counted.
	SubjectsPerDay *int64 `yaml:"subjectsPerDay,optional"`
}

// pair is what agreements and emergencies are found by.
type pair struct{ consumer, product, region string }

func (c *Clauses) pair() pair { return pair{c.Consumer, c.Product, c.Region} }

func (c *Clauses) names(purpose string) bool { return slices.Contains(c.Purposes, purpose) }

// grant is what takes the agreement layer's place in a decision.
type grant struct {
	id       string
	layer    layer
	rows     *rowScope
	delivery []Delivery
}

// grant prepares clauses for decisions.
func (l *loader) grant(p *product, id string, c *Clauses, fault func(string, ...any)) grant {
	rows, err := l.rows(p, c.Rows)
	if err != nil {
		fault(err.Error(), "rows")
	}
	return grant{id: id, layer: l.shared(p.byField(c.Fields)), rows: rows, delivery: c.Delivery}
}

// shared is a layer equal to one that was made before, if there is one: ten
// thousand agreements have few different ones, which stay near at hand.
func (l *loader) shared(made layer) layer {
	var key strings.Builder
	for _, o := range made {
		key.WriteString(o.String())
		key.WriteByte(' ')
	}
	if before, ok := l.layers[key.String()]; ok {
		return before
	}
	l.layers[key.String()] = made
	return made
}

// clausesCheck holds clauses against the catalogue.
type clausesCheck struct {
	*Clauses
	set   *Set
	doc   *yamlfile.Document
	id    string
	fault func(text string, path ...any)
}

func (l *loader) checkClauses(doc *yamlfile.Document, id string, c *Clauses) (*product, func(string, ...any)) {
	fault := func(text string, path ...any) {
		l.faults = append(l.faults, doc.Fault(id+": "+text, path...))
	}
	if !agreementID.MatchString(id) {
		fault("an id is 3 to 63 of a-z, 0-9, _ and -", "id")
	}
	p, ok := l.set.products[c.Product]
	if !ok {
		fault(fmt.Sprintf("there is no product %q in the catalogue", c.Product), "product")
		return nil, fault
	}
	check := clausesCheck{Clauses: c, set: l.set, doc: doc, id: id, fault: fault}
	check.parties(p)
	check.terms(p)
	check.purposes(p)
	check.fields(p)
	return p, fault
}

func (c *clausesCheck) parties(p *product) {
	if provider, ok := p.Providers[c.Region]; !ok || provider != c.Provider {
		c.fault(fmt.Sprintf("%q does not provide %s in region %q", c.Provider, p.ID, c.Region), "provider")
	}
	if _, ok := c.set.cat.Participant(c.Consumer); !ok {
		c.fault(fmt.Sprintf("the consumer %q is not a participant of the catalogue", c.Consumer), "consumer")
	}
	if c.Consumer == c.Provider {
		c.fault("provider and consumer are the same", "consumer")
	}
	if c.Major != p.Major {
		c.fault(fmt.Sprintf("it is for version %d of %s, and the catalogue has version %d", c.Major, p.ID, p.Major), "major")
	}
}

func (c *clausesCheck) terms(p *product) {
	switch p.ShareClass {
	case catalogue.Unconditional:
		c.fault(fmt.Sprintf("%s is shared unconditionally, so this has no effect: remove it or change the share class", p.ID), "product")
	case catalogue.Conditional, catalogue.Withheld: // that it is withheld now, an agreement may outlive
	}
	if len(c.Basis) == 0 {
		c.fault("basis names no law or duty (Order 809, article 20)", "basis")
	}
	numbers := map[string]int64{"requestsPerMinute": c.Quota.RequestsPerMinute, "recordsPerDay": c.Quota.RecordsPerDay}
	if c.Quota.SubjectsPerDay != nil {
		numbers["subjectsPerDay"] = *c.Quota.SubjectsPerDay
	}
	for _, key := range slices.Sorted(maps.Keys(numbers)) {
		if n := numbers[key]; n < 1 || n > maxQuota {
			c.fault(fmt.Sprintf("%s goes from 1 to %d", key, int64(maxQuota)), "quota", key)
		}
	}
	for i, d := range c.Delivery {
		if slices.Contains(c.Delivery[:i], d) {
			c.fault("this delivery stands twice", "delivery", i)
		}
	}
}

func (c *clausesCheck) purposes(p *product) {
	if len(c.Purposes) == 0 {
		c.fault("it names no purpose", "purposes")
	}
	for i, purpose := range c.Purposes {
		if !p.HasPurpose(purpose) {
			c.fault(fmt.Sprintf("%q is not a purpose of %s in the catalogue", purpose, p.ID), "purposes", i)
		}
		if slices.Contains(c.Purposes[:i], purpose) {
			c.fault("this purpose stands twice", "purposes", i)
		}
	}
}

func (c *clausesCheck) fields(p *product) {
	if len(c.Fields) == 0 {
		c.fault("fields names nothing that is shared", "fields")
	}
	for _, path := range slices.Sorted(maps.Keys(c.Fields)) {
		if path == everyField {
			continue
		}
		if text := p.fieldFault(path, c.Fields[path]); text != "" {
			c.fault(text, "fields", path)
		}
	}
}
