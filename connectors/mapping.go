package connectors

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas"
)

// mappingFile is a mapping as it is written: which column fills which field.
type mappingFile struct {
	Product string               `yaml:"product"`
	Schema  string               `yaml:"schema"`
	Units   *unitFile            `yaml:"units,optional"`
	Fields  map[string]fieldFile `yaml:"fields"`
}

// unitFile converts prices of several units into one: 斤 into 公斤.
type unitFile struct {
	Column string                    `yaml:"column"`
	Table  map[string]conversionFile `yaml:"table"`
}

type conversionFile struct {
	Unit   string `yaml:"unit"`   // symbol of the normalised unit
	Factor string `yaml:"factor"` // what a price per raw unit is multiplied by
}

type fieldFile struct {
	Column string `yaml:"column,optional"`
	// Value fills the field when there is no column or its cell is empty.
	Value string            `yaml:"value,optional"`
	Codes map[string]string `yaml:"codes,optional"` // text of the cell → symbol or text of the field
	// Layouts are date formats in Go's notation, tried in order.
	Layouts   []string `yaml:"layouts,optional"`
	Separator string   `yaml:"separator,optional"` // of the items of a repeated field
	MaxLength int      `yaml:"maxLength,optional"` // characters of a text; default 4000
	Convert   string   `yaml:"convert,optional"`   // "price": multiply by the unit's factor; "unit": the normalised unit
	Factor    string   `yaml:"factor,optional"`    // multiply by a constant, e.g. "10000" for 万元
}

// Mapping turns the cells of a row into the values of a schema's leaves. It is
// immutable and pure.
type Mapping struct {
	Product string
	schema  *schemas.Schema
	columns []string
	units   *units
	fields  []fieldRule
}

// Columns are the columns that the mapping uses: what a source is opened with.
func (m *Mapping) Columns() []string { return m.columns }

// ParseMapping reads a mapping file and holds it against its schema. Every
// fault is reported, with its line.
func ParseMapping(file string, data []byte, schema *schemas.Schema) (*Mapping, error) {
	var f mappingFile
	doc, faults := yamlfile.Decode(file, data, &f)
	b := mappingBuilder{doc: doc, faults: faults, mapping: &Mapping{Product: f.Product, schema: schema}}
	if len(faults) == 0 {
		b.build(&f)
	}
	if err := b.faults.Err(); err != nil {
		return nil, problem.New(problem.ConfigInvalid, "mapping:\n%v", err)
	}
	return b.mapping, nil
}

type mappingBuilder struct {
	doc     *yamlfile.Document
	mapping *Mapping
	faults  yamlfile.Faults
}

// path is a place in the file: keys and indexes.
type path []any

func (b *mappingBuilder) fault(at path, format string, args ...any) {
	b.faults = append(b.faults, b.doc.Fault(fmt.Sprintf(format, args...), at...))
}

func (b *mappingBuilder) build(f *mappingFile) {
	m := b.mapping
	if f.Schema != m.schema.Name {
		b.fault(path{"schema"}, "schema is %q, the product's is %s", f.Schema, m.schema.Name)
	}
	if f.Units != nil {
		m.units = b.units(f.Units)
	}
	m.fields = make([]fieldRule, len(m.schema.Leaves))
	for i := range m.schema.Leaves {
		leaf := &m.schema.Leaves[i]
		field, mapped := f.Fields[leaf.Path]
		if !mapped {
			if !leaf.Nullable && !leaf.Repeated {
				b.fault(path{"fields"}, "field %s (%s) is required and not mapped", leaf.Path, leaf.ZH)
			}
			continue
		}
		m.fields[i] = b.rule(leaf, &field)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Fields)) {
		if _, _, ok := m.schema.Leaf(name); !ok {
			b.fault(path{"fields", name}, "schema %s has no field %s", m.schema.Name, name)
		}
	}
}

// column returns the index of a column among those the mapping uses.
func (b *mappingBuilder) column(name string) int {
	if name == "" {
		return -1
	}
	if i := slices.Index(b.mapping.columns, name); i >= 0 {
		return i
	}
	b.mapping.columns = append(b.mapping.columns, name)
	return len(b.mapping.columns) - 1
}

func (b *mappingBuilder) units(f *unitFile) *units {
	u := &units{column: b.column(f.Column), table: map[string]conversion{}}
	if u.column < 0 {
		b.fault(path{"units"}, "units need the column that names the raw unit")
	}
	for raw, c := range f.Table {
		factor, err := parseDecimal(c.Factor, factorScale)
		if err != nil || factor <= 0 {
			b.fault(path{"units", "table", raw}, "factor %q of %s is not a positive number with at most %d decimals", c.Factor, raw, factorScale)
		}
		u.table[raw] = conversion{unit: c.Unit, factor: factor}
	}
	return u
}

func (b *mappingBuilder) rule(leaf *schemas.Leaf, f *fieldFile) fieldRule {
	at := path{"fields", leaf.Path}
	r := fieldRule{
		mapped: true, leaf: leaf, column: b.column(f.Column), columnName: f.Column, value: f.Value,
		codes: f.Codes, layouts: f.Layouts, separator: f.Separator, maxLength: f.MaxLength, convert: f.Convert,
	}
	if f.Column == "" && f.Value == "" && f.Convert != convertUnit {
		b.fault(at, "field %s needs a column or a value", leaf.Path)
	}
	if r.maxLength == 0 {
		r.maxLength = 4000
	}
	b.checkFactor(at, &r, f.Factor)
	b.checkConvert(at, &r)
	b.checkLayouts(at, &r)
	b.checkCodes(at, &r)
	// A default must itself be a value of the field.
	if f.Value != "" && len(b.faults) == 0 {
		if fault := r.parse(f.Value, b.mapping.units, nil, &schemas.Value{}); fault != nil {
			b.fault(append(at, "value"), "the default %q: %s %s", f.Value, fault.Code, fault.Detail)
		}
	}
	return r
}

func (b *mappingBuilder) checkFactor(at path, r *fieldRule, factor string) {
	if factor == "" {
		return
	}
	var err error
	if r.factor, err = parseDecimal(factor, factorScale); err != nil || r.factor <= 0 || r.leaf.Kind != schemas.Decimal {
		b.fault(at, "factor %q: a positive number, on a decimal field", factor)
	}
}

func (b *mappingBuilder) checkConvert(at path, r *fieldRule) {
	want, known := map[string]schemas.Kind{convertPrice: schemas.Decimal, convertUnit: schemas.Enum}[r.convert]
	switch {
	case r.convert == "":
		return
	case !known:
		b.fault(at, "convert: use price or unit")
		return
	case b.mapping.units == nil:
		b.fault(at, "convert needs the mapping's units")
		return
	case r.leaf.Kind != want:
		b.fault(at, "convert: %s does not fit a field of kind %s", r.convert, r.leaf.Kind)
		return
	}
	for raw, c := range b.mapping.units.table {
		if r.convert == convertUnit && !slices.Contains(r.leaf.Symbols, c.unit) {
			b.fault(path{"units", "table", raw}, "unit %q is none of %s", c.unit, strings.Join(r.leaf.Symbols, ", "))
		}
	}
}

func (b *mappingBuilder) checkLayouts(at path, r *fieldRule) {
	if r.layouts != nil && r.leaf.Kind != schemas.Date && r.leaf.Kind != schemas.TimestampMillis {
		b.fault(at, "layouts are for dates and timestamps")
	}
	for _, layout := range r.layouts {
		if back, err := time.Parse(layout, time.Date(2006, 11, 22, 13, 14, 15, 0, time.UTC).Format(layout)); err != nil || back.Day() != 22 || back.Month() != 11 {
			b.fault(append(at, "layouts"), "layout %q does not tell a date: write 2006-01-02 15:04:05 as your dates are written", layout)
		}
	}
}

func (b *mappingBuilder) checkCodes(at path, r *fieldRule) {
	if r.leaf.Kind != schemas.Enum {
		return
	}
	r.symbols = symbolTable(r.leaf, r.codes)
	for text, symbol := range r.codes {
		if !slices.Contains(r.leaf.Symbols, symbol) {
			b.fault(append(at, "codes"), "%q stands for %q, which is none of %s", text, symbol, strings.Join(r.leaf.Symbols, ", "))
		}
	}
}

// symbolTable finds an enum's symbol by the symbol itself, its Chinese name,
// or a text of the mapping's code table.
func symbolTable(leaf *schemas.Leaf, codes map[string]string) map[string]int64 {
	t := map[string]int64{}
	for i, symbol := range leaf.Symbols {
		t[symbol] = int64(i)
		if zh := leaf.SymbolsZH[symbol]; zh != "" {
			t[zh] = int64(i)
		}
	}
	for text, symbol := range codes {
		t[text] = t[symbol]
	}
	return t
}

// Apply fills values, one for each leaf of the schema, from the cells of a
// row, and returns every fault of the row.
func (m *Mapping) Apply(row *source.Row, values []schemas.Value) []Fault {
	if row.Fault != nil {
		return []Fault{{Code: row.Fault.Code, Detail: row.Fault.Detail}}
	}
	var faults []Fault
	for i := range m.fields {
		r := &m.fields[i]
		values[i] = schemas.Value{}
		if !r.mapped {
			continue
		}
		if fault := r.apply(row.Cells, m.units, &values[i]); fault != nil {
			values[i] = schemas.Value{}
			fault.Field, fault.Column = r.leaf.Path, r.columnName
			faults = append(faults, *fault)
		}
	}
	return faults
}
