package policies

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Limits of agreements.
const (
	maxOfPair = 64 // between one consumer and one provider for one product: bounds what a decision looks at
	maxQuota  = 1_000_000_000_000
)

var agreementID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{2,62}$`)

// Agreement is a 共享协议: what a provider promised one consumer. It states the
// five things of Order 809, article 20: 依据, 场景, 范围, 方式, 时限.
type Agreement struct {
	ID       string   `yaml:"id"`
	Basis    []string `yaml:"basis"`    // 依据
	Scenario string   `yaml:"scenario"` // 场景
	Scope    string   `yaml:"scope"`    // 范围
	Method   string   `yaml:"method"`   // 方式: one of the product's delivery methods
	Term     Term     `yaml:"term"`     // 时限

	Provider string   `yaml:"provider"` // participant id
	Region   string   `yaml:"region"`   // of the provider
	Product  string   `yaml:"product"`
	Major    int      `yaml:"major"` // of the product
	Consumer string   `yaml:"consumer"`
	Purposes []string `yaml:"purposes"` // of the product's
	// Fields say what is done with each leaf. "*" stands for the public and
	// internal ones that are not named; what is neither is dropped.
	Fields map[string]redact.Obligation `yaml:"fields"`
	Quota  Quota                        `yaml:"quota"`
	// NoOnwardSharing is the promise of article 25; an agreement without it
	// does not load.
	NoOnwardSharing bool `yaml:"noOnwardSharing"`

	Source string // "agreements/x.yaml"
	layer  layer
}

// Term is the days on which an agreement is in force.
type Term struct {
	NotBefore time.Time `yaml:"notBefore"` // first instant of the first day in China
	NotAfter  time.Time `yaml:"notAfter"`  // first instant of the last day in China
}

// Started says whether the term has begun at an instant.
func (t Term) Started(at time.Time) bool { return !at.Before(t.NotBefore) }

// Ended says whether the term is over at an instant: its last day counts whole.
func (t Term) Ended(at time.Time) bool { return !at.Before(t.NotAfter.AddDate(0, 0, 1)) }

func (t Term) overlaps(u Term) bool {
	return !t.NotBefore.After(u.NotAfter) && !u.NotBefore.After(t.NotAfter)
}

// Quota is how much an agreement allows; both are at least 1.
type Quota struct {
	RequestsPerMinute int64 `yaml:"requestsPerMinute"`
	RecordsPerDay     int64 `yaml:"recordsPerDay"`
}

// pair is what agreements are found by.
type pair struct{ consumer, product, region string }

func (a *Agreement) pair() pair { return pair{a.Consumer, a.Product, a.Region} }

func (a *Agreement) names(purpose string) bool { return slices.Contains(a.Purposes, purpose) }

// addAgreement checks an agreement and adds it to the set.
func (l *loader) addAgreement(doc *yamlfile.Document, a *Agreement) {
	a.Source = doc.File
	fault := func(text string, path ...any) {
		l.faults = append(l.faults, doc.Fault(a.ID+": "+text, path...))
	}
	if !agreementID.MatchString(a.ID) {
		fault("an id is 3 to 63 of a-z, 0-9, _ and -", "id")
	}
	if _, twice := l.set.byAgreement[a.ID]; twice {
		fault("an agreement with this id exists already", "id")
		return
	}
	l.set.byAgreement[a.ID] = a
	p, ok := l.set.products[a.Product]
	if !ok {
		fault(fmt.Sprintf("there is no product %q in the catalogue", a.Product), "product")
		return
	}
	l.checkParties(p, a, fault)
	checkClauses(p, a, fault)
	checkFields(p, a, fault)
	a.layer = p.byField(a.Fields)
	l.join(a, fault)
}

func (l *loader) checkParties(p *product, a *Agreement, fault func(string, ...any)) {
	if provider, ok := p.Providers[a.Region]; !ok || provider != a.Provider {
		fault(fmt.Sprintf("%q does not provide %s in region %q", a.Provider, p.ID, a.Region), "provider")
	}
	if _, ok := l.set.cat.Participant(a.Consumer); !ok {
		fault(fmt.Sprintf("the consumer %q is not a participant of the catalogue", a.Consumer), "consumer")
	}
	if a.Consumer == a.Provider {
		fault("provider and consumer are the same", "consumer")
	}
	if a.Major != p.Major {
		fault(fmt.Sprintf("it is for version %d of %s, and the catalogue has version %d", a.Major, p.ID, p.Major), "major")
	}
}

func checkClauses(p *product, a *Agreement, fault func(string, ...any)) {
	if p.ShareClass == catalogue.Unconditional {
		fault(fmt.Sprintf("%s is shared unconditionally, so an agreement has no effect: remove it or change the share class", p.ID), "product")
	}
	if len(a.Basis) == 0 {
		fault("basis names no law or duty (Order 809, article 20)", "basis")
	}
	if !slices.Contains(p.DeliveryMethods, a.Method) {
		fault(fmt.Sprintf("%s is delivered by %s, not by %q", p.ID, strings.Join(p.DeliveryMethods, ", "), a.Method), "method")
	}
	if a.Term.NotAfter.Before(a.Term.NotBefore) {
		fault("it ends before it begins", "term", "notAfter")
	}
	for key, n := range map[string]int64{"requestsPerMinute": a.Quota.RequestsPerMinute, "recordsPerDay": a.Quota.RecordsPerDay} {
		if n < 1 || n > maxQuota {
			fault(fmt.Sprintf("%s goes from 1 to %d", key, int64(maxQuota)), "quota", key)
		}
	}
	if !a.NoOnwardSharing {
		fault("noOnwardSharing must be true: data may not be handed on without an agreement of its own (Order 809, article 25)", "noOnwardSharing")
	}
	checkPurposes(p, a, fault)
}

func checkPurposes(p *product, a *Agreement, fault func(string, ...any)) {
	if len(a.Purposes) == 0 {
		fault("it names no purpose", "purposes")
	}
	for i, purpose := range a.Purposes {
		if !p.HasPurpose(purpose) {
			fault(fmt.Sprintf("%q is not a purpose of %s in the catalogue", purpose, p.ID), "purposes", i)
		}
		if slices.Contains(a.Purposes[:i], purpose) {
			fault("this purpose stands twice", "purposes", i)
		}
	}
}

func checkFields(p *product, a *Agreement, fault func(string, ...any)) {
	if len(a.Fields) == 0 {
		fault("fields names nothing that is shared", "fields")
	}
	for _, path := range slices.Sorted(maps.Keys(a.Fields)) {
		if path == everyField {
			continue
		}
		if text := p.fieldFault(path, a.Fields[path]); text != "" {
			fault(text, "fields", path)
		}
	}
}

// join adds an agreement to those of its pair. Two that are in force on the
// same day for the same purpose are refused: nobody could say which applies.
func (l *loader) join(a *Agreement, fault func(string, ...any)) {
	others := l.set.byPair[a.pair()]
	if len(others) == maxOfPair {
		fault(fmt.Sprintf("more than %d agreements for the same consumer, product and provider: remove old ones", maxOfPair))
		return
	}
	for _, b := range others {
		if a.Term.overlaps(b.Term) && slices.ContainsFunc(a.Purposes, b.names) {
			fault(fmt.Sprintf("it and %s (%s) are in force on the same day for the same purpose: let one end before the other begins",
				b.ID, b.Source), "term")
		}
	}
	others = append(others, a)
	slices.SortFunc(others, func(a, b *Agreement) int {
		return cmp.Or(a.Term.NotBefore.Compare(b.Term.NotBefore), strings.Compare(a.ID, b.ID))
	})
	l.set.byPair[a.pair()] = others
}
