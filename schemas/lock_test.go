package schemas_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/chuanyu-exchange/hub/schemas"
)

// Invariant 7: a published schema version never changes.
func TestPublishedVersionNeverChanges(t *testing.T) {
	t.Parallel()
	dir := fstest.MapFS{}
	files, err := filepath.Glob("*.avsc")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, schemas.LockFile) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		dir[name] = &fstest.MapFile{Data: b}
	}
	if _, err := schemas.Load(dir); err != nil {
		t.Fatal(err)
	}
	original := dir["price_quote.v1.avsc"].Data

	dir["price_quote.v1.avsc"] = &fstest.MapFile{Data: []byte(strings.Replace(string(original), "市场名称", "市场名", 1))}
	if _, err := schemas.Load(dir); err == nil || !strings.Contains(err.Error(), "never changes") {
		t.Errorf("a changed version: %v", err)
	}
	if lock, err := schemas.Lock(dir); err != nil || string(lock) != string(dir[schemas.LockFile].Data) {
		t.Errorf("locking again moved an id: %v\n%s", err, lock)
	}

	dir["price_quote.v2.avsc"] = &fstest.MapFile{Data: original}
	dir["price_quote.v1.avsc"] = &fstest.MapFile{Data: original}
	if _, err := schemas.Load(dir); err == nil || !strings.Contains(err.Error(), "no id") {
		t.Errorf("a version without an id: %v", err)
	}
	lock, err := schemas.Lock(dir)
	if err != nil || !strings.HasPrefix(string(lock), strings.TrimSuffix(string(dir[schemas.LockFile].Data), "\n]\n")) {
		t.Fatalf("locking changed a line: %v\n%s", err, lock)
	}
	dir[schemas.LockFile] = &fstest.MapFile{Data: lock}
	set, err := schemas.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	next := uint32(len(files) + 1)
	if s, ok := set.ByID(next); !ok || s.Name != "price_quote.v2" {
		t.Errorf("id %d is %v", next, s)
	}

	delete(dir, "price_quote.v1.avsc")
	if _, err := schemas.Load(dir); err == nil || !strings.Contains(err.Error(), "file is missing") {
		t.Errorf("a missing file: %v", err)
	}
}
