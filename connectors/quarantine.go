package connectors

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// Entry is one quarantined row: where it stood, what is wrong with it, and the
// row itself, sealed with a key that only its provider may use.
type Entry struct {
	ID      string    `json:"id"`
	Product string    `json:"product"`
	Batch   string    `json:"batch"`
	File    string    `json:"file"`
	Row     int64     `json:"row"`
	Line    int64     `json:"line,omitempty"`
	Faults  []Fault   `json:"faults"`
	At      time.Time `json:"at"`
	Sealed  []byte    `json:"sealed,omitempty"`
}

// Warning says that the row was published all the same; it is not kept then.
func (e *Entry) Warning() bool { return len(e.Faults) > 0 && e.Faults[0].Warning }

// QuarantineKey is the name in Transit of the key that seals a provider's
// quarantined rows of a product.
func QuarantineKey(provider, product string) string { return "quarantine-" + provider + "-" + product }

// Quarantine is a directory on the provider's side, one file for each batch,
// readable by its owner alone. An entry's id is derived from its place and
// reason, so that a row that is quarantined again after a restart is the same
// entry.
type Quarantine struct {
	dir     string
	product string
	sealer  *sealed.Sealer
	open    *os.File
	batch   string
	dirty   bool
}

// NewQuarantine opens the directory of a product under dir.
func NewQuarantine(dir, product string, sealer *sealed.Sealer) (*Quarantine, error) {
	q := &Quarantine{dir: filepath.Join(dir, product), product: product, sealer: sealer}
	if err := os.MkdirAll(q.dir, 0o700); err != nil {
		return nil, problem.Wrap(problem.DirectoryUnreadable, err, "quarantine directory %s", q.dir)
	}
	return q, nil
}

// Add writes an entry: of a row in quarantine with the row, of a warning without. It is durable only after Sync.
func (q *Quarantine) Add(b *source.Batch, row *source.Row, raw []byte, faults []Fault, at time.Time) error {
	if err := q.use(b.ID); err != nil {
		return err
	}
	e := Entry{Product: q.product, Batch: b.ID, File: b.Name, Row: row.Number, Line: row.Line, Faults: faults, At: at.UTC()}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s\x00%s", e.Batch, e.Row, faults[0].Code, faults[0].Field))
	e.ID = hex.EncodeToString(sum[:8])
	var err error
	if !e.Warning() {
		if e.Sealed, err = q.sealer.Seal(nil, raw, []byte(e.ID)); err != nil {
			return err
		}
	}
	line, err := json.Marshal(&e)
	if err != nil {
		return err
	}
	q.dirty = true
	_, err = q.open.Write(append(line, '\n'))
	return diskError(err, q.dir)
}

// use opens the file of a batch, and cuts off a line that a crash left half
// written.
func (q *Quarantine) use(batch string) error {
	if q.batch == batch {
		return nil
	}
	if err := q.Close(); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(q.dir, batch+".ndjson"), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // a batch's id is hex
	if err != nil {
		return diskError(err, q.dir)
	}
	whole, err := lastLine(file)
	if err == nil {
		if err = file.Truncate(whole); err == nil {
			_, err = file.Seek(whole, io.SeekStart)
		}
	}
	if err != nil {
		return errors.Join(diskError(err, q.dir), file.Close())
	}
	q.open, q.batch = file, batch
	return nil
}

// lastLine is where the last whole line of a file ends, looked for from its
// end: the file may be large.
func lastLine(file *os.File) (int64, error) {
	end, err := file.Seek(0, io.SeekEnd)
	block := make([]byte, 64<<10)
	for err == nil && end > 0 {
		begin := max(end-int64(len(block)), 0)
		if _, err = file.ReadAt(block[:end-begin], begin); err == nil {
			if at := bytes.LastIndexByte(block[:end-begin], '\n'); at >= 0 {
				return begin + int64(at) + 1, nil
			}
			end = begin
		}
	}
	return 0, err
}

// Sync makes what was added durable: before the position behind it is
// committed, so that no bad row is lost.
func (q *Quarantine) Sync() error {
	if !q.dirty {
		return nil
	}
	if err := q.open.Sync(); err != nil {
		return diskError(err, q.dir)
	}
	q.dirty = false
	return nil
}

// Close ends the file of the batch.
func (q *Quarantine) Close() error {
	if q.open == nil {
		return nil
	}
	err := errors.Join(q.Sync(), q.open.Close())
	q.open, q.batch, q.dirty = nil, "", false
	return err
}

func diskError(err error, dir string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return problem.Wrap(problem.DiskFull, err, "quarantine directory %s", dir)
	}
	return problem.Wrap(problem.Internal, err, "quarantine directory %s", dir)
}

// ReadQuarantine reads the quarantined rows under dir, of one product or of all
// if it is "", oldest first. An entry that was written twice is returned once.
func ReadQuarantine(dir, product string) ([]Entry, error) {
	all, err := readAll(dir, product)
	return slices.DeleteFunc(all, func(e Entry) bool { return e.Warning() }), err
}

// ReadWarnings reads the entries of rows that were published with a warning.
func ReadWarnings(dir, product string) ([]Entry, error) {
	all, err := readAll(dir, product)
	return slices.DeleteFunc(all, func(e Entry) bool { return !e.Warning() }), err
}

func readAll(dir, product string) ([]Entry, error) {
	var entries []Entry
	seen := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(dir, product), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".ndjson") {
			return err
		}
		return readEntries(path, func(e Entry) {
			if !seen[e.ID] {
				seen[e.ID] = true
				entries = append(entries, e)
			}
		})
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, problem.Wrap(problem.DirectoryUnreadable, err, "quarantine directory %s", dir)
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.At.Compare(b.At) })
	return entries, nil
}

func readEntries(path string, add func(Entry)) error {
	file, err := os.Open(path) //nolint:gosec // a file of the quarantine directory
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // read only
	r := bufio.NewReader(file)
	for line := 1; ; line++ {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // a line without end was cut by a crash and is written again
		}
		if err != nil {
			return err
		}
		var e Entry
		if err := json.Unmarshal(text, &e); err != nil {
			return fmt.Errorf("%s:%d: %w", path, line, err)
		}
		add(e)
	}
}

// Unseal returns the row of an entry, as it stood in its file.
func Unseal(ctx context.Context, e *Entry, provider string, opener *sealed.Opener) ([]byte, error) {
	return opener.Session(ctx, QuarantineKey(provider, e.Product)).Open(nil, e.Sealed, []byte(e.ID))
}
