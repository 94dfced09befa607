package schemas

import "github.com/chuanyu-exchange/hub/schemas/redact"

// Kind is the type of a leaf, Avro's and logical type in one.
type Kind uint8

// The kinds of leaves that schemas may use.
const (
	Boolean         Kind = iota + 1
	Int                  // 32 bits
	Long                 // 64 bits
	Bytes                //
	String               // UTF-8
	Enum                 // index of a symbol
	Decimal              // bytes, two's complement, at most 18 digits
	Date                 // days since 1970-01-01
	TimestampMillis      // milliseconds since 1970-01-01T00:00:00Z
	recordKind
	arrayKind
	sealedKind // bytes that hold an encrypted record
)

var kindNames = map[Kind]string{
	Boolean: "boolean", Int: "int", Long: "long", Bytes: "bytes", String: "string", Enum: "enum",
	Decimal: "decimal", Date: "date", TimestampMillis: "timestamp", recordKind: "record",
	arrayKind: "array", sealedKind: "sealed block",
}

// String is the kind's name for documents and errors.
func (k Kind) String() string { return kindNames[k] }

// node is one type of a schema. Nullable stands for the union ["null", T].
type node struct {
	kind      Kind
	nullable  bool
	precision int
	scale     int
	symbols   []string
	symbolsZH map[string]string
	items     *node   // arrayKind
	fields    []field // recordKind, sealedKind
	leaf      int     // index into Schema.Leaves; -1 for records and blocks
}

// field is one field of a record.
type field struct {
	name string
	path string
	zh   string
	node *node
}

// Leaf is one field that holds a value, however deep it lies.
type Leaf struct {
	Path        string // "complainant.phone"
	ZH          string // Chinese name
	Source      string // rule or standard the field comes from
	Sensitivity redact.Sensitivity
	Kind        Kind
	Nullable    bool
	Repeated    bool              // an array of Kind
	Precision   int               // Decimal: digits in all
	Scale       int               // Decimal: digits after the point
	Symbols     []string          // Enum
	SymbolsZH   map[string]string // Enum: symbol → Chinese name
	Check       string            // name of a validator, see package connectors
	Block       string            // path of the sealed block it lies in, or ""
}
