package catalogue

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

const (
	productsFile     = "products.yaml"
	participantsFile = "participants.yaml"
)

//go:embed data/*.yaml
var shipped embed.FS

// Shipped is the catalogue that this build carries, for Load.
func Shipped() fs.FS {
	dir, err := fs.Sub(shipped, "data")
	if err != nil {
		return shipped // "data" is a valid path, so Sub has no reason to fail
	}
	return dir
}

// SchemaFields gives the leaves of a schema ("price_quote.v1") by their path
// ("low_price", "complainant.phone") with their class: the tighter of the
// leaf's own and that of the blocks around it. It is false for a schema that
// does not exist.
type SchemaFields func(schema string) (leaves map[string]redact.Sensitivity, ok bool)

// SchemaCodes gives the code lists of a schema: the symbols of each leaf that
// is one code, by its path.
type SchemaCodes func(schema string) map[string][]string

// Option is what Load may hold the catalogue against beyond the fields.
type Option func(*loader)

// WithCodes holds the codes that rows and removals name against the schemas'.
func WithCodes(codes SchemaCodes) Option { return func(l *loader) { l.codes = codes } }

// Catalogue is the products and participants of one directory. It is immutable;
// what its methods return is shared and must not be changed.
type Catalogue struct {
	products      []*Product
	participants  []*Participant
	byProduct     map[string]*Product
	byParticipant map[string]*Participant
	sensitivities map[string]map[string]redact.Sensitivity
	kinds         map[string]bool
	version       string
}

// Load reads products.yaml and participants.yaml of a directory and checks
// them against each other and against the schemas. Everything that is wrong is
// reported at once, as problem.ConfigInvalid whose detail has a line for each
// fault: file:line:column, what, and what to do.
func Load(dir fs.FS, fields SchemaFields, options ...Option) (*Catalogue, error) {
	l := loader{fields: fields, cat: &Catalogue{
		byProduct: map[string]*Product{}, byParticipant: map[string]*Participant{},
		sensitivities: map[string]map[string]redact.Sensitivity{},
	}}
	for _, option := range options {
		option(&l)
	}
	l.readParticipants(dir)
	l.readProducts(dir)
	if len(l.faults) > 0 {
		return nil, problem.New(problem.ConfigInvalid, "catalogue:\n%s", l.faults)
	}
	l.cat.version, l.cat.kinds = l.version(), l.kinds
	return l.cat, nil
}

// Product finds a product by its id.
func (c *Catalogue) Product(id string) (*Product, bool) {
	p, ok := c.byProduct[id]
	return p, ok
}

// Products are all products, by id.
func (c *Catalogue) Products() []*Product { return slices.Clone(c.products) }

// Participant finds a participant by its id.
func (c *Catalogue) Participant(id string) (*Participant, bool) {
	p, ok := c.byParticipant[id]
	return p, ok
}

// Participants are all participants, by id.
func (c *Catalogue) Participants() []*Participant { return slices.Clone(c.participants) }

// Sensitivities is the class of every leaf of a product, by its path: the
// schema's, tightened by the catalogue. It is nil for an unknown product.
func (c *Catalogue) Sensitivities(product string) map[string]redact.Sensitivity {
	return c.sensitivities[product]
}

// Version is "sha256:…" over what the catalogue says, whatever its layout and
// comments.
func (c *Catalogue) Version() string { return c.version }

// loader is what Load has read so far, and what was wrong with it.
type loader struct {
	fields    SchemaFields
	codes     SchemaCodes // nil: not held against
	cat       *Catalogue
	faults    yamlfile.Faults
	canonical [][]byte
	kinds     map[string]bool
}

func (l *loader) version() string {
	h := sha256.New()
	for _, c := range l.canonical {
		h.Write(c)
		h.Write([]byte{'\n'})
	}
	// The classes come from the schemas too, so they are part of the answer.
	b, err := json.Marshal(classNames(l.cat.sensitivities))
	if err != nil {
		return "" // maps of strings always marshal
	}
	h.Write(b)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

func classNames(of map[string]map[string]redact.Sensitivity) map[string]map[string]string {
	out := make(map[string]map[string]string, len(of))
	for product, leaves := range of {
		out[product] = make(map[string]string, len(leaves))
		for path, class := range leaves {
			out[product][path] = class.String()
		}
	}
	return out
}

func (l *loader) readProducts(dir fs.FS) {
	var file struct {
		Products []Product `yaml:"products"`
	}
	doc, faults := yamlfile.Read(dir, productsFile, &file, scalars()...)
	l.faults = append(l.faults, faults...)
	l.canonical = append(l.canonical, bytes.Clone(doc.Canonical()))
	if len(faults) > 0 {
		return // what follows would only repeat them in other words
	}
	for i := range file.Products {
		p := &file.Products[i]
		c := productCheck{loader: l, doc: doc, at: []any{"products", i}, p: p}
		c.check()
		if _, twice := l.cat.byProduct[p.ID]; twice {
			c.fault("a product with this id stands above", "id")
			continue
		}
		l.cat.byProduct[p.ID] = p
		l.cat.products = append(l.cat.products, p)
	}
	slices.SortFunc(l.cat.products, func(a, b *Product) int { return strings.Compare(a.ID, b.ID) })
}

func (l *loader) readParticipants(dir fs.FS) {
	var file struct {
		Kinds        []kind        `yaml:"kinds"`
		Participants []Participant `yaml:"participants"`
	}
	doc, faults := yamlfile.Read(dir, participantsFile, &file, scalars()...)
	l.faults = append(l.faults, faults...)
	l.canonical = append(l.canonical, bytes.Clone(doc.Canonical()))
	if len(faults) > 0 {
		return
	}
	l.checkKinds(doc, file.Kinds)
	names := map[string]string{}
	for i := range file.Participants {
		p := &file.Participants[i]
		c := participantCheck{loader: l, doc: doc, at: []any{"participants", i}, p: p, names: names}
		c.check()
		if _, twice := l.cat.byParticipant[p.ID]; twice {
			c.fault("a participant with this id stands above", "id")
			continue
		}
		l.cat.byParticipant[p.ID] = p
		l.cat.participants = append(l.cat.participants, p)
	}
	l.checkSuccessors(doc, file.Participants)
	slices.SortFunc(l.cat.participants, func(a, b *Participant) int { return strings.Compare(a.ID, b.ID) })
}

func scalars() []yamlfile.Scalar {
	return []yamlfile.Scalar{
		yamlfile.Text(redact.ParseSensitivity), yamlfile.Text(parseShareClass),
		yamlfile.Text(parseVisibility), yamlfile.Text(yamlfile.Day),
	}
}

// tightened joins the schema's classes with the catalogue's.
func tightened(schema, catalogue map[string]redact.Sensitivity) map[string]redact.Sensitivity {
	out := maps.Clone(schema)
	for path, class := range catalogue {
		if of, ok := out[path]; ok {
			out[path] = redact.Tighter(of, class)
		}
	}
	return out
}
