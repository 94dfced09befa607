//go:build live

package schemas_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/schematest"
)

// clients is where `make clients` lays the libraries of other languages.
const clients = "../.clients"

// TestLiveFastavro decodes what the View does with Python's fastavro.
func TestLiveFastavro(t *testing.T) {
	t.Parallel()
	againstProcess(t, exec.CommandContext(t.Context(), clients+"/venv/bin/python", "../deploy/clients/values.py"))
}

// TestLiveAvsc decodes what the View does with JavaScript's avsc.
func TestLiveAvsc(t *testing.T) {
	t.Parallel()
	modules, err := filepath.Abs(clients + "/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "../deploy/clients/values.cjs")
	cmd.Env = append(cmd.Environ(), "NODE_PATH="+modules)
	againstProcess(t, cmd)
}

type question struct {
	Schema json.RawMessage `json:"schema"`
	Body   string          `json:"body"`
}

// againstProcess asks a process what it reads of random values. It is given
// the schemas without their logical types, so that it says what the bytes are;
// what a View makes of logical types goavro and twmb/avro are asked for.
func againstProcess(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	start := seed(t)
	var in, out, errs bytes.Buffer
	var all []*schemas.Schema
	var docs [][]byte
	encoder := json.NewEncoder(&in)
	for i := range pairs(t, 1_000) {
		g := schematest.New(start + uint64(i))
		s := foreign(t, g.Schema())
		body, _ := g.Value(nil, s.Type)
		doc, err := view(t, s, keepAll(s)).Append(nil, body, nil, &schemas.Run{})
		if err != nil {
			t.Fatal(err)
		}
		if err := encoder.Encode(question{withoutLogical(t, s.Source), hex.EncodeToString(body)}); err != nil {
			t.Fatal(err)
		}
		all, docs = append(all, s), append(docs, doc)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.Bytes())
	}
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, 16<<20)
	n := 0
	for ; lines.Scan(); n++ {
		got, err := parsed(docs[n])
		if err != nil {
			t.Fatal(err)
		}
		native, err := parsed(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if err := sameBase(all[n].Type, got, native); err != nil {
			t.Fatalf("seed %d: %v\n%s\n%s\n%s", start+uint64(n), err, all[n].Source, docs[n], lines.Bytes())
		}
	}
	if n != len(all) {
		t.Fatalf("%d answers to %d questions: %s", n, len(all), errs.Bytes())
	}
	t.Logf("%d pairs", n)
}

func withoutLogical(t *testing.T, source []byte) []byte {
	t.Helper()
	var doc any
	if err := json.Unmarshal(source, &doc); err != nil {
		t.Fatal(err)
	}
	var strip func(any) any
	strip = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "logicalType")
			_, named := v["name"]
			if name, plain := v["type"].(string); plain && !named && (name == "bytes" || len(v) == 1) {
				return name
			}
			for key := range v {
				v[key] = strip(v[key])
			}
		case []any:
			for i := range v {
				v[i] = strip(v[i])
			}
		}
		return v
	}
	doc = strip(doc)
	out, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sameBase turns what a process answered into native values, which same knows.
func sameBase(t *avro.Type, got, answer any) error {
	native, err := nativeOf(t, answer)
	if err != nil {
		return err
	}
	if t.Kind != avro.Union {
		return sameParts(t, got, native)
	}
	for _, b := range t.Branches { // untagged, or tagged by the branch's name
		value := answer
		if tagged, ok := answer.(map[string]any); ok && len(tagged) == 1 {
			for _, name := range []string{b.Name, b.Kind.String()} {
				if inner, ok := tagged[name]; ok && name != "" {
					value = inner
				}
			}
		}
		if sameBase(b, got, value) == nil || sameBase(b, got, answer) == nil {
			return nil
		}
	}
	return fmt.Errorf("%v is no branch that the other read: %v", got, answer)
}

func sameParts(t *avro.Type, got, native any) error {
	switch t.Kind {
	case avro.Record:
		g, _ := got.(map[string]any)
		n, ok := native.(map[string]any)
		if !ok || len(g) != len(n) || len(n) != len(t.Fields) {
			return fmt.Errorf("%s: View %v, the other %v", t, got, native)
		}
		for i := range t.Fields {
			if err := sameBase(t.Fields[i].Type, g[t.Fields[i].Name], n[t.Fields[i].Name]); err != nil {
				return fmt.Errorf("%s: %w", t.Fields[i].Name, err)
			}
		}
		return nil
	case avro.Array:
		g, _ := got.([]any)
		n, ok := native.([]any)
		if !ok || len(g) != len(n) {
			return fmt.Errorf("View %v, the other %v", got, native)
		}
		for i := range n {
			if err := sameBase(t.Items, g[i], n[i]); err != nil {
				return err
			}
		}
		return nil
	case avro.Map:
		g, _ := got.(map[string]any)
		n, ok := native.(map[string]any)
		if !ok || len(g) != len(n) {
			return fmt.Errorf("View %v, the other %v", got, native)
		}
		for key := range n {
			if err := sameBase(t.Values, g[key], n[key]); err != nil {
				return err
			}
		}
		return nil
	}
	return same(t, got, native)
}

func nativeOf(t *avro.Type, answer any) (any, error) {
	text := fmt.Sprint(answer)
	switch t.Kind {
	case avro.Int, avro.Long:
		return strconv.ParseInt(text, 10, 64)
	case avro.Float, avro.Double:
		return strconv.ParseFloat(text, 64)
	case avro.Bytes, avro.Fixed:
		return base64.StdEncoding.DecodeString(text)
	}
	return answer, nil
}
