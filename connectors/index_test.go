package connectors

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/record"
)

func digestOf(n uint64) (d record.Digest) {
	return record.Key([]byte("key"), binary.BigEndian.AppendUint64(nil, n))
}

// The index on disk says what the one in memory says, whatever is staged,
// committed, dropped and folded, and nothing of it stays behind.
func TestIndexOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := newIndex(dir)
	var err error
	if x.table, err = newIndexTable(dir, 64); err != nil { // small: it grows several times
		t.Fatal(err)
	}
	defer func() {
		if err := x.close(); err != nil {
			t.Error(err)
		}
	}()
	plain := newIndex("")
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 15_000 {
		key, content, version := digestOf(r.Uint64N(2000)), digestOf(r.Uint64N(3)), uint32(1+r.IntN(5))
		v, duplicate, err := x.next(key, content)
		wantV, wantDuplicate, _ := plain.next(key, content)
		if err != nil || v != wantV || duplicate != wantDuplicate {
			t.Fatalf("step %d: version %d, duplicate %v, %v; want %d, %v", i, v, duplicate, err, wantV, wantDuplicate)
		}
		switch r.IntN(10) {
		case 0:
			err = errors.Join(x.commit(), plain.commit())
		case 1:
			x.drop()
			plain.drop()
		case 2:
			err = errors.Join(x.fold(key, content, version), plain.fold(key, content, version))
		default:
			if err := errors.Join(x.stage(key, content, v), plain.stage(key, content, v)); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if int(x.table.used) != len(plain.entries) || x.table.slots < 2*64*growBy {
		t.Errorf("%d keys in %d slots, want %d", x.table.used, x.table.slots, len(plain.entries))
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Beyond a number of keys all of them move to disk, and none is forgotten.
func TestIndexSpills(t *testing.T) {
	t.Parallel()
	x := newIndex(t.TempDir())
	x.most = 2000
	defer func() { _ = x.close() }()
	const keys = 3000
	for n := range uint64(keys) {
		if err := x.fold(digestOf(n), digestOf(n+1), 1); err != nil {
			t.Fatal(err)
		}
	}
	if x.table == nil || x.entries != nil || x.table.used != keys {
		t.Fatal("the entries are still in memory")
	}
	for n := range uint64(keys) {
		if v, duplicate, err := x.next(digestOf(n), digestOf(n+1)); err != nil || !duplicate || v != 1 {
			t.Fatalf("key %d: version %d, duplicate %v, %v", n, v, duplicate, err)
		}
	}
	if v, duplicate, err := x.next(digestOf(keys), digestOf(1)); err != nil || duplicate || v != 1 {
		t.Errorf("an unknown key: version %d, duplicate %v, %v", v, duplicate, err)
	}
}

// A disk that fails is told, not taken for an empty index.
func TestIndexFails(t *testing.T) {
	t.Parallel()
	x := newIndex(t.TempDir())
	var err error
	if x.table, err = newIndexTable(x.dir, 64); err != nil {
		t.Fatal(err)
	}
	if err := x.close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.next(digestOf(1), digestOf(2)); err == nil {
		t.Error("a table that cannot be read knows a version")
	}
	if err := x.fold(digestOf(1), digestOf(2), 1); err == nil {
		t.Error("a table that cannot be written took an entry")
	}
}
