// Package schematest makes random Avro schemas, values of them and readers that
// they evolved into, for the tests that hold View, Encoder and resolution
// against other libraries. What it makes depends on the seed alone.
//
//	schema.go   Gen.Schema: a record schema of any types, recursion included
//	value.go    Gen.Value: a value of a type as Avro bytes, and which texts it holds where
//	reader.go   Gen.Reader: a schema that a later or earlier version might have
package schematest
