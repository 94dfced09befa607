package container

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// Codec names how blocks are compressed.
type Codec string

// The codecs.
const (
	Null      Codec = "null"
	Deflate   Codec = "deflate"
	Snappy    Codec = "snappy"
	Zstandard Codec = "zstandard"
)

// coder compresses and expands the blocks of one file; its buffers are used
// again.
type coder struct {
	codec Codec
	buf   bytes.Buffer
	out   []byte
	zin   *zstd.Decoder
	zout  *zstd.Encoder
}

func newCoder(c Codec) (*coder, error) {
	switch c {
	case "", Null:
		return &coder{codec: Null}, nil
	case Deflate, Snappy, Zstandard:
		return &coder{codec: c}, nil
	}
	return nil, fmt.Errorf("%w: codec %.32q; null, deflate, snappy and zstandard are read", ErrCodec, c)
}

// expand returns the block as it was before compression; it is valid until the
// next call. It never holds more than maxBlock bytes.
func (c *coder) expand(block []byte) ([]byte, error) {
	var err error
	switch c.codec {
	case Deflate:
		return c.inflate(block)
	case Snappy:
		return c.unsnap(block)
	case Zstandard:
		if c.zin == nil {
			if c.zin, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBlock)); err != nil {
				return nil, err
			}
		}
		c.out, err = c.zin.DecodeAll(block, c.out[:0])
		switch {
		case errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded):
			return nil, fmt.Errorf("%w: a block expands to more than %d bytes", ErrLimit, maxBlock)
		case err != nil:
			return nil, fmt.Errorf("%w: zstandard: %w", ErrCodec, err)
		}
		return c.out, nil
	case Null:
	}
	return block, nil
}

// inflate does not look at what follows the compressed data: Avro's Python
// library leaves bytes of a checksum there.
func (c *coder) inflate(block []byte) ([]byte, error) {
	c.buf.Reset()
	in := flate.NewReader(bytes.NewReader(block))
	n, err := io.Copy(&c.buf, io.LimitReader(in, maxBlock+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: deflate: %w", ErrCodec, err)
	case n > maxBlock:
		return nil, fmt.Errorf("%w: a block expands to more than %d bytes", ErrLimit, maxBlock)
	}
	return c.buf.Bytes(), nil
}

// unsnap checks the CRC-32 behind the data, big-endian, of what was compressed.
func (c *coder) unsnap(block []byte) ([]byte, error) {
	if len(block) < crc32.Size {
		return nil, fmt.Errorf("%w: snappy: there is no checksum", ErrCodec)
	}
	data, sum := block[:len(block)-crc32.Size], binary.BigEndian.Uint32(block[len(block)-crc32.Size:])
	n, err := snappy.DecodedLen(data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: snappy: %w", ErrCodec, err)
	case n > maxBlock:
		return nil, fmt.Errorf("%w: a block expands to more than %d bytes", ErrLimit, maxBlock)
	}
	if c.out, err = snappy.DecodeStrict(c.out[:cap(c.out)], data); err != nil {
		return nil, fmt.Errorf("%w: snappy: %w", ErrCodec, err)
	}
	if crc32.ChecksumIEEE(c.out) != sum {
		return nil, fmt.Errorf("%w: snappy: the checksum is another", ErrCodec)
	}
	return c.out, nil
}

// compress returns the block compressed; it is valid until the next call.
func (c *coder) compress(block []byte) ([]byte, error) {
	var err error
	switch c.codec {
	case Deflate:
		c.buf.Reset()
		w, err := flate.NewWriter(&c.buf, flate.DefaultCompression)
		if err != nil {
			return nil, err
		}
		_, err = w.Write(block)
		if err = errors.Join(err, w.Close()); err != nil {
			return nil, err
		}
		return c.buf.Bytes(), nil
	case Snappy:
		c.out = snappy.Encode(c.out[:cap(c.out)], block)
		c.out = binary.BigEndian.AppendUint32(c.out, crc32.ChecksumIEEE(block))
		return c.out, nil
	case Zstandard:
		if c.zout == nil {
			if c.zout, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)); err != nil {
				return nil, err
			}
		}
		c.out = c.zout.EncodeAll(block, c.out[:0])
		return c.out, nil
	case Null:
	}
	return block, nil
}

func (c *coder) close() {
	if c.zin != nil {
		c.zin.Close()
	}
}
