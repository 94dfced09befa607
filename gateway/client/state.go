package client

import (
	"encoding/json"
	"iter"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
)

// State is a consumer's view of a product: what stands of each entry, whatever
// the order in which its records came and however often (invariant 4). A
// removal stays as a tombstone, so that an older record that is replayed later
// does not bring back what was removed. It is not safe for concurrent use.
type State struct {
	key  []string
	fold record.Fold[string, json.RawMessage]
}

// NewState returns an empty view. key names the fields of the product's
// business key, as the catalogue does: "listing_id", "dossier.case_no".
func NewState(key ...string) *State { return &State{key: key} }

// Apply enters a record and says whether it took effect. A record that cannot
// be placed, because its decision time or a field of its key was not released,
// is an error and changes nothing: a view without order would be wrong in
// silence.
func (s *State) Apply(r *Record) (bool, error) {
	if r.DecisionTime.IsZero() {
		return false, problem.New(problem.AnswerInvalid, "event %s: the decision time is not released, so its order is not known", r.EventID)
	}
	key, err := s.keyOf(r)
	if err != nil {
		return false, err
	}
	place := record.Order{DecisionTime: r.DecisionTime, Version: r.Version, Tie: r.EventID}
	return s.fold.Apply(key, place, record.Operation(r.Operation), r.Record), nil
}

// Get is the record that stands under a key, whose parts are given as JSON
// writes them; false if there is none or it was removed.
func (s *State) Get(key ...string) (json.RawMessage, bool) {
	return s.fold.Get(strings.Join(key, "\x1f"))
}

// All yields the records that stand, in no order.
func (s *State) All() iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		s.fold.All(func(_ string, r json.RawMessage) bool { return yield(r) })
	}
}

func (s *State) keyOf(r *Record) (string, error) {
	parts := make([]string, len(s.key))
	for i, path := range s.key {
		doc := r.Record
		for name := range strings.SplitSeq(path, ".") {
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(doc, &fields); err != nil || fields[name] == nil {
				return "", problem.New(problem.AnswerInvalid, "event %s: %s of its key is not released", r.EventID, path)
			}
			doc = fields[name]
		}
		parts[i] = string(doc)
	}
	return strings.Join(parts, "\x1f"), nil
}
