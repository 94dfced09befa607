package sample

import (
	"archive/zip"
	"bufio"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// Format is a kind of file.
type Format string

// The formats; JSON is one object a line.
const (
	FormatCSV  Format = "csv"
	FormatJSON Format = "json"
	FormatXLSX Format = "xlsx"
	FormatXML  Format = "xml"
)

// XMLRow is where the rows of a sample's XML file are.
const XMLRow = "/data/record"

// encoder writes rows as a file.
type encoder interface {
	row(cells []string) error
	close() error
}

func newEncoder(w io.Writer, format Format, columns []string) (encoder, error) {
	switch format {
	case FormatCSV:
		e := csvEncoder{csv.NewWriter(w)}
		return e, e.row(columns)
	case FormatJSON:
		return &jsonEncoder{bufio.NewWriter(w), columns}, nil
	case FormatXML:
		e := &xmlEncoder{bufio.NewWriter(w), columns}
		_, err := e.out.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<data>\n")
		return e, err
	case FormatXLSX:
		return newXLSX(w, columns)
	}
	return nil, fmt.Errorf("no format %q: there are csv, json, xlsx and xml", format)
}

type csvEncoder struct{ out *csv.Writer }

func (e csvEncoder) row(cells []string) error { return e.out.Write(cells) }

func (e csvEncoder) close() error {
	e.out.Flush()
	return e.out.Error()
}

type jsonEncoder struct {
	out     *bufio.Writer
	columns []string
}

func (e *jsonEncoder) row(cells []string) error {
	object := make(map[string]string, len(cells))
	for i, text := range cells {
		if text != "" {
			object[e.columns[i]] = text
		}
	}
	line, err := json.Marshal(object)
	if err != nil {
		return err
	}
	_, err = e.out.Write(append(line, '\n'))
	return err
}

func (e *jsonEncoder) close() error { return e.out.Flush() }

type xmlEncoder struct {
	out     *bufio.Writer
	columns []string
}

func (e *xmlEncoder) row(cells []string) error {
	_, _ = e.out.WriteString("  <record>") // Flush returns the error
	for i, text := range cells {
		if text == "" {
			continue
		}
		_, _ = e.out.WriteString("<" + e.columns[i] + ">")
		if err := xml.EscapeText(e.out, []byte(text)); err != nil {
			return err
		}
		_, _ = e.out.WriteString("</" + e.columns[i] + ">")
	}
	_, err := e.out.WriteString("</record>\n")
	return err
}

func (e *xmlEncoder) close() error {
	_, err := e.out.WriteString("</data>\n")
	return errors.Join(err, e.out.Flush())
}

// xlsxEncoder writes the smallest workbook that spreadsheets open: one sheet,
// every cell a text of its own.
type xlsxEncoder struct {
	zip *zip.Writer
	out *bufio.Writer
}

const namespace = "http://schemas.openxmlformats.org/"

// The parts of a workbook that stand before its sheet (ECMA-376).
var xlsxParts = []struct{ name, text string }{
	{"[Content_Types].xml", `<Types xmlns="` + namespace + `package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>` +
		`<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`},
	{"_rels/.rels", `<Relationships xmlns="` + namespace + `package/2006/relationships"><Relationship Id="rId1" Type="` + namespace + `officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
	{"xl/workbook.xml", `<workbook xmlns="` + namespace + `spreadsheetml/2006/main" xmlns:r="` + namespace + `officeDocument/2006/relationships"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`},
	{"xl/_rels/workbook.xml.rels", `<Relationships xmlns="` + namespace + `package/2006/relationships"><Relationship Id="rId1" Type="` + namespace + `officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`},
}

func newXLSX(w io.Writer, columns []string) (*xlsxEncoder, error) {
	e := &xlsxEncoder{zip: zip.NewWriter(w)}
	for _, part := range xlsxParts {
		f, err := e.zip.Create(part.name)
		if err == nil {
			_, err = io.WriteString(f, xml.Header+part.text)
		}
		if err != nil {
			return nil, err
		}
	}
	sheet, err := e.zip.Create("xl/worksheets/sheet1.xml")
	if err != nil {
		return nil, err
	}
	e.out = bufio.NewWriter(sheet)
	_, _ = e.out.WriteString(xml.Header + `<worksheet xmlns="` + namespace + `spreadsheetml/2006/main"><sheetData>`) // Flush returns the error
	return e, e.row(columns)
}

func (e *xlsxEncoder) row(cells []string) error {
	_, _ = e.out.WriteString("<row>")
	for _, text := range cells {
		if text == "" {
			_, _ = e.out.WriteString("<c/>")
			continue
		}
		_, _ = e.out.WriteString(`<c t="inlineStr"><is><t xml:space="preserve">`)
		if err := xml.EscapeText(e.out, []byte(text)); err != nil {
			return err
		}
		_, _ = e.out.WriteString("</t></is></c>")
	}
	_, err := e.out.WriteString("</row>")
	return err
}

func (e *xlsxEncoder) close() error {
	_, err := e.out.WriteString("</sheetData></worksheet>")
	return errors.Join(err, e.out.Flush(), e.zip.Close())
}
