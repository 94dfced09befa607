package xmlstream

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// MaxDepth is how deep elements may be nested.
const MaxDepth = 64

// Reader reads tokens.
type Reader struct {
	decoder *xml.Decoder
	guard   guard
	begin   int64 // of the current token
	depth   int
}

// New reads text, which is UTF-8 whatever an XML declaration in it says. A row
// is at most rowBytes long.
func New(text io.Reader, rowBytes int) *Reader {
	r := &Reader{guard: guard{r: text, limit: int64(rowBytes)}}
	r.decoder = xml.NewDecoder(&r.guard)
	r.decoder.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
	return r
}

// Next returns the next start, end or text, valid until the next call; io.EOF
// behind the root element. Any other error is a *problem.Problem.
func (r *Reader) Next() (xml.Token, error) {
	for {
		r.begin = r.decoder.InputOffset()
		token, err := r.decoder.Token()
		if err != nil {
			return nil, r.broken(err)
		}
		switch token.(type) {
		case xml.StartElement:
			if r.depth++; r.depth > MaxDepth {
				return nil, problem.New(problem.FileMalformed, "line %d: elements are nested more than %d deep", r.Line(), MaxDepth)
			}
			return token, nil
		case xml.EndElement:
			r.depth--
			return token, nil
		case xml.CharData:
			return token, nil
		case xml.Directive:
			return nil, problem.New(problem.FileMalformed, "line %d: a document type declaration is not accepted, as it may define entities", r.Line())
		}
	}
}

// Depth is how many elements are open, the one that Next started included and
// the one that it ended not.
func (r *Reader) Depth() int { return r.depth }

// Line is the line that the current token ends in.
func (r *Reader) Line() int64 {
	line, _ := r.decoder.InputPos()
	return int64(line)
}

// Begin says that a row begins with the current token; End, that it ended with
// the current token.
func (r *Reader) Begin() { r.guard.start = r.begin }

// End says that the row ended with the current token.
func (r *Reader) End() { r.guard.end = r.decoder.InputOffset() }

// Raw is the row between Begin and End as it stands in the text, valid until
// the next call of Next.
func (r *Reader) Raw() []byte { return r.guard.row() }

// broken tells why the text cannot be read further, without any of it: an
// error of encoding/xml may quote what it did not understand.
func (r *Reader) broken(err error) error {
	syntax, ok := errors.AsType[*xml.SyntaxError](err)
	switch {
	case r.guard.tooLong:
		return problem.New(problem.RowTooLong, "line %d: a row, or what stands between two, is longer than %d bytes", r.Line(), r.guard.limit)
	case r.guard.err != nil && !errors.Is(r.guard.err, io.EOF):
		if p, ok := errors.AsType[*problem.Problem](r.guard.err); ok {
			return p
		}
		return problem.Wrap(problem.FileUnreadable, r.guard.err, "line %d", r.Line())
	case errors.Is(err, io.EOF):
		return io.EOF
	case !ok:
		return problem.Wrap(problem.FileMalformed, err, "line %d", r.Line())
	}
	for _, known := range []struct {
		message, say string
		code         problem.Code
	}{
		{"unexpected EOF", "an element is not closed", problem.FileTruncated},
		{"invalid character entity", "an & that begins no known entity: write &amp;", problem.FileMalformed},
		{"invalid UTF-8", "a byte that is not of the file's encoding", problem.FileMalformed},
		{"illegal character", "a character that XML does not allow", problem.FileMalformed},
		{"element <", "an element is closed by another's end", problem.FileMalformed},
	} {
		if strings.HasPrefix(syntax.Msg, known.message) {
			return problem.New(known.code, "line %d: %s", syntax.Line, known.say)
		}
	}
	return problem.New(problem.FileMalformed, "line %d: it is not well-formed", syntax.Line)
}

// guard stands between the text and encoding/xml, which reads it byte by byte
// and would otherwise take an endless text or attribute into memory whole. It
// keeps the current row for quarantine.
type guard struct {
	r       io.Reader
	limit   int64
	window  []byte // the text from base on
	next    int    // in window
	base    int64
	start   int64 // of the current row
	end     int64 // of the current row, once it ended
	tooLong bool
	err     error // of r
}

// ahead is how much is read at once.
const ahead = 64 << 10

// ReadByte is what encoding/xml reads with.
func (g *guard) ReadByte() (byte, error) {
	if g.next == len(g.window) {
		if err := g.fill(); err != nil {
			return 0, err
		}
	}
	b := g.window[g.next]
	g.next++
	return b, nil
}

// Read is there to be an io.Reader; encoding/xml prefers ReadByte.
func (g *guard) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := g.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

func (g *guard) fill() error {
	if g.base+int64(g.next)-max(g.start, g.end) > g.limit {
		g.tooLong = true
		return io.ErrUnexpectedEOF
	}
	if drop := g.start - g.base; drop > 0 {
		g.window = append(g.window[:0], g.window[drop:]...)
		g.base, g.next = g.start, g.next-int(drop)
	}
	for range 100 { // a reader that returns nothing so often is broken
		room := append(g.window, make([]byte, ahead)...)
		n, err := g.r.Read(room[len(g.window):])
		g.window = room[:len(g.window)+n]
		if n > 0 {
			return nil
		}
		if err != nil {
			g.err = err
			return err
		}
	}
	g.err = io.ErrNoProgress
	return g.err
}

func (g *guard) row() []byte {
	if g.end <= g.start {
		return nil
	}
	return g.window[g.start-g.base : g.end-g.base]
}
