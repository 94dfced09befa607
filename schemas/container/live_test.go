//go:build live

package container_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/schemas/container"
)

const exchanged = `{"type":"record","name":"Row","namespace":"cn.test","fields":[{"name":"n","type":"long"},{"name":"s","type":["null","string"]},{"name":"b","type":"bytes"}]}`

type row struct {
	N int64   `json:"n"`
	S *string `json:"s"`
	B string  `json:"b"` // hex
}

func rows() (rows []row, bodies [][]byte) {
	for i := range 3000 {
		text, raw := strings.Repeat("重庆市渝中区𠮷", i%5), bytes.Repeat([]byte{byte(i), 0, 255}, i%4)
		r := row{N: int64(i)*1_000_003 - 1_000_000_000, B: hex.EncodeToString(raw)}
		body := binary.AppendVarint(nil, r.N)
		if i%5 == 0 {
			body = append(body, 0)
		} else {
			r.S = &text
			body = append(binary.AppendVarint(append(body, 2), int64(len(text))), text...)
		}
		rows, bodies = append(rows, r), append(bodies, append(binary.AppendVarint(body, int64(len(raw))), raw...))
	}
	return rows, bodies
}

// Container files go both ways between this package and the libraries of other
// languages, in every codec that each of them knows.
func TestLiveContainerFiles(t *testing.T) {
	clients, err := filepath.Abs("../../.clients")
	if err != nil {
		t.Fatal(err)
	}
	const scripts = "../../deploy/clients/"
	given, bodies := rows()
	in, err := json.Marshal(map[string]any{"schema": json.RawMessage(exchanged), "records": given})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		command []string
		codecs  []container.Codec
	}{
		"fastavro": {[]string{clients + "/venv/bin/python", scripts + "container.py"}, codecs},
		"avsc":     {[]string{"node", scripts + "container.mjs", clients + "/node"}, []container.Codec{container.Null, container.Deflate}},
		"Java":     {[]string{"java", "-cp", clients + "/jars/*", scripts + "Container.java"}, codecs},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exchange(t, c.command, c.codecs, in, given, bodies)
		})
	}
}

func exchange(t *testing.T, command []string, codecs []container.Codec, in []byte, given []row, bodies [][]byte) {
	t.Helper()
	run := func(stdin []byte, args ...string) *bytes.Buffer {
		cmd := exec.CommandContext(t.Context(), command[0], append(command[1:len(command):len(command)], args...)...)
		var out, errs bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v (are the clients here? `make clients`)\n%s", err, errs.String())
		}
		return &out
	}
	dir := t.TempDir()
	toWrite, toRead := []string{"write"}, []string{"read"}
	for _, codec := range codecs {
		ours := filepath.Join(dir, "ours."+string(codec))
		if err := os.WriteFile(ours, write(t, container.Header{Schema: []byte(exchanged), Codec: codec}, bodies...), 0o600); err != nil {
			t.Fatal(err)
		}
		toRead = append(toRead, ours)
		toWrite = append(toWrite, filepath.Join(dir, "theirs."+string(codec)), string(codec))
	}
	run(in, toWrite...)
	for _, codec := range codecs {
		file, err := os.ReadFile(filepath.Join(dir, "theirs."+string(codec)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(file); err != nil || !reflect.DeepEqual(got, bodies) {
			t.Errorf("%s: read %d records of theirs, %v", codec, len(got), err)
		}
	}
	out := json.NewDecoder(run(nil, toRead...))
	for _, codec := range codecs {
		var got []row
		if err := out.Decode(&got); err != nil || !reflect.DeepEqual(got, given) {
			t.Errorf("%s: they read %d records of ours, %v", codec, len(got), err)
		}
	}
}
