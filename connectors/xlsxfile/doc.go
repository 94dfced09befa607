// Package xlsxfile is the source of Excel workbooks (.xlsx, ECMA-376) in a drop
// directory: one sheet, whose header row names the columns.
//
//	workbook.go  which sheet, which styles are dates: the small parts, bounded
//	strings.go   the shared strings, on disk: memory does not grow with them
//	sheet.go     rows and cells, read one row at a time
//	value.go     what a person sees in a cell: dates, numbers to 15 digits
//	merge.go     merged cells: each of them has the value of the first
//	reader.go    header and rows, as every source gives them
//
// A workbook is a zip archive, so what it unpacks to is limited, not only its
// size. Rows without any text are passed over; what a formula shows is what
// was saved with it. A number that Excel itself has rounded (an identity number
// typed as a number) is the row's fault and never guessed.
package xlsxfile
