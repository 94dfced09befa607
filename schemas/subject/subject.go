package subject

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
)

// Revision is one published schema as a member of its line.
type Revision struct {
	Schema *schemas.Schema
	Type   *avro.Type
}

// Line is the revisions of one major version of a schema, oldest first. It is
// not changed after Load.
type Line struct {
	Name      string // "price_quote.v1"
	Level     evolve.Level
	Declared  bool // the level is the line's own, not the default
	Revisions []Revision
}

// Lines are all lines of a set.
type Lines struct {
	Default evolve.Level
	byName  map[string]*Line
}

// Line finds a line by its name or by the name of one of its schemas.
func (l *Lines) Line(name string) (*Line, bool) {
	line, _, ok := split(name)
	if !ok {
		return nil, false
	}
	out, ok := l.byName[line]
	return out, ok
}

// Versions are the names of the schemas of a line up to and with one of them;
// none if there is no such schema.
func (l *Lines) Versions(schema string) (names []string) {
	line, ok := l.Line(schema)
	if !ok {
		return nil
	}
	for _, r := range line.Until(schema) {
		names = append(names, r.Schema.Name)
	}
	return names
}

// All is every line, by name.
func (l *Lines) All() []*Line {
	out := make([]*Line, 0, len(l.byName))
	for _, line := range l.byName {
		out = append(out, line)
	}
	slices.SortFunc(out, func(a, b *Line) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Until is the revisions up to and with the schema of that name; none if it is
// not of the line.
func (l *Line) Until(schema string) []Revision {
	i := slices.IndexFunc(l.Revisions, func(r Revision) bool { return r.Schema.Name == schema })
	return l.Revisions[:i+1]
}

// Check holds a schema that is to be the next revision against all of the
// line.
func (l *Line) Check(next *avro.Type) []evolve.ViolationError {
	return l.Level.Check(next, types(l.Revisions)...)
}

func types(revisions []Revision) []*avro.Type {
	out := make([]*avro.Type, 0, len(revisions))
	for _, r := range revisions {
		out = append(out, r.Type)
	}
	return out
}

// Shipped is the lines of the schemas that this build carries.
func Shipped() (*Lines, error) {
	set, err := schemas.Shipped()
	if err != nil {
		return nil, err
	}
	return Load(schemas.Files(), set)
}

// Load sorts a set into lines by the declared levels of its directory. Gaps
// and revisions that break the level of their line are faults, and all of them
// are reported.
func Load(dir fs.FS, set *schemas.Set) (*Lines, error) {
	d, err := readDeclared(dir)
	if err != nil {
		return nil, err
	}
	out := &Lines{Default: d.Default.Level, byName: map[string]*Line{}}
	var faults []error
	for _, s := range set.All() {
		faults = append(faults, out.add(s, d))
	}
	for name := range d.Subjects {
		if out.byName[name] == nil {
			faults = append(faults, fmt.Errorf("%s: there is no schema %s.avsc", schemas.LevelsFile, name))
		}
	}
	for _, line := range out.All() {
		faults = append(faults, line.check()...)
	}
	return out, errors.Join(faults...)
}

func (l *Lines) add(s *schemas.Schema, d *declared) error {
	name, _, ok := split(s.Name)
	if !ok {
		return fmt.Errorf("%s.avsc: a schema is called name.v1 or, as a later revision, name.v1.2", s.Name)
	}
	line := l.byName[name]
	if line == nil {
		line = &Line{Name: name, Level: d.Default.Level}
		if own, ok := d.Subjects[name]; ok {
			line.Level, line.Declared = own.Level, true
		}
		l.byName[name] = line
	}
	line.Revisions = append(line.Revisions, Revision{Schema: s, Type: s.Type})
	return nil
}

// check sorts the line, which came by name, and holds each revision against
// those before it.
func (l *Line) check() (faults []error) {
	number := func(r Revision) int { _, n, _ := split(r.Schema.Name); return n }
	slices.SortFunc(l.Revisions, func(a, b Revision) int { return number(a) - number(b) })
	for i, r := range l.Revisions {
		if number(r) != i+1 {
			faults = append(faults, fmt.Errorf("%s.avsc: revision %d of %s is missing", r.Schema.Name, i+1, l.Name))
			break
		}
		for _, v := range l.Level.Check(r.Type, types(l.Revisions[:i])...) {
			faults = append(faults, fmt.Errorf("%s.avsc breaks %s of %s: %w", r.Schema.Name, l.Level, l.Name, v))
		}
	}
	return faults
}

var namePattern = regexp.MustCompile(`^([a-z][a-z0-9_]*\.v[1-9][0-9]{0,2})(?:\.([1-9][0-9]{0,3}))?$`)

// split takes a schema's name apart: the line, and the revision from 1.
func split(name string) (line string, number int, ok bool) {
	m := namePattern.FindStringSubmatch(name)
	switch {
	case m == nil || m[2] == "1": // the first revision has no number
		return "", 0, false
	case m[2] == "":
		return m[1], 1, true
	}
	number, err := strconv.Atoi(m[2])
	return m[1], number, err == nil
}

// declared is the levels as the file says them.
type declared struct {
	Default  level            `json:"default"`
	Subjects map[string]level `json:"subjects"`
}

type level struct{ evolve.Level }

func (l *level) UnmarshalText(text []byte) (err error) {
	l.Level, err = evolve.ParseLevel(string(text))
	return err
}

func readDeclared(dir fs.FS) (*declared, error) {
	raw, err := fs.ReadFile(dir, schemas.LevelsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return &declared{}, nil // the zero level is the strictest
	}
	if err != nil {
		return nil, fmt.Errorf("compatibility levels: %w", err)
	}
	var d declared
	in := json.NewDecoder(bytes.NewReader(raw))
	in.DisallowUnknownFields()
	if err := in.Decode(&d); err != nil {
		return nil, fmt.Errorf("%s: %w", schemas.LevelsFile, err)
	}
	return &d, nil
}
