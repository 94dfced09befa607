package avro

import (
	"encoding/json"
	"fmt"
)

// Kind is one of Avro's fourteen types.
type Kind uint8

// The kinds; the zero value is none of them.
const (
	Null Kind = iota + 1
	Boolean
	Int
	Long
	Float
	Double
	Bytes
	String
	Record
	Enum
	Array
	Map
	Union
	Fixed
)

var kindNames = [...]string{
	"no type", "null", "boolean", "int", "long", "float", "double", "bytes", "string",
	"record", "enum", "array", "map", "union", "fixed",
}

// String is the kind's name in a schema.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		return kindNames[0]
	}
	return kindNames[k]
}

// Type is one type of a schema. It is not changed after Parse. Which fields
// are set depends on Kind.
type Type struct {
	Kind      Kind
	Name      string   // Record, Enum, Fixed: full name
	Aliases   []string // full names
	Doc       string
	Fields    []Field  // Record
	Symbols   []string // Enum
	Default   *string  // Enum: what a reader takes for a symbol that it does not know
	Items     *Type    // Array
	Values    *Type    // Map
	Branches  []*Type  // Union
	Size      int      // Fixed: bytes
	Logical   string   // "decimal", "date" …: only where it is valid for the kind
	Precision int      // decimal: digits in all
	Scale     int      // decimal: digits after the point
	// Props are attributes beyond Avro's own, as written.
	Props map[string]json.RawMessage
}

// Field is one field of a record.
type Field struct {
	Name    string
	Aliases []string
	Doc     string
	Type    *Type
	Default json.RawMessage // as written; nil: none
	Order   string          // "ascending" when the schema says nothing, "descending", "ignore"
	Props   map[string]json.RawMessage
}

// Named says whether the type has a name of its own.
func (t *Type) Named() bool { return t.Kind == Record || t.Kind == Enum || t.Kind == Fixed }

// String names the type as errors do: the full name, or the kind.
func (t *Type) String() string {
	if t.Named() {
		return t.Kind.String() + " " + t.Name
	}
	return t.Kind.String()
}

// The rules that a schema can break.
const (
	RuleSyntax  = "syntax"  // not JSON, or not an attribute of the right form
	RuleLimit   = "limit"   // larger than this package reads
	RuleName    = "name"    // not a name, defined twice, or used before it is defined
	RuleField   = "field"   // a field stands twice
	RuleSymbol  = "symbol"  // a symbol of an enum is no name or stands twice
	RuleUnion   = "union"   // a union in a union, or two branches that bytes cannot tell apart
	RuleDefault = "default" // a default that is no value of its type
	RuleSize    = "size"    // the size of a fixed type
)

// Error says what is wrong with a schema, and where. It quotes names of the
// schema, never a record.
type Error struct {
	Path   string // "" is the outermost type
	Rule   string // one of the Rule constants
	Detail string
}

func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("avro schema: %s (rule: %s)", e.Detail, e.Rule)
	}
	return fmt.Sprintf("avro schema, at %s: %s (rule: %s)", e.Path, e.Detail, e.Rule)
}

func breach(path, rule, format string, args ...any) *Error {
	return &Error{Path: path, Rule: rule, Detail: fmt.Sprintf(format, args...)}
}
