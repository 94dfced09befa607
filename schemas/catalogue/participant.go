package catalogue

import (
	"fmt"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
)

// kind is a branch of the administration ("commerce" 商务), the same on both
// sides, so that a rule can speak of the other side's counterpart.
type kind struct {
	ID     string `yaml:"id"`
	NameZH string `yaml:"nameZH"`
}

// Participant is an authority that provides or consumes (参与方).
type Participant struct {
	ID      string   `yaml:"id"`     // "cq-commerce"; part of certificates and receipts
	Region  string   `yaml:"region"` // GB/T 2260, six digits
	NameZH  string   `yaml:"nameZH"`
	NameEN  string   `yaml:"nameEN"`
	Kind    string   `yaml:"kind"`
	Aliases []string `yaml:"aliases,optional"` // former and short names
	// ValidFrom and ValidTo are the first instants of the first and of the
	// last day in China on which it is admitted; nil is without a bound.
	ValidFrom *time.Time `yaml:"validFrom,optional"`
	ValidTo   *time.Time `yaml:"validTo,optional"`
	Successor string     `yaml:"successor,optional"` // id of who took its tasks over when its term ended
}

// ValidAt says whether the participant is admitted at an instant.
func (p *Participant) ValidAt(t time.Time) bool {
	if p.ValidFrom != nil && t.Before(*p.ValidFrom) {
		return false
	}
	return p.ValidTo == nil || t.Before(p.ValidTo.AddDate(0, 0, 1))
}

func (l *loader) checkKinds(doc *yamlfile.Document, kinds []kind) {
	l.kinds = map[string]bool{}
	for i, k := range kinds {
		if !productID.MatchString(k.ID) {
			l.faults = append(l.faults, doc.Fault("a kind is 2 to 63 of a-z, 0-9 and _, and begins with a letter", "kinds", i, "id"))
		}
		if l.kinds[k.ID] {
			l.faults = append(l.faults, doc.Fault(k.ID+": this kind stands above", "kinds", i, "id"))
		}
		l.kinds[k.ID] = true
	}
}

type participantCheck struct {
	*loader
	doc   *yamlfile.Document
	at    []any
	p     *Participant
	names map[string]string // name → the participant that has it
}

func (c *participantCheck) fault(text string, path ...any) {
	c.faults = append(c.faults, c.doc.Fault(c.p.ID+": "+text, slices.Concat(c.at, path)...))
}

func (c *participantCheck) check() {
	if !participantID.MatchString(c.p.ID) {
		c.fault("an id is 2 to 63 of a-z, 0-9 and -, and begins with a letter", "id")
	}
	if !regionCode.MatchString(c.p.Region) {
		c.fault(fmt.Sprintf("%q is not a six-digit region of GB/T 2260", c.p.Region), "region")
	}
	if !c.kinds[c.p.Kind] {
		c.fault(fmt.Sprintf("the kind %q is not listed under kinds", c.p.Kind), "kind")
	}
	if c.p.ValidFrom != nil && c.p.ValidTo != nil && c.p.ValidTo.Before(*c.p.ValidFrom) {
		c.fault("it ends before it begins", "validTo")
	}
	if c.p.Successor != "" && c.p.ValidTo == nil {
		c.fault("who has a successor has a last day", "successor")
	}
	c.name(c.p.NameZH, "nameZH")
	c.name(c.p.NameEN, "nameEN")
	for i, alias := range c.p.Aliases {
		c.name(alias, "aliases", i)
	}
}

// name holds that one name means one participant, so that imports by name from
// a provincial catalogue cannot mistake it.
func (c *participantCheck) name(name string, path ...any) {
	if other, taken := c.names[name]; taken {
		c.fault(fmt.Sprintf("%s is already a name of %s", name, other), path...)
		return
	}
	c.names[name] = c.p.ID
}

// checkSuccessors holds that who took over exists, on the same side, and that
// the chain ends.
func (l *loader) checkSuccessors(doc *yamlfile.Document, participants []Participant) {
	for i := range participants {
		p := &participants[i]
		if p.Successor == "" {
			continue
		}
		fault := func(text string) {
			l.faults = append(l.faults, doc.Fault(p.ID+": "+text, "participants", i, "successor"))
		}
		next, steps := p, 0
		for next.Successor != "" && steps <= len(participants) {
			after, ok := l.cat.byParticipant[next.Successor]
			if !ok {
				fault(fmt.Sprintf("its successor %q is not in %s", next.Successor, participantsFile))
				break
			}
			next, steps = after, steps+1
		}
		switch {
		case steps > len(participants):
			fault("its successors lead in a circle")
		case next.Region != p.Region:
			fault("its successor belongs to another region")
		}
	}
}

// Named finds the participant that a name means, its own or an alias, and of
// one whose term has ended who holds its tasks at an instant; false if the name
// is nobody's or its holder is not admitted then.
func (c *Catalogue) Named(name string, at time.Time) (*Participant, bool) {
	for _, p := range c.participants {
		if p.NameZH != name && p.NameEN != name && !slices.Contains(p.Aliases, name) {
			continue
		}
		for !p.ValidAt(at) && p.Successor != "" {
			p = c.byParticipant[p.Successor] // Load made sure that it ends
		}
		return p, p.ValidAt(at)
	}
	return nil, false
}
