// Package jsonfile is the source of JSON files in a drop directory: one object
// a line (NDJSON), or one array of objects. Columns are names of members, with
// dots for nested ones ("complainant.phone"); numbers keep their digits; an
// array of scalars is one cell whose items are parted by [ItemSeparator].
//
// A line that is not an object is its own fault and the file goes on. In an
// array nothing behind a fault can be found again, so the file is put aside
// there; the rows before it stand.
package jsonfile
