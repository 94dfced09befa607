package dropdir

import (
	"cmp"
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
	"time"

	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Config says where files are dropped and what becomes of them.
type Config struct {
	Dir    string        `yaml:"dir"`
	Match  string        `yaml:"match,optional"`  // pattern of names, e.g. *.csv; default: by kind
	Settle time.Duration `yaml:"settle,optional"` // how long a file must stay unchanged; default 2s
	Poll   time.Duration `yaml:"poll,optional"`   // pause between scans; default 500ms
	Delete bool          `yaml:"delete,optional"` // remove carried files instead of moving them to done/

	Now func() time.Time // the clock that file times are held against
}

// Open reads the rows of one file of some kind: the given columns, in that
// order. A *problem.Problem says that the file as a whole cannot be read.
type Open func(file io.Reader) (source.Reader, error)

// Source is a drop directory; see connectors.Source.
type Source struct {
	config Config
	open   Open
	skip   map[string]bool // files that were carried but could not be moved
	held   *held
}

// held is the file that Next returned last.
type held struct {
	path string
	id   string
	file *os.File
}

// New returns the source of a directory, which is made if it does not exist.
func New(c Config, open Open) (*Source, error) {
	if c.Dir == "" {
		return nil, problem.New(problem.ConfigInvalid, "source: dir is missing")
	}
	if _, err := filepath.Match(c.Match, "x"); err != nil {
		return nil, problem.New(problem.ConfigInvalid, "source: match %q is not a pattern", c.Match)
	}
	c.Settle = cmp.Or(c.Settle, 2*time.Second)
	c.Poll = cmp.Or(c.Poll, 500*time.Millisecond)
	if c.Now == nil {
		return nil, problem.New(problem.ConfigInvalid, "source: no clock")
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, problem.Wrap(problem.DirectoryUnreadable, err, "%s", c.Dir)
	}
	return &Source{config: c, open: open, skip: map[string]bool{}}, nil
}

// Next waits for a settled file and opens it.
func (s *Source) Next(ctx context.Context) (*source.Batch, error) {
	s.release()
	for {
		path, info, err := s.oldest()
		if err != nil {
			return nil, err
		}
		if path != "" {
			return s.take(path, info)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(s.config.Poll):
		}
	}
}

// Pending says whether a file lies in the directory that Next would return now
// or once it has settled.
func (s *Source) Pending() bool {
	files, err := s.files()
	return err == nil && len(files) > 0
}

// oldest finds the settled file that has waited longest.
func (s *Source) oldest() (string, fs.FileInfo, error) {
	files, err := s.files()
	if err != nil {
		return "", nil, err
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, f := range files {
		if s.config.Now().Sub(f.ModTime()) >= s.config.Settle {
			return filepath.Join(s.config.Dir, f.Name()), f, nil
		}
	}
	return "", nil, nil
}

func (s *Source) files() ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(s.config.Dir)
	if err != nil {
		return nil, problem.Wrap(problem.DirectoryUnreadable, err, "%s: %s", s.config.Dir, cause(err))
	}
	var files []fs.FileInfo
	for _, e := range entries {
		if !e.Type().IsRegular() || halfWritten(e.Name()) || !s.matches(e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil || s.skip[batchID(info)] { // gone between the two calls: the next scan tells
			continue
		}
		files = append(files, info)
	}
	return files, nil
}

func (s *Source) matches(name string) bool {
	ok, _ := filepath.Match(s.config.Match, name)
	return ok || s.config.Match == ""
}

func halfWritten(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "~$") || strings.HasSuffix(name, ".tmp") ||
		strings.HasSuffix(name, ".part") || strings.HasSuffix(name, ".filepart")
}

// batchID is the same for a file as long as it is not written to.
func batchID(info fs.FileInfo) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", info.Name(), info.Size(), info.ModTime().UnixNano()))
	return hex.EncodeToString(sum[:12])
}

func (s *Source) take(path string, info fs.FileInfo) (*source.Batch, error) {
	s.held = &held{path: path, id: batchID(info)}
	batch := &source.Batch{ID: s.held.id, Name: info.Name()}
	file, err := os.Open(path) //nolint:gosec // the path is one that ReadDir of the configured directory named
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, problem.New(problem.FileVanished, "%s", info.Name())
	case err != nil:
		return nil, s.refuse(batch, problem.Wrap(problem.FileUnreadable, err, "%s: %s", info.Name(), cause(err)))
	}
	s.held.file = file
	batch.Rows, err = s.open(file)
	if err != nil {
		p := problem.From(err)
		return nil, s.refuse(batch, problem.Wrap(p.Code, err, "%s: %s", info.Name(), p.Detail))
	}
	return batch, nil
}

// refuse puts a file aside before anything was read of it.
func (s *Source) refuse(b *source.Batch, p *problem.Problem) error {
	if err := s.Ack(b, p); err != nil {
		return errors.Join(p, err)
	}
	return p
}

// Verify says whether the file is still the one that was opened.
func (s *Source) Verify(b *source.Batch) error {
	info, err := os.Stat(s.held.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return problem.New(problem.FileVanished, "%s", b.Name)
	case err != nil:
		return problem.Wrap(problem.FileUnreadable, err, "%s: %s", b.Name, cause(err))
	case batchID(info) != b.ID:
		return problem.New(problem.FileTruncated, "%s was written to while it was read; it is read again once it has settled", b.Name)
	}
	return nil
}

// Ack moves the file to done/ or, with a fault, to rejected/ beside its
// reason. A file that vanished or changed is left to the next scan.
func (s *Source) Ack(b *source.Batch, fault *problem.Problem) error {
	defer s.release()
	path := s.held.path
	if fault != nil && s.Verify(b) != nil {
		return nil
	}
	var err error
	switch {
	case fault != nil:
		err = reject(path, b.ID, fault)
	case s.config.Delete:
		err = os.Remove(path)
	default:
		_, err = move(path, "done", b.ID)
	}
	if err != nil {
		s.skip[b.ID] = true // or the same file would be carried again and again
		return problem.Wrap(problem.FileUnmovable, err, "%s: %s", b.Name, cause(err))
	}
	return nil
}

func (s *Source) release() {
	if s.held != nil && s.held.file != nil {
		_ = s.held.file.Close() // read only: nothing can be lost
		s.held.file = nil
	}
}

// Reason stands beside a rejected file as NAME.reason.json.
type Reason struct {
	Code   problem.Code `json:"code"`
	EN     string       `json:"en"`
	ZH     string       `json:"zh"`
	Detail string       `json:"detail,omitempty"`
	FixEN  string       `json:"fix_en"`
	FixZH  string       `json:"fix_zh"`
}

func reject(path, id string, p *problem.Problem) error {
	target, err := move(path, "rejected", id)
	if err != nil {
		return err
	}
	e := p.Code.Entry()
	doc, err := json.MarshalIndent(Reason{e.Code, e.EN, e.ZH, p.Detail, e.FixEN, e.FixZH}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(target+".reason.json", append(doc, '\n'), 0o600)
}

// move renames a file into a directory beside it and returns where it lies
// now. A name that is taken there gets the batch's id as a suffix: nothing is
// overwritten.
func move(path, to, id string) (string, error) {
	dir := filepath.Join(filepath.Dir(path), to)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	target := filepath.Join(dir, filepath.Base(path))
	if _, err := os.Lstat(target); err == nil {
		target += "." + id
	}
	return target, os.Rename(path, target)
}

// cause is the bare reason of a file error, without the path.
func cause(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
