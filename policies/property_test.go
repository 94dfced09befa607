package policies_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// notLooser says whether a decision releases at most what another does.
func notLooser(after, before policies.Decision) bool {
	if after.Effect == policies.Deny {
		return true
	}
	if before.Effect == policies.Deny {
		return false
	}
	for path, o := range after.Obligations {
		was, released := before.Obligations[path]
		if !released || redact.Strictest(o, was) != o {
			return false
		}
	}
	return true
}

// change is one way to make a world stricter.
type change func(g generator, w *worldOf) bool

// TestStricterPoliciesNeverReleaseMore makes random worlds stricter in one
// point and asks both the same.
func TestStricterPoliciesNeverReleaseMore(t *testing.T) {
	t.Parallel()
	for name, stricter := range map[string]change{
		"a rule that denies is added": func(g generator, w *worldOf) bool {
			w.rules = slices.Insert(w.rules, g.IntN(len(w.rules)+1), g.rule(w, "added", "deny"))
			return true
		},
		"a rule does not name a field any more":        generator.forgetInRule,
		"an agreement does not name a field any more":  generator.forgetInAgreement,
		"a rule drops a field":                         generator.dropInRule,
		"an agreement drops a field":                   generator.dropInAgreement,
		"a consumer's agreements are taken away":       generator.removeAgreements,
		"a rule lets out fewer records":                generator.narrowRule,
		"an agreement lets out fewer records":          generator.narrowAgreement,
		"emergency access is taken back":               generator.removeEmergencies,
		"an emergency drops a field":                   generator.dropInEmergency,
		"a purpose is taken out of an agreement":       generator.removePurpose,
		"a field's class is tightened to secret":       generator.makeSecret,
		"the share class is tightened":                 generator.tightenShare,
		"a participant's admission ends before it all": generator.dismiss,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed, permitted, lost := 0, 0, 0
			for seed := range uint64(10) {
				if testing.Short() && seed > 0 && permitted > 0 && lost > 0 {
					break
				}
				before := newGenerator(2000 + seed).world()
				after := newGenerator(2000 + seed).world() // the same, not shared
				g := newGenerator(3000 + seed)
				if !stricter(g, after) {
					continue
				}
				changed++
				a, b := after.load(t), before.load(t)
				for range 50 {
					q := g.request(before)
					was, is := b.Decide(q), a.Decide(q)
					if !notLooser(is, was) || !fewerRows(g, before, is, was) {
						t.Fatalf("seed %d: %+v\nbefore %v %s %v\nafter  %v %s %v", seed, q,
							was.Effect, was.Code, was.Obligations, is.Effect, is.Code, is.Obligations)
					}
					if was.Effect == policies.Permit {
						permitted++
						if !maps.Equal(was.Obligations, is.Obligations) || !reflect.DeepEqual(was.Rows, is.Rows) {
							lost++
						}
					}
				}
			}
			if changed == 0 || permitted == 0 || lost == 0 {
				t.Errorf("%d worlds changed, %d requests permitted before, %d lost something: the test shows nothing", changed, permitted, lost)
			}
		})
	}
}

func (g generator) someLeaf(w *worldOf) string { return pick(g, slices.Sorted(maps.Keys(w.leaves))...) }

// forgetInRule takes away what names a field: its own entry, and its class.
func (g generator) forgetInRule(w *worldOf) bool {
	leaf := g.someLeaf(w)
	for i := range w.rules {
		r := &w.rules[i]
		delete(r.fields, leaf)
		delete(r.classes, w.leaves[leaf])
		if r.effect == "permit" && len(r.fields)+len(r.classes) == 0 {
			return false // such a rule does not load
		}
	}
	return true
}

func (g generator) forgetInAgreement(w *worldOf) bool {
	leaf := g.someLeaf(w)
	for i := range w.agreements {
		delete(w.agreements[i].fields, leaf)
		delete(w.agreements[i].fields, "*")
		if len(w.agreements[i].fields) == 0 {
			return false
		}
	}
	return len(w.agreements) > 0
}

func (g generator) dropInRule(w *worldOf) bool {
	leaf := g.someLeaf(w)
	for i := range w.rules {
		w.rules[i].fields[leaf] = "drop"
	}
	return true
}

func (g generator) dropInAgreement(w *worldOf) bool {
	leaf := g.someLeaf(w)
	for i := range w.agreements {
		w.agreements[i].fields[leaf] = "drop"
	}
	return len(w.agreements) > 0
}

// removeAgreements may make a rule that speaks of the want of an agreement
// permit more; a conditional request still does not pass.
func (g generator) removeAgreements(w *worldOf) bool {
	consumer := pick(g, w.participants...).id
	before := len(w.agreements)
	w.agreements = slices.DeleteFunc(w.agreements, func(a agreementOf) bool { return a.consumer == consumer })
	return len(w.agreements) < before
}

func (g generator) removePurpose(w *worldOf) bool {
	some := false
	for i := range w.agreements {
		if p := w.agreements[i].purposes; len(p) > 1 {
			w.agreements[i].purposes, some = p[1:], true
		}
	}
	return some
}

func (g generator) makeSecret(w *worldOf) bool {
	open := slices.DeleteFunc(slices.Sorted(maps.Keys(w.leaves)), w.selects) // a set that selects by a secret does not load
	if len(open) == 0 {
		return false
	}
	leaf := pick(g, open...)
	w.leaves[leaf] = redact.Secret
	for i := range w.rules {
		delete(w.rules[i].fields, leaf) // to name it would not load
	}
	for i := range w.agreements {
		delete(w.agreements[i].fields, leaf)
		if len(w.agreements[i].fields) == 0 {
			return false
		}
	}
	for i := range w.emergencies {
		delete(w.emergencies[i].fields, leaf)
	}
	return true
}

func (g generator) removeEmergencies(w *worldOf) bool {
	some := len(w.emergencies) > 0
	w.emergencies = nil
	return some
}

func (g generator) dropInEmergency(w *worldOf) bool {
	leaf := g.someLeaf(w)
	for i := range w.emergencies {
		w.emergencies[i].fields[leaf] = "drop"
	}
	return len(w.emergencies) > 0
}

func (g generator) tightenShare(w *worldOf) bool {
	was := w.share
	w.share = 0
	return was != w.share
}

func (g generator) dismiss(w *worldOf) bool {
	i := g.IntN(len(w.participants))
	w.participants[i].from, w.participants[i].to = "", "2020-01-01"
	return true
}
