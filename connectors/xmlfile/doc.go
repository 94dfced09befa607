// Package xmlfile is the source of XML files in a drop directory: rows are the
// elements at a path ("/data/record"), read one by one.
//
// Columns are paths below a row, in the notation of XPath: "name",
// "bidder/name" for nested elements, "@id" and "amount/@currency" for
// attributes. Namespace prefixes are left out on both sides. An element that
// occurs several times is one cell whose items are parted by [ItemSeparator].
//
// The encoding is what the XML declaration says (UTF-8, GB18030, GBK, GB2312),
// or else told from the bytes. A document type declaration is refused, so there
// is no entity to expand. Nothing behind a syntax error can be trusted, so the
// file is put aside there; the rows before it stand.
package xmlfile
