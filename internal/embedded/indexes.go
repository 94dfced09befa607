package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// kfake writes a batch to a segment (.dat), and then an entry for it to the
// segment's index (.idx), which alone says that the batch belongs to a
// transaction. A kill between the two leaves a batch without an entry: the next
// start takes it for committed, whatever becomes of its transaction, and every
// later entry for that of the batch before.

const (
	indexEntry  = 15 // bytes of an entry, which is how kfake finds them
	batchPrefix = 12 // bytes of a batch before those that its length counts (Kafka protocol, record batch)
)

// cutUnindexed cuts off what a killed broker wrote of batches without their
// index entries. Nobody was told that such a batch is there: the answer to a
// request follows both.
func cutUnindexed(dataDir string) error {
	segments, err := filepath.Glob(filepath.Join(dataDir, "partitions", "*", "*.dat"))
	if err != nil {
		return err
	}
	for _, path := range segments {
		if err := cutSegment(path, strings.TrimSuffix(path, ".dat")+".idx"); err != nil {
			return fmt.Errorf("segment %s: %w", path, err)
		}
	}
	return nil
}

func cutSegment(path, index string) (err error) {
	entries := int64(0)
	info, err := os.Stat(index)
	switch {
	case err == nil:
		entries = info.Size() / indexEntry
		err = os.Truncate(index, entries*indexEntry) // the last one may be half written
	case errors.Is(err, os.ErrNotExist):
		err = nil // killed before it was created
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // below the broker's data
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end := int64(0)
	for range entries {
		var prefix [batchPrefix]byte
		if _, err := f.ReadAt(prefix[:], end); errors.Is(err, io.EOF) {
			return nil // fewer batches than entries: kfake cuts the index
		} else if err != nil {
			return err
		}
		end += batchPrefix + int64(binary.BigEndian.Uint32(prefix[8:]))
	}
	if info, err = f.Stat(); err != nil || info.Size() <= end {
		return err // not a byte more; or less of the last one, which kfake cuts
	}
	return f.Truncate(end)
}
