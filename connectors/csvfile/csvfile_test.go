package csvfile_test

import (
	"bytes"
	"encoding/csv"
	"io"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/connectortest"
	"github.com/chuanyu-exchange/hub/connectors/csvfile"
	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

func TestConformance(t *testing.T) {
	connectortest.Run(t, connectortest.Kind{
		Extension: ".csv",
		Open: func(c dropdir.Config, columns []string) (connectors.Source, error) {
			return csvfile.Config{Config: c}.Open(columns)
		},
		Encode: func(columns []string, rows [][]string) []byte {
			var b bytes.Buffer
			w := csv.NewWriter(&b)
			_ = w.WriteAll(append([][]string{columns}, rows...))
			return b.Bytes()
		},
		Endless: func(w io.Writer, size int) error {
			_, err := io.WriteString(w, "品名,最低价,备注\n梨,1,\n\"")
			for written := 0; err == nil && written < size; written += 1 << 16 {
				_, err = io.WriteString(w, strings.Repeat("x", 1<<16))
			}
			return err
		},
	})
}

func read(t *testing.T, text string, encoding dropdir.Encoding, columns ...string) (source.Reader, error) {
	t.Helper()
	return csvfile.Config{Encoding: encoding, MaxRowBytes: 1 << 16}.Read(strings.NewReader(text), columns)
}

// A row that cannot be taken apart goes to quarantine with its own text, and
// the file goes on.
func TestMalformedRows(t *testing.T) {
	t.Parallel()
	r, err := read(t, "a,b\n1,2\n3\n4,5,6\n7,x\"y\n8,9\n", "", "b")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		row, err := r.Next()
		if err == io.EOF { //nolint:errorlint // RowReader promises io.EOF itself
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if row.Fault == nil {
			got = append(got, row.Cells[0])
			continue
		}
		if row.Fault.Code != problem.RowMalformed || row.Line != row.Number+1 {
			t.Errorf("row %d: %v at line %d", row.Number, row.Fault, row.Line)
		}
		got = append(got, "!"+strings.TrimSpace(strings.TrimPrefix(string(r.Raw()), "a,b\n")))
	}
	if want := []string{"2", "!3", "!4,5,6", `!7,x"y`, "9"}; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		text     string
		encoding dropdir.Encoding
		want     problem.Code
		says     string
	}{
		"a missing column":      {"品名,价格\n梨,1\n", "", problem.ColumnMissing, "最低价"},
		"gb18030 read as utf-8": {"\xc6\xb7\xc3\xfb\n", dropdir.UTF8, problem.FileEncoding, "gb18030"},
		"utf-8 read as gb18030": {"品名\n", dropdir.GB18030, problem.FileEncoding, "utf-8"},
		"an unknown encoding":   {"a\n", "latin1", problem.ConfigInvalid, "utf-8"},
		"a header that is open": {"\"a\n", "", problem.FileMalformed, "line 1"},
		"a header without end":  {strings.Repeat("a", 1<<18), "", problem.RowTooLong, "65536"},
	} {
		_, err := read(t, c.text, c.encoding, "最低价")
		if problem.CodeOf(err) != c.want || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", title, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("a,b\n1,\"2\n3\"\n"), "")
	f.Add([]byte("\xef\xbb\xbfa\n\"\n"), "gb18030")
	f.Fuzz(func(t *testing.T, content []byte, encoding string) {
		r, err := csvfile.Config{Encoding: dropdir.Encoding(encoding), MaxRowBytes: 1 << 10}.Read(bytes.NewReader(content), []string{"a"})
		for range 10_000 {
			if err != nil {
				return
			}
			if _, err = r.Next(); err == nil {
				_ = r.Raw()
			}
		}
		if err == nil && len(content) < 10_000 {
			t.Fatal("more rows than bytes")
		}
	})
}
