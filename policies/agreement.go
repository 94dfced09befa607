package policies

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
)

// maxOfPair bounds the agreements between one consumer and one provider for one
// product: what a decision looks at.
const maxOfPair = 64

var agreementID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{2,62}$`)

// Agreement is a 共享协议: what a provider promised one consumer. It states the
// five things of Order 809, article 20: 依据, 场景, 范围, 方式, 时限.
type Agreement struct {
	ID string `yaml:"id"`
	Clauses
	Scope  string `yaml:"scope"`  // 范围
	Method string `yaml:"method"` // 方式: one of the product's delivery methods
	Term   Term   `yaml:"term"`   // 时限
	// NoOnwardSharing is the promise of article 25; an agreement without it
	// does not load.
	NoOnwardSharing bool `yaml:"noOnwardSharing"`

	Source string // "agreements/x.yaml"
	grant  grant
}

// Term is the days on which an agreement is in force.
type Term struct {
	NotBefore time.Time `yaml:"notBefore"` // first instant of the first day in China
	NotAfter  time.Time `yaml:"notAfter"`  // first instant of the last day in China
}

// Started says whether the term has begun at an instant.
func (t Term) Started(at time.Time) bool { return !at.Before(t.NotBefore) }

// Ended says whether the term is over at an instant: its last day counts whole.
func (t Term) Ended(at time.Time) bool { return !at.Before(t.end()) }

// end is the first instant after the term.
func (t Term) end() time.Time { return t.NotAfter.AddDate(0, 0, 1) }

func (t Term) overlaps(u Term) bool {
	return !t.NotBefore.After(u.NotAfter) && !u.NotBefore.After(t.NotAfter)
}

// addAgreement checks an agreement and adds it to the set.
func (l *loader) addAgreement(doc *yamlfile.Document, a *Agreement) {
	a.Source = doc.File
	if l.taken(doc, a.ID) {
		return
	}
	l.set.byAgreement[a.ID] = a
	p, fault := l.checkClauses(doc, a.ID, &a.Clauses)
	if p == nil {
		return
	}
	if !slices.Contains(p.DeliveryMethods, a.Method) {
		fault(fmt.Sprintf("%s is delivered by %s, not by %q", p.ID, strings.Join(p.DeliveryMethods, ", "), a.Method), "method")
	}
	if a.Term.NotAfter.Before(a.Term.NotBefore) {
		fault("it ends before it begins", "term", "notAfter")
	}
	if !a.NoOnwardSharing {
		fault("noOnwardSharing must be true: data may not be handed on without an agreement of its own (Order 809, article 25)", "noOnwardSharing")
	}
	if len(a.Delivery) == 0 {
		a.Delivery = deliveriesOf(a.Method)
	}
	a.grant = l.grant(p, a.ID, &a.Clauses, fault)
	l.join(a, fault)
}

// taken says whether an id names an agreement or an emergency already: a
// decision, a quota and a receipt are found by it.
func (l *loader) taken(doc *yamlfile.Document, id string) bool {
	_, agreement := l.set.byAgreement[id]
	_, emergency := l.set.byEmergency[id]
	if agreement || emergency {
		l.faults = append(l.faults, doc.Fault(id+": an agreement or emergency with this id exists already", "id"))
	}
	return agreement || emergency
}

// join adds an agreement to those of its pair. Two that are in force on the
// same day for the same purpose are refused: nobody could say which applies.
func (l *loader) join(a *Agreement, fault func(string, ...any)) {
	others := slices.Clone(l.set.byPair[a.pair()]) // a set that is extended keeps its own
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
