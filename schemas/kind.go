package schemas

import (
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Kind is the type of a leaf, Avro's and logical type in one.
type Kind uint8

// The kinds of leaves. The schemas of the exchange use those up to
// TimestampMillis; a View reads all of them.
const (
	Boolean         Kind = iota + 1
	Int                  // 32 bits
	Long                 // 64 bits
	Bytes                //
	String               // UTF-8
	Enum                 // index of a symbol
	Decimal              // bytes or fixed, two's complement
	Date                 // days since 1970-01-01
	TimestampMillis      // milliseconds since 1970-01-01T00:00:00Z
	TimestampMicros
	TimestampNanos
	LocalTimestampMillis // of a calendar whose zone is not told
	LocalTimestampMicros
	LocalTimestampNanos
	TimeMillis // since midnight
	TimeMicros
	Float
	Double
	Fixed    // bytes of one length
	UUID     // text, or 16 bytes
	Duration // months, days and milliseconds
	Null     // nothing
	Keys     // of a map
)

var kindNames = [...]string{
	Boolean: "boolean", Int: "int", Long: "long", Bytes: "bytes", String: "string", Enum: "enum",
	Decimal: "decimal", Date: "date", TimestampMillis: "timestamp", TimestampMicros: "timestamp-micros",
	TimestampNanos: "timestamp-nanos", LocalTimestampMillis: "local-timestamp-millis",
	LocalTimestampMicros: "local-timestamp-micros", LocalTimestampNanos: "local-timestamp-nanos",
	TimeMillis: "time-millis", TimeMicros: "time-micros", Float: "float", Double: "double", Fixed: "fixed",
	UUID: "uuid", Duration: "duration", Null: "null", Keys: "keys of a map",
}

// String is the kind's name for documents and errors.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// logicalKinds are the logical types that a leaf is rendered by. Others are
// rendered as the type beneath them, as the specification asks.
var logicalKinds = map[string]Kind{
	"decimal": Decimal, "date": Date, "time-millis": TimeMillis, "time-micros": TimeMicros,
	"timestamp-millis": TimestampMillis, "timestamp-micros": TimestampMicros, "timestamp-nanos": TimestampNanos,
	"local-timestamp-millis": LocalTimestampMillis, "local-timestamp-micros": LocalTimestampMicros,
	"local-timestamp-nanos": LocalTimestampNanos, "uuid": UUID, "duration": Duration,
}

var scalarKinds = map[avro.Kind]Kind{
	avro.Null: Null, avro.Boolean: Boolean, avro.Int: Int, avro.Long: Long, avro.Float: Float, avro.Double: Double,
	avro.Bytes: Bytes, avro.String: String, avro.Enum: Enum, avro.Fixed: Fixed,
}

// kindOf is the kind of a scalar type, 0 of any other.
func kindOf(t *avro.Type) Kind {
	if k, ok := logicalKinds[t.Logical]; ok {
		return k
	}
	return scalarKinds[t.Kind]
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
