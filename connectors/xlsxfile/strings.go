package xlsxfile

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/chuanyu-exchange/hub/connectors/xmlstream"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// sharedStrings are the texts that cells name by number. There may be as many
// as cells, so they lie in two files without a name, beside the workbook: the
// texts, and where each begins.
type sharedStrings struct {
	texts, offsets *os.File
	count          int
	cache          []cached // by number modulo its length: most columns repeat a few
}

type cached struct {
	number int // from 1; 0: nothing
	text   string
}

const (
	cacheSlots = 4096
	cacheText  = 256 // longest text that is kept
)

// directory is where a file lies, or where temporary files do.
func directory(file any) string {
	if named, ok := file.(interface{ Name() string }); ok {
		return filepath.Dir(named.Name())
	}
	return os.TempDir()
}

// spool makes a file that is gone when it is closed, whatever happens.
func spool(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".strings-*")
	if err != nil && dir != os.TempDir() {
		f, err = os.CreateTemp(os.TempDir(), ".strings-*")
	}
	if err != nil {
		return nil, problem.Wrap(problem.FileUnreadable, err, "no room can be made for the workbook's strings")
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(problem.Wrap(problem.FileUnreadable, err, "no room can be made for the workbook's strings"), f.Close())
	}
	return f, nil
}

// readStrings reads the part once and lays it down.
func readStrings(part *zip.File, dir string, limit int) (_ *sharedStrings, err error) {
	s := &sharedStrings{cache: make([]cached, cacheSlots)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.texts, err = spool(dir); err != nil {
		return nil, err
	}
	if s.offsets, err = spool(dir); err != nil {
		return nil, err
	}
	unpacked, err := part.Open()
	if err != nil {
		return nil, unpackFault("the table of strings", err)
	}
	defer func() { _ = unpacked.Close() }() // read only
	w := stringWriter{texts: bufio.NewWriterSize(s.texts, 64<<10), offsets: bufio.NewWriterSize(s.offsets, 64<<10)}
	if err := w.copy(xmlstream.New(inZip{unpacked, "the table of strings"}, limit)); err != nil {
		return nil, err
	}
	s.count = w.count
	if err := errors.Join(w.texts.Flush(), w.offsets.Flush()); err != nil {
		return nil, problem.Wrap(problem.FileUnreadable, err, "the workbook's strings cannot be laid down")
	}
	return s, nil
}

// stringWriter lays texts down one after another.
type stringWriter struct {
	texts, offsets *bufio.Writer
	at             uint64
	count          int
}

// textParts tells which character data are a text's: those of <t> and <v>, but
// not within <rPh>, which says how a text is pronounced.
type textParts struct {
	inText   bool
	phonetic int
}

func (p *textParts) start(element string) {
	switch element {
	case "t", "v":
		p.inText = p.phonetic == 0
	case "rPh":
		p.phonetic++
	}
}

func (p *textParts) end(element string) {
	switch element {
	case "t", "v":
		p.inText = false
	case "rPh":
		p.phonetic--
	}
}

// copy reads <si><t>text</t></si> and <si><r><t>te</t></r><r><t>xt</t></r></si>.
func (w *stringWriter) copy(x *xmlstream.Reader) error {
	var parts textParts
	for {
		token, err := x.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if parts.start(t.Name.Local); t.Name.Local == "si" {
				x.Begin()
			}
		case xml.EndElement:
			if parts.end(t.Name.Local); t.Name.Local == "si" {
				x.End()
				w.end()
			}
		case xml.CharData:
			if parts.inText {
				n, _ := w.texts.Write(t) // Flush returns the error
				w.at += uint64(n)        //nolint:gosec // not negative
			}
		}
	}
}

// end writes where the text that was copied ends.
func (w *stringWriter) end() {
	_, _ = w.offsets.Write(binary.LittleEndian.AppendUint64(nil, w.at)) // Flush returns the error
	w.count++
}

// text is the string of a number, counted from 0.
func (s *sharedStrings) text(number int) (string, error) {
	if number < 0 || number >= s.count {
		return "", problem.New(problem.FileMalformed, "a cell names string %d of %d", number, s.count)
	}
	slot := &s.cache[number%len(s.cache)]
	if slot.number == number+1 {
		return slot.text, nil
	}
	var ends [16]byte // where the one before it ends, and this one
	from, at := ends[8:], int64(0)
	if number > 0 {
		from, at = ends[:], int64(number-1)*8
	}
	if _, err := s.offsets.ReadAt(from, at); err != nil {
		return "", problem.Wrap(problem.FileUnreadable, err, "the workbook's strings")
	}
	begin, end := binary.LittleEndian.Uint64(ends[:8]), binary.LittleEndian.Uint64(ends[8:])
	raw := make([]byte, end-begin)
	if _, err := s.texts.ReadAt(raw, int64(begin)); err != nil { //nolint:gosec // an offset of ours
		return "", problem.Wrap(problem.FileUnreadable, err, "the workbook's strings")
	}
	text := string(raw)
	if len(text) <= cacheText {
		*slot = cached{number + 1, text}
	}
	return text, nil
}

func (s *sharedStrings) close() error {
	var errs []error
	for _, f := range []*os.File{s.texts, s.offsets} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// inZip names the part in what unpacking it may fail with.
type inZip struct {
	io.Reader
	part string
}

func (z inZip) Read(p []byte) (int, error) {
	n, err := z.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unpackFault(z.part, err)
	}
	return n, err
}
