package connectors

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"os"
)

// indexTable is the index on disk: a hash table with linear probing in a file
// without a name. It is read and written in place, not mapped, so that what the
// system keeps of it in its page cache is not this process's memory.
//
//	slot: 16 bytes of key, 16 of content, 4 of version; version 0 is an empty slot
//
// Keys are digests, so the key itself is its hash.
type indexTable struct {
	dir   string
	file  *os.File
	slots uint64
	used  uint64
	run   [probeSlots * slotSize]byte
}

const (
	slotSize   = 36
	probeSlots = 16      // slots that are read at once: with a table that is 60 % full, one read nearly always does
	firstSlots = 1 << 20 // 36 MB of file, most of it holes
	growBy     = 4
)

func newIndexTable(dir string, slots uint64) (*indexTable, error) {
	err := os.MkdirAll(dir, 0o700)
	if err != nil {
		return nil, diskError(err, dir)
	}
	f, err := os.CreateTemp(dir, ".index-*")
	if err != nil {
		return nil, diskError(err, dir)
	}
	// Without a name it is gone with the process, however that ends.
	err = errors.Join(os.Remove(f.Name()), f.Truncate(int64(slots*slotSize))) //nolint:gosec // a few GB at the most
	if err != nil {
		return nil, errors.Join(diskError(err, dir), f.Close())
	}
	return &indexTable{dir: dir, file: f, slots: slots}, nil
}

// find returns the slot of a key, or the one it would take.
func (t *indexTable) find(k digestPrefix) (slot uint64, e indexEntry, ok bool, err error) {
	slot, _ = bits.Mul64(binary.BigEndian.Uint64(k[:]), t.slots) // in the order of keys: a larger table is filled front to back
	for {
		n := min(probeSlots, t.slots-slot)
		run := t.run[:n*slotSize]
		if _, err := t.file.ReadAt(run, int64(slot*slotSize)); err != nil { //nolint:gosec // within the file
			return 0, e, false, diskError(err, t.dir)
		}
		for ; len(run) > 0; run, slot = run[slotSize:], slot+1 {
			e.version = binary.LittleEndian.Uint32(run[32:])
			if e.version == 0 {
				return slot, e, false, nil
			}
			if digestPrefix(run) == k {
				e.content = digestPrefix(run[16:])
				return slot, e, true, nil
			}
		}
		slot %= t.slots
	}
}

func (t *indexTable) get(k digestPrefix) (indexEntry, bool, error) {
	_, e, ok, err := t.find(k)
	return e, ok, err
}

func (t *indexTable) put(k digestPrefix, e indexEntry) error {
	slot, _, known, err := t.find(k)
	if err != nil {
		return err
	}
	var b [slotSize]byte
	copy(b[:], k[:])
	copy(b[16:], e.content[:])
	binary.LittleEndian.PutUint32(b[32:], e.version)
	if _, err := t.file.WriteAt(b[:], int64(slot*slotSize)); err != nil { //nolint:gosec // within the file
		return diskError(err, t.dir)
	}
	if known {
		return nil
	}
	if t.used++; t.used*10 > t.slots*6 {
		return t.grow()
	}
	return nil
}

// grow moves all entries into a larger table.
func (t *indexTable) grow() error {
	larger, err := newIndexTable(t.dir, t.slots*growBy)
	if err != nil {
		return err
	}
	err = t.each(larger.put)
	if err != nil {
		return errors.Join(err, larger.close())
	}
	smaller := t.file
	t.file, t.slots, t.used = larger.file, larger.slots, larger.used
	return diskError(smaller.Close(), t.dir)
}

func (t *indexTable) each(do func(digestPrefix, indexEntry) error) error {
	r := bufio.NewReaderSize(io.NewSectionReader(t.file, 0, int64(t.slots*slotSize)), 256<<10) //nolint:gosec // within the file
	var b [slotSize]byte
	for {
		if _, err := io.ReadFull(r, b[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return diskError(err, t.dir)
		}
		if version := binary.LittleEndian.Uint32(b[32:]); version != 0 {
			if err := do(digestPrefix(b[:]), indexEntry{content: digestPrefix(b[16:]), version: version}); err != nil {
				return err
			}
		}
	}
}

func (t *indexTable) close() error { return t.file.Close() }
