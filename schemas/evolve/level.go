package evolve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// Level is what a new version of a schema owes to the published ones, in the
// words of the Confluent registry. The zero value is the strictest.
type Level uint8

// The levels. Backward: the new version reads what the old ones wrote.
// Forward: the old ones read what the new one writes. Full: both. Without
// Transitive only the newest published version counts.
const (
	FullTransitive Level = iota
	Full
	BackwardTransitive
	Backward
	ForwardTransitive
	Forward
	None
)

var levelNames = [...]string{
	"FULL_TRANSITIVE", "FULL", "BACKWARD_TRANSITIVE", "BACKWARD", "FORWARD_TRANSITIVE", "FORWARD", "NONE",
}

// String is the level as registries write it.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return levelNames[FullTransitive]
}

// ParseLevel reads what String writes.
func ParseLevel(s string) (Level, error) {
	i := slices.Index(levelNames[:], s)
	if i < 0 {
		return FullTransitive, fmt.Errorf("unknown compatibility level %q: use one of %s", s, strings.Join(levelNames[:], ", "))
	}
	return Level(i), nil
}

func (l Level) backward() bool {
	return l == Full || l == FullTransitive || l == Backward || l == BackwardTransitive
}

func (l Level) forward() bool {
	return l == Full || l == FullTransitive || l == Forward || l == ForwardTransitive
}

func (l Level) transitive() bool {
	return l == FullTransitive || l == BackwardTransitive || l == ForwardTransitive
}

// ViolationError is one reason why a version may not follow a published one.
type ViolationError struct {
	Version  int  // the published version it breaks with, from 1
	Backward bool // the new one cannot read the old one's bytes; else the old one the new one's
	*MismatchError
}

func (v ViolationError) Error() string {
	if v.Backward {
		return fmt.Sprintf("the new version cannot read what version %d wrote: %v", v.Version, v.MismatchError)
	}
	return fmt.Sprintf("version %d cannot read what the new version writes: %v", v.Version, v.MismatchError)
}

// Check holds a new version against the published ones, oldest first. Sealed
// blocks are held to the same: what is only bytes to Avro is a record to
// whoever opens it.
func (l Level) Check(next *avro.Type, published ...*avro.Type) []ViolationError {
	if l == None || len(published) == 0 {
		return nil
	}
	first := 0
	if !l.transitive() {
		first = len(published) - 1
	}
	var out []ViolationError
	for i := first; i < len(published); i++ {
		if l.backward() {
			for _, m := range withBlocks(published[i], next) {
				out = append(out, ViolationError{Version: i + 1, Backward: true, MismatchError: m})
			}
		}
		if l.forward() {
			for _, m := range withBlocks(next, published[i]) {
				out = append(out, ViolationError{Version: i + 1, MismatchError: m})
			}
		}
	}
	return out
}

// MismatchSealed is the rule that a field is sealed in all versions or in
// none.
const MismatchSealed = "sealed"

// sealedProperty is the attribute of a field of type bytes that holds the
// schema of the record encrypted in it; see package schemas.
const sealedProperty = "sealed"

func withBlocks(writer, reader *avro.Type) []*MismatchError {
	out := Mismatches(writer, reader)
	b := blocks{seen: map[pair]bool{}}
	b.records(writer, reader, "")
	return append(out, b.faults...)
}

// blocks compares what lies in the sealed blocks of two records.
type blocks struct {
	seen   map[pair]bool
	faults []*MismatchError
}

func (b *blocks) records(w, t *avro.Type, path string) {
	if w.Kind != avro.Record || t.Kind != avro.Record || b.seen[pair{w, t}] {
		return
	}
	b.seen[pair{w, t}] = true
	byName := readerFields(t)
	for i := range w.Fields {
		f := &w.Fields[i]
		if at, ok := byName[f.Name]; ok {
			b.field(f, &t.Fields[at], join(path, t.Fields[at].Name))
		}
	}
}

func (b *blocks) field(w, t *avro.Field, path string) {
	from, to := w.Props[sealedProperty], t.Props[sealedProperty]
	if from == nil && to == nil {
		b.records(w.Type, t.Type, path)
		return
	}
	if from == nil || to == nil {
		b.fault(path, MismatchSealed, "the field is sealed in one version and in clear in the other")
		return
	}
	writer, err := avro.Parse(from)
	if err != nil {
		b.fault(path, MismatchSealed, "what is sealed: %v", err)
		return
	}
	reader, err := avro.Parse(to)
	if err != nil {
		b.fault(path, MismatchSealed, "what is sealed: %v", err)
		return
	}
	for _, m := range Mismatches(writer, reader) {
		b.fault(strings.TrimSuffix(join(path, m.Path), "."), m.Rule, "%s", m.Detail)
	}
}

func (b *blocks) fault(path, rule, format string, args ...any) {
	b.faults = append(b.faults, &MismatchError{Path: path, Rule: rule, Detail: fmt.Sprintf(format, args...)})
}
