package connectors

import (
	"errors"

	"github.com/chuanyu-exchange/hub/internal/record"
)

// index knows the last content and version of every key that this connector's
// topic holds, so that a row is told apart as new, changed or duplicate. It is
// a fold of the topic and of nothing else: what is staged in it counts only
// after the transaction committed.
//
// A few keys lie in memory. Of more, all lie in a table on disk, so that the
// connector's memory does not grow with its topic. The table is never read
// after a restart: the index is folded anew, which is why it needs no format,
// no log and no sync.
type index struct {
	dir     string // for the table
	entries map[digestPrefix]indexEntry
	table   *indexTable // nil while entries are few
	staged  map[digestPrefix]indexEntry
}

// digestPrefix is enough of a keyed digest to tell millions of keys apart: 128
// bits.
type digestPrefix [16]byte

type indexEntry struct {
	content digestPrefix
	version uint32 // from 1
}

// mostInMemory is how many keys lie in memory: 4 MB of them.
const mostInMemory = 1 << 16

func newIndex(dir string) *index {
	return &index{dir: dir, entries: map[digestPrefix]indexEntry{}, staged: map[digestPrefix]indexEntry{}}
}

func prefix(d record.Digest) digestPrefix { return digestPrefix(d[:16]) }

// next is the version that a record of this key and content would have;
// duplicate says that the last one has the same content.
func (x *index) next(key, content record.Digest) (version uint32, duplicate bool, err error) {
	last, ok := x.staged[prefix(key)]
	if !ok {
		if last, ok, err = x.last(prefix(key)); err != nil {
			return 0, false, err
		}
	}
	if ok && last.content == prefix(content) {
		return last.version, true, nil
	}
	return last.version + 1, false, nil
}

// last is the committed entry of a key.
func (x *index) last(k digestPrefix) (indexEntry, bool, error) {
	if x.table != nil {
		return x.table.get(k)
	}
	e, ok := x.entries[k]
	return e, ok, nil
}

func (x *index) set(k digestPrefix, e indexEntry) error {
	if x.table == nil {
		x.entries[k] = e
		if len(x.entries) <= mostInMemory {
			return nil
		}
		return x.spill()
	}
	return x.table.put(k, e)
}

// spill moves the entries from memory to disk.
func (x *index) spill() error {
	t, err := newIndexTable(x.dir, firstSlots)
	if err != nil {
		return err
	}
	for k, e := range x.entries {
		if err := t.put(k, e); err != nil {
			return errors.Join(err, t.close())
		}
	}
	x.table, x.entries = t, nil
	return nil
}

// stage enters a record that is part of the open transaction.
func (x *index) stage(key, content record.Digest, version uint32) {
	x.staged[prefix(key)] = indexEntry{content: prefix(content), version: version}
}

// commit makes what is staged count; drop forgets it.
func (x *index) commit() error {
	for k, e := range x.staged {
		if err := x.set(k, e); err != nil {
			return err
		}
	}
	x.drop()
	return nil
}

func (x *index) drop() { clear(x.staged) }

// fold enters a committed record of the topic. Records of a key lie in one
// partition, in the order of their versions.
func (x *index) fold(key, content record.Digest, version uint32) error {
	k := prefix(key)
	last, ok, err := x.last(k)
	if err != nil || ok && version < last.version {
		return err
	}
	return x.set(k, indexEntry{content: prefix(content), version: version})
}

func (x *index) close() error {
	if x.table == nil {
		return nil
	}
	return x.table.close()
}
