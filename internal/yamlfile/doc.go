// Package yamlfile reads the YAML that people write for the hub, strictly, and
// tells them every fault of a file at once, each with its line and column.
//
//	source  →  Decode(file, source, &shape)  →  *Document, Faults
//	                                             │
//	    the reader's own checks  →  Document.Fault(text, "products", 2, "key")
//
// A shape is a struct with `yaml:"name"` tags; an embedded struct adds its keys
// to those around it. Every key is required unless its
// tag says `,optional`; a key that the shape does not have is a fault, so is
// one that stands twice, one without a value, and text that is empty. What a
// value may be is said by its Go type: string, bool, int, int64, a struct, a
// slice, a map with string keys, a pointer to one of these, or any type that a
// [Scalar] reads.
//
// Anchors, aliases, tags, merge keys and several documents in one file are
// refused: what a policy officer reads is what the program reads. Numbers are
// plain digits (no octal, no underscores), and digits serve where text is asked
// for, so that a region need not stand in quotes.
//
// The package is pure: it reads only from the fs.FS it is given.
package yamlfile
