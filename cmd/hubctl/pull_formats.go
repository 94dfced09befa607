package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/container"
)

// pageWriter prints verified pages, one behind the other, as one file.
type pageWriter interface{ write(*client.Page) error }

func newPageWriter(format string, out io.Writer) (pageWriter, client.Format) {
	switch format {
	case "avro":
		return &avroPages{out: out}, client.Avro
	case "csv":
		return &csvPages{out: out}, client.CSV
	}
	return jsonPages{out: out}, client.JSON
}

type jsonPages struct{ out io.Writer }

func (w jsonPages) write(page *client.Page) error {
	for _, r := range page.Records {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if _, err := w.out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// changed says that what is released changed between two pages, so that they
// cannot stand in one file.
func changed() error {
	return problem.New(problem.AnswerInvalid, "the released fields are others than on the first page: begin a new file at the cursor of --state")
}

// csvPages writes the names once.
type csvPages struct {
	out  io.Writer
	head []byte
}

func (w *csvPages) write(page *client.Page) error {
	head, rows, _ := bytes.Cut(page.Body, []byte("\n")) // a name has no line feed
	if w.head == nil {
		w.head = head
		rows = page.Body
	}
	if !bytes.Equal(head, w.head) {
		return changed()
	}
	_, err := w.out.Write(rows)
	return err
}

// avroPages puts the records of all pages into one container file.
type avroPages struct {
	out    io.Writer
	file   *container.Writer
	schema []byte
}

func (w *avroPages) write(page *client.Page) error {
	in, err := container.NewReader(bytes.NewReader(page.Body))
	if err != nil {
		return problem.Wrap(problem.AnswerInvalid, err, "")
	}
	defer in.Close()
	schema := in.Metadata()["avro.schema"]
	if w.file == nil {
		w.schema = schema
		if w.file, err = container.NewWriter(w.out, container.Header{Schema: schema}); err != nil {
			return err
		}
	}
	if !bytes.Equal(schema, w.schema) {
		return changed()
	}
	for {
		body, err := in.Next()
		if errors.Is(err, io.EOF) {
			return w.file.Flush() // before the cursor moves on
		}
		if err == nil {
			err = w.file.Append(body)
		}
		if err != nil {
			return err
		}
	}
}
