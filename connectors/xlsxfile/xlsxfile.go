package xlsxfile

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"io"
	"strings"

	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Config is the plug-in: what a connector's configuration says of an XLSX
// source.
type Config struct {
	dropdir.Config
	Sheet            string `yaml:"sheet,optional"`            // name of the sheet; default: by SheetNumber
	SheetNumber      int    `yaml:"sheetNumber,optional"`      // counted from 1; default: the first that is not hidden
	HeaderRow        int    `yaml:"headerRow,optional"`        // row that names the columns; default: the first that is not empty
	MaxRowBytes      int    `yaml:"maxRowBytes,optional"`      // of a row's XML; default 1 MiB
	MaxFileBytes     int64  `yaml:"maxFileBytes,optional"`     // default 1 GiB
	MaxUnpackedBytes int64  `yaml:"maxUnpackedBytes,optional"` // of any part of the archive; default 8 GiB
}

// Limits that no configuration raises.
const (
	mostParts   = 10_000   // files in an archive
	mostMerges  = 65_536   // merged ranges of a sheet
	mostColumns = 16_384   // Excel's own
	mostRatio   = 200      // unpacked to packed, of a part larger than freeRatio
	freeRatio   = 64 << 20 //
	smallPart   = 16 << 20 // of workbook, relations and styles, which are read whole
	mostTail    = 32 << 20 // of a sheet, behind its rows
	zipMagic    = "PK\x03\x04"
	oleMagic    = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
)

func (c *Config) defaults() error {
	c.Match = cmp.Or(c.Match, "*.xlsx")
	c.MaxRowBytes = cmp.Or(c.MaxRowBytes, 1<<20)
	c.MaxFileBytes = cmp.Or(c.MaxFileBytes, 1<<30)
	c.MaxUnpackedBytes = cmp.Or(c.MaxUnpackedBytes, 8<<30)
	if c.Sheet != "" && c.SheetNumber != 0 {
		return problem.New(problem.ConfigInvalid, "source: name the sheet by sheet or by sheetNumber, not by both")
	}
	if min(c.SheetNumber, c.HeaderRow, c.MaxRowBytes) < 0 || min(c.MaxFileBytes, c.MaxUnpackedBytes) < 0 {
		return problem.New(problem.ConfigInvalid, "source: no number may be below zero")
	}
	return nil
}

// Open returns the source; its rows hold the given columns in that order.
func (c Config) Open(columns []string) (*dropdir.Source, error) {
	if err := c.defaults(); err != nil {
		return nil, err
	}
	return dropdir.New(c.Config, func(file io.Reader) (source.Reader, error) { return c.Read(file, columns) })
}

// archive is what a zip file is read from.
type archive interface {
	io.ReaderAt
	io.Seeker
}

// Read opens the workbook and reads its header. The file must be one that can
// be read at any place, as *os.File and *bytes.Reader can.
func (c Config) Read(file io.Reader, columns []string) (source.Reader, error) {
	if err := c.defaults(); err != nil {
		return nil, err
	}
	from, ok := file.(archive)
	if !ok {
		return nil, problem.New(problem.FileUnreadable, "a workbook cannot be read from a stream")
	}
	parts, err := c.unzip(from)
	if err != nil {
		return nil, err
	}
	book, err := c.workbook(parts)
	if err != nil {
		return nil, err
	}
	r := &reader{sheet: sheet{book: book, limit: c.MaxRowBytes}}
	if err := r.open(directory(file)); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if err := r.header(c.HeaderRow, columns); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// unzip opens the archive and holds it against the limits.
func (c *Config) unzip(from archive) (map[string]*zip.File, error) {
	size, err := from.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, problem.Wrap(problem.FileUnreadable, err, "its size cannot be told")
	}
	if size > c.MaxFileBytes {
		return nil, problem.New(problem.FileTooLarge, "%d bytes, maxFileBytes is %d", size, c.MaxFileBytes)
	}
	z, err := zip.NewReader(from, size)
	if err != nil {
		return nil, notZip(from, err)
	}
	if len(z.File) > mostParts {
		return nil, problem.New(problem.FileTooLarge, "the archive has %d parts, at most %d are read", len(z.File), mostParts)
	}
	parts := map[string]*zip.File{}
	for _, f := range z.File {
		packed, unpacked := f.CompressedSize64, f.UncompressedSize64
		if unpacked > uint64(c.MaxUnpackedBytes) { //nolint:gosec // not negative
			return nil, problem.New(problem.FileTooLarge, "a part of the archive unpacks to %d bytes, maxUnpackedBytes is %d", unpacked, c.MaxUnpackedBytes)
		}
		if unpacked > freeRatio && unpacked/mostRatio > packed {
			return nil, problem.New(problem.FileTooLarge, "a part of the archive unpacks from %d to %d bytes, as no sheet does", packed, unpacked)
		}
		parts[strings.ToLower(strings.TrimPrefix(f.Name, "/"))] = f
	}
	return parts, nil
}

// notZip tells what a file is that is no zip archive.
func notZip(from io.ReaderAt, cause error) error {
	head := make([]byte, 512)
	n, err := from.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return problem.Wrap(problem.FileUnreadable, err, "at its beginning")
	}
	head = head[:n]
	switch {
	case len(bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))) == 0 && n < 512:
		return problem.New(problem.FileEmpty, "")
	case bytes.HasPrefix(head, []byte(zipMagic)):
		return problem.Wrap(problem.FileTruncated, cause, "the archive's directory, which stands at its end, is missing")
	case bytes.HasPrefix(head, []byte(oleMagic)):
		return problem.New(problem.FileMalformed, "it is an .xls of before 2007, or a workbook with a password: save it as .xlsx without one")
	}
	return problem.Wrap(problem.FileMalformed, cause, "it is no workbook")
}

// unpackFault tells why a part could not be unpacked.
func unpackFault(part string, err error) error {
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return problem.Wrap(problem.FileTruncated, err, "%s ends too early", part)
	case errors.Is(err, zip.ErrAlgorithm):
		return problem.Wrap(problem.FileMalformed, err, "%s is packed in a way that is not read, or encrypted", part)
	}
	return problem.Wrap(problem.FileMalformed, err, "%s is damaged", part)
}
