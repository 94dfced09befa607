package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	hamba "github.com/hamba/avro/v2"
)

// native decodes the record as one would with goavro.
func (c *codec) native() (map[string]any, error) {
	native, _, err := c.goavro.NativeFromBinary(c.body)
	if err != nil {
		return nil, err
	}
	fields, ok := native.(map[string]any)
	if !ok {
		return nil, errors.New("no record")
	}
	return fields, nil
}

// plainAll is the whole record as JSON: unions without their wrappers, decimals
// and dates as text.
func (c *codec) plainAll([]byte) ([]byte, error) {
	fields, err := c.native()
	if err != nil {
		return nil, err
	}
	for i := range c.schema.Leaves {
		l := &c.schema.Leaves[i]
		v := fields[l.Path]
		if wrapped, ok := v.(map[string]any); ok {
			for _, inner := range wrapped {
				v = inner
			}
		}
		switch inner := v.(type) {
		case *big.Rat:
			v = inner.FloatString(l.Scale)
		case time.Time:
			if v = inner.Format(time.DateOnly); l.Kind.String() != "date" {
				v = inner.Format("2006-01-02T15:04:05.000Z")
			}
		}
		fields[l.Path] = v
	}
	return json.Marshal(fields)
}

// plainEight is the JSON of 8 fields, two of them masked.
func (c *codec) plainEight([]byte) ([]byte, error) {
	fields, err := c.native()
	if err != nil {
		return nil, err
	}
	out, err := plainRedact(fields)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

func (c *codec) plainExcluded([]byte) ([]byte, error) {
	fields, err := c.native()
	if abnormal, ok := fields["abnormal"].(bool); err == nil && (!ok || abnormal) {
		err = errors.New("the record is not excluded")
	}
	return nil, err
}

func (c *codec) plainAvro(dst []byte) ([]byte, error) {
	fields, err := c.native()
	if err != nil {
		return nil, err
	}
	return c.goavro.BinaryFromNative(dst, fields)
}

// plainEncode makes the map that goavro asks for out of the columns.
func (c *codec) plainEncode(dst []byte) ([]byte, error) {
	fields := make(map[string]any, len(c.schema.Leaves))
	for i := range c.schema.Leaves {
		l := &c.schema.Leaves[i]
		v, kind, err := plainValue(l.Kind.String(), c.texts[i])
		switch {
		case err != nil:
			return nil, fmt.Errorf("field %s: %w", l.Path, err)
		case l.Nullable && c.texts[i] == "":
			v = nil
		case l.Nullable:
			v = map[string]any{kind: v}
		}
		fields[l.Path] = v
	}
	return c.goavro.BinaryFromNative(dst, fields)
}

// plainValue reads a column, and says what goavro calls its branch of a union.
func plainValue(kind, text string) (value any, branch string, err error) {
	switch kind {
	case "decimal":
		r, ok := new(big.Rat).SetString(text)
		if !ok && text != "" {
			err = errors.New("no number")
		}
		return r, "bytes.decimal", err
	case "date":
		value, err = time.Parse(time.DateOnly, text)
		return value, "int.date", err
	case "timestamp":
		value, err = time.Parse(time.RFC3339, text)
		return value, "long.timestamp-millis", err
	case "boolean":
		return text == "true", "boolean", nil
	}
	return text, "string", nil
}

// hambaRecord is the golden record as a struct.
type hambaRecord struct {
	RecordNo      string     `avro:"record_no" json:"record_no"`
	MarketCode    string     `avro:"market_code" json:"market_code"`
	MarketName    string     `avro:"market_name" json:"market_name"`
	RegionCode    string     `avro:"region_code" json:"region_code"`
	CommodityCode *string    `avro:"commodity_code" json:"commodity_code"`
	CommodityName string     `avro:"commodity_name" json:"commodity_name"`
	Spec          *string    `avro:"spec" json:"spec"`
	PlaceOfOrigin *string    `avro:"place_of_origin" json:"place_of_origin"`
	PriceType     string     `avro:"price_type" json:"price_type"`
	LowPrice      big.Rat    `avro:"low_price" json:"low_price"`
	AveragePrice  big.Rat    `avro:"average_price" json:"average_price"`
	HighPrice     big.Rat    `avro:"high_price" json:"high_price"`
	Unit          string     `avro:"unit" json:"unit"`
	RawUnit       string     `avro:"raw_unit" json:"raw_unit"`
	Currency      string     `avro:"currency" json:"currency"`
	Volume        *big.Rat   `avro:"volume" json:"volume"`
	Stock         *big.Rat   `avro:"stock" json:"stock"`
	CollectDate   time.Time  `avro:"collect_date" json:"collect_date"`
	PublishDate   *time.Time `avro:"publish_date" json:"publish_date"`
	RegisterTime  time.Time  `avro:"register_time" json:"register_time"`
	UpdateTime    time.Time  `avro:"update_time" json:"update_time"`
	SourceUnit    string     `avro:"source_unit" json:"source_unit"`
	MarketAddress string     `avro:"market_address" json:"market_address"`
	Abnormal      bool       `avro:"abnormal" json:"abnormal"`
	Remark        *string    `avro:"remark" json:"remark"`
}

// hamba decodes into a struct. Its JSON writes decimals as fractions, and is
// shown for its speed.
func (c *codec) hamba() (func([]byte) ([]byte, error), error) {
	schema, err := hamba.ParseBytes(c.schema.Source)
	if err != nil {
		return nil, err
	}
	return func([]byte) ([]byte, error) {
		var r hambaRecord
		if err := hamba.Unmarshal(schema, c.body, &r); err != nil {
			return nil, err
		}
		return json.Marshal(&r)
	}, nil
}
