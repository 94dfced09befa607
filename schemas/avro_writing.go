package schemas

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// avroWriting compiles for Avro, and makes the schema of what is written.
type avroWriting struct {
	compiler *compiler
	defined  map[*avro.Type]bool // enums and fixed types that are written down
}

func newAvroWriting(c *compiler) *avroWriting {
	return &avroWriting{compiler: c, defined: map[*avro.Type]bool{}}
}

var avroScalars = [...]renderer{
	avro.Null: writeNothing, avro.Boolean: writeBoolean, avro.Int: writeLong, avro.Long: writeLong, avro.Float: writeFloat,
	avro.Double: writeDouble, avro.Bytes: writeBytes, avro.String: writeText, avro.Enum: writeIndex, avro.Fixed: writeFixed,
}

// avroScalar sets how a value is written as the bytes of the reader's type.
func avroScalar(p *part, t *avro.Type) { p.render = avroScalars[t.Kind] }

func (w *avroWriting) scalar(p *part, t *avro.Type) {
	avroScalar(p, t)
	p.shape = w.scalarShape(t)
}

func (w *avroWriting) redacted(p *part) {
	p.write, p.shape = (*Run).lengthAndText, "string"
	if p.ob.Action == redact.Null {
		p.shape = "null"
	}
}

func (w *avroWriting) container(p *part, res *evolve.Resolution) error {
	switch {
	case res.Writer.Kind == avro.Union:
		return w.union(p, res)
	case res.Reader.Kind == avro.Union:
		p.render, p.number, p.shape = writeBranch, []int64{int64(res.Branch)}, p.items.shape
	case res.Reader.Kind == avro.Array:
		p.render, p.shape = writeItems, map[string]any{"type": "array", "items": p.items.shape}
	case res.Reader.Kind == avro.Map:
		p.render, p.shape = writeEntries, map[string]any{"type": "map", "values": p.items.shape}
	default:
		p.render = p.object()
		w.record(p, res.Reader)
	}
	return nil
}

// union writes the reader's branch. Where the writer has a union and the
// reader has not, there is none.
func (w *avroWriting) union(p *part, res *evolve.Resolution) error {
	p.render = renderUnion
	if res.Reader.Kind != avro.Union {
		p.shape = p.branches[0].shape
		return nil
	}
	shapes := make([]any, len(res.Reader.Branches))
	for i, how := range res.Branches {
		shapes[how.Branch] = p.branches[i].shape
	}
	for i, t := range res.Reader.Branches {
		if shapes[i] != nil {
			continue
		}
		same, err := evolve.Resolve(t, t) // nobody writes it, and it is a branch all the same
		if err != nil {
			return err
		}
		branch, err := w.compiler.value(same, p.path)
		if err != nil {
			return err
		}
		if branch == nil {
			branch = w.compiler.nulled(same, p.path)
		}
		shapes[i] = branch.shape
	}
	p.shape = shapes
	return nil
}

func (w *avroWriting) record(p *part, t *avro.Type) {
	var fields []any
	for _, s := range p.written() {
		fields = append(fields, map[string]any{"name": t.Fields[s.reader].Name, "type": s.part.shape})
	}
	if fields == nil {
		fields = []any{}
	}
	p.shape = map[string]any{"type": "record", "name": p.name, "fields": fields}
}

func (w *avroWriting) scalarShape(t *avro.Type) any {
	if w.defined[t] {
		return t.Name
	}
	shape := map[string]any{"type": t.Kind.String()}
	if t.Named() {
		w.defined[t] = true
		shape["name"] = t.Name
	}
	switch t.Kind {
	case avro.Enum:
		shape["symbols"] = t.Symbols
		if t.Default != nil {
			shape["default"] = *t.Default
		}
	case avro.Fixed:
		shape["size"] = t.Size
	}
	if t.Logical != "" {
		shape["logicalType"] = t.Logical
	}
	if t.Logical == "decimal" {
		shape["precision"], shape["scale"] = t.Precision, t.Scale
	}
	if len(shape) == 1 {
		return t.Kind.String()
	}
	return shape
}

// schema is the schema of what is written. It is read back, so that nobody
// gets bytes that no Avro library can read.
func (w *avroWriting) schema(root *part) ([]byte, error) {
	source, err := json.Marshal(root.shape)
	if err != nil {
		return nil, err
	}
	if _, err := avro.Parse(source); err != nil {
		return nil, fmt.Errorf("what is released of it has no schema in Avro: %w", err)
	}
	return source, nil
}

func writeNothing(_ *Run, dst []byte, _ *part) []byte { return dst }

func writeBoolean(r *Run, dst []byte, _ *part) []byte {
	if r.flag() {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func writeLong(r *Run, dst []byte, p *part) []byte {
	return binary.AppendVarint(dst, r.integer(p.wire))
}

func writeFloat(r *Run, dst []byte, p *part) []byte {
	if p.wire == avro.Float { // not through a conversion, which changes what is no number
		return append(dst, r.take(4)...)
	}
	return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(r.float(p.wire))))
}

func writeDouble(r *Run, dst []byte, p *part) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(r.float(p.wire)))
}

func writeBytes(r *Run, dst []byte, _ *part) []byte { return appendBytes(dst, r.bytes()) }

func writeText(r *Run, dst []byte, _ *part) []byte { return r.lengthAndText(dst, r.bytes()) }

func (r *Run) lengthAndText(dst, s []byte) []byte {
	if !validText(s) {
		r.fail(problem.RecordUnreadable, "a text is not UTF-8")
	}
	return appendBytes(dst, s)
}

func writeIndex(r *Run, dst []byte, p *part) []byte {
	at := r.branch(len(p.number))
	if at < 0 {
		return dst
	}
	return binary.AppendVarint(dst, p.number[at])
}

func writeFixed(r *Run, dst []byte, p *part) []byte { return append(dst, r.take(p.size)...) }

func writeBranch(r *Run, dst []byte, p *part) []byte {
	return p.items.render(r, binary.AppendVarint(dst, p.number[0]), p.items)
}

func writeItems(r *Run, dst []byte, p *part) []byte {
	for n := r.count(p.least); n > 0; n = r.count(p.least) {
		dst = binary.AppendVarint(dst, int64(n))
		for range n {
			if dst = p.items.render(r, dst, p.items); r.err != nil || r.grown(dst) {
				return dst
			}
		}
	}
	return append(dst, 0)
}

func writeEntries(r *Run, dst []byte, p *part) []byte {
	for n := r.count(1); n > 0; n = r.count(1) {
		dst = binary.AppendVarint(dst, int64(n))
		for range n {
			dst = r.lengthAndText(dst, r.bytes())
			if dst = p.items.render(r, dst, p.items); r.err != nil || r.grown(dst) {
				return dst
			}
		}
	}
	return append(dst, 0)
}
