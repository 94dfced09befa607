package main

import (
	"io/fs"
	"os"
	"testing/fstest"

	"github.com/chuanyu-exchange/hub/schemas"
)

// overlay is the schemas directory with the lock file as it will be.
type overlay struct {
	lock []byte
}

func (o overlay) Open(name string) (fs.File, error) {
	if name == schemas.LockFile {
		return fstest.MapFS{name: {Data: o.lock}}.Open(name)
	}
	return os.DirFS("schemas").Open(name)
}
