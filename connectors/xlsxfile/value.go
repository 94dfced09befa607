package xlsxfile

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// cell is one cell of a row as the file writes it.
type cell struct {
	column int    // from 0
	kind   string // attribute t: "" and "n" number, "s" shared string, "inlineStr", "str" of a formula, "b", "e", "d"
	style  int
	text   string // of <v>, or of <is>
	saved  bool   // there is a <v> or <is>
	made   bool   // there is a formula
}

// What a cell may hold that is not carried.
var (
	errCellError    = errors.New("holds an error in place of a value")
	errNeverSaved   = errors.New("holds a formula whose result was never saved: open and save the workbook in Excel")
	errRounded      = errors.New("holds a number of more than 15 digits, which Excel has rounded: format the column as text and enter it again")
	errNoSuchDay    = errors.New("holds a date that does not exist")
	errNotANumber   = errors.New("holds a number that is not one")
	errUnknownKind  = errors.New("is of a kind that is not read")
	errNoSuchString = errors.New("names a string that is not in the workbook")
)

// show is what a person sees in a cell.
func (s *sheet) show(c *cell) (string, error) {
	switch {
	case c.made && c.text == "" && c.kind != "str":
		return "", errNeverSaved
	case !c.saved:
		return "", nil
	case c.kind == "s":
		return s.shared(c.text)
	case c.kind == "" || c.kind == "n":
		return s.shownNumber(c)
	}
	return shownText(c)
}

// shownText is a cell of the kinds that say what they show.
func shownText(c *cell) (string, error) {
	switch c.kind {
	case "inlineStr", "str":
		return c.text, nil
	case "d":
		return strings.TrimSuffix(c.text, "Z"), nil
	case "b":
		if c.text == "1" || c.text == "true" {
			return "true", nil
		}
		return "false", nil
	case "e":
		return "", errCellError
	}
	return "", errUnknownKind
}

// shared is the shared string that a cell names.
func (s *sheet) shared(text string) (string, error) {
	number, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || s.strings == nil {
		return "", errNoSuchString
	}
	return s.strings.text(number)
}

// shownNumber is a number, or a date by its style.
func (s *sheet) shownNumber(c *cell) (string, error) {
	if c.style >= 0 && c.style < len(s.book.dates) && s.book.dates[c.style] {
		return date(c.text, s.book.from1904)
	}
	return number(c.text)
}

// number writes a number as Excel shows it: to 15 significant digits, which is
// what it computes with, so that 17.100000000000001 is 17.1.
func number(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", nil
	}
	if plain(text) {
		return text, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return "", errNotANumber
	}
	if math.Abs(f) >= 1e15 {
		return "", errRounded
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(f, 'e', 14, 64), 64)
	if err != nil {
		return "", errNotANumber
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64), nil
}

// plain says that a number is short enough to be exact as it is written.
func plain(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || len(digits) > 15 {
		return false
	}
	point := false
	for i := range len(digits) {
		switch c := digits[i]; {
		case c == '.' && !point && i > 0 && i < len(digits)-1:
			point = true
		case c < '0' || c > '9':
			return false
		}
	}
	return true
}

// date writes a day count as a date, a time, or both.
func date(text string, from1904 bool) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", nil
	}
	days, err := strconv.ParseFloat(text, 64)
	const last = 2_958_466 // 10000-01-01
	if err != nil || !(days >= 0 && days < last) {
		return "", errNoSuchDay
	}
	epoch := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case from1904:
		epoch = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	case days >= 60 && days < 61:
		return "", errNoSuchDay // 1900-02-29, which Excel believes in
	case days < 60:
		epoch = epoch.AddDate(0, 0, 1)
	}
	seconds := int64(math.Round(days * 86400))
	at := epoch.AddDate(0, 0, int(seconds/86400)).Add(time.Duration(seconds%86400) * time.Second)
	switch {
	case seconds < 86400 && !from1904:
		return at.Format(time.TimeOnly), nil
	case seconds%86400 == 0:
		return at.Format(time.DateOnly), nil
	}
	return at.Format(time.DateTime), nil
}
