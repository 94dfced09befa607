package bench

import (
	"context"
	"embed"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"

	"github.com/linkedin/goavro/v2"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

//go:embed golden
var golden embed.FS

// codec is what the codec scenarios share: one record of 25 fields as it comes
// from a source, and as Avro.
type codec struct {
	schema  *schemas.Schema
	mapping *connectors.Mapping
	goavro  *goavro.Codec
	row     source.Row // in the order of the mapping's columns
	texts   []string   // the same in the order of the schema
	body    []byte
}

func newCodec() (*codec, error) {
	files := map[string][]byte{}
	for _, name := range []string{"record.avsc", "mapping.yaml", "row.csv"} {
		text, err := golden.ReadFile("golden/" + name)
		if err != nil {
			return nil, err
		}
		files[name] = text
	}
	c := &codec{}
	var err error
	if c.schema, err = schemas.Parse("golden.v1", files["record.avsc"]); err != nil {
		return nil, err
	}
	if c.mapping, err = connectors.ParseMapping("mapping.yaml", files["mapping.yaml"], c.schema); err != nil {
		return nil, err
	}
	if c.goavro, err = goavro.NewCodec(string(c.schema.Source)); err != nil {
		return nil, err
	}
	if c.row.Cells, err = c.cells(files["row.csv"]); err != nil {
		return nil, err
	}
	c.body, err = c.encode(nil, make([]schemas.Value, len(c.schema.Leaves)), schemas.NewEncoder(c.schema))
	return c, err
}

// cells are those of the row, in the order of the mapping's columns.
func (c *codec) cells(text []byte) ([]string, error) {
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) != 2 {
		return nil, errors.New("row.csv is a header and a row")
	}
	byColumn := map[string]string{}
	for i, name := range rows[0] {
		byColumn[name] = rows[1][i]
	}
	c.texts = rows[1]
	var out []string
	for _, column := range c.mapping.Columns() {
		cell, ok := byColumn[column]
		if !ok {
			return nil, fmt.Errorf("row.csv has no column %s", column)
		}
		out = append(out, cell)
	}
	return out, nil
}

func (c *codec) encode(dst []byte, values []schemas.Value, encoder *schemas.Encoder) ([]byte, error) {
	if faults := c.mapping.Apply(&c.row, values); len(faults) > 0 {
		return nil, fmt.Errorf("field %s: %s", faults[0].Field, faults[0].Code)
	}
	return encoder.Append(dst, values, nil, nil)
}

// eight are the fields that codec/masked8 releases, as pull/masked8 does.
var eight = redact.Obligations{
	"market_name":    {Action: redact.Mask, Method: redact.MaskName},
	"source_unit":    {Action: redact.Mask, Method: redact.MaskIdentity},
	"commodity_name": {Action: redact.Keep},
	"low_price":      {Action: redact.Keep},
	"average_price":  {Action: redact.Keep},
	"high_price":     {Action: redact.Keep},
	"unit":           {Action: redact.Keep},
	"collect_date":   {Action: redact.Keep},
}

func (c *codec) all() redact.Obligations {
	out := redact.Obligations{}
	for i := range c.schema.Leaves {
		out[c.schema.Leaves[i].Path] = redact.Obligation{Action: redact.Keep}
	}
	return out
}

// times is a contestant that does the same with the record again and again. do
// returns what it made of it, which must be as long each time.
func times(w *world, name string, do func(dst []byte) ([]byte, error)) contestant {
	return contestant{name: name, prepare: func(context.Context) (pass, error) {
		dst, err := do(nil)
		if err != nil {
			return pass{}, fmt.Errorf("%s: %w", name, err)
		}
		length := len(dst)
		run := func(ctx context.Context) (int, error) {
			for i := range w.rows {
				if dst, err = do(dst[:0]); err != nil || len(dst) != length {
					return i, fmt.Errorf("%s: %d bytes, then %d: %w", name, length, len(dst), err)
				}
				if i%4096 == 0 && ctx.Err() != nil {
					return i, ctx.Err()
				}
			}
			return w.rows, nil
		}
		return pass{run: run, close: func() error { return nil }}, nil
	}}
}

// view is a contestant that runs a View.
func (c *codec) view(w *world, name string, spec schemas.ViewSpec, want error) (contestant, error) {
	spec.Writer = c.schema
	v, err := schemas.CompileView(spec)
	if err != nil {
		return contestant{}, err
	}
	run := schemas.NewRun(nil, nil)
	return times(w, name, func(dst []byte) ([]byte, error) {
		out, err := v.Append(dst, c.body, nil, run)
		if errors.Is(err, want) {
			err = nil
		}
		return out, err
	}), nil
}

func openCodecFull(_ context.Context, w *world, _ Frontend) (*contest, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	ours, err := c.view(w, "View", schemas.ViewSpec{Obligations: c.all()}, nil)
	if err != nil {
		return nil, err
	}
	hamba, err := c.hamba()
	return &contest{
		ours:       ours,
		references: []contestant{times(w, "goavro + encoding/json", c.plainAll), times(w, "hamba/avro struct + encoding/json", hamba)},
		close:      nothingToClose,
	}, err
}

func openCodecMasked8(_ context.Context, w *world, _ Frontend) (*contest, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	ours, err := c.view(w, "View", schemas.ViewSpec{Obligations: eight}, nil)
	return &contest{
		ours:       ours,
		references: []contestant{times(w, "goavro + encoding/json, all fields", c.plainAll), times(w, "goavro + encoding/json, 8 fields", c.plainEight)},
		close:      nothingToClose,
	}, err
}

func openCodecEncode(_ context.Context, w *world, _ Frontend) (*contest, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	values, encoder := make([]schemas.Value, len(c.schema.Leaves)), schemas.NewEncoder(c.schema)
	return &contest{
		ours:       times(w, "Mapping + Encoder", func(dst []byte) ([]byte, error) { return c.encode(dst, values, encoder) }),
		references: []contestant{times(w, "goavro from map", c.plainEncode)},
		close:      nothingToClose,
	}, nil
}

func openCodecPredicate(_ context.Context, w *world, _ Frontend) (*contest, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	excluded := func(field, value string) (contestant, error) {
		p := redact.And(redact.Compare("region_code", redact.OpPrefix, "51"), redact.Compare(field, redact.OpEqual, value))
		return c.view(w, "View, excluded by "+field, schemas.ViewSpec{Obligations: c.all(), Predicate: &p}, schemas.ErrExcluded)
	}
	ours, err := excluded("price_type", "retail")
	late, lateErr := excluded("abnormal", "true")
	full, fullErr := c.view(w, "View, full", schemas.ViewSpec{Obligations: c.all()}, nil)
	return &contest{
		ours: ours, references: []contestant{full, late, times(w, "goavro, then a comparison", c.plainExcluded)}, close: nothingToClose,
	}, errors.Join(err, lateErr, fullErr)
}

func openCodecAvro(_ context.Context, w *world, _ Frontend) (*contest, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	ours, err := c.view(w, "View, Avro", schemas.ViewSpec{Obligations: c.all(), Format: schemas.Avro}, nil)
	return &contest{
		ours: ours, references: []contestant{times(w, "goavro decode and encode", c.plainAvro)}, close: nothingToClose,
	}, err
}
