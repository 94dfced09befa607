package main

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/container"
)

// Pages become one file: names and schema stand once, and a page with others
// does not enter it.
func TestPagesBecomeOneFile(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w, _ := newPageWriter("csv", &out)
	for _, body := range []string{"a,b\r\n1,2\r\n", "a,b\r\n", "a,b\r\n3,\"4\n5\"\r\n"} {
		if err := w.write(&client.Page{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := out.String(), "a,b\r\n1,2\r\n3,\"4\n5\"\r\n"; got != want {
		t.Errorf("%q", got)
	}
	if err := w.write(&client.Page{Body: []byte("a\r\n1\r\n")}); problem.CodeOf(err) != problem.AnswerInvalid {
		t.Errorf("other columns: %v", err)
	}

	out.Reset()
	w, _ = newPageWriter("avro", &out)
	for _, values := range []string{"\x02\x04", "", "\x06"} {
		if err := w.write(&client.Page{Body: avroFile(t, `"long"`, values)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.write(&client.Page{Body: avroFile(t, `"int"`, "\x02")}); problem.CodeOf(err) != problem.AnswerInvalid {
		t.Errorf("another schema: %v", err)
	}
	in, err := container.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var got []byte
	for {
		body, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, body...)
	}
	if string(got) != "\x02\x04\x06" {
		t.Errorf("%q", got)
	}
}

func avroFile(t *testing.T, schema, values string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := container.NewWriter(&out, container.Header{Schema: []byte(schema)})
	if err == nil {
		err = errors.Join(w.AppendAll([]byte(values)), w.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
