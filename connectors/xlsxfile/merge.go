package xlsxfile

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// merge is a range of merged cells, from 0; only its first cell has a value.
type merge struct {
	top, bottom int64
	left, right int
	value       string
	err         error // of the first cell
}

// readMerges reads the merged ranges of a sheet, in the order of their first
// rows. They stand behind the rows, so the part is unpacked once more, its rows
// passed over as bytes. This also holds the whole part against its checksum
// before the first row is read: of a damaged file nothing is carried.
func readMerges(part *zip.File) ([]merge, error) {
	unpacked, err := part.Open()
	if err != nil {
		return nil, unpackFault("the sheet", err)
	}
	defer func() { _ = unpacked.Close() }() // read only
	var merges []merge
	tail, err := behindRows(unpacked)
	if tail != nil {
		merges, err = mergesIn(&io.LimitedReader{R: tail, N: mostTail})
	}
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, unpacked); err != nil { //nolint:gosec // unzip has limited what it unpacks to
		return nil, unpackFault("the sheet", err)
	}
	slices.SortFunc(merges, func(a, b merge) int { return cmp.Or(cmp.Compare(a.top, b.top), cmp.Compare(a.left, b.left)) })
	return merges, nil
}

// mergesIn reads what stands behind the rows. What is not well-formed there is
// left to whoever reads the rows, who can say more about it.
func mergesIn(tail *io.LimitedReader) ([]merge, error) {
	var merges []merge
	d := xml.NewDecoder(tail)
	for {
		token, err := d.RawToken() // not from the beginning: elements end that did not start here
		if tail.N <= 0 {
			return nil, problem.New(problem.FileTooLarge, "behind the sheet's rows stand more than %d bytes", mostTail)
		}
		if err != nil {
			return merges, nil //nolint:nilerr // see above
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "mergeCell" {
			continue
		}
		m, ok := parseRange(attribute(start, "ref"))
		if !ok {
			return nil, problem.New(problem.FileMalformed, "a range of merged cells is not one")
		}
		if merges = append(merges, m); len(merges) > mostMerges {
			return nil, problem.New(problem.FileTooLarge, "the sheet has more than %d ranges of merged cells", mostMerges)
		}
	}
}

// behindRows passes over everything up to </sheetData>; nil says that there is
// no such end.
func behindRows(r io.Reader) (io.Reader, error) {
	end := []byte("sheetData>")
	window := make([]byte, 0, 256<<10)
	for {
		n, err := r.Read(window[len(window):cap(window)])
		window = window[:len(window)+n]
		for at := bytes.Index(window, end); at >= 0; at = bytes.Index(window, end) {
			if closes(window[:at]) {
				return io.MultiReader(bytes.NewReader(window[at+len(end):]), r), nil
			}
			window = window[:copy(window, window[at+1:])] // it is where the element starts
		}
		if keep := min(len(window), 64); len(window) == cap(window) {
			window = window[:copy(window, window[len(window)-keep:])]
		}
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, unpackFault("the sheet", err)
		}
	}
}

// closes says whether the tag whose name begins behind the text is one that
// ends an element: </ or, with a prefix, </x:.
func closes(before []byte) bool {
	tag := before[max(bytes.LastIndexByte(before, '<'), 0):]
	return string(tag) == "</" || bytes.HasPrefix(tag, []byte("</")) && bytes.HasSuffix(tag, []byte(":"))
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// parseRange reads "A2:C3".
func parseRange(ref string) (merge, bool) {
	first, last, ok := strings.Cut(ref, ":")
	if !ok {
		last = first
	}
	left, top, ok1 := parseRef(first)
	right, bottom, ok2 := parseRef(last)
	return merge{top: top, bottom: bottom, left: left, right: right}, ok1 && ok2 && top <= bottom && left <= right
}

// parseRef reads "AB12": column from 0, row from 1.
func parseRef(ref string) (column int, row int64, ok bool) {
	i := 0
	for ; i < len(ref) && ref[i] >= 'A' && ref[i] <= 'Z'; i++ {
		if column = column*26 + int(ref[i]-'A') + 1; column > mostColumns {
			return 0, 0, false
		}
	}
	row, err := strconv.ParseInt(ref[i:], 10, 64)
	return column - 1, row, err == nil && i > 0 && row > 0
}
