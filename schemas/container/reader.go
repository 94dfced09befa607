package container

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// Limits of a file.
const (
	maxBlock    = 16 << 20 // bytes of a block, compressed and expanded
	maxRecord   = 8 << 20  // bytes of a record that is written, so that its block can be read
	maxMetadata = 1 << 20  // bytes of the header's metadata
)

const syncSize = 16

var magic = []byte("Obj\x01")

// What can be wrong with a file; the text says where.
var (
	ErrHeader = errors.New("it is no Avro container file")
	ErrSchema = errors.New("its schema cannot be read")
	ErrCodec  = errors.New("a block cannot be expanded")
	ErrBlock  = errors.New("a block is broken")
	ErrRecord = errors.New("a record does not match the schema")
	ErrLimit  = errors.New("it is larger than what is read")
)

const (
	keySchema = "avro.schema"
	keyCodec  = "avro.codec"
)

// Reader reads a container file.
type Reader struct {
	in       *bufio.Reader
	typ      *avro.Type
	metadata map[string][]byte
	sync     [syncSize]byte
	coder    *coder

	raw    bytes.Buffer
	data   []byte // what is left of the block
	left   int64  // records that are left in it
	block  int64  // number of the block, from 1
	record int64  // number of the record in the file, from 1
	empty  int    // records without bytes
	err    error
}

// NewReader reads the header.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 64<<10), metadata: map[string][]byte{}}
	if err := r.header(); err != nil {
		return nil, fmt.Errorf("header: %w", truncated(err, ErrHeader))
	}
	var err error
	if r.typ, err = avro.Parse(r.metadata[keySchema]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	if r.coder, err = newCoder(Codec(r.metadata[keyCodec])); err != nil {
		return nil, err
	}
	return r, nil
}

// Type is the schema of the records.
func (r *Reader) Type() *avro.Type { return r.typ }

// Metadata is what the header says, "avro.schema" and "avro.codec" among it.
func (r *Reader) Metadata() map[string][]byte { return r.metadata }

// Close gives back what the codec holds. It does not close the file.
func (r *Reader) Close() { r.coder.close() }

// Next returns the next record's Avro body, which is valid until the next
// call, or io.EOF behind the last. After an error it returns the same error.
func (r *Reader) Next() ([]byte, error) {
	for r.err == nil && r.left == 0 {
		r.err = r.next()
	}
	if r.err != nil {
		return nil, r.err
	}
	n, err := Skip(r.typ, r.data)
	if err == nil && r.left == 1 && n != len(r.data) {
		err = fmt.Errorf("%w: bytes are left behind the last record of the block", ErrBlock)
	}
	if n == 0 { // such records cost a file nothing but their count
		if r.empty++; r.empty > maxEmpty && err == nil {
			err = fmt.Errorf("%w: it has more than %d records without bytes", ErrLimit, maxEmpty)
		}
	}
	r.record++
	if err != nil {
		r.err = fmt.Errorf("block %d, record %d: %w", r.block, r.record, err)
		return nil, r.err
	}
	body := r.data[:n]
	r.data = r.data[n:]
	r.left--
	return body, nil
}

// next reads a block.
func (r *Reader) next() error {
	if _, err := r.in.Peek(1); errors.Is(err, io.EOF) {
		return io.EOF
	}
	r.block++
	err := r.readBlock()
	if err == nil {
		r.data, err = r.coder.expand(r.raw.Bytes())
	}
	if err == nil && r.left == 0 && len(r.data) > 0 {
		err = fmt.Errorf("%w: it has bytes and no records", ErrBlock)
	}
	if err != nil {
		return fmt.Errorf("block %d: %w", r.block, truncated(err, ErrBlock))
	}
	return nil
}

func (r *Reader) readBlock() (err error) {
	if r.left, err = r.long(); err != nil {
		return err
	}
	size, err := r.long()
	switch {
	case err != nil:
		return err
	case r.left < 0 || size < 0:
		return fmt.Errorf("%w: a count or size is negative", ErrBlock)
	case size > maxBlock:
		return fmt.Errorf("%w: it has %d bytes, at most %d are read", ErrLimit, size, maxBlock)
	}
	if err := r.read(size); err != nil {
		return err
	}
	var sync [syncSize]byte
	if _, err := io.ReadFull(r.in, sync[:]); err != nil {
		return err
	}
	if sync != r.sync {
		return fmt.Errorf("%w: there is no sync marker behind it", ErrBlock)
	}
	return nil
}

// read reads size bytes into raw, which grows by what comes and not by what is
// announced.
func (r *Reader) read(size int64) error {
	r.raw.Reset()
	n, err := io.CopyN(&r.raw, r.in, size)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (r *Reader) header() error {
	var head [4]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		return err
	}
	if !bytes.Equal(head[:], magic) {
		return fmt.Errorf("%w: it does not begin with Obj 1", ErrHeader)
	}
	room := int64(maxMetadata)
	for {
		count, err := r.long()
		if err != nil {
			return err
		}
		if count == 0 {
			break
		}
		if count < 0 { // the size of the block follows, which is of no use here
			if _, err := r.long(); err != nil {
				return err
			}
			count = -count
		}
		for ; count != 0; count-- {
			if err := r.entry(&room); err != nil {
				return err
			}
		}
	}
	_, err := io.ReadFull(r.in, r.sync[:])
	return err
}

func (r *Reader) entry(room *int64) error {
	key, err := r.bytes(room)
	if err != nil {
		return err
	}
	value, err := r.bytes(room)
	if err != nil {
		return err
	}
	if _, twice := r.metadata[string(key)]; twice {
		return fmt.Errorf("%w: an entry stands twice in the metadata", ErrHeader)
	}
	r.metadata[string(key)] = value
	return nil
}

// bytes reads a string of the header; each also costs what an entry costs.
func (r *Reader) bytes(room *int64) ([]byte, error) {
	n, err := r.long()
	if err != nil {
		return nil, err
	}
	const cost = 64
	if n < 0 || n > *room-cost {
		return nil, fmt.Errorf("%w: its metadata has more than %d bytes", ErrLimit, maxMetadata)
	}
	*room -= n + cost
	if err := r.read(n); err != nil {
		return nil, err
	}
	return bytes.Clone(r.raw.Bytes()), nil
}

func (r *Reader) long() (int64, error) {
	v, err := binary.ReadVarint(r.in)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, fmt.Errorf("%w: a number does not end", ErrBlock)
	}
	return v, err
}

// truncated makes the end of the file, where it is none, a fault of its kind.
func truncated(err, kind error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the file ends within it", kind)
	}
	return err
}
