package hold

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const (
	suffix = ".held"
	orphan = ".orphan"
)

// Sealer encrypts a row, bound to its place.
type Sealer interface {
	Seal(dst, plain, additional []byte) ([]byte, error)
}

// Opener decrypts what a Sealer encrypted.
type Opener interface {
	Open(dst, block, additional []byte) ([]byte, error)
}

// Row is the place of one held row.
type Row struct {
	Number int64 // in its batch
	Due    int64 // milliseconds since 1970, UTC: not before
	at     int64 // offset of its line
}

// Store is the held rows of one product. It is not safe for concurrent use.
type Store struct {
	dir     string
	sealer  Sealer
	batches map[string]*batch
	dirty   bool
}

type batch struct {
	file      *os.File // open while rows are being added
	rows      []Row    // committed, sorted
	added     []Row    // since the last Commit
	committed int64    // length of the file that counts
	length    int64
	known     map[int64]bool // numbers
}

// line is one row as it is written.
type line struct {
	Row    int64  `json:"row"`
	Due    int64  `json:"due"`
	Sealed []byte `json:"sealed"`
}

// Open opens the store in dir, which is made if there is none. committed says
// how many lines of each batch count; the file of one that says none is removed. Lines beyond them are cut off, whole
// files without any are kept as orphans, whose names are returned; lines that
// are missing are problem.HeldRowsMissing.
func Open(dir string, sealer Sealer, committed map[string]int64) (_ *Store, orphans []string, err error) {
	s := &Store{dir: dir, sealer: sealer, batches: map[string]*batch{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, problem.Wrap(problem.DirectoryUnreadable, err, "hold directory %s", dir)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for id, lines := range committed {
		if err := s.load(id, lines); err != nil {
			return nil, nil, err
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		return nil, nil, err
	}
	for _, path := range files {
		if _, ok := committed[strings.TrimSuffix(filepath.Base(path), suffix)]; ok {
			continue
		}
		if err := os.Rename(path, path+orphan); err != nil {
			return nil, nil, s.fault(err)
		}
		orphans = append(orphans, path+orphan)
	}
	return s, orphans, nil
}

func (s *Store) load(id string, lines int64) error {
	if lines == 0 {
		if err := os.Remove(filepath.Join(s.dir, id+suffix)); !errors.Is(err, fs.ErrNotExist) {
			return s.fault(err)
		}
		return nil
	}
	b, err := s.open(id, 0)
	if err != nil {
		return err
	}
	defer func() { _ = b.close() }() // what was cut off is cut off again if need be
	r := bufio.NewReader(b.file)
	for n := range lines {
		text, err := r.ReadBytes('\n')
		var l line
		if err == nil {
			err = json.Unmarshal(text, &l)
		}
		if err != nil {
			return problem.Wrap(problem.HeldRowsMissing, err, "%s holds %d of %d rows", filepath.Join(s.dir, id+suffix), n, lines)
		}
		b.rows = append(b.rows, Row{Number: l.Row, Due: l.Due, at: b.length})
		b.known[l.Row] = true
		b.length += int64(len(text))
	}
	b.committed = b.length
	b.sort()
	return s.fault(b.file.Truncate(b.length))
}

// open opens the file of a batch for reading and for writing behind its length.
func (s *Store) open(id string, flag int) (*batch, error) {
	b := s.batches[id]
	if b != nil && b.file != nil {
		return b, nil
	}
	file, err := os.OpenFile(filepath.Join(s.dir, id+suffix), os.O_RDWR|flag, 0o600) //nolint:gosec // the directory is configured, the id is a digest
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, problem.Wrap(problem.HeldRowsMissing, err, "%s is gone", filepath.Join(s.dir, id+suffix))
	case err != nil:
		return nil, s.fault(err)
	}
	if b == nil {
		b = &batch{known: map[int64]bool{}}
		s.batches[id] = b
	}
	b.file = file
	return b, nil
}

func (b *batch) close() error {
	if b.file == nil {
		return nil
	}
	err := b.file.Close()
	b.file = nil
	return err
}

func (b *batch) sort() {
	slices.SortFunc(b.rows, func(x, y Row) int { return cmp.Or(cmp.Compare(x.Due, y.Due), cmp.Compare(x.Number, y.Number)) })
}

// additional binds a sealed row to its place.
func additional(id string, row, due int64) []byte { return fmt.Appendf(nil, "%s/%d/%d", id, row, due) }

// Add writes a row behind those of its batch, and says whether it was not
// there yet. It is durable after Sync, and counts after Commit.
func (s *Store) Add(id string, number, due int64, plain []byte) (bool, error) {
	flag := 0
	if s.batches[id] == nil {
		flag = os.O_CREATE | os.O_TRUNC
	}
	b, err := s.open(id, flag)
	if err != nil {
		return false, err
	}
	if b.known[number] {
		return false, nil
	}
	block, err := s.sealer.Seal(nil, plain, additional(id, number, due))
	if err != nil {
		return false, err
	}
	text, err := json.Marshal(line{Row: number, Due: due, Sealed: block})
	if err != nil {
		return false, err
	}
	if _, err := b.file.WriteAt(append(text, '\n'), b.length); err != nil {
		return false, s.fault(err)
	}
	b.added = append(b.added, Row{Number: number, Due: due, at: b.length})
	b.known[number] = true
	b.length += int64(len(text)) + 1
	s.dirty = true
	return true, nil
}

// Sync makes what was added durable: files and, for new ones, their names.
func (s *Store) Sync() error {
	if !s.dirty {
		return nil
	}
	var errs []error
	for _, b := range s.batches {
		if len(b.added) > 0 {
			errs = append(errs, b.file.Sync())
		}
	}
	dir, err := os.Open(s.dir)
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	return s.fault(errors.Join(append(errs, err)...))
}

// Commit makes what was added count: its transaction is committed.
func (s *Store) Commit() {
	for _, b := range s.batches {
		if len(b.added) == 0 {
			continue
		}
		b.rows = append(b.rows, b.added...)
		b.added, b.committed = nil, b.length
		b.sort()
		_ = b.close() // it was synced before the commit
	}
	s.dirty = false
}

// Rollback forgets what was added since the last Commit.
func (s *Store) Rollback() error {
	var errs []error
	for _, b := range s.batches {
		for _, r := range b.added {
			delete(b.known, r.Number)
		}
		if b.length > b.committed {
			errs = append(errs, b.file.Truncate(b.committed), b.close())
		}
		b.added, b.length = nil, b.committed
	}
	s.dirty = false
	return s.fault(errors.Join(errs...))
}

// Next are the rows of a batch behind the first released that are due at now,
// limit at the most, and when the one behind them is due; 0 if there is none.
func (s *Store) Next(id string, released, now int64, limit int) (due []Row, then int64) {
	b := s.batches[id]
	if b == nil || released >= int64(len(b.rows)) {
		return nil, 0
	}
	rows := b.rows[released:]
	n := 0
	for n < len(rows) && n < limit && rows[n].Due <= now {
		n++
	}
	if n < len(rows) {
		then = rows[n].Due
	}
	return rows[:n], then
}

// Read returns a row as it was added.
func (s *Store) Read(id string, r Row, opener Opener) ([]byte, error) {
	text, err := s.readLine(id, r.at)
	if err != nil {
		return nil, problem.Wrap(problem.HeldRowsMissing, err, "%s, row %d", filepath.Join(s.dir, id+suffix), r.Number)
	}
	var l line
	if err := json.Unmarshal(bytes.TrimSpace(text), &l); err != nil {
		return nil, problem.Wrap(problem.HeldRowsMissing, err, "%s, row %d", filepath.Join(s.dir, id+suffix), r.Number)
	}
	return opener.Open(nil, l.Sealed, additional(id, l.Row, l.Due))
}

func (s *Store) readLine(id string, at int64) ([]byte, error) {
	file, err := os.Open(filepath.Join(s.dir, id+suffix)) //nolint:gosec // a batch's id is hex
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // read only
	return bufio.NewReader(io.NewSectionReader(file, at, math.MaxInt64-at)).ReadBytes('\n')
}

// Drop removes the file of a batch whose rows have all gone.
func (s *Store) Drop(id string) error {
	b := s.batches[id]
	if b == nil {
		return nil
	}
	delete(s.batches, id)
	return s.fault(errors.Join(b.close(), os.Remove(filepath.Join(s.dir, id+suffix))))
}

// Close closes the files.
func (s *Store) Close() error {
	var errs []error
	for _, b := range s.batches {
		errs = append(errs, b.close())
	}
	s.batches = nil
	return errors.Join(errs...)
}

func (s *Store) fault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return problem.Wrap(problem.DiskFull, err, "hold directory %s", s.dir)
	}
	return problem.Wrap(problem.Internal, err, "hold directory %s", s.dir)
}
