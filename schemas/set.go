package schemas

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// LockFile is the name of the file that allots ids.
const LockFile = "schemas.lock.json"

// LevelsFile is the name of the file that declares what new versions owe to
// the published ones; see package subject.
const LevelsFile = "compatibility.json"

//go:embed *.avsc schemas.lock.json compatibility.json
var shipped embed.FS

// Files is the directory of the schemas that this build carries.
func Files() fs.FS { return shipped }

// Shipped is the schemas that this build carries.
func Shipped() (*Set, error) { return Load(shipped) }

// Locked is one line of the lock file: an id that is allotted for good, and
// the digest of the file that it was allotted to.
type Locked struct {
	ID     uint32 `json:"id"`
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// Set is the schemas of a directory, by name and by id. It is immutable.
type Set struct {
	byName map[string]*Schema
	byID   map[uint32]*Schema
}

// Load reads every *.avsc of a directory and holds it against the lock file: a
// published version that was changed, one without an id and an id without its
// file are faults, and all of them are reported (invariant 7).
func Load(dir fs.FS) (*Set, error) {
	locked, err := readLock(dir)
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(dir, "*.avsc")
	if err != nil {
		return nil, err
	}
	s := &Set{byName: map[string]*Schema{}, byID: map[uint32]*Schema{}}
	var faults []error
	for _, file := range files {
		if err := s.add(dir, file, locked); err != nil {
			faults = append(faults, err)
		}
	}
	for _, l := range locked {
		if !slices.Contains(files, l.Name+".avsc") {
			faults = append(faults, fmt.Errorf("%s: id %d is allotted to %s, whose file is missing", LockFile, l.ID, l.Name))
		}
	}
	return s, errors.Join(faults...)
}

func (s *Set) add(dir fs.FS, file string, locked []Locked) error {
	source, err := fs.ReadFile(dir, file)
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(file, ".avsc")
	schema, err := Parse(name, source)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(locked, func(l Locked) bool { return l.Name == name })
	switch {
	case i < 0:
		return fmt.Errorf("%s has no id in %s: run `make generate`", file, LockFile)
	case locked[i].SHA256 != digest(source):
		return fmt.Errorf("%s was changed after it was published: a published version never changes; add a new version beside it", file)
	}
	schema.ID = locked[i].ID
	s.byName[name], s.byID[schema.ID] = schema, schema
	return nil
}

func readLock(dir fs.FS) ([]Locked, error) {
	raw, err := fs.ReadFile(dir, LockFile)
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	var locked []Locked
	if err := json.Unmarshal(raw, &locked); err != nil {
		return nil, fmt.Errorf("%s: %w", LockFile, err)
	}
	seen := map[uint32]string{}
	for _, l := range locked {
		if other, ok := seen[l.ID]; ok || l.ID == 0 {
			return nil, fmt.Errorf("%s: id %d of %s is zero or taken by %q", LockFile, l.ID, l.Name, other)
		}
		seen[l.ID] = l.Name
	}
	return locked, nil
}

// Lock returns the lock file's content with an id for every *.avsc that has
// none. It never changes or removes a line.
func Lock(dir fs.FS) ([]byte, error) {
	locked, err := readLock(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files, err := fs.Glob(dir, "*.avsc")
	if err != nil {
		return nil, err
	}
	next := uint32(1)
	for _, l := range locked {
		next = max(next, l.ID+1)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".avsc")
		if slices.ContainsFunc(locked, func(l Locked) bool { return l.Name == name }) {
			continue
		}
		source, err := fs.ReadFile(dir, file)
		if err != nil {
			return nil, err
		}
		locked = append(locked, Locked{ID: next, Name: name, SHA256: digest(source)})
		next++
	}
	out, err := json.MarshalIndent(locked, "", "  ")
	return append(out, '\n'), err
}

func digest(source []byte) string {
	sum := sha256.Sum256(source)
	return hex.EncodeToString(sum[:])
}

// WithIDs is the set with the ids of another registry. A schema that is not
// among them has none, and two must not share one.
func (s *Set) WithIDs(ids map[string]uint32) (*Set, error) {
	out := &Set{byName: map[string]*Schema{}, byID: map[uint32]*Schema{}}
	for name, schema := range s.byName {
		other := *schema
		other.ID = ids[name]
		out.byName[name] = &other
		if other.ID == 0 {
			continue
		}
		if taken := out.byID[other.ID]; taken != nil {
			return nil, fmt.Errorf("%s and %s have the same id %d", taken.Name, name, other.ID)
		}
		out.byID[other.ID] = &other
	}
	return out, nil
}

// Schema finds a schema by its name, such as "price_quote.v1".
func (s *Set) Schema(name string) (*Schema, bool) { v, ok := s.byName[name]; return v, ok }

// ByID finds a schema by the id of its frame.
func (s *Set) ByID(id uint32) (*Schema, bool) { v, ok := s.byID[id]; return v, ok }

// All is every schema, by name.
func (s *Set) All() []*Schema {
	out := make([]*Schema, 0, len(s.byName))
	for _, v := range s.byName {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b *Schema) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Sensitivities is the class of every leaf of a schema; ok is false if there
// is no such schema. Catalogue and policies take it as an argument.
func (s *Set) Sensitivities(name string) (leaves map[string]redact.Sensitivity, ok bool) {
	v, ok := s.byName[name]
	if !ok {
		return nil, false
	}
	return v.Sensitivities(), true
}

// Codes is the code lists of a schema: the symbols of each leaf that is one
// code, by its path. It is nil for an unknown schema.
func (s *Set) Codes(name string) map[string][]string {
	v, ok := s.byName[name]
	if !ok {
		return nil
	}
	out := map[string][]string{}
	for i := range v.Leaves {
		if l := &v.Leaves[i]; l.Kind == Enum && !l.Repeated {
			out[l.Path] = slices.Clone(l.Symbols)
		}
	}
	return out
}
