package schemas

import (
	"fmt"
	"slices"

	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// maxParts bounds what a View costs: a schema that names its records again and
// again stands for fields without number.
const maxParts = 4 * maxForeignLeaves

// compiler makes the parts of one View.
type compiler struct {
	spec    *ViewSpec
	view    *View
	out     writing
	skipper skipper
	open    map[recordPair]*part // records around the one that is compiled
	names   map[string]int       // how often a record's name was given
	parts   int
	changed bool // something of the reader is not released as it is
}

type recordPair struct{ writer, reader *avro.Type }

// writing is what differs between the formats: how each kind is written.
type writing interface {
	// scalar sets how a value is written as it is.
	scalar(p *part, t *avro.Type)
	// redacted sets how the text is written that is made of a value, or, of
	// one that is nulled, what stands in its place.
	redacted(p *part)
	// container sets how a record, an array, a map and a union are written,
	// whose parts are known.
	container(p *part, res *evolve.Resolution) error
}

func compileView(spec *ViewSpec) (*View, error) {
	if err := checkObligations(spec); err != nil {
		return nil, err
	}
	c := &compiler{
		spec: spec, view: &View{}, skipper: skipper{records: map[*avro.Type]*skips{}}, open: map[recordPair]*part{},
		names: map[string]int{},
	}
	finish := c.format()
	if finish == nil {
		return nil, fmt.Errorf("unknown format %d", spec.Format)
	}
	res, err := evolve.Resolve(spec.Writer.Type, spec.Reader.Type)
	if err != nil {
		return nil, err
	}
	if c.view.root, err = c.record(res, ""); err != nil {
		return nil, err
	}
	if err := finish(); err != nil {
		return nil, err
	}
	if spec.Predicate != nil {
		c.view.predicate, err = c.predicate(res, spec.Predicate)
	}
	return c.view, err
}

func checkObligations(spec *ViewSpec) error {
	for path, ob := range spec.Obligations {
		if _, _, ok := spec.Reader.Leaf(path); !ok {
			return fmt.Errorf("there is no field %s", path)
		}
		if !ob.Valid() {
			return fmt.Errorf("field %s: unknown obligation %d %q", path, ob.Action, ob.Method)
		}
	}
	return nil
}

// format chooses how parts are written, and returns what is left to do when
// they are compiled; nil if there is no such format.
func (c *compiler) format() (finish func() error) {
	switch c.spec.Format {
	case JSON:
		c.out = jsonWriting{}
		return func() error { return nil }
	case CSV:
		out := &csvWriting{view: c.view}
		c.out = out
		return func() error {
			c.view.root = out.row(c.view.root)
			return nil
		}
	case Avro:
		out := newAvroWriting(c)
		c.out = out
		return func() (err error) {
			c.view.schema, err = c.written(out)
			return err
		}
	}
	return nil
}

// written is the schema of what is written in Avro. It is the reader's affair
// alone: whoever wrote the bytes, the same obligations give the same schema.
func (c *compiler) written(out *avroWriting) ([]byte, error) {
	switch {
	case c.spec.Writer != c.spec.Reader:
		own := *c.spec
		own.Writer, own.Predicate = own.Reader, nil
		v, err := compileView(&own)
		if err != nil {
			return nil, err
		}
		return v.schema, nil
	case c.changed:
		return out.schema(c.view.root)
	}
	return c.spec.Reader.Source, nil
}

// value compiles what stands at a path; nil if nothing of it is released.
func (c *compiler) value(res *evolve.Resolution, path string) (*part, error) {
	if c.parts++; c.parts > maxParts {
		return nil, fmt.Errorf("field %s: more than %d fields", path, maxForeignLeaves)
	}
	ob := c.spec.Obligations.Of(path)
	if !holdsRecord(res.Reader) {
		if ob.Action == redact.Drop {
			return nil, nil
		}
		if ob.Action == redact.Null {
			return c.nulled(res, path), nil
		}
	}
	switch {
	case res.Writer.Kind == avro.Union:
		return c.union(res, path)
	case res.Reader.Kind == avro.Union:
		return c.branch(res, path)
	}
	switch res.Reader.Kind {
	case avro.Record:
		return c.record(res, path)
	case avro.Array:
		return c.array(res, path, ob)
	case avro.Map:
		return c.mapping(res, path, ob)
	}
	return c.scalar(res, path, ob)
}

// holdsRecord says whether fields of their own lie in a type, so that the
// obligation of its path is not that of the whole.
func holdsRecord(t *avro.Type) bool {
	switch t.Kind {
	case avro.Record:
		return true
	case avro.Array:
		return holdsRecord(t.Items)
	case avro.Map:
		return holdsRecord(t.Values)
	case avro.Union:
		return slices.ContainsFunc(t.Branches, holdsRecord)
	}
	return false
}

func (c *compiler) part(res *evolve.Resolution, path string) *part {
	return &part{
		path: path, null: noNull, wire: res.Writer.Kind, size: res.Writer.Size,
		skips: c.skipper.compile(res.Writer),
	}
}

// nulled passes over a value and writes null.
func (c *compiler) nulled(res *evolve.Resolution, path string) *part {
	p := c.part(res, path)
	p.render, p.ob = renderNull, redact.Obligation{Action: redact.Null}
	c.out.redacted(p)
	c.changed = true
	return p
}

// union compiles the branches of the writer's union. A branch of which nothing
// is released is null.
func (c *compiler) union(res *evolve.Resolution, path string) (*part, error) {
	p := c.part(res, path)
	released := false
	for _, how := range res.Branches {
		b, err := c.branchOf(how, path)
		if err != nil {
			return nil, err
		}
		released = released || b != nil && how.Writer.Kind != avro.Null
		p.branches = append(p.branches, b)
	}
	if !released && holdsRecord(res.Reader) {
		return nil, nil
	}
	for i := range p.branches {
		if p.branches[i] != nil {
			continue
		}
		var err error
		if p.branches[i], err = c.nulledBranch(res.Branches[i], path); err != nil {
			return nil, err
		}
	}
	return p, c.out.container(p, res)
}

// nulledBranch is null in the place of the reader's branch, if it has some.
func (c *compiler) nulledBranch(res *evolve.Resolution, path string) (*part, error) {
	if res.Reader.Kind != avro.Union {
		return c.nulled(res, path), nil
	}
	p := c.part(res, path)
	p.items = c.nulled(res.Chosen, path)
	return p, c.out.container(p, res)
}

// branchOf compiles one branch of the writer's union. That there is no value is
// told whenever anything of the union is.
func (c *compiler) branchOf(res *evolve.Resolution, path string) (*part, error) {
	switch {
	case res.Writer.Kind != avro.Null:
		return c.value(res, path)
	case res.Reader.Kind == avro.Union:
		return c.branch(res, path)
	}
	return c.scalar(res, path, redact.Obligation{Action: redact.Keep})
}

// branch compiles a value that the reader has as one branch of a union.
func (c *compiler) branch(res *evolve.Resolution, path string) (*part, error) {
	inner, err := c.branchOf(res.Chosen, path)
	if inner == nil || err != nil {
		return nil, err
	}
	p := c.part(res, path)
	p.items = inner
	return p, c.out.container(p, res)
}

func (c *compiler) array(res *evolve.Resolution, path string, ob redact.Obligation) (*part, error) {
	if ob.Action == redact.Hash && !holdsRecord(res.Reader) {
		return nil, fmt.Errorf("field %s: %s on a repeated field", path, ob)
	}
	items, err := c.value(res.Items, path)
	if items == nil || err != nil {
		return nil, err
	}
	p := c.part(res, path)
	p.items, p.least = items, leastBytes(res.Writer.Items)
	return p, c.out.container(p, res)
}

// mapping compiles a map. Its keys are values, too: the obligation of its path
// is theirs, and they are released as they are or not at all.
func (c *compiler) mapping(res *evolve.Resolution, path string, ob redact.Obligation) (*part, error) {
	switch ob.Action {
	case redact.Keep:
	case redact.Drop:
		return nil, nil
	case redact.Null:
		return c.nulled(res, path), nil
	default:
		return nil, fmt.Errorf("field %s: %s on a map; keep, null or drop it", path, ob)
	}
	items, err := c.value(res.Items, path)
	if items == nil || err != nil {
		return nil, err
	}
	p := c.part(res, path)
	p.items = items
	return p, c.out.container(p, res)
}

// scalar compiles a value by its obligation.
func (c *compiler) scalar(res *evolve.Resolution, path string, ob redact.Obligation) (*part, error) {
	p := c.part(res, path)
	p.kind, p.ob = kindOf(res.Reader), ob
	p.scale, p.longest = res.Reader.Scale, longestDecimal(res.Reader.Precision)
	for _, at := range res.Symbols {
		p.symbols = append(p.symbols, `"`+res.Reader.Symbols[at]+`"`)
		p.number = append(p.number, int64(at))
	}
	if p.kind == Decimal && res.Reader.Precision > maxDigits {
		return nil, fmt.Errorf("field %s: a decimal of more than %d digits", path, maxDigits)
	}
	if ob.Action == redact.Keep || p.kind == Null {
		c.out.scalar(p, res.Reader)
		return p, nil
	}
	return p, c.redact(p, res.Reader)
}

// maxDigits bounds what it costs to write a decimal.
const maxDigits = 1000

// redact sets how a value is made into a text that says less.
func (c *compiler) redact(p *part, t *avro.Type) error {
	made, ok := redactions[p.ob]
	if p.ob.Action == redact.Hash {
		c.view.hashes = true
		p.items = &part{null: noNull, wire: p.wire, kind: p.kind, size: p.size, symbols: p.symbols, number: p.number}
		avroScalar(p.items, t)
		made, ok = redaction{render: renderHashed}, true
	}
	switch {
	case !ok:
		return fmt.Errorf("field %s: unknown obligation %s", p.path, p.ob)
	case made.of != nil && !slices.Contains(made.of, p.kind):
		return fmt.Errorf("field %s: %s on a %s", p.path, p.ob, p.kind)
	}
	p.render = made.render
	c.out.redacted(p)
	c.changed = true
	return nil
}
