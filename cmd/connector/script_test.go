package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"connector": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }})
}

// The command line as its user types it.
func TestScripts(t *testing.T) {
	t.Parallel()
	config, err := filepath.Abs("../../deploy/config")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(e *testscript.Env) error {
		e.Setenv("GORACE", os.Getenv("GORACE"))                                // or the race detector waits a second at the end of each command
		return os.CopyFS(filepath.Join(e.WorkDir, "config"), os.DirFS(config)) // beside the script's own files
	}})
}
