package dropdir

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Encoding names how a text file is encoded.
type Encoding string

// The encodings; the zero value is Auto.
const (
	Auto    Encoding = "auto" // by byte order mark, else UTF-8 if it is, else GB18030
	UTF8    Encoding = "utf-8"
	GB18030 Encoding = "gb18030" // and its subsets GBK and GB 2312
)

// sniffed is how much of a file its encoding is told from.
const sniffed = 64 << 10

var byteOrderMark = []byte{0xef, 0xbb, 0xbf}

// Decode returns the file's text as UTF-8 without byte order mark. An empty
// file and one that is evidently not in the declared encoding are problems;
// single bytes that do not decode become U+FFFD and are the row's fault.
func Decode(file io.Reader, declared Encoding) (io.Reader, error) {
	r := bufio.NewReaderSize(file, sniffed)
	head, err := r.Peek(sniffed)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, problem.Wrap(problem.FileUnreadable, err, "%s", cause(err))
	case err != nil && len(bytes.TrimSpace(bytes.TrimPrefix(head, byteOrderMark))) == 0:
		return nil, problem.New(problem.FileEmpty, "")
	}
	is, err := told(head, declared)
	if err != nil {
		return nil, err
	}
	if is == GB18030 {
		return transform.NewReader(r, simplifiedchinese.GB18030.NewDecoder()), nil
	}
	if bytes.HasPrefix(head, byteOrderMark) {
		_, err = r.Discard(len(byteOrderMark))
	}
	return r, err
}

// told says what a file's head is encoded in, UTF8 or GB18030, or that this is
// not what was declared.
func told(head []byte, declared Encoding) (Encoding, error) {
	utf8 := validUTF8(head)
	switch declared {
	case "", Auto:
		if utf8 || bytes.HasPrefix(head, byteOrderMark) {
			return UTF8, nil
		}
		return GB18030, nil
	case UTF8:
		if !utf8 {
			return "", problem.New(problem.FileEncoding, "declared utf-8, but it is not; it may be gb18030")
		}
		return UTF8, nil
	case GB18030:
		if utf8 && !ascii(head) {
			return "", problem.New(problem.FileEncoding, "declared gb18030, but it is utf-8")
		}
		return GB18030, nil
	}
	return "", problem.New(problem.ConfigInvalid, "encoding %q: use auto, utf-8 or gb18030", declared)
}

// validUTF8 passes over a character that the end of a full buffer cuts.
func validUTF8(b []byte) bool {
	if len(b) == sniffed {
		for i := len(b) - 1; i >= len(b)-utf8.UTFMax; i-- {
			if utf8.RuneStart(b[i]) {
				if !utf8.FullRune(b[i:]) {
					b = b[:i]
				}
				break
			}
		}
	}
	return utf8.Valid(b)
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
