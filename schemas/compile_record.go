package schemas

import (
	"fmt"
	"slices"

	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// record compiles a record; nil if nothing in it is released.
func (c *compiler) record(res *evolve.Resolution, path string) (*part, error) {
	pair := recordPair{res.Writer, res.Reader}
	if around, ok := c.open[pair]; ok {
		again := c.part(res, path)
		if !c.releases(around.path) {
			return nil, nil
		}
		again.render, again.items, again.shape = renderAgain, around, around.name
		return again, nil
	}
	p := c.part(res, path)
	p.record, p.name = res.Reader, c.name(res.Reader.Name)
	c.open[pair] = p
	defer delete(c.open, pair)
	if err := c.fields(p, res, path); err != nil {
		return nil, err
	}
	if path != "" && !slices.ContainsFunc(p.steps, step.released) {
		return nil, nil
	}
	return p, c.out.container(p, res)
}

// releases says whether any field below a path is released. What lies in a map
// whose keys are dropped goes with them, whatever its own obligation.
func (c *compiler) releases(path string) bool {
	for field, ob := range c.spec.Obligations {
		if ob.Action != redact.Drop && (path == "" || redact.Covers(path, field)) && !c.dropped(field) {
			return true
		}
	}
	return false
}

// dropped says whether a field lies in a map whose keys are dropped.
func (c *compiler) dropped(field string) bool {
	for i := range len(field) {
		if field[i] != '.' {
			continue
		}
		_, leaf, ok := c.spec.Reader.Leaf(field[:i])
		if ok && leaf.Kind == Keys && c.spec.Obligations.Of(field[:i]).Action == redact.Drop {
			return true
		}
	}
	return false
}

// name gives a record its own name, or one beside it if records that differ in
// what is released of them would share it.
func (c *compiler) name(full string) string {
	c.names[full]++
	if n := c.names[full]; n > 1 {
		return fmt.Sprintf("%s_%d", full, n)
	}
	return full
}

// fields compiles the fields of the writer in their order, and among them
// those that it lacks.
func (c *compiler) fields(p *part, res *evolve.Resolution, path string) (err error) {
	for i := range res.Fields {
		f := &res.Fields[i]
		s := step{skips: c.skipper.compile(f.Writer.Type), reader: f.Reader}
		if f.Reader >= 0 {
			if s.part, err = c.field(f, &res.Reader.Fields[f.Reader], path); err != nil {
				return err
			}
			c.changed = c.changed || s.part == nil
		}
		p.steps = append(p.steps, s)
	}
	for i := range res.Defaults {
		d := &res.Defaults[i]
		f := &res.Reader.Fields[d.Reader]
		inner, err := c.defaulted(f, joinPath(path, f.Name))
		if err != nil {
			return err
		}
		if c.changed = c.changed || inner == nil; inner != nil {
			wrap := &part{render: renderDefault, null: noNull, path: inner.path, items: inner, value: d.Value, shape: inner.shape}
			p.insert(step{part: wrap, reader: d.Reader})
		}
	}
	p.order()
	return nil
}

// defaulted compiles a field that the writer does not have: its default is
// bytes of the reader.
func (c *compiler) defaulted(f *avro.Field, path string) (*part, error) {
	if c.spec.Reader.sealed[f] != nil {
		return nil, fmt.Errorf("field %s: it is sealed, and the writer does not have it", path)
	}
	same, err := evolve.Resolve(f.Type, f.Type)
	if err != nil {
		return nil, err
	}
	return c.value(same, path)
}

// field compiles a field that both sides have.
func (c *compiler) field(f *evolve.FieldResolution, reader *avro.Field, path string) (*part, error) {
	path = joinPath(path, reader.Name)
	written, read := c.spec.Writer.sealed[f.Writer], c.spec.Reader.sealed[reader]
	if written == nil && read == nil {
		return c.value(f.How, path)
	}
	if written == nil || read == nil {
		return nil, fmt.Errorf("field %s: it is sealed in one schema and not in the other", path)
	}
	how, err := evolve.Resolve(written, read)
	if err != nil {
		return nil, fmt.Errorf("field %s: what is sealed: %w", path, err)
	}
	inner, err := c.record(how, path)
	if inner == nil || err != nil {
		return nil, err
	}
	c.view.seals, c.changed = true, true
	p := c.part(f.How, path)
	p.render, p.items, p.sealed, p.shape = renderBlock, inner, true, inner.shape
	return p, nil
}
