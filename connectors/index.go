package connectors

import (
	"maps"

	"github.com/chuanyu-exchange/hub/internal/record"
)

// index knows the last content and version of every key that this connector's
// topic holds, so that a row is told apart as new, changed or duplicate. It is
// a fold of the topic and of nothing else: what is staged in it counts only
// after the transaction committed.
type index struct {
	entries map[digestPrefix]indexEntry
	staged  map[digestPrefix]indexEntry
}

// digestPrefix is enough of a keyed digest to tell millions of keys apart: 128
// bits.
type digestPrefix [16]byte

type indexEntry struct {
	content digestPrefix
	version uint32
}

func newIndex() *index {
	return &index{entries: map[digestPrefix]indexEntry{}, staged: map[digestPrefix]indexEntry{}}
}

func prefix(d record.Digest) digestPrefix { return digestPrefix(d[:16]) }

// next is the version that a record of this key and content would have;
// duplicate says that the last one has the same content.
func (x *index) next(key, content record.Digest) (version uint32, duplicate bool) {
	last, ok := x.staged[prefix(key)]
	if !ok {
		last, ok = x.entries[prefix(key)]
	}
	if ok && last.content == prefix(content) {
		return last.version, true
	}
	return last.version + 1, false
}

// stage enters a record that is part of the open transaction.
func (x *index) stage(key, content record.Digest, version uint32) {
	x.staged[prefix(key)] = indexEntry{content: prefix(content), version: version}
}

// commit makes what is staged count; drop forgets it.
func (x *index) commit() {
	maps.Copy(x.entries, x.staged)
	x.drop()
}

func (x *index) drop() { clear(x.staged) }

// fold enters a committed record of the topic. Records of a key lie in one
// partition, in the order of their versions.
func (x *index) fold(key, content record.Digest, version uint32) {
	k := prefix(key)
	if last, ok := x.entries[k]; !ok || version >= last.version {
		x.entries[k] = indexEntry{content: prefix(content), version: version}
	}
}
