package connectors

import (
	"crypto/sha256"
	"encoding/binary"
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
	most    int    // entries in memory
	entries map[digestPrefix]indexEntry
	table   *indexTable // nil while entries are few
	staged  map[digestPrefix]indexEntry
	// versioned says that the provider numbers its versions: then every version
	// of a key has an entry of its own, so that a file that is dropped again is
	// told apart from a version that comes late.
	versioned bool
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
	return &index{dir: dir, most: mostInMemory, entries: map[digestPrefix]indexEntry{}, staged: map[digestPrefix]indexEntry{}}
}

func prefix(d record.Digest) digestPrefix { return digestPrefix(d[:16]) }

// next is the version that a record of this key and content would have, where
// the connector counts; duplicate says that the last one has the same content.
func (x *index) next(key, content record.Digest) (version uint32, duplicate bool, err error) {
	last, ok, err := x.find(prefix(key))
	if ok && last.content == prefix(content) {
		return last.version, true, err
	}
	return last.version + 1, false, err
}

// given says what a version that the provider numbered is: a duplicate of the
// one that was published, or in conflict with its content.
func (x *index) given(key, content record.Digest, version uint32) (duplicate, conflict bool, err error) {
	known, ok, err := x.find(versionOf(key, version))
	same := known.content == prefix(content)
	return ok && same, ok && !same, err
}

// newest is the highest version of a key that was published.
func (x *index) newest(key record.Digest) (uint32, error) {
	last, _, err := x.find(prefix(key))
	return last.version, err
}

// find is the entry of a key, or of one version of it, staged or committed.
func (x *index) find(k digestPrefix) (indexEntry, bool, error) {
	if e, ok := x.staged[k]; ok {
		return e, true, nil
	}
	return x.last(k)
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
		if len(x.entries) <= x.most {
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
func (x *index) stage(key, content record.Digest, version uint32) error {
	return x.enter(key, content, version, func(k digestPrefix, e indexEntry) error {
		x.staged[k] = e
		return nil
	})
}

// enter enters a record under its version, where the provider numbers them,
// and under its key, where it is the newest.
func (x *index) enter(key, content record.Digest, version uint32, set func(digestPrefix, indexEntry) error) error {
	e := indexEntry{content: prefix(content), version: version}
	if x.versioned {
		if err := set(versionOf(key, version), e); err != nil {
			return err
		}
	}
	last, ok, err := x.find(prefix(key))
	if err != nil || ok && version < last.version {
		return err
	}
	return set(prefix(key), e)
}

// versionOf names one version of a key.
func versionOf(key record.Digest, version uint32) digestPrefix {
	var b [record.DigestSize + 4]byte
	copy(b[:], key[:])
	binary.BigEndian.PutUint32(b[record.DigestSize:], version)
	sum := sha256.Sum256(b[:])
	return digestPrefix(sum[:16])
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

// fold enters a committed record of the topic.
func (x *index) fold(key, content record.Digest, version uint32) error {
	return x.enter(key, content, version, x.set)
}

func (x *index) close() error {
	if x.table == nil {
		return nil
	}
	return x.table.close()
}
