// Package csvfile is the source of CSV files (RFC 4180) in a drop directory:
// UTF-8 with or without byte order mark, or GB18030; the first line names the
// columns. A row that cannot be taken apart is its own fault and the file goes
// on; a file without the columns that the mapping needs, or with a row beyond
// the limit, is refused as a whole.
package csvfile
