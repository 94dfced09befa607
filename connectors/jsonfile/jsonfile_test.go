package jsonfile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/connectortest"
	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/jsonfile"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

func objects(columns []string, rows [][]string) [][]byte {
	var out [][]byte
	for _, row := range rows {
		m := map[string]string{}
		for i, c := range columns {
			m[c] = row[i]
		}
		b, _ := json.Marshal(m)
		out = append(out, b)
	}
	return out
}

func open(c dropdir.Config, columns []string) (connectors.Source, error) {
	return jsonfile.Config{Config: c}.Open(columns)
}

func endless(head string) func(w io.Writer, size int) error {
	return func(w io.Writer, size int) error {
		_, err := io.WriteString(w, head)
		for written := 0; err == nil && written < size; written += 1 << 16 {
			_, err = io.WriteString(w, strings.Repeat("x", 1<<16))
		}
		return err
	}
}

func TestConformanceLines(t *testing.T) {
	connectortest.Run(t, connectortest.Kind{
		Extension: ".jsonl", Open: open, Endless: endless(`{"品名":"梨"}` + "\n" + `{"品名":"`),
		Encode: func(columns []string, rows [][]string) []byte {
			return append(bytes.Join(objects(columns, rows), []byte("\n")), '\n')
		},
	})
}

func TestConformanceArray(t *testing.T) {
	connectortest.Run(t, connectortest.Kind{
		Extension: ".json", Open: open, Endless: endless(`[{"品名":"梨"},{"品名":"`),
		Encode: func(columns []string, rows [][]string) []byte {
			return append(append([]byte("[\n"), bytes.Join(objects(columns, rows), []byte(",\n"))...), ']')
		},
	})
}

// drain reads a file to its end or fault and says what it gave.
func drain(t *testing.T, text string, columns ...string) (cells []string, faults int, err error) {
	t.Helper()
	r, err := jsonfile.Config{MaxRowBytes: 1 << 16}.Read(strings.NewReader(text), columns)
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

func TestCells(t *testing.T) {
	t.Parallel()
	got, _, err := drain(t, `{"a":12345678901234567890.10,"b":{"c":"x","d":[1,"二",true,null]},"e":false,"f.g":"dotted"}`,
		"a", "b.c", "b.d", "e", "f.g", "missing", "b.missing")
	want := "12345678901234567890.10|x|1\x1f二\x1ftrue\x1f|false|dotted||"
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for title, c := range map[string]struct {
		text   string
		rows   int
		faults int
		want   problem.Code
	}{
		"a line that is no object":    {"{\"a\":1}\nnot json\n[1]\n{\"a\":2}\n", 2, 2, ""},
		"an object in a cell":         {"{\"a\":{\"x\":1}}\n{\"a\":1}\n", 1, 1, ""},
		"lines that break off":        {"{\"a\":1}\n{\"a\":", 1, 0, problem.FileTruncated},
		"an array that breaks off":    {`[{"a":1},{"a":`, 1, 0, problem.FileTruncated},
		"an array without its end":    {`[{"a":1},`, 1, 0, problem.FileTruncated},
		"an array that is broken":     {`[{"a":1},}`, 1, 0, problem.FileMalformed},
		"an array with a stray item":  {`[{"a":1},7,{"a":2}]`, 2, 1, ""},
		"an empty array":              {`[ ]`, 0, 0, problem.FileEmpty},
		"no line end behind the last": {"{\"a\":1}\n{\"a\":2}", 2, 0, ""},
		"blank lines":                 {"\n{\"a\":1}\n\n\n{\"a\":2}\n\n", 2, 0, ""},
	} {
		cells, faults, err := drain(t, c.text, "a")
		if len(cells) != c.rows || faults != c.faults || (err == nil) != (c.want == "") || err != nil && problem.CodeOf(err) != c.want {
			t.Errorf("%s: %d rows, %d faults, %v", title, len(cells), faults, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`[{"a":1},{"a":[1,2]}]`))
	f.Add([]byte("{\"a\":1}\n{\"a\":\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := jsonfile.Config{MaxRowBytes: 1 << 10}.Read(bytes.NewReader(content), []string{"a", "a.b"})
		for range 10_000 {
			if err != nil {
				return
			}
			_, err = r.Next()
		}
		if err == nil && len(content) < 10_000 {
			t.Fatal("more rows than bytes")
		}
	})
}
