package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The policy officer's guide works as it is written, and editors find the
// schemas of the copy that it makes.
func TestOfficersGuide(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("with make test")
	}
	guide, err := os.ReadFile("../../docs/guides/policy-officer.zh-CN.md")
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := filepath.Abs("../../policies")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(shipped, filepath.Join(dir, "policies")); err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(guide), -1)
	if len(blocks) != 4 {
		t.Fatalf("%d blocks of commands", len(blocks))
	}
	for _, block := range blocks {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", block[1])
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s%v\n%s", block[1], err, out)
		}
	}
	checkSchemasOf(t, filepath.Join(dir, "目录"))
}

// checkSchemasOf follows the first line of each policy to its schema.
func checkSchemasOf(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".yaml" {
			return err
		}
		files++
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(string(text), "\n")
		_, schema, _ := strings.Cut(first, "$schema=")
		if _, err := os.Stat(filepath.Join(filepath.Dir(name), schema)); err != nil || schema == "" {
			t.Errorf("%s: editors find no schema %q", name, schema)
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d policies: %v", files, err)
	}
}
