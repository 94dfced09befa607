package policies

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// The folders of a directory of policies, and what the names of test files end in.
const (
	rulesDir       = "rules"
	agreementsDir  = "agreements"
	emergenciesDir = "emergencies"
	testSuffix     = "_test.yaml"
	maxFiles       = 20_000 // in each folder
)

//go:embed shipped
var shipped embed.FS

// Shipped is the policies that this build carries, for Load.
func Shipped() fs.FS {
	dir, err := fs.Sub(shipped, "shipped")
	if err != nil {
		return shipped // "shipped" is a valid path, so Sub has no reason to fail
	}
	return dir
}

// Folders are those that policies lie in, with the cases beside them.
func Folders() []string { return []string{rulesDir, agreementsDir, emergenciesDir} }

// Set is the rules, agreements and emergencies of a directory over one catalogue. It is
// immutable and safe for concurrent use; what its methods return is shared and
// must not be changed.
type Set struct {
	cat         *catalogue.Catalogue
	names       environment
	products    map[string]*product
	rules       []*Rule
	byAgreement map[string]*Agreement
	byPair      map[pair][]*Agreement // by the beginning of their terms
	byEmergency map[string]*Emergency
	// emergencyPairs are the pairs with an emergency, ended ones too, as with
	// agreements: who was given access may know what it was to.
	emergencyPairs map[pair]bool
	version        string
	fits           Fits
}

// Load reads rules/*.yaml, agreements/*.yaml and emergencies/*.yaml of a
// directory and checks them against the catalogue. Everything that is wrong is reported at once, as
// problem.ConfigInvalid whose detail has a line for each fault:
// file:line:column, what, and what to do.
func Load(dir fs.FS, cat *catalogue.Catalogue, fits Fits) (*Set, error) {
	names := newEnvironment()
	e, err := names.cel()
	if err != nil {
		return nil, fmt.Errorf("set up the environment of conditions: %w", err)
	}
	l := newLoader(cat, names, e)
	l.fits, l.set.fits = fits, fits
	rules, agreements, emergencies := l.list(dir, rulesDir), l.list(dir, agreementsDir), l.list(dir, emergenciesDir)
	if len(rules)+len(agreements) == 0 && len(l.faults) == 0 {
		l.faults = append(l.faults, yamlfile.Fault{File: ".", Text: "there are no policies here: rules/*.yaml and agreements/*.yaml"})
	}
	for _, file := range rules {
		var f ruleFile
		if doc, ok := l.read(dir, file, &f, yamlfile.Day); ok {
			l.addRules(doc, &f)
		}
	}
	for _, file := range agreements {
		a := new(Agreement)
		if doc, ok := l.read(dir, file, a, yamlfile.Day); ok {
			l.addAgreement(doc, a)
		}
	}
	for _, file := range emergencies {
		e := new(Emergency)
		if doc, ok := l.read(dir, file, e, parseInstant); ok {
			l.addEmergency(doc, e)
		}
	}
	if len(l.faults) > 0 {
		return nil, problem.New(problem.ConfigInvalid, "policies:\n%s", l.faults)
	}
	l.set.version = l.version()
	return l.set, nil
}

// loader is what Load has read so far, and what was wrong with it.
type loader struct {
	set       *Set
	env       *cel.Env
	fits      Fits
	layers    map[string]layer // by what they ask, see shared
	faults    yamlfile.Faults
	canonical [][]byte
}

func newLoader(cat *catalogue.Catalogue, names environment, e *cel.Env) *loader {
	set := &Set{
		cat: cat, names: names, products: map[string]*product{},
		byAgreement: map[string]*Agreement{}, byPair: map[pair][]*Agreement{},
		byEmergency: map[string]*Emergency{}, emergencyPairs: map[pair]bool{},
	}
	for _, p := range cat.Products() {
		set.products[p.ID] = newProduct(p, cat.Sensitivities(p.ID))
	}
	return &loader{set: set, env: e, layers: map[string]layer{}}
}

// list names the files of a folder that are policies. A folder that is not
// there is empty; a file that would be passed over in silence is a fault.
func (l *loader) list(dir fs.FS, folder string) []string {
	entries, err := fs.ReadDir(dir, folder)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			l.faults = append(l.faults, yamlfile.Fault{File: folder, Text: err.Error()})
		}
		return nil
	}
	var out []string
	for _, e := range entries {
		name := folder + "/" + e.Name()
		switch {
		case e.IsDir() || !strings.HasSuffix(name, ".yaml"):
			l.faults = append(l.faults, yamlfile.Fault{File: name, Text: "only *.yaml files are read here: rename it or move it away"})
		case !strings.HasSuffix(name, testSuffix):
			out = append(out, name)
		}
	}
	if len(out) > maxFiles {
		l.faults = append(l.faults, yamlfile.Fault{File: folder, Text: fmt.Sprintf("more than %d files", maxFiles)})
		return nil
	}
	return out
}

// read reads a file into a shape; at reads the times in it: days of a term,
// instants of an emergency.
func (l *loader) read(dir fs.FS, file string, shape any, at func(string) (time.Time, error)) (*yamlfile.Document, bool) {
	doc, faults := yamlfile.Read(dir, file, shape, scalars(at)...)
	l.faults = append(l.faults, faults...)
	l.canonical = append(l.canonical, doc.Canonical())
	return doc, len(faults) == 0
}

// scalars are the texts that stand for values; at reads the times.
func scalars(at func(string) (time.Time, error)) []yamlfile.Scalar {
	return []yamlfile.Scalar{
		yamlfile.Text(redact.Parse), yamlfile.Text(redact.ParseSensitivity), yamlfile.Text(parseEffect), yamlfile.Text(ParseDelivery), yamlfile.Text(at),
	}
}

// version covers the content of all files and the catalogue, and neither the
// names of files nor their order and layout.
func (l *loader) version() string {
	slices.SortFunc(l.canonical, bytes.Compare)
	h := sha256.New()
	for _, c := range l.canonical {
		h.Write(c)
		h.Write([]byte{'\n'}) // stands in no canonical line, so lines cannot run together
	}
	h.Write([]byte(l.set.cat.Version()))
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Version is "sha256:…" over all that decisions rest on: rules, agreements and
// the catalogue. It stands in receipts.
func (s *Set) Version() string { return s.version }

// Rules are all rules, in the order of files and lines.
func (s *Set) Rules() []*Rule { return slices.Clone(s.rules) }

// Agreement finds an agreement by its id, whatever its term.
func (s *Set) Agreement(id string) (*Agreement, bool) {
	a, ok := s.byAgreement[id]
	return a, ok
}

// Agreements are those of a consumer, for a product, with the provider of a
// region, whatever their terms, by id; "" stands for any.
func (s *Set) Agreements(consumer, product, region string) []*Agreement {
	if consumer != "" && product != "" && region != "" {
		return sortedByID(slices.Clone(s.byPair[pair{consumer, product, region}]))
	}
	match := func(want, have string) bool { return want == "" || want == have }
	var out []*Agreement
	for _, a := range s.byAgreement {
		if match(consumer, a.Consumer) && match(product, a.Product) && match(region, a.Region) {
			out = append(out, a)
		}
	}
	return sortedByID(out)
}

// Emergency finds an emergency access by its id, whether or not it is in force.
func (s *Set) Emergency(id string) (*Emergency, bool) {
	e, ok := s.byEmergency[id]
	return e, ok
}

// Emergencies are all of them, by id: those that are in force, were, or will be.
func (s *Set) Emergencies() []*Emergency {
	out := slices.Collect(maps.Values(s.byEmergency))
	slices.SortFunc(out, func(a, b *Emergency) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func sortedByID(of []*Agreement) []*Agreement {
	slices.SortFunc(of, func(a, b *Agreement) int { return strings.Compare(a.ID, b.ID) })
	return of
}

// MayKnow says whether a participant may learn that a product of a region
// exists; to others it is as if it did not.
func (s *Set) MayKnow(participant string, p *catalogue.Product, region string) bool {
	if p == nil {
		return false
	}
	provider, provided := p.Providers[region]
	_, admitted := s.cat.Participant(participant)
	if !provided || !admitted {
		return false
	}
	return p.Visibility == catalogue.Participants || provider == participant ||
		len(s.byPair[pair{participant, p.ID, region}]) > 0 || s.emergencyPairs[pair{participant, p.ID, region}]
}
