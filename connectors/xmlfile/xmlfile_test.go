package xmlfile_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/connectortest"
	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/connectors/xmlfile"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

func encode(columns []string, rows [][]string) []byte {
	var b bytes.Buffer
	b.WriteString("<数据>\n")
	for _, row := range rows {
		b.WriteString("  <行>")
		for i, c := range columns {
			b.WriteString("<" + c + ">")
			_ = xml.EscapeText(&b, []byte(row[i]))
			b.WriteString("</" + c + ">")
		}
		b.WriteString("</行>\n")
	}
	b.WriteString("</数据>\n")
	return b.Bytes()
}

func open(c dropdir.Config, columns []string) (connectors.Source, error) {
	return xmlfile.Config{Config: c, Row: "/数据/行"}.Open(columns)
}

const good = "<行><品名>梨</品名></行>"

func hostile() []connectortest.Hostile {
	of := func(s string) func() []byte { return func() []byte { return []byte(s) } }
	return []connectortest.Hostile{
		{
			Title: "a billion laughs", Content: of(`<?xml version="1.0"?>
<!DOCTYPE 数据 [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]><数据><行><品名>&c;</品名></行></数据>`),
			Want: problem.FileMalformed, Says: "document type declaration",
		},
		{
			Title: "an external entity", Content: of(`<!DOCTYPE 数据 [<!ENTITY x SYSTEM "file:///etc/hostname">]><数据><行><品名>&x;</品名></行></数据>`),
			Want: problem.FileMalformed, Says: "document type declaration",
		},
		{
			Title: "a declaration between rows", Content: of("<数据>" + good + `<!DOCTYPE x>` + good + "</数据>"),
			Want: problem.FileMalformed, Says: "document type declaration", Rows: 1,
		},
		{Title: "an undeclared entity", Content: of("<数据>" + good + "<行><品名>&梨;</品名></行></数据>"), Want: problem.FileMalformed, Says: "&amp;", Rows: 1},
		{
			Title: "nested too deep", Content: of("<数据>" + good + "<行>" + strings.Repeat("<x>", 100_000)),
			Want: problem.FileMalformed, Says: "nested", Rows: 1,
		},
		{Title: "cut in a row", Content: of("<数据>" + good + "<行><品名>桃"), Want: problem.FileTruncated, Says: "line 1", Rows: 1},
		{Title: "cut between rows", Content: of("<数据>\n" + good + "\n"), Want: problem.FileTruncated, Says: "line 3", Rows: 1},
		{Title: "ends that do not match", Content: of("<数据>" + good + "<行><品名>桃</行></品名></数据>"), Want: problem.FileMalformed, Says: "closed by another's end", Rows: 1},
		{Title: "no rows at the path", Content: of("<data><row/></data>"), Want: problem.FileEmpty, Says: "the root element is data"},
		{Title: "much, but no rows", Content: of("<data>" + strings.Repeat("<row/>\n", 300_000)), Want: problem.FileMalformed, Says: "no element lies at /数据/行", Slow: true},
		{Title: "an endless attribute", Content: of("<数据>" + good + `<行 x="` + strings.Repeat("x", 8<<20)), Want: problem.RowTooLong, Rows: 1},
		{Title: "an endless name", Content: of("<数据>" + good + "<" + strings.Repeat("x", 8<<20)), Want: problem.RowTooLong, Rows: 1},
		{Title: "an endless comment", Content: of("<数据>" + good + "<!--" + strings.Repeat("x", 8<<20)), Want: problem.RowTooLong, Rows: 1},
		{Title: "declared as what it is not", Content: of(`<?xml version="1.0" encoding="GB18030"?><数据>` + good + "</数据>"), Want: problem.FileEncoding, Says: "utf-8"},
		{Title: "an unknown encoding", Content: of(`<?xml version="1.0" encoding="Shift_JIS"?><a/>`), Want: problem.FileEncoding, Says: "Shift_JIS"},
		{Title: "utf-16", Content: of("\xff\xfe<\x00a\x00/\x00>\x00"), Want: problem.FileEncoding, Says: "utf-16"},
	}
}

func TestConformance(t *testing.T) {
	connectortest.Run(t, connectortest.Kind{
		Extension: ".xml", Open: open, Encode: encode, Hostile: hostile(),
		Endless: func(w io.Writer, size int) error {
			_, err := io.WriteString(w, "<数据>"+good+"<行><品名>")
			for written := 0; err == nil && written < size; written += 1 << 16 {
				_, err = io.WriteString(w, strings.Repeat("x", 1<<16))
			}
			return err
		},
	})
}

// drain reads a text to its end or fault.
func drain(t *testing.T, c xmlfile.Config, text string, columns ...string) (cells []string, faults int, err error) {
	t.Helper()
	r, err := c.Read(strings.NewReader(text), columns)
	for err == nil {
		var row source.Row
		if row, err = r.Next(); err != nil {
			break
		}
		if row.Fault != nil {
			faults++
			continue
		}
		cells = append(cells, strings.Join(row.Cells, "|"))
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return cells, faults, err
}

// Nested elements, attributes, repeated elements, prefixes, CDATA; a sibling of
// the same name elsewhere is not a row.
func TestColumns(t *testing.T) {
	t.Parallel()
	text := `<x:list xmlns:x="urn:x" xmlns="urn:y">
 <head><record id="0"><name>not a row</name></record></head>
 <body>
  <record id="1"><name>一 &amp; <![CDATA[<二>]]></name><bidder role="lead"><name>甲</name><amount currency="CNY">12.50</amount></bidder><tag>a</tag><tag/><tag>b</tag></record>
  <x:record id="2"><other><name>no</name></other></x:record>
 </body>
</x:list>`
	got, faults, err := drain(t, xmlfile.Config{Row: "list/body/record"}, text,
		"@id", "name", "bidder/name", "bidder/@role", "bidder/amount", "bidder/amount/@currency", "tag", "missing")
	want := []string{"1|一 & <二>|甲|lead|12.50|CNY|a\x1f\x1fb|", "2|||||||"}
	if err != nil || faults != 0 || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, %d faults, %v", got, faults, err)
	}
}

// An element where text is expected is the row's fault; its text is kept for
// quarantine as it stands.
func TestRowFault(t *testing.T) {
	t.Parallel()
	r, err := xmlfile.Config{Row: "/l/r"}.Read(strings.NewReader("<l>\n<r><a>1</a></r>\n<r><a>2<b/></a></r>\n<r><a>3</a></r></l>"), []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"<r><a>1</a></r>", "<r><a>2<b/></a></r>", "<r><a>3</a></r>"} {
		row, err := r.Next()
		if err != nil || string(r.Raw()) != want || row.Line != int64(i+2) || (row.Fault != nil) != (i == 1) {
			t.Errorf("row %d: %+v, raw %q, %v", i+1, row, r.Raw(), err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// The declaration names the encoding, also of a file whose Chinese comes late;
// the configuration counts more.
func TestEncodings(t *testing.T) {
	t.Parallel()
	late := `<?xml version='1.0' encoding='gbk'?><l><r><a>` + strings.Repeat("x", 100_000) + `</a></r><r><a>梨</a></r></l>`
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(late)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := drain(t, xmlfile.Config{Row: "/l/r"}, gb, "a")
	if err != nil || len(got) != 2 || got[1] != "梨" {
		t.Errorf("%d rows, %v", len(got), err)
	}
	lying := strings.Replace(gb, "gbk", "UTF-8", 1)
	if got, _, err := drain(t, xmlfile.Config{Row: "/l/r", Encoding: dropdir.GB18030}, lying, "a"); err != nil || len(got) != 2 || got[1] != "梨" {
		t.Errorf("configured gb18030: %d rows, %v", len(got), err)
	}
	if got, _, err := drain(t, xmlfile.Config{Row: "/l/r"}, lying, "a"); problem.CodeOf(err) != problem.FileMalformed || len(got) != 1 {
		t.Errorf("declared utf-8, late bytes that are not: %d rows, %v", len(got), err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, row := range []string{"", "/", "a//b", "a/@b", "a/*", "a[1]"} {
		if _, err := (xmlfile.Config{Row: row}).Open(nil); problem.CodeOf(err) != problem.ConfigInvalid {
			t.Errorf("%q: %v", row, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("<l><r i='1'><a>1</a><a>&lt;</a></r><!-- --><r/></l>"))
	f.Add([]byte(`<?xml version="1.0" encoding="gbk"?><l><r><a><![CDATA[x]]></a></r>`))
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := xmlfile.Config{Row: "l/r", MaxRowBytes: 1 << 10}.Read(bytes.NewReader(content), []string{"a", "@i", "a/b"})
		for range 10_000 {
			if err != nil {
				return
			}
			if _, err = r.Next(); err == nil && len(r.Raw()) == 0 {
				t.Fatal("a row without text")
			}
		}
		if err == nil && len(content) < 10_000 {
			t.Fatal("more rows than bytes")
		}
	})
}
