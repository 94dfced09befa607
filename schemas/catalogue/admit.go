package catalogue

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
)

// With is the catalogue with a participant more, whose entry is YAML as one of
// participants.yaml is. What is wrong is problem.ConfigInvalid, as with Load.
func (c *Catalogue) With(file string, entry []byte) (*Catalogue, error) {
	p := new(Participant)
	doc, faults := yamlfile.Decode(file, entry, p, scalars()...)
	next := *c
	next.byParticipant = maps.Clone(c.byParticipant)
	l := loader{cat: &next, faults: faults, kinds: c.kinds}
	if len(faults) == 0 {
		check := participantCheck{loader: &l, doc: doc, p: p, names: c.names()}
		check.check()
		if _, twice := c.byParticipant[p.ID]; twice {
			check.fault("there is a participant with this id", "id")
		}
		if p.Successor != "" {
			check.fault("who has just come has no successor yet", "successor")
		}
	}
	if len(l.faults) > 0 {
		return nil, problem.New(problem.ConfigInvalid, "catalogue:\n%s", l.faults)
	}
	next.byParticipant[p.ID] = p
	next.participants = append(slices.Clone(c.participants), p)
	slices.SortFunc(next.participants, func(a, b *Participant) int { return strings.Compare(a.ID, b.ID) })
	h := sha256.New()
	h.Write([]byte(c.version + "\n"))
	h.Write(doc.Canonical())
	next.version = "sha256:" + hex.EncodeToString(h.Sum(nil))
	return &next, nil
}

// names are those that participants have already, and who has each.
func (c *Catalogue) names() map[string]string {
	out := map[string]string{}
	for _, p := range c.participants {
		for _, name := range append([]string{p.NameZH, p.NameEN}, p.Aliases...) {
			out[name] = p.ID
		}
	}
	return out
}
