package schemas

import (
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
)

// jsonWriting compiles for JSON.
type jsonWriting struct{}

var jsonScalars = [...]renderer{
	Null: renderNothing, Boolean: renderBoolean, Int: renderInt, Long: renderLong, Float: renderFloat, Double: renderDouble,
	Bytes: renderBytes, String: renderText, Enum: renderEnum, Fixed: renderFixed, Decimal: renderDecimal, Date: renderDate,
	TimestampMillis: renderTimestamp, TimestampMicros: renderTimestamp, TimestampNanos: renderTimestamp,
	LocalTimestampMillis: renderTimestamp, LocalTimestampMicros: renderTimestamp, LocalTimestampNanos: renderTimestamp,
	TimeMillis: renderTime, TimeMicros: renderTime, UUID: renderUUID, Duration: renderDuration,
}

func (jsonWriting) scalar(p *part, t *avro.Type) {
	p.render = jsonScalars[p.kind]
	switch p.kind {
	case TimestampMillis, TimestampMicros, TimestampNanos:
		p.literal = `Z"`
	case LocalTimestampMillis, LocalTimestampMicros, LocalTimestampNanos:
		p.literal = `"`
	}
}

func (jsonWriting) redacted(p *part) { p.write, p.literal = (*Run).text, "null" }

func (jsonWriting) container(p *part, res *evolve.Resolution) error {
	switch {
	case res.Writer.Kind == avro.Union:
		jsonUnion(p, res)
	case res.Reader.Kind == avro.Union: // a value without its branch is the same JSON
		*p = *p.items
	case res.Reader.Kind == avro.Array:
		p.render = renderArray
	case res.Reader.Kind == avro.Map:
		p.render = renderMap
	default:
		p.render, p.literal = p.object(), "}"
		written := p.written()
		if len(written) == 0 {
			p.literal = "{}"
		}
		for i, s := range written {
			s.name = `,"` + res.Reader.Fields[s.reader].Name + `":`
			if i == 0 {
				s.name = "{" + s.name[1:]
			}
		}
	}
	return nil
}

// jsonUnion renders the union of null and one other type as that type with a
// null, which saves a call for each optional field.
func jsonUnion(p *part, res *evolve.Resolution) {
	null := nullBranch(res.Writer)
	if null < 0 || p.branches[1-null].null != noNull || p.branches[null].kind != Null {
		p.render = renderUnion
		return
	}
	skips := p.skips
	*p = *p.branches[1-null]
	p.null, p.skips = int8(null), skips
}
