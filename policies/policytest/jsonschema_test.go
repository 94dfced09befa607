package policytest_test

import (
	"bytes"
	"io/fs"
	"maps"
	"path"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/policies/policytest"
)

func jsonSchemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	sources := policies.JSONSchemas()
	maps.Copy(sources, policytest.JSONSchemas())
	out := map[string]*jsonschema.Schema{}
	for name, source := range sources {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource(name, doc); err != nil {
			t.Fatal(err)
		}
		if out[name], err = c.Compile(name); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func validate(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// Every shipped file names its JSON Schema in its first line and is valid by it.
func TestShippedFilesAreValidByTheirSchemas(t *testing.T) {
	t.Parallel()
	all, seen := jsonSchemas(t), 0
	err := fs.WalkDir(policies.Shipped(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(policies.Shipped(), name)
		if err != nil {
			return err
		}
		want := map[string]string{"rules": "rules", "agreements": "agreement", "emergencies": "emergency"}[path.Dir(name)]
		if strings.HasSuffix(name, "_test.yaml") {
			want = "cases"
		}
		first, _, _ := strings.Cut(string(text), "\n")
		if first != "# yaml-language-server: $schema=../../schema/"+want+".schema.json" {
			t.Errorf("%s begins with %q", name, first)
		}
		if err := validate(t, all[want+".schema.json"], text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		seen++
		return nil
	})
	if err != nil || seen < 100 {
		t.Errorf("%d files, %v", seen, err)
	}
}

// What the loader refuses of keys and vocabulary, an editor marks.
func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	all := jsonSchemas(t)
	rule := func(edit ...string) string {
		return strings.NewReplacer(edit...).Replace(`{product: a, providers: [b], rules: [{id: c, nameZH: 丁, effect: permit, when: "true", rows: row.x == 1,
  obligations: {classes: {public: keep}, fields: {x: "mask:name", y: "generalise:band"}}}]}`)
	}
	for text, ok := range map[string]bool{
		rule():                                  true,
		rule("effect:", "efect:"):               false,
		rule("effect: permit", "effect: allow"): false,
		rule("public:", "open:"):                false,
		rule("mask:name", "mask"):               false,
		rule("keep", "show"):                    false,
		rule("nameZH: 丁, ", ""):                 false,
		rule("providers: [b]", "providers: b"):  false,
		"[]":                                    false,
	} {
		if err := validate(t, all["rules.schema.json"], []byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, ok := range map[string]bool{
		"requests: [{name: a, at: 2026-06-01T09:00:00+08:00, caller: {participant: b}, delivery: query}]": true,
		"requests: [{name: a, at: 2026-06-01}]":                                                           false,
		"requests: [{name: a, delivery: fax}]":                                                            false,
		"requests: [{name: a, want: {effect: deny}}]":                                                     false,
	} {
		if err := validate(t, all["requests.schema.json"], []byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
