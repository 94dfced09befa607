package schematest

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strings"

	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// Plant is a text or a number that lies in a value, and where.
type Plant struct {
	Path string // as schemas.Leaf has it
	Text []byte
}

// Value appends a value of a type as Avro bytes. It also lists the texts,
// bytes and large numbers in it of 8 random bytes or more.
func (g *Gen) Value(dst []byte, t *avro.Type) ([]byte, []Plant) {
	v := valuer{Gen: g, within: map[*avro.Type]string{}}
	dst = v.value(dst, t, "", 0)
	return dst, v.plants
}

type valuer struct {
	*Gen
	plants []Plant
	within map[*avro.Type]string // records around, and the paths of their first occurrence
}

// What a value stops to grow at: records that contain themselves several times
// would not end otherwise.
const (
	maxValueDepth = 12
	maxValueBytes = 8 << 10
)

func full(dst []byte, depth int) bool { return depth > maxValueDepth || len(dst) > maxValueBytes }

func (g *valuer) value(dst []byte, t *avro.Type, path string, depth int) []byte {
	switch t.Kind {
	case avro.Null:
		return dst
	case avro.Boolean:
		return append(dst, byte(g.IntN(2)))
	case avro.Int:
		return binary.AppendVarint(dst, g.int(t))
	case avro.Long:
		return binary.AppendVarint(dst, g.long(t, path))
	case avro.Float:
		return binary.LittleEndian.AppendUint32(dst, g.float32())
	case avro.Double:
		return binary.LittleEndian.AppendUint64(dst, g.float64())
	case avro.Bytes:
		b := g.blob(t, path)
		return append(binary.AppendVarint(dst, int64(len(b))), b...)
	case avro.String:
		s := g.text(t, path)
		return append(binary.AppendVarint(dst, int64(len(s))), s...)
	case avro.Fixed:
		return append(dst, g.fixedValue(t, path)...)
	case avro.Enum:
		return binary.AppendVarint(dst, g.Int64N(int64(len(t.Symbols))))
	}
	return g.container(dst, t, path, depth)
}

func (g *valuer) container(dst []byte, t *avro.Type, path string, depth int) []byte {
	switch t.Kind {
	case avro.Record:
		around, again := g.within[t]
		if again {
			path = around
		} else {
			g.within[t] = path
			defer delete(g.within, t)
		}
		for i := range t.Fields {
			name := t.Fields[i].Name
			if path != "" {
				name = path + "." + name
			}
			dst = g.value(dst, t.Fields[i].Type, name, depth+1)
		}
		return dst
	case avro.Union:
		at := g.IntN(len(t.Branches))
		if full(dst, depth) {
			for i, b := range t.Branches {
				if b.Kind == avro.Null {
					at = i
				}
			}
		}
		return g.value(binary.AppendVarint(dst, int64(at)), t.Branches[at], path, depth+1)
	}
	n := g.IntN(4)
	if full(dst, depth) {
		n = 0
	}
	if n > 0 {
		dst = binary.AppendVarint(dst, int64(n))
	}
	for i := range n {
		if t.Kind == avro.Map {
			key := fmt.Sprintf("键%d\"", i)
			dst = g.value(append(binary.AppendVarint(dst, int64(len(key))), key...), t.Values, path, depth+1)
		} else {
			dst = g.value(dst, t.Items, path, depth+1)
		}
	}
	return append(dst, 0)
}

func (g *valuer) int(t *avro.Type) int64 {
	switch t.Logical {
	case "date":
		return g.Int64N(100_000) - 30_000
	case "time-millis":
		return g.Int64N(86_400_000)
	}
	return int64(int32(g.Uint64() >> g.IntN(64)))
}

// long stays within the years that all libraries can say.
func (g *valuer) long(t *avro.Type, path string) int64 {
	perSecond := map[string]int64{
		"timestamp-millis": 1e3, "timestamp-micros": 1e6, "timestamp-nanos": 1e9,
		"local-timestamp-millis": 1e3, "local-timestamp-micros": 1e6, "local-timestamp-nanos": 1e9,
	}[t.Logical]
	switch {
	case t.Logical == "time-micros":
		return g.Int64N(86_400_000_000)
	case perSecond > 0:
		return (g.Int64N(8e9)-3e9)*perSecond + g.Int64N(perSecond)
	}
	v := int64(g.Uint64()) >> g.IntN(64)
	if v > 1<<60 {
		g.plants = append(g.plants, Plant{path, fmt.Append(nil, v)})
	}
	return v
}

func (g *valuer) float32() uint32 {
	switch g.IntN(8) {
	case 0:
		return math.Float32bits(float32([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1)}[g.IntN(5)]))
	case 1:
		return math.Float32bits(float32(g.IntN(1000)))
	}
	if v := g.Uint32(); !math.IsNaN(float64(math.Float32frombits(v))) {
		return v
	}
	return 0
}

func (g *valuer) float64() uint64 {
	switch g.IntN(8) {
	case 0:
		return math.Float64bits([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1)}[g.IntN(5)])
	case 1:
		return math.Float64bits(float64(g.IntN(1000)) / 8)
	}
	if v := g.Uint64(); !math.IsNaN(math.Float64frombits(v)) {
		return v
	}
	return 0
}

// decimal is a number of up to so many digits in two's complement.
func (g *valuer) decimal(precision, size int) []byte {
	digits := 1 + g.IntN(precision)
	n := new(big.Int)
	for range digits {
		n.Add(n.Mul(n, big.NewInt(10)), big.NewInt(g.Int64N(10)))
	}
	if g.IntN(2) == 0 {
		n.Neg(n)
	}
	length := n.BitLen()/8 + 1
	if size > 0 {
		length = size
	}
	if n.Sign() < 0 {
		n.Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*length)))
	}
	return n.FillBytes(make([]byte, length))
}

func (g *valuer) random(n int, path string) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	if n >= 8 {
		g.plants = append(g.plants, Plant{path, b})
	}
	return b
}

func (g *valuer) blob(t *avro.Type, path string) []byte {
	if t.Logical == "decimal" {
		return g.decimal(t.Precision, 0)
	}
	return g.random(g.IntN(24), path)
}

func (g *valuer) fixedValue(t *avro.Type, path string) []byte {
	if t.Logical == "decimal" {
		return g.decimal(t.Precision, t.Size)
	}
	return g.random(t.Size, path)
}

func (g *valuer) text(t *avro.Type, path string) []byte {
	if t.Logical == "uuid" {
		b := g.random(16, "")
		g.plants = g.plants[:len(g.plants)-1]
		s := fmt.Appendf(nil, "%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		g.plants = append(g.plants, Plant{path, s})
		return s
	}
	if g.IntN(8) == 0 {
		return nil
	}
	runes := []rune("川渝四川省重庆市成都 Aa0\"\\/\n\t\r\x01\x7f<>&é😀\u2028,;=")
	var b strings.Builder
	for range g.IntN(12) {
		b.WriteRune(runes[g.IntN(len(runes))])
	}
	secret := fmt.Sprintf("%016x", g.Uint64())
	g.plants = append(g.plants, Plant{path, []byte(secret)})
	return []byte(b.String() + secret)
}
