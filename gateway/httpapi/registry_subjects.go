package httpapi

import (
	"slices"
	"strconv"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
	"github.com/chuanyu-exchange/hub/schemas/subject"
)

// registrySubject is a topic's values as a schema registry sees them: one
// subject, whose versions are the revisions of the product's schema up to the
// one that connectors write.
type registrySubject struct {
	name      string // "500000.price_quote.v1-value"
	line      *subject.Line
	revisions []subject.Revision // version n is at n-1
}

// registrySubjects are those of the products that a caller may know of, by
// name. What is not among them does not exist for it.
type registrySubjects []registrySubject

func newRegistrySubjects(region string, products []*catalogue.Product, lines *subject.Lines) registrySubjects {
	var out registrySubjects
	for _, p := range products {
		line, ok := lines.Line(p.Schema)
		if !ok {
			continue
		}
		out = append(out, registrySubject{
			name: record.Topic(region, p.ID, p.Major) + "-value", line: line, revisions: line.Until(p.Schema),
		})
	}
	slices.SortFunc(out, func(a, b registrySubject) int { return strings.Compare(a.name, b.name) })
	return out
}

// find takes a subject by its name; ":.:" before it is the default context.
func (s registrySubjects) find(name string) (*registrySubject, error) {
	name = strings.TrimPrefix(name, ":.:")
	i := slices.IndexFunc(s, func(r registrySubject) bool { return r.name == name })
	if i < 0 {
		return nil, errSubject
	}
	return &s[i], nil
}

// place is where a schema stands.
type place struct {
	subject string
	version int
	subject.Revision
}

// all is every version of every subject.
func (s registrySubjects) all() []place {
	var out []place
	for i := range s {
		for v, r := range s[i].revisions {
			out = append(out, place{subject: s[i].name, version: v + 1, Revision: r})
		}
	}
	return out
}

// byID is every place of the schema with an id.
func (s registrySubjects) byID(text string) ([]place, error) {
	id, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return nil, errSchema
	}
	out := slices.DeleteFunc(s.all(), func(p place) bool { return uint64(p.Schema.ID) != id })
	if len(out) == 0 {
		return nil, errSchema
	}
	return out, nil
}

// maxID is the highest id that the caller may know.
func (s registrySubjects) maxID() uint32 {
	top := uint32(0)
	for _, p := range s.all() {
		top = max(top, p.Schema.ID)
	}
	return top
}

// version takes "1", "latest" or "-1", which is the latest, too.
func (s *registrySubject) version(text string) (place, error) {
	n, err := strconv.Atoi(text)
	switch {
	case text == "latest" || err == nil && n == -1:
		n = len(s.revisions)
	case err != nil || n < 1:
		return place{}, errVersion
	case n > len(s.revisions):
		return place{}, errVersionUnknown
	}
	return place{subject: s.name, version: n, Revision: s.revisions[n-1]}, nil
}

// lookup finds a schema by what it says: any writing of the same schema is the
// same, and nothing else is.
func (s *registrySubject) lookup(t *avro.Type) (place, error) {
	for i, r := range s.revisions {
		if len(evolve.Diff(r.Type, t)) == 0 {
			return place{subject: s.name, version: i + 1, Revision: r}, nil
		}
	}
	return place{}, errSchema
}

// check holds a schema against the subject: against one version, or all that
// its level asks for if version is "".
func (s *registrySubject) check(t *avro.Type, version string) ([]evolve.ViolationError, error) {
	var published []*avro.Type
	if version != "" {
		p, err := s.version(version)
		if err != nil {
			return nil, err
		}
		return s.line.Level.Check(t, p.Type), nil
	}
	for _, r := range s.revisions {
		published = append(published, r.Type)
	}
	return s.line.Level.Check(t, published...), nil
}
