package connectors

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/schemas"
)

// identity is what makes a row's record: its key, its content, its version.
type identity struct {
	key, content record.Digest
	version      uint32
	duplicate    bool
	warnings     []string // codes of what only warns
}

// symbol is one code of one field.
type symbol struct {
	leaf int
	code int64
}

// findLeaves finds the fields that the catalogue names in the schema.
func (p *Pipeline) findLeaves() (err error) {
	find := func(path string) int {
		i, _, ok := p.Schema.Leaf(path)
		if !ok && err == nil {
			err = problem.New(problem.ConfigInvalid, "product %s: schema %s has no field %s", p.Product.ID, p.Schema.Name, path)
		}
		return i
	}
	for _, path := range p.Product.Key {
		p.keyLeaves = append(p.keyLeaves, find(path))
	}
	p.decision, p.version, p.embargo = find(p.Product.DecisionTime), -1, -1
	if p.Product.Embargo != "" {
		p.embargo = find(p.Product.Embargo)
		if p.Unwrap == nil {
			return problem.New(problem.ConfigInvalid, "product %s: its held rows cannot be opened again without Unwrap", p.Product.ID)
		}
	}
	if p.Product.Version != "" {
		p.version = find(p.Product.Version)
	}
	for path, codes := range p.Product.Removals {
		leaf := find(path)
		for _, code := range codes {
			i := slices.Index(p.Schema.Leaves[leaf].Symbols, code)
			if i < 0 && err == nil {
				err = problem.New(problem.ConfigInvalid, "product %s: %q is none of the codes of %s", p.Product.ID, code, path)
			}
			p.removals = append(p.removals, symbol{leaf, int64(i)})
		}
	}
	return err
}

// inClear passes blocks through unsealed: for digests, which cover what a record
// says and not how it was sealed this time.
type inClear struct{}

func (inClear) Seal(dst, plain, _ []byte) ([]byte, error) { return append(dst, plain...), nil }

// identify finds out what the mapped row is: new, changed, or a duplicate of
// the last record of its key. What cannot be encoded is the row's fault.
func (s *session) identify() (identity, []Fault, error) {
	parts := make([][]byte, len(s.keyLeaves))
	for i, leaf := range s.keyLeaves {
		parts[i] = keyPart(&s.values[leaf])
	}
	id := identity{key: record.Key(s.ProductKey, parts...)}
	body, err := s.encoder.Append(s.scratch[:0], s.values, nil, inClear{})
	if err != nil {
		return id, []Fault{{Code: problem.NumberOutOfRange, Detail: err.Error()}}, nil //nolint:nilerr // it is the row's fault, not the road's
	}
	s.scratch = body
	id.content = record.Content(s.ProductKey, body)
	fault, err := s.number(&id)
	if fault != nil || err != nil {
		return id, faultsOf(fault), err
	}
	if id.duplicate {
		s.next.Counts.Duplicates++
		s.next.Totals.Duplicates++
	}
	return id, nil, nil
}

func keyPart(v *schemas.Value) []byte {
	switch {
	case !v.Set:
		return nil
	case v.Bytes != nil:
		return v.Bytes
	}
	return binary.AppendVarint(nil, v.Int)
}

// number gives the row its version: the provider's own, or the next of its key.
func (s *session) number(id *identity) (fault *Fault, err error) {
	if s.version < 0 {
		id.version, id.duplicate, err = s.index.next(id.key, id.content)
		return nil, err
	}
	v := s.values[s.version]
	if v.Int < 1 || v.Int > math.MaxUint32 {
		return &Fault{Field: s.Product.Version, Code: problem.NumberOutOfRange, Detail: "a version begins at 1"}, nil
	}
	var conflict bool
	id.version = uint32(v.Int)
	if id.duplicate, conflict, err = s.index.given(id.key, id.content, id.version); conflict {
		fault = &Fault{Field: s.Product.Version, Code: problem.VersionConflict}
	}
	return fault, err
}

func faultsOf(f *Fault) []Fault {
	if f == nil {
		return nil
	}
	return []Fault{*f}
}

// operation says what the row does to the state of its key. A removal is a
// full record like any other (invariant 4).
func (s *session) operation() record.Operation {
	for _, r := range s.removals {
		if v := &s.values[r.leaf]; v.Set && v.Int == r.code {
			return record.Removal
		}
	}
	return record.Upsert
}

func (s *session) decisionTime() time.Time {
	v := s.values[s.decision].Int
	if s.Schema.Leaves[s.decision].Kind == schemas.Date {
		return time.Unix(v*86400, 0).UTC()
	}
	return time.UnixMilli(v).UTC()
}
