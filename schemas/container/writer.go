package container

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/schemas/avro"
)

// targetBlock is how many bytes of records fill a block: what Java writes.
const targetBlock = 64 << 10

// Header is what a file says in front.
type Header struct {
	Schema   []byte            // source, written as it is
	Codec    Codec             // "" is Null
	Metadata map[string][]byte // names that begin with "avro." are Avro's own
	Sync     [syncSize]byte    // the marker between blocks; zero: a random one
}

// Writer writes a container file.
type Writer struct {
	out   io.Writer
	typ   *avro.Type
	sync  [syncSize]byte
	coder *coder
	block []byte
	count int64
	head  []byte
	err   error
}

// NewWriter writes the header.
func NewWriter(out io.Writer, h Header) (*Writer, error) {
	t, err := avro.Parse(h.Schema)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	if h.Sync == [syncSize]byte{} {
		_, _ = rand.Read(h.Sync[:]) // it does not fail
	}
	w := &Writer{out: out, typ: t, sync: h.Sync}
	if w.coder, err = newCoder(h.Codec); err != nil {
		return nil, err
	}
	entries := map[string][]byte{}
	for key, value := range h.Metadata {
		if strings.HasPrefix(key, "avro.") {
			return nil, fmt.Errorf("%w: metadata %q is Avro's own", ErrHeader, key)
		}
		entries[key] = value
	}
	entries[keySchema], entries[keyCodec] = h.Schema, []byte(w.coder.codec)
	head := binary.AppendVarint(slices.Clone(magic), int64(len(entries)))
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		head = append(binary.AppendVarint(head, int64(len(key))), key...)
		head = append(binary.AppendVarint(head, int64(len(entries[key]))), entries[key]...)
	}
	head = append(append(head, 0), h.Sync[:]...)
	_, err = out.Write(head)
	return w, err
}

// AppendAll is Append for bodies that stand one behind the other.
func (w *Writer) AppendAll(bodies []byte) error {
	for len(bodies) > 0 {
		n, err := Skip(w.typ, bodies)
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: a record has no bytes, so nobody can say how many there are", ErrRecord)
		}
		if err == nil {
			err = w.append(bodies[:n])
		}
		if err != nil {
			return err
		}
		bodies = bodies[n:]
	}
	return w.err
}

// Append writes one record's Avro body. A body that is not one value of the
// schema is refused, and the file stays as it was.
func (w *Writer) Append(body []byte) error {
	n, err := Skip(w.typ, body)
	switch {
	case err != nil:
		return err
	case n != len(body):
		return fmt.Errorf("%w: bytes are left behind it", ErrRecord)
	}
	return w.append(body)
}

// append writes a body that is known to be one record.
func (w *Writer) append(body []byte) error {
	n := len(body)
	switch {
	case w.err != nil:
		return w.err
	case n > maxRecord:
		return fmt.Errorf("%w: a record has %d bytes, at most %d are written", ErrLimit, n, maxRecord)
	}
	if len(w.block)+n > maxRecord {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	w.block = append(w.block, body...)
	w.count++
	if len(w.block) >= targetBlock {
		return w.Flush()
	}
	return nil
}

// Flush ends the block, if anything is in it.
func (w *Writer) Flush() error {
	if w.err != nil || w.count == 0 {
		return w.err
	}
	data, err := w.coder.compress(w.block)
	if err == nil {
		w.head = binary.AppendVarint(binary.AppendVarint(w.head[:0], w.count), int64(len(data)))
		for _, part := range [][]byte{w.head, data, w.sync[:]} {
			if err == nil {
				_, err = w.out.Write(part)
			}
		}
	}
	w.block, w.count = w.block[:0], 0
	if err != nil { // a part of the block may be written: nothing may follow it
		w.err = fmt.Errorf("container file: %w", err)
	}
	return w.err
}

var errClosed = errors.New("the container file is closed")

// Close ends the last block. It does not close the file.
func (w *Writer) Close() error {
	err := w.Flush()
	if w.err == nil {
		w.err = errClosed
	}
	return err
}
