package xlsxfile_test

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/connectortest"
	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/connectors/xlsxfile"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// parts are the files of a workbook; what a test leaves out has its default.
type parts struct {
	book, styles, strings, sheet string
}

const (
	rootRels = `<Relationships><Relationship Id="r1" Type="http://x/officeDocument" Target="xl/workbook.xml"/></Relationships>`
	bookRels = `<Relationships><Relationship Id="r1" Type="http://x/worksheet" Target="worksheets/sheet1.xml"/>` +
		`<Relationship Id="r2" Type="http://x/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="r3" Type="http://x/styles" Target="/xl/styles.xml"/></Relationships>`
	book   = `<workbook><sheets><sheet name="一" r:id="r1"/></sheets></workbook>`
	styles = `<styleSheet><numFmts><numFmt numFmtId="200" formatCode="[$-804]yyyy&quot;年&quot;m"/><numFmt numFmtId="201" formatCode="&quot;days&quot; 0.00\d"/></numFmts>` +
		`<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="200"/><xf numFmtId="201"/></cellXfs></styleSheet>`
)

// build packs a workbook; content larger than a test holds is written by fill.
func build(method uint16, p parts, fill func(w io.Writer) error) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	or := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	for _, f := range []struct{ name, text string }{
		{"_rels/.rels", rootRels},
		{"xl/_rels/workbook.xml.rels", bookRels},
		{"xl/workbook.xml", or(p.book, book)},
		{"xl/styles.xml", or(p.styles, styles)},
		{"xl/sharedStrings.xml", or(p.strings, "<sst/>")},
		{"xl/worksheets/sheet1.xml", p.sheet},
	} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: method})
		if err == nil {
			_, err = io.WriteString(w, f.text)
		}
		if err == nil && fill != nil && f.name == "xl/worksheets/sheet1.xml" {
			err = fill(w)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func inline(texts ...string) string {
	var b bytes.Buffer
	b.WriteString("<row>")
	for _, text := range texts {
		b.WriteString(`<c t="inlineStr"><is><t>`)
		_ = xml.EscapeText(&b, []byte(text))
		b.WriteString("</t></is></c>")
	}
	b.WriteString("</row>")
	return b.String()
}

const (
	head = "<worksheet><sheetData>"
	tail = "</sheetData></worksheet>"
	good = `<row><c t="inlineStr"><is><t>梨</t></is></c></row>`
)

// encode is half inline strings, half shared ones.
func encode(columns []string, rows [][]string) []byte {
	var sheet, table bytes.Buffer
	sheet.WriteString(head + inline(columns...))
	n := 0
	for _, row := range rows {
		sheet.WriteString("<row>")
		for _, text := range row {
			fmt.Fprintf(&sheet, `<c t="s"><v>%d</v></c>`, n)
			n++
			table.WriteString("<si><r><t>")
			_ = xml.EscapeText(&table, []byte(text))
			table.WriteString("</t></r><rPh><t>x</t></rPh></si>")
		}
		sheet.WriteString("</row>")
	}
	sheet.WriteString(tail)
	return build(zip.Deflate, parts{sheet: sheet.String(), strings: "<sst>" + table.String() + "</sst>"}, nil)
}

func repeat(text string, n int) func(w io.Writer) error {
	return func(w io.Writer) error {
		block := strings.Repeat(text, 1<<16/len(text)+1)
		for written := 0; written < n; written += len(block) {
			if _, err := io.WriteString(w, block); err != nil {
				return err
			}
		}
		return nil
	}
}

func of(p parts) func() []byte { return func() []byte { return build(zip.Deflate, p, nil) } }

func hostile() []connectortest.Hostile {
	header := head + inline("品名", "最低价", "备注")
	whole := func() []byte { return build(zip.Store, parts{sheet: header + good + tail}, nil) }
	return []connectortest.Hostile{
		{Title: "a cut archive", Content: func() []byte { b := whole(); return b[:len(b)-30] }, Want: problem.FileTruncated, Says: "directory"},
		{Title: "a bomb by its ratio", Content: func() []byte {
			return overstate(whole())
		}, Want: problem.FileTooLarge, Says: "as no sheet does"},
		{Title: "a bomb in the small parts", Content: func() []byte {
			return build(zip.Deflate, parts{book: book + strings.Repeat(" ", 17<<20), sheet: header + tail}, nil)
		}, Want: problem.FileTooLarge, Says: "workbook.xml", Slow: true},
		{Title: "a part that is longer than the directory says", Content: func() []byte { return understate(whole()) }, Want: problem.FileMalformed},
		{Title: "a damaged part", Content: func() []byte {
			return bytes.Replace(whole(), []byte("梨"), []byte("桃"), 1)
		}, Want: problem.FileMalformed, Says: "the sheet is damaged"},
		{Title: "entities", Content: of(parts{sheet: `<!DOCTYPE x [<!ENTITY a "x">]>` + header + tail}), Want: problem.FileMalformed, Says: "document type declaration"},
		{Title: "entities in strings", Content: of(parts{strings: `<!DOCTYPE x [<!ENTITY a "x">]><sst/>`, sheet: header + tail}), Want: problem.FileMalformed, Says: "document type declaration"},
		{Title: "a sheet that ends in a row", Content: of(parts{sheet: header + good + "<row><c><v>1"}), Want: problem.FileTruncated, Rows: 1},
		{Title: "rows out of order", Content: of(parts{sheet: header + good + `<row r="2">`}), Want: problem.FileMalformed, Says: "behind row 2", Rows: 1},
		{Title: "a string that is not there", Content: of(parts{sheet: header + good + `<row><c t="s"><v>7</v></c></row>` + tail}), Want: problem.FileMalformed, Says: "row 3", Rows: 1},
		{Title: "a sheet that is not there", Content: of(parts{book: `<workbook><sheets><sheet name="二" state="hidden" r:id="r1"/></sheets></workbook>`, sheet: header + tail}), Want: problem.SheetMissing, Says: "二"},
		{Title: "another header", Content: of(parts{sheet: head + inline("标题") + tail}), Want: problem.ColumnMissing, Says: "headerRow"},
		{Title: "no header", Content: of(parts{sheet: head + "<row/>" + tail}), Want: problem.FileEmpty},
		{Title: "too many merged cells", Content: of(parts{sheet: header + tail + strings.Repeat(`<mergeCell ref="A1:B1"/>`, 70_000)}), Want: problem.FileTooLarge, Says: "merged", Slow: true},
		{Title: "an .xls", Content: func() []byte { return []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and more") }, Want: problem.FileMalformed, Says: "password"},
		{Title: "no workbook", Content: func() []byte { return []byte("品名,最低价\n") }, Want: problem.FileMalformed},
		{Title: "another zip", Content: func() []byte {
			var b bytes.Buffer
			z := zip.NewWriter(&b)
			_, _ = z.Create("a.txt")
			_ = z.Close()
			return b.Bytes()
		}, Want: problem.FileMalformed, Says: "no workbook"},
	}
}

// overstate makes the directory name two gigabytes as the sheet's size.
func overstate(b []byte) []byte {
	copy(b[bytes.LastIndex(b, []byte("PK\x01\x02"))+24:], "\x00\x00\x00\x80")
	return b
}

// understate makes the directory name half of the sheet's size, packed and
// unpacked.
func understate(b []byte) []byte {
	at := bytes.LastIndex(b, []byte("PK\x01\x02")) // the sheet's entry is the last
	half := (int(b[at+24]) | int(b[at+25])<<8) / 2
	for _, field := range []int{20, 24} {
		b[at+field], b[at+field+1] = byte(half), byte(half>>8)
	}
	return b
}

func TestConformance(t *testing.T) {
	connectortest.Run(t, connectortest.Kind{
		Extension: ".xlsx", Encode: encode, Binary: true, Hostile: hostile(),
		Open: func(c dropdir.Config, columns []string) (connectors.Source, error) {
			return xlsxfile.Config{Config: c}.Open(columns)
		},
		Endless: func(w io.Writer, size int) error {
			_, err := w.Write(build(zip.Store, parts{sheet: head + inline("品名", "最低价", "备注") + good + `<row><c t="str"><v>`}, repeat("x", size)))
			return err
		},
	})
}

// drain reads a workbook to its end or fault: cells, or the row's fault.
func drain(c xlsxfile.Config, content []byte, columns ...string) (rows []string, err error) {
	r, err := c.Read(bytes.NewReader(content), columns)
	for err == nil {
		var row source.Row
		row, err = r.Next()
		switch {
		case err != nil:
		case row.Fault != nil:
			rows = append(rows, fmt.Sprintf("%d! %s", row.Line, row.Fault.Detail))
		default:
			rows = append(rows, fmt.Sprintf("%d: %s", row.Line, strings.Join(row.Cells, "|")))
		}
	}
	if errors.Is(err, io.EOF) {
		err = r.Close()
	}
	return rows, err
}

// Workbooks that other libraries wrote; see testdata/make.py.
func TestOtherWriters(t *testing.T) {
	t.Parallel()
	columns := []string{"品名", "最低价", "发布日期", "时间", "市场", "条码", "备注"}
	for file, c := range map[string]struct {
		config xlsxfile.Config
		want   []string
	}{
		"openpyxl.xlsx": {xlsxfile.Config{HeaderRow: 3}, []string{
			"4! cell G4 (备注) holds a formula whose result was never saved: open and save the workbook in Excel",
			`5: 库尔勒香梨|0.3|2026-01-02|2026-01-02 08:30:15|测试市场|6902083881405|含<标记>&引号"`,
			"7: 晚秋黄梨|3|2026-01-02|2026-01-02 08:30:15|测试市场|6921168509256|两\n行",
		}},
		"xlsxwriter.xlsx": {xlsxfile.Config{Sheet: "行情"}, []string{
			"2: 红香酥梨|17.1|2026-01-02|2026-01-02 08:30:15|测试市场|6901234567892|2",
			"3: 库尔勒香梨|0.3|2026-01-02|2026-01-02 08:30:15|测试市场|6902083881405|true",
		}},
	} {
		content, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := drain(c.config, content, columns...)
		if err != nil || strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: %v\ngot  %q\nwant %q", file, err, got, c.want)
		}
	}
}

// What a person sees in a cell.
func TestCells(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ cell, want string }{
		"a float with an error":     {`<c r="A2"><v>17.100000000000001</v></c>`, "17.1"},
		"a small float":             {`<c r="A2"><v>1.0E-4</v></c>`, "0.0001"},
		"a negative":                {`<c r="A2"><v>-3.50</v></c>`, "-3.50"},
		"fifteen digits":            {`<c r="A2"><v>123456789012345</v></c>`, "123456789012345"},
		"a rounded identity number": {`<c r="A2"><v>5.0990019900101E+17</v></c>`, "!more than 15 digits"},
		"no number":                 {`<c r="A2"><v>abc</v></c>`, "!not one"},
		"an error":                  {`<c r="A2" t="e"><v>#N/A</v></c>`, "!error"},
		"an ISO date":               {`<c r="A2" t="d"><v>2026-01-02T03:04:05Z</v></c>`, "2026-01-02T03:04:05"},
		"a built-in date":           {`<c r="A2" s="1"><v>46024</v></c>`, "2026-01-02"},
		"a date of a custom format": {`<c r="A2" s="2"><v>46024.5</v></c>`, "2026-01-02 12:00:00"},
		"a format with quoted d":    {`<c r="A2" s="3"><v>46024</v></c>`, "46024"},
		"a kind of tomorrow":        {`<c r="A2" t="x"><v>1</v></c>`, "!not read"},
		"a time":                    {`<c r="A2" s="1"><v>0.75</v></c>`, "18:00:00"},
		"not quite a day":           {`<c r="A2" s="1"><v>46023.999999</v></c>`, "2026-01-02"},
		"the first day":             {`<c r="A2" s="1"><v>1</v></c>`, "1900-01-01"},
		"a day that was not":        {`<c r="A2" s="1"><v>60</v></c>`, "!does not exist"},
		"a day before time":         {`<c r="A2" s="1"><v>-1</v></c>`, "!does not exist"},
		"text of a formula":         {`<c r="A2" t="str"><f>B1</f><v>x</v></c>`, "x"},
		"a cell without a place":    {`<c t="b"><v>0</v></c>`, "false"},
	} {
		got, err := drain(xlsxfile.Config{}, build(zip.Store, parts{sheet: head + inline("甲") + "<row>" + c.cell + "</row>" + tail}, nil), "甲")
		want, fault := strings.CutPrefix(c.want, "!")
		if err != nil || len(got) != 1 || !fault && got[0] != "2: "+want || fault && (!strings.HasPrefix(got[0], "2! cell A2 (甲)") || !strings.Contains(got[0], want)) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}

// Cells that nobody asked for may hold what they will; quarantine shows them.
func TestRaw(t *testing.T) {
	t.Parallel()
	sheet := head + inline("甲", "乙") + `<row><c t="e"><v>#N/A</v></c><c t="s"><v>0</v></c><c r="D2"><v>4</v></c></row>` + tail
	r, err := xlsxfile.Config{}.Read(bytes.NewReader(build(zip.Store, parts{sheet: sheet, strings: "<sst><si><t>一,二</t></si></sst>"}, nil)), []string{"乙"})
	if err != nil {
		t.Fatal(err)
	}
	row, err := r.Next()
	if err != nil || row.Fault != nil || row.Cells[0] != "一,二" || string(r.Raw()) != "甲,乙\n#N/A,\"一,二\",,4\n" {
		t.Errorf("%+v, %q, %v", row, r.Raw(), err)
	}
}

func TestSheets(t *testing.T) {
	t.Parallel()
	two := `<workbook><sheets><sheet name="封面" state="hidden" r:id="none"/><sheet name="明细" r:id="r1"/></sheets></workbook>`
	content := build(zip.Store, parts{book: two, sheet: head + inline("甲") + good + tail}, nil)
	for name, c := range map[string]struct {
		config xlsxfile.Config
		want   problem.Code
	}{
		"the first that is shown":  {xlsxfile.Config{}, ""},
		"by name":                  {xlsxfile.Config{Sheet: "明细"}, ""},
		"by number":                {xlsxfile.Config{SheetNumber: 2}, ""},
		"another name":             {xlsxfile.Config{Sheet: "其他"}, problem.SheetMissing},
		"another number":           {xlsxfile.Config{SheetNumber: 3}, problem.SheetMissing},
		"a sheet without a part":   {xlsxfile.Config{SheetNumber: 1}, problem.FileMalformed},
		"both":                     {xlsxfile.Config{Sheet: "明细", SheetNumber: 2}, problem.ConfigInvalid},
		"below zero":               {xlsxfile.Config{HeaderRow: -1}, problem.ConfigInvalid},
		"a file that is too large": {xlsxfile.Config{MaxFileBytes: 100}, problem.FileTooLarge},
		"a part that is too large": {xlsxfile.Config{MaxUnpackedBytes: 100}, problem.FileTooLarge},
	} {
		rows, err := drain(c.config, content, "甲")
		if c.want == "" && (err != nil || len(rows) != 1) || c.want != "" && problem.CodeOf(err) != c.want {
			t.Errorf("%s: %q, %v", name, rows, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`<row><c t="s"><v>0</v></c><c r="C2" s="1"><v>46024</v></c></row>`, "<sst><si><t>x</t></si></sst>", `<mergeCell ref="A1:B3"/>`)
	f.Add(inline("a", "b"), "", "")
	f.Fuzz(func(t *testing.T, rows, table, behind string) {
		content := build(zip.Store, parts{sheet: head + inline("甲", "乙") + rows + "</sheetData>" + behind + "</worksheet>", strings: table}, nil)
		r, err := xlsxfile.Config{MaxRowBytes: 1 << 10}.Read(bytes.NewReader(content), []string{"甲"})
		if err != nil {
			return
		}
		defer func() { _ = r.Close() }()
		for range 10_000 {
			if _, err = r.Next(); err != nil {
				return
			}
			_ = r.Raw()
		}
		if len(rows) < 10_000 {
			t.Fatal("more rows than bytes")
		}
	})
}
