package schemas_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

var update = flag.Bool("update", false, "write the golden files anew")

// glassBox stands for a sealer in golden files: it binds what it holds to the
// additional data and hides nothing, so that the bytes can be read and are the
// same at every run. The real one is tested in package sealed and end to end.
type glassBox struct{}

func (glassBox) Seal(dst, plain, additional []byte) ([]byte, error) {
	sum := sha256.Sum256(additional)
	return append(append(dst, sum[:8]...), plain...), nil
}

func (glassBox) Open(dst, block, additional []byte) ([]byte, error) {
	sum := sha256.Sum256(additional)
	if len(block) < 8 || !bytes.Equal(block[:8], sum[:8]) {
		return dst, errors.New("bound to something else")
	}
	return append(dst, block[8:]...), nil
}

// shippedSet is read once: it never changes, and most tests need it.
var shippedSet = sync.OnceValues(schemas.Shipped)

func shipped(t testing.TB, name string) *schemas.Schema {
	t.Helper()
	set, err := shippedSet()
	if err != nil {
		t.Fatal(err)
	}
	s, ok := set.Schema(name)
	if !ok {
		t.Fatalf("no schema %s", name)
	}
	return s
}

func values(t testing.TB, s *schemas.Schema, byPath map[string]schemas.Value) []schemas.Value {
	t.Helper()
	out := make([]schemas.Value, len(s.Leaves))
	for path, v := range byPath {
		i, _, ok := s.Leaf(path)
		if !ok {
			t.Fatalf("%s has no leaf %s", s.Name, path)
		}
		out[i] = v
	}
	return out
}

var goldenKey = []byte("golden-key")

func encode(t testing.TB, s *schemas.Schema, v []schemas.Value) []byte {
	t.Helper()
	body, err := schemas.NewEncoder(s).Append(nil, v, goldenKey, glassBox{})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func keepAll(s *schemas.Schema) redact.Obligations {
	o := redact.Obligations{}
	for i := range s.Leaves {
		o[s.Leaves[i].Path] = redact.Obligation{Action: redact.Keep}
	}
	return o
}

func view(t testing.TB, s *schemas.Schema, o redact.Obligations) *schemas.View {
	t.Helper()
	v, err := schemas.CompileView(schemas.ViewSpec{Writer: s, Obligations: o})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestGolden(t *testing.T) {
	for name, record := range goldenRecords {
		t.Run(name, func(t *testing.T) {
			s := shipped(t, name)
			value := append(schemas.AppendFrame(nil, s.ID), encode(t, s, values(t, s, record))...)
			golden(t, name+".bin", value)

			id, body, err := schemas.SplitFrame(value)
			if err != nil || id != s.ID {
				t.Fatalf("frame: %d, %v", id, err)
			}
			full, err := view(t, s, keepAll(s)).Append(nil, body, goldenKey, schemas.NewRun(nil, glassBox{}))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", indent(t, full))
		})
	}
}

func indent(t *testing.T, doc []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, doc, "", "  "); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, doc)
	}
	return append(b.Bytes(), '\n')
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", file)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from the golden file:\n got %q\nwant %q", file, got, want)
	}
}

func TestRedaction(t *testing.T) {
	t.Parallel()
	s := shipped(t, "consumer_complaint.v1")
	rng := rand.New(rand.NewPCG(1, 2))
	planted := map[string]string{}
	record := map[string]schemas.Value{}
	maps.Copy(record, goldenRecords["consumer_complaint.v1"])
	for _, path := range []string{
		"dossier.case_no", "dossier.linked_case_no", "dossier.request", "dossier.facts", "complainant.name",
		"complainant.phone", "complainant.id_no", "complainant.address", "respondent.name", "accept_org",
	} {
		planted[path] = fmt.Sprintf("PLANTED-%016x-%016x", rng.Uint64(), rng.Uint64())
		record[path] = schemas.TextValue(planted[path])
	}
	body := encode(t, s, values(t, s, record))

	o := redact.Obligations{
		"dossier.case_no":   {Action: redact.Hash},
		"complainant.name":  {Action: redact.Mask, Method: redact.MaskName},
		"complainant.phone": {Action: redact.Mask, Method: redact.MaskPhone},
		"respondent.name":   {Action: redact.Null},
		"region_code":       {Action: redact.Keep},
		"respondent.uscc":   {Action: redact.Keep},
		"amount":            {Action: redact.Hash},
	}
	v := view(t, s, o)
	out, err := v.Append(nil, body, goldenKey, schemas.NewRun([]byte("agreement one"), glassBox{}))
	if err != nil {
		t.Fatal(err)
	}
	for path, secret := range planted {
		if bytes.Contains(out, []byte(secret)) {
			t.Errorf("%s is in the output: %s", path, out)
		}
	}
	var got struct {
		Dossier     struct{ CaseNo string } `json:"dossier"`
		Complainant struct {
			Name, Phone string
			IDNo        *string `json:"id_no"`
		} `json:"complainant"`
		Respondent map[string]any `json:"respondent"`
		Amount     string         `json:"amount"`
		Region     string         `json:"region_code"`
		Facts      *string        `json:"facts"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	name, uscc := got.Respondent["name"], got.Respondent["uscc"]
	if got.Complainant.Name != "P***" || got.Complainant.Phone != "PLA***"+planted["complainant.phone"][len(planted["complainant.phone"])-4:] ||
		got.Complainant.IDNo != nil || name != nil || uscc != "91500000676129728J" || got.Region != "500112" {
		t.Errorf("got %s", out)
	}
	if _, there := got.Respondent["name"]; !there {
		t.Error("a nulled field must appear")
	}

	again, _ := v.Append(nil, body, goldenKey, schemas.NewRun([]byte("agreement one"), glassBox{}))
	other, _ := v.Append(nil, body, goldenKey, schemas.NewRun([]byte("agreement two"), glassBox{}))
	if !bytes.Equal(out, again) {
		t.Error("the hash differs within one agreement")
	}
	if bytes.Equal(out, other) || bytes.Contains(other, []byte(got.Amount)) {
		t.Error("hashes can be linked between two agreements")
	}
}

// refusingBox fails the test when a block is opened.
type refusingBox struct{ t *testing.T }

func (r refusingBox) Open([]byte, []byte, []byte) ([]byte, error) {
	r.t.Error("a sealed block was opened though nothing in it is released")
	return nil, errors.New("no")
}

func TestSealedBlockStaysShut(t *testing.T) {
	t.Parallel()
	s := shipped(t, "consumer_complaint.v1")
	body := encode(t, s, values(t, s, goldenRecords[s.Name]))
	v := view(t, s, redact.Obligations{"region_code": {Action: redact.Keep}})
	out, err := v.Append(nil, body, goldenKey, schemas.NewRun(nil, refusingBox{t}))
	if err != nil || string(out) != `{"region_code":"500112"}` {
		t.Errorf("got %s, %v", out, err)
	}
	nothing, err := view(t, s, nil).Append(nil, body, goldenKey, &schemas.Run{})
	if err != nil || string(nothing) != `{}` {
		t.Errorf("no obligations: got %s, %v", nothing, err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	wrap := func(fields string) string {
		return `{"type":"record","name":"R","fields":[` + fields + `]}`
	}
	attrs := `"zh":"甲","source":"x","sensitivity":"public"`
	deep := `{"type":"record","name":"R0","fields":[{"name":"f","type":"int",` + attrs + `}]}`
	for i := 1; i < 12; i++ {
		deep = fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"f","type":%s,%s}]}`, i, deep, attrs)
	}
	for _, c := range []struct{ title, schema, want string }{
		{"not JSON", `{`, "not JSON"},
		{"not Avro", wrap(`{"name":"f","type":"int","default":"x",` + attrs + `}`), "not Avro"},
		{"no Chinese name", wrap(`{"name":"f","type":"int","source":"x","sensitivity":"public"}`), "no Chinese name"},
		{"no source", wrap(`{"name":"f","type":"int","zh":"甲","sensitivity":"public"}`), "no source"},
		{"no class", wrap(`{"name":"f","type":"int","zh":"甲","source":"x"}`), "unknown sensitivity"},
		{"personal in clear", wrap(`{"name":"f","type":"string","zh":"甲","source":"x","sensitivity":"personal"}`), "outside a sealed block"},
		{"a map", wrap(`{"name":"f","type":{"type":"map","values":"int"},` + attrs + `}`), `"map" is not used`},
		{"a float", wrap(`{"name":"f","type":"double",` + attrs + `}`), `"double" is not used`},
		{"a wide union", wrap(`{"name":"f","type":["null","int","string"],` + attrs + `}`), "the only union"},
		{"a large decimal", wrap(`{"name":"f","type":{"type":"bytes","logicalType":"decimal","precision":40,"scale":2},` + attrs + `}`), "precision 1 to 18"},
		{"sealed text", wrap(`{"name":"f","type":"string","sealed":{"type":"record","name":"S","fields":[]},` + attrs + `}`), "type bytes"},
		{"an enum at the top", `{"type":"enum","name":"E","symbols":["a"]}`, "outermost type"},
		{"too deep", deep, "nested deeper"},
		{"too large", wrap(`{"name":"f","type":"int","doc":"` + strings.Repeat("x", 300<<10) + `",` + attrs + `}`), "at most"},
	} {
		_, err := schemas.Parse("test.v1", []byte(c.schema))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.title, err, c.want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	s, other := shipped(t, "price_quote.v1"), shipped(t, "consumer_complaint.v1")
	for title, spec := range map[string]schemas.ViewSpec{
		"no schema":           {},
		"another reader":      {Writer: s, Reader: other},
		"an unknown format":   {Writer: s, Format: 9},
		"an unknown field":    {Writer: s, Obligations: redact.Obligations{"nope": {Action: redact.Keep}}},
		"a mask on a decimal": {Writer: s, Obligations: redact.Obligations{"low_price": {Action: redact.Mask, Method: redact.MaskName}}},
		"a hash on an array":  {Writer: other, Obligations: redact.Obligations{"problem_nature": {Action: redact.Hash}}},
	} {
		if v, err := schemas.CompileView(spec); err == nil {
			t.Errorf("%s: compiled to %v", title, v)
		}
	}
}

func TestEncoderRefuses(t *testing.T) {
	t.Parallel()
	s := shipped(t, "price_quote.v1")
	for title, change := range map[string]func(map[string]schemas.Value){
		"a required field without value": func(m map[string]schemas.Value) { delete(m, "market_code") },
		"a decimal of 13 digits":         func(m map[string]schemas.Value) { m["low_price"] = schemas.IntValue(1_000_000_000_000) },
		"an unknown symbol":              func(m map[string]schemas.Value) { m["unit"] = schemas.IntValue(99) },
		"a date of 33 bits":              func(m map[string]schemas.Value) { m["collect_date"] = schemas.IntValue(1 << 32) },
	} {
		record := map[string]schemas.Value{}
		maps.Copy(record, goldenRecords[s.Name])
		change(record)
		if out, err := schemas.NewEncoder(s).Append([]byte("x"), values(t, s, record), goldenKey, glassBox{}); err == nil || string(out) != "x" {
			t.Errorf("%s: got %q, %v", title, out, err)
		}
	}
	c := shipped(t, "consumer_complaint.v1")
	if _, err := schemas.NewEncoder(c).Append(nil, values(t, c, goldenRecords[c.Name]), goldenKey, nil); err == nil {
		t.Error("a personal field was encoded without a sealer")
	}
}
