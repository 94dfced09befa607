package xlsxfile

import (
	"archive/zip"
	"encoding/xml"
	"io"
	"path"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// workbook is what the small parts say.
type workbook struct {
	sheet    *zip.File
	strings  *zip.File // nil if there are none
	dates    []bool    // by style: a number of this style is a date
	from1904 bool      // dates count from 1904
}

type relations struct {
	Relationship []struct {
		ID     string `xml:"Id,attr"`
		Type   string `xml:"Type,attr"`
		Target string `xml:"Target,attr"`
	}
}

type bookPart struct {
	Properties struct {
		Date1904 string `xml:"date1904,attr"`
	} `xml:"workbookPr"`
	Sheets []sheetPart `xml:"sheets>sheet"`
}

type sheetPart struct {
	Name  string     `xml:"name,attr"`
	State string     `xml:"state,attr"`
	Attrs []xml.Attr `xml:",any,attr"`
}

// relation is the id of the sheet's relation, an attribute of another
// namespace.
func (s *sheetPart) relation() string {
	for _, a := range s.Attrs {
		if a.Name.Local == "id" {
			return a.Value
		}
	}
	return ""
}

type stylesPart struct {
	Formats []struct {
		ID   int    `xml:"numFmtId,attr"`
		Code string `xml:"formatCode,attr"`
	} `xml:"numFmts>numFmt"`
	Styles []struct {
		Format int `xml:"numFmtId,attr"`
	} `xml:"cellXfs>xf"`
}

// workbook finds the sheet that the configuration names.
func (c *Config) workbook(parts map[string]*zip.File) (*workbook, error) {
	root, err := readRelations(parts, "")
	if err != nil {
		return nil, err
	}
	name, ok := root.target("/officeDocument")
	if !ok {
		return nil, problem.New(problem.FileMalformed, "the archive is no workbook")
	}
	var book bookPart
	if err := read(parts, name, &book); err != nil {
		return nil, err
	}
	related, err := readRelations(parts, name)
	if err != nil {
		return nil, err
	}
	w := &workbook{from1904: book.Properties.Date1904 == "1" || book.Properties.Date1904 == "true"}
	chosen, err := c.choose(book.Sheets)
	if err != nil {
		return nil, err
	}
	if w.sheet = parts[strings.ToLower(related.byID[chosen.relation()])]; w.sheet == nil {
		return nil, problem.New(problem.FileMalformed, "the sheet's part is not in the archive")
	}
	if at, ok := related.target("/sharedStrings"); ok {
		w.strings = parts[strings.ToLower(at)]
	}
	if at, ok := related.target("/styles"); ok {
		var styles stylesPart
		if err := read(parts, at, &styles); err != nil {
			return nil, err
		}
		w.dates = styles.dates()
	}
	return w, nil
}

// choose finds the sheet by name, by number, or the first that is shown.
func (c *Config) choose(sheets []sheetPart) (*sheetPart, error) {
	for i := range sheets {
		s := &sheets[i]
		switch {
		case c.Sheet != "" && s.Name == c.Sheet, c.SheetNumber == i+1,
			c.Sheet == "" && c.SheetNumber == 0 && s.State != "hidden" && s.State != "veryHidden":
			return s, nil
		}
	}
	var names []string
	for i := range min(len(sheets), 20) {
		names = append(names, sheets[i].Name)
	}
	return nil, problem.New(problem.SheetMissing, "it has %d: %s", len(sheets), clip(strings.Join(names, ", ")))
}

// dates says for each style whether its number format shows a date or time.
func (s *stylesPart) dates() []bool {
	codes := map[int]string{}
	for _, f := range s.Formats {
		codes[f.ID] = f.Code
	}
	out := make([]bool, len(s.Styles))
	for i, style := range s.Styles {
		if code, custom := codes[style.Format]; custom {
			out[i] = dateFormat(code)
		} else {
			out[i] = dateFormatID(style.Format)
		}
	}
	return out
}

// dateFormatID knows the built-in formats (ECMA-376 part 1, 18.8.30), those of
// Chinese Excel among them.
func dateFormatID(id int) bool {
	return id >= 14 && id <= 22 || id >= 27 && id <= 36 || id >= 45 && id <= 47 || id >= 50 && id <= 58
}

// dateFormat says whether a format code shows a date: it has one of y, m, d, h,
// s outside of quotes, escapes and brackets; [h] and its like count.
func dateFormat(code string) bool {
	code, _, _ = strings.Cut(code, ";") // of positive numbers
	for i := 0; i < len(code); i++ {
		switch c := code[i]; c {
		case '\\', '_', '*':
			i++
		case '"':
			end := strings.IndexByte(code[i+1:], '"')
			if end < 0 {
				return false
			}
			i += end + 1
		case '[':
			end := strings.IndexByte(code[i:], ']')
			if end < 0 {
				return false
			}
			if inside := strings.ToLower(code[i+1 : i+end]); strings.Trim(inside, "h") == "" || strings.Trim(inside, "m") == "" || strings.Trim(inside, "s") == "" {
				return true
			}
			i += end
		case 'y', 'Y', 'm', 'M', 'd', 'D', 'h', 'H', 's', 'S':
			return true
		}
	}
	return false
}

// related is the relations of one part, with their targets as paths in the
// archive.
type related struct {
	byID   map[string]string
	byType map[string]string // by the last element of the type
}

func readRelations(parts map[string]*zip.File, of string) (*related, error) {
	dir, base := path.Split(of)
	var r relations
	if err := read(parts, dir+"_rels/"+base+".rels", &r); err != nil {
		return nil, err
	}
	out := &related{byID: map[string]string{}, byType: map[string]string{}}
	for _, one := range r.Relationship {
		target := one.Target
		if !strings.HasPrefix(target, "/") {
			target = dir + target
		}
		target = strings.TrimPrefix(path.Clean("/"+target), "/")
		out.byID[one.ID] = target
		out.byType[one.Type[strings.LastIndexByte(one.Type, '/')+1:]] = target
	}
	return out, nil
}

func (r *related) target(kind string) (string, bool) {
	at, ok := r.byType[strings.TrimPrefix(kind, "/")]
	return at, ok
}

// read reads a small part whole.
func read(parts map[string]*zip.File, name string, into any) error {
	f := parts[strings.ToLower(name)]
	if f == nil {
		return problem.New(problem.FileMalformed, "the archive is no workbook: %s is not in it", clip(name))
	}
	if f.UncompressedSize64 > smallPart {
		return problem.New(problem.FileTooLarge, "%s unpacks to %d bytes, at most %d are read", clip(name), f.UncompressedSize64, smallPart)
	}
	unpacked, err := f.Open()
	if err != nil {
		return unpackFault(clip(name), err)
	}
	defer func() { _ = unpacked.Close() }() // read only
	text, err := io.ReadAll(io.LimitReader(unpacked, smallPart))
	if err != nil {
		return unpackFault(clip(name), err)
	}
	if err := xml.Unmarshal(text, into); err != nil {
		return problem.Wrap(problem.FileMalformed, err, "%s is not well-formed", clip(name))
	}
	return nil
}

// clip keeps a name that is not one from filling the log.
func clip(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
