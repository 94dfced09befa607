//go:build e2e

package mutants_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

const root = "../.."

// mutant is one file of testdata.
type mutant struct {
	file  string   // of the source, from the root
	tests []string // arguments of go test, for each that must notice
	edits [][2][]byte
}

func TestMutantsAreNoticed(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d mutants, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			m := read(t, file)
			overlay := m.overlay(t)
			for _, args := range m.tests {
				noticed(t, args, overlay)
			}
		})
	}
}

func read(t *testing.T, path string) *mutant {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := &mutant{}
	for line := range strings.Lines(string(archive.Comment)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "file":
			m.file = value
		case "test":
			m.tests = append(m.tests, value)
		}
	}
	for i := 0; i+1 < len(archive.Files); i += 2 {
		if archive.Files[i].Name != "find" || archive.Files[i+1].Name != "replace" {
			t.Fatalf("%s: the files are find and replace, in turn", path)
		}
		m.edits = append(m.edits, [2][]byte{archive.Files[i].Data, archive.Files[i+1].Data})
	}
	if m.file == "" || len(m.tests) == 0 || len(m.edits) == 0 {
		t.Fatalf("%s names no file, test or change", path)
	}
	return m
}

// overlay writes the changed source and the overlay that names it.
func (m *mutant) overlay(t *testing.T) string {
	t.Helper()
	source, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range m.edits {
		if n := bytes.Count(text, edit[0]); n != 1 {
			t.Fatalf("the piece stands %d times in %s: the source was changed, change the mutant too\n%s", n, m.file, edit[0])
		}
		text = bytes.Replace(text, edit[0], edit[1], 1)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, filepath.Base(m.file))
	doc, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	overlay := filepath.Join(dir, "overlay.json")
	if err := errors.Join(err, os.WriteFile(changed, text, 0o600), os.WriteFile(overlay, doc, 0o600)); err != nil {
		t.Fatal(err)
	}
	return overlay
}

// noticed runs a test over the overlay and demands that it fails, and that it
// fails as a test, not because the mutant does not compile. Builds within the
// test see the overlay too.
func noticed(t *testing.T, args, overlay string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"test", "-count=1"}, strings.Fields(args)...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		t.Errorf("survived `go test %s`\n%s", args, out)
	case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")) || bytes.Contains(out, []byte("build: exit")):
		t.Errorf("does not compile: `go test %s`\n%s", args, out)
	case !bytes.Contains(out, []byte("--- FAIL")):
		t.Errorf("`go test %s` ended without a failed test\n%s", args, out)
	}
}
