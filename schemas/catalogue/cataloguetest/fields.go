package cataloguetest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

type record struct {
	Fields []field `json:"fields"`
}

type field struct {
	Name        string          `json:"name"`
	Type        json.RawMessage `json:"type"`
	Sensitivity string          `json:"sensitivity"`
	Sealed      *record         `json:"sealed"`
}

// Fields reads every *.avsc of a directory.
func Fields(dir fs.FS) (catalogue.SchemaFields, error) {
	files, err := fs.Glob(dir, "*.avsc")
	if err != nil {
		return nil, err
	}
	schemas := map[string]map[string]redact.Sensitivity{}
	for _, file := range files {
		source, err := fs.ReadFile(dir, file)
		if err != nil {
			return nil, err
		}
		var r record
		if err := json.Unmarshal(source, &r); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		leaves := map[string]redact.Sensitivity{}
		if err := collect(leaves, &r, "", redact.Public); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		schemas[strings.TrimSuffix(file, ".avsc")] = leaves
	}
	return func(schema string) (map[string]redact.Sensitivity, bool) {
		leaves, ok := schemas[schema]
		return leaves, ok
	}, nil
}

// collect adds the leaves of a record whose own class is around.
func collect(leaves map[string]redact.Sensitivity, r *record, prefix string, around redact.Sensitivity) error {
	for _, f := range r.Fields {
		class, err := redact.ParseSensitivity(f.Sensitivity)
		if err != nil {
			return fmt.Errorf("field %s%s: %w", prefix, f.Name, err)
		}
		class = redact.Tighter(class, around)
		inner := f.Sealed
		if inner == nil {
			inner = nested(f.Type)
		}
		if inner == nil {
			leaves[prefix+f.Name] = class
			continue
		}
		if err := collect(leaves, inner, prefix+f.Name+".", class); err != nil {
			return err
		}
	}
	return nil
}

// nested is the record that a type is, or nil.
func nested(typ json.RawMessage) *record {
	var r struct {
		Type any `json:"type"`
		record
	}
	if err := json.Unmarshal(typ, &r); err != nil || r.Type != "record" {
		return nil // a name or a union: a leaf
	}
	return &r.record
}
