// Package xmlstream reads XML that a stranger wrote, token by token: what the
// XML and the XLSX source share.
//
// It holds memory to one row: [Reader.Begin] marks where a row begins, and a
// row, or what stands between two rows, that passes the limit ends the file. A
// document type declaration ends it too, so that there are no entities to
// expand beyond XML's own five, and so does nesting beyond the limit.
package xmlstream
