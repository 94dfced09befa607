package policies

import (
	"fmt"
	"maps"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// With is the set with an agreement more, in YAML as a file of agreements/ is,
// checked as Load checks it. The id must be the document's. The set itself
// stays as it is, and shares what does not change: one more to ten thousand
// costs no loading of ten thousand.
func (s *Set) With(id, file string, text []byte) (*Set, error) {
	e, err := s.names.cel()
	if err != nil {
		return nil, fmt.Errorf("set up the environment of conditions: %w", err)
	}
	next := *s
	next.byAgreement, next.byPair = maps.Clone(s.byAgreement), maps.Clone(s.byPair)
	l := loader{set: &next, env: e, fits: s.fits, layers: map[string]layer{}}
	a := new(Agreement)
	doc, faults := yamlfile.Decode(file, text, a, scalars(yamlfile.Day)...)
	l.faults = faults
	if len(faults) == 0 {
		if a.ID != id {
			l.faults = append(l.faults, doc.Fault(fmt.Sprintf("the order is for %q", id), "id"))
		}
		l.addAgreement(doc, a)
	}
	if len(l.faults) > 0 {
		return nil, problem.New(problem.ConfigInvalid, "policies:\n%s", l.faults)
	}
	l.canonical = [][]byte{doc.Canonical(), []byte(s.version)}
	next.version = l.version()
	return &next, nil
}

// Over is the set over a catalogue that has a participant more, or is the same.
func (s *Set) Over(cat *catalogue.Catalogue) *Set {
	next := *s
	next.cat = cat
	l := loader{set: &next, canonical: [][]byte{[]byte(s.version)}}
	next.version = l.version()
	return &next
}
