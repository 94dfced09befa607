package kafkalog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// codec is the compression of a batch: the low three bits of its attributes.
type codec int16

const (
	codecNone codec = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

// codecOf reads the name that a configuration gives; "" is zstd.
func codecOf(name string) (codec, error) {
	switch name {
	case "", "zstd":
		return codecZstd, nil
	case "none":
		return codecNone, nil
	case "gzip":
		return codecGzip, nil
	case "snappy":
		return codecSnappy, nil
	case "lz4":
		return codecLZ4, nil
	}
	return 0, fmt.Errorf("kafkalog: compression %q is not one of none, gzip, snappy, lz4, zstd", name)
}

// xerialMagic opens what Java's snappy stream writes: blocks, each with its
// length, instead of one block. Java, librdkafka and this package read both.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const (
	xerialHeader = 16 // magic, version, least compatible version
	// snappyRatio: three bytes of snappy make at most 64.
	snappyRatio = 22
)

var errTooMuch = errors.New("it unpacks to more than the limit")

// codecs holds reusable coders; all methods are safe for concurrent use.
type codecs struct {
	once    sync.Once
	zstdIn  *zstd.Decoder
	zstdOut *zstd.Encoder
	err     error

	gzipIn, gzipOut sync.Pool
	lz4In, lz4Out   sync.Pool
}

func newCodecs() *codecs { return new(codecs) }

// zstd makes the coders on first use: they hold windows of some MiB.
func (c *codecs) zstd() error {
	c.once.Do(func() {
		c.zstdIn, c.err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxUnpacked), zstd.WithDecodeAllCapLimit(true))
		if c.err != nil {
			return
		}
		// The batch's own CRC covers the compressed bytes.
		c.zstdOut, c.err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
	})
	return c.err
}

// pack appends src, compressed, to dst.
func (c *codecs) pack(dst, src []byte, with codec) ([]byte, error) {
	switch with {
	case codecZstd:
		if err := c.zstd(); err != nil {
			return dst, err
		}
		return c.zstdOut.EncodeAll(src, dst), nil
	case codecSnappy:
		return packSnappy(dst, src), nil
	case codecGzip:
		w, ok := c.gzipOut.Get().(*gzip.Writer)
		if !ok {
			w = gzip.NewWriter(nil)
		}
		defer c.gzipOut.Put(w)
		return packStream(dst, src, w)
	case codecLZ4:
		w, err := c.lz4Writer()
		if err != nil {
			return dst, err
		}
		defer c.lz4Out.Put(w)
		return packStream(dst, src, w)
	case codecNone:
	}
	return append(dst, src...), nil
}

func packSnappy(dst, src []byte) []byte {
	at, most := len(dst), s2.MaxEncodedLen(len(src))
	if cap(dst)-at < most {
		dst = append(make([]byte, 0, at+most), dst...)
	}
	return dst[:at+len(s2.EncodeSnappy(dst[at:at+most], src))]
}

func (c *codecs) lz4Writer() (*lz4.Writer, error) {
	if w, ok := c.lz4Out.Get().(*lz4.Writer); ok {
		return w, nil
	}
	w := lz4.NewWriter(nil)
	// What Java's reader takes: independent blocks (it sets aside the block
	// size that the frame names).
	err := w.Apply(lz4.BlockSizeOption(lz4.Block256Kb), lz4.ChecksumOption(false), lz4.ConcurrencyOption(1))
	return w, err
}

// streamWriter is what gzip and lz4 have in common.
type streamWriter interface {
	io.WriteCloser
	Reset(w io.Writer)
}

func packStream(dst, src []byte, w streamWriter) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	w.Reset(out)
	if _, err := w.Write(src); err != nil {
		return dst, err
	}
	if err := w.Close(); err != nil {
		return dst, err
	}
	return out.Bytes(), nil
}

// unpack decompresses src into dst, of which it uses the capacity, and sets
// aside at most about twice what comes out, and never more than maxUnpacked.
func (c *codecs) unpack(dst, src []byte, with codec) ([]byte, error) {
	dst = dst[:0]
	switch with {
	case codecZstd:
		if err := c.zstd(); err != nil {
			return dst, err
		}
		return c.unpackZstd(dst, src)
	case codecSnappy:
		return unpackSnappy(dst, src)
	case codecGzip:
		r, ok := c.gzipIn.Get().(*gzip.Reader)
		if !ok {
			r = new(gzip.Reader)
		}
		defer c.gzipIn.Put(r)
		if err := r.Reset(bytes.NewReader(src)); err != nil {
			return dst, err
		}
		return readLimited(dst, r)
	case codecLZ4:
		r, ok := c.lz4In.Get().(*lz4.Reader)
		if !ok {
			r = lz4.NewReader(nil)
		}
		defer c.lz4In.Put(r)
		r.Reset(bytes.NewReader(src))
		return readLimited(dst, r)
	case codecNone: // is not unpacked
	}
	return dst, fmt.Errorf("compression %d is unknown", with)
}

// unpackZstd tries with the room there is and doubles it: the size that a
// frame names is not believed before its bytes are there.
func (c *codecs) unpackZstd(dst, src []byte) ([]byte, error) {
	for room := max(cap(dst), 4*len(src), firstPiece); ; room *= 2 {
		room = min(room, maxUnpacked)
		if cap(dst) < room {
			dst = make([]byte, 0, room)
		}
		out, err := c.zstdIn.DecodeAll(src, dst[:0:min(cap(dst), maxUnpacked)])
		switch {
		case err == nil:
			return out, nil
		case !errors.Is(err, zstd.ErrDecoderSizeExceeded):
			return dst, err
		case room >= maxUnpacked:
			return dst, errTooMuch
		}
	}
}

func unpackSnappy(dst, src []byte) ([]byte, error) {
	if !bytes.HasPrefix(src, xerialMagic) {
		return unpackSnappyBlock(dst, src)
	}
	if len(src) < xerialHeader {
		return dst, io.ErrUnexpectedEOF
	}
	for src = src[xerialHeader:]; len(src) > 0; {
		if len(src) < 4 {
			return dst, io.ErrUnexpectedEOF
		}
		n := binary.BigEndian.Uint32(src)
		if uint64(n) > uint64(len(src)-4) {
			return dst, io.ErrUnexpectedEOF
		}
		var err error
		if dst, err = unpackSnappyBlock(dst, src[4:4+n]); err != nil {
			return dst, err
		}
		src = src[4+n:]
	}
	return dst, nil
}

// unpackSnappyBlock appends one block to dst.
func unpackSnappyBlock(dst, block []byte) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return dst, err
	}
	if n > snappyRatio*len(block) {
		return dst, errors.New("a snappy block claims more than it can hold")
	}
	at := len(dst)
	if at+n > maxUnpacked {
		return dst, errTooMuch
	}
	if cap(dst) < at+n {
		dst = append(make([]byte, 0, max(at+n, min(2*cap(dst), maxUnpacked))), dst...)
	}
	_, err = s2.Decode(dst[at:at+n], block)
	return dst[:at+n], err
}

// readLimited appends all of r to dst, up to maxUnpacked bytes in all.
func readLimited(dst []byte, r io.Reader) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			// One byte more than the limit, to see that there is more.
			room := min(max(2*cap(dst), firstPiece), maxUnpacked+1)
			dst = append(make([]byte, 0, room), dst...)
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > maxUnpacked:
			return dst, errTooMuch
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}
