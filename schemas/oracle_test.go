package schemas_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"time"

	twmb "github.com/twmb/avro"

	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// same holds what a View wrote as JSON against what another library read of
// the same bytes: native values of goavro or twmb/avro, unions tagged. It
// renders dates, decimals and the rest anew, with other means than the View.
func same(t *avro.Type, got, native any) error {
	switch t.Kind {
	case avro.Record:
		return sameRecord(t, got, native)
	case avro.Union:
		return sameUnion(t, got, native)
	case avro.Array:
		return sameItems(t, got, native)
	case avro.Map:
		return sameEntries(t, got, native)
	case avro.Float, avro.Double:
		return sameFloat(t, got, native)
	}
	want, err := rendered(t, native)
	if err != nil {
		return err
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("%s %s: View %v, the other %v (%T)", t, t.Logical, got, want, native)
	}
	return nil
}

func sameRecord(t *avro.Type, got, native any) error {
	g, _ := got.(map[string]any)
	n, ok := native.(map[string]any)
	if !ok || len(g) != len(t.Fields) {
		return fmt.Errorf("%s: View %v, the other %T", t, got, native)
	}
	for i := range t.Fields {
		name := t.Fields[i].Name
		value, there := g[name]
		if !there {
			return fmt.Errorf("%s: the View has no %s", t, name)
		}
		if err := same(t.Fields[i].Type, value, n[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func sameUnion(t *avro.Type, got, native any) error {
	if native == nil {
		if got != nil {
			return fmt.Errorf("View %v, the other null", got)
		}
		return nil
	}
	tagged, ok := native.(map[string]any)
	if !ok || len(tagged) != 1 {
		return fmt.Errorf("a union without its tag: %T", native)
	}
	for tag, value := range tagged {
		for _, b := range t.Branches {
			if b.Named() && tag == b.Name || !b.Named() && (tag == b.Kind.String() || strings.HasPrefix(tag, b.Kind.String()+".")) {
				return same(b, got, value)
			}
		}
		return fmt.Errorf("no branch %q", tag)
	}
	return nil
}

func sameItems(t *avro.Type, got, native any) error {
	g, _ := got.([]any)
	n := reflect.ValueOf(native)
	if n.Kind() != reflect.Slice || len(g) != n.Len() {
		return fmt.Errorf("View %v, the other %T", got, native)
	}
	for i := range g {
		if err := same(t.Items, g[i], n.Index(i).Interface()); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

func sameEntries(t *avro.Type, got, native any) error {
	g, _ := got.(map[string]any)
	n, ok := native.(map[string]any)
	if !ok || len(g) != len(n) {
		return fmt.Errorf("View %v, the other %v", got, native)
	}
	for key, value := range n {
		if err := same(t.Values, g[key], value); err != nil {
			return fmt.Errorf("{%s}: %w", key, err)
		}
	}
	return nil
}

func sameFloat(t *avro.Type, got, native any) error {
	want := reflect.ValueOf(native).Float()
	text := fmt.Sprint(got)
	bits := 64
	if t.Kind == avro.Float {
		bits = 32
	}
	value, err := strconv.ParseFloat(text, bits)
	if _, quoted := got.(string); err != nil || quoted != (math.IsNaN(want) || math.IsInf(want, 0)) {
		return fmt.Errorf("View %v, the other %v", got, want)
	}
	if math.Float64bits(value) != math.Float64bits(want) && !(math.IsNaN(value) && math.IsNaN(want)) {
		return fmt.Errorf("View %v, the other %v", got, want)
	}
	return nil
}

// rendered is what a scalar looks like in a View's JSON.
func rendered(t *avro.Type, native any) (any, error) {
	switch v := native.(type) {
	case time.Time:
		layouts := map[string]string{
			"date": time.DateOnly, "timestamp-millis": "2006-01-02T15:04:05.000Z", "timestamp-micros": "2006-01-02T15:04:05.000000Z",
			"timestamp-nanos": "2006-01-02T15:04:05.000000000Z", "local-timestamp-millis": "2006-01-02T15:04:05.000",
			"local-timestamp-micros": "2006-01-02T15:04:05.000000", "local-timestamp-nanos": "2006-01-02T15:04:05.000000000",
		}
		return v.UTC().Format(layouts[t.Logical]), nil
	case time.Duration:
		digits := map[string]string{"time-millis": "15:04:05.000", "time-micros": "15:04:05.000000"}
		return time.Time{}.Add(v).Format(digits[t.Logical]), nil
	case *big.Rat:
		return v.FloatString(t.Scale), nil
	case json.Number: // twmb's decimal
		r, ok := new(big.Rat).SetString(string(v))
		if !ok {
			return nil, errors.New("no number")
		}
		return r.FloatString(t.Scale), nil
	case twmb.Duration:
		b := v.Bytes()
		return rendered(t, b[:])
	case int32:
		return rendered(t, int64(v))
	case int64:
		return renderedNumber(t, v)
	case [16]byte:
		return rendered(t, v[:])
	case []byte:
		return renderedBytes(t, v)
	}
	return native, nil
}

// renderedNumber is for logical types that a library does not know.
func renderedNumber(t *avro.Type, v int64) (any, error) {
	switch t.Logical {
	case "timestamp-nanos", "local-timestamp-nanos":
		return rendered(t, time.Unix(0, v))
	case "timestamp-micros", "local-timestamp-micros":
		return rendered(t, time.UnixMicro(v))
	case "timestamp-millis", "local-timestamp-millis":
		return rendered(t, time.UnixMilli(v))
	case "time-millis":
		return rendered(t, time.Duration(v)*time.Millisecond)
	case "time-micros":
		return rendered(t, time.Duration(v)*time.Microsecond)
	case "date":
		return rendered(t, time.Unix(v*86400, 0))
	}
	return v, nil
}

func renderedBytes(t *avro.Type, b []byte) (any, error) {
	if t.Kind == avro.Fixed && len(b) != t.Size || t.Logical == "decimal" && len(b) == 0 {
		return nil, fmt.Errorf("%d bytes", len(b))
	}
	switch t.Logical {
	case "uuid":
		s := hex.EncodeToString(b)
		return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:], nil
	case "duration":
		ms := binary.LittleEndian.Uint32(b[8:])
		return fmt.Sprintf("P%dM%dDT%d.%03dS", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), ms/1000, ms%1000), nil
	case "decimal":
		n := new(big.Int).SetBytes(b)
		if b[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Scale)), nil)
		return new(big.Rat).SetFrac(n, scale).FloatString(t.Scale), nil
	}
	return base64.StdEncoding.EncodeToString(b), nil
}

// parsed reads a View's JSON with exact numbers.
func parsed(doc []byte) (out any, err error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	err = d.Decode(&out)
	return out, err
}
