package sealed

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const (
	version    = 0x01
	nonceSize  = 12
	tagSize    = 16
	keySize    = 32
	maxName    = 255
	maxWrapped = 1024
)

// KeyName is the name in Transit of the key of a product and a month
// (yyyymm).
func KeyName(product, month string) string { return Prefix(product) + month }

// Prefix is what the names of all keys of a product begin with.
func Prefix(product string) string { return "seal-" + product + "-" }

// Sealer seals blocks with one data key. It is safe for concurrent use. A
// random 96-bit nonce bounds it to 2^32 blocks; a connector takes a new data
// key at every start and every month.
type Sealer struct {
	header []byte
	aead   cipher.AEAD
}

// NewSealer takes a data key of 32 bytes, its wrapped form and the name of the
// Transit key that wrapped it.
func NewSealer(keyName string, wrapped, key []byte) (*Sealer, error) {
	if keyName == "" || len(keyName) > maxName || len(wrapped) == 0 || len(wrapped) > maxWrapped {
		return nil, fmt.Errorf("sealing key: name of %d and wrapped key of %d bytes, at most %d and %d", len(keyName), len(wrapped), maxName, maxWrapped)
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	h := append([]byte{version, byte(len(keyName))}, keyName...)
	h = binary.BigEndian.AppendUint16(h, uint16(len(wrapped)))
	return &Sealer{header: append(h, wrapped...), aead: aead}, nil
}

// Seal appends the block that holds plain, bound to additional.
func (s *Sealer) Seal(dst, plain, additional []byte) ([]byte, error) {
	dst = append(dst, s.header...)
	n := len(dst)
	dst = append(dst, make([]byte, nonceSize)...)
	if _, err := rand.Read(dst[n:]); err != nil {
		return nil, fmt.Errorf("random nonce: %w", err)
	}
	return s.aead.Seal(dst, dst[n:n+nonceSize], plain, additional), nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("data key of %d bytes, want %d", len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Unwrap asks Transit for a data key. An error with problem.VaultUnavailable
// is passing; any other error says that the key is gone or refused.
type Unwrap func(ctx context.Context, keyName string, wrapped []byte) ([]byte, error)

// Opener opens blocks and keeps a bounded number of data keys, so that a page
// of records costs one call to Transit at the most for each data key in it.
type Opener struct {
	unwrap Unwrap
	limit  int

	mu   sync.Mutex
	keys map[string]cipher.AEAD // by wrapped key
}

// NewOpener keeps at most limit data keys; when it is full it forgets one.
func NewOpener(unwrap Unwrap, limit int) *Opener {
	return &Opener{unwrap: unwrap, limit: limit, keys: map[string]cipher.AEAD{}}
}

// Session is an Opener for one request: it knows the request's deadline and
// the names of the keys that it may use, and asks Transit once for each data
// key, also when the answer is an error.
type Session struct {
	opener *Opener
	ctx    context.Context //nolint:containedctx // one request's argument, not kept beyond it
	prefix []byte
	failed map[string]error // by wrapped key

	unproven map[string]cipher.AEAD // keys of this session that have opened nothing yet
}

// Session binds the opener to one request, which may use the keys whose names
// begin with prefix: see [Prefix].
func (o *Opener) Session(ctx context.Context, prefix string) *Session {
	return &Session{opener: o, ctx: ctx, prefix: []byte(prefix), failed: map[string]error{}, unproven: map[string]cipher.AEAD{}}
}

// Open appends what a block holds. Its error carries problem.RecordUnsealable
// when the block is damaged, bound to something else, or its key is gone;
// problem.VaultUnavailable when Transit does not answer and the key is not at
// hand: then the record is neither released nor passed over.
func (s *Session) Open(dst, block, additional []byte) ([]byte, error) {
	name, wrapped, rest, err := split(block)
	if err != nil {
		return dst, err
	}
	if !bytes.HasPrefix(name, s.prefix) {
		return dst, problem.New(problem.RecordUnsealable, "the block names a key that is not meant for it")
	}
	aead, proven, err := s.key(name, wrapped)
	if err != nil {
		return dst, err
	}
	out, err := aead.Open(dst, rest[:nonceSize], rest[nonceSize:], additional)
	if err != nil {
		return dst, problem.New(problem.RecordUnsealable, "the block does not belong to this record, or was changed")
	}
	if !proven {
		delete(s.unproven, string(wrapped))
		s.opener.keep(string(wrapped), aead)
	}
	return out, nil
}

// key is the data key, and whether it has opened a block: a key that Transit
// gave by mistake serves one request at the most, and is asked for again in the
// next one.
func (s *Session) key(name, wrapped []byte) (aead cipher.AEAD, proven bool, err error) {
	if aead := s.opener.cached(wrapped); aead != nil {
		return aead, true, nil
	}
	if aead := s.unproven[string(wrapped)]; aead != nil {
		return aead, false, nil
	}
	if err := s.failed[string(wrapped)]; err != nil {
		return nil, false, err
	}
	key, err := s.opener.unwrap(s.ctx, string(name), wrapped)
	if err != nil {
		if problem.CodeOf(err) != problem.VaultUnavailable && s.ctx.Err() == nil {
			err = problem.Wrap(problem.RecordUnsealable, err, "sealing key %s", name)
		} else if problem.CodeOf(err) != problem.VaultUnavailable {
			err = problem.Wrap(problem.VaultUnavailable, errors.Join(err, s.ctx.Err()), "sealing key %s", name)
		}
		s.failed[string(wrapped)] = err
		return nil, false, err
	}
	if aead, err = newAEAD(key); err != nil {
		return nil, false, problem.Wrap(problem.RecordUnsealable, err, "sealing key %s", name)
	}
	s.unproven[string(wrapped)] = aead
	return aead, false, nil
}

func (o *Opener) cached(wrapped []byte) cipher.AEAD {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.keys[string(wrapped)]
}

func (o *Opener) keep(wrapped string, aead cipher.AEAD) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.keys) >= o.limit {
		for other := range o.keys {
			delete(o.keys, other)
			break
		}
	}
	o.keys[wrapped] = aead
}

// split takes a block apart. rest is nonce, ciphertext and tag.
func split(block []byte) (name, wrapped, rest []byte, err error) {
	bad := problem.New(problem.RecordUnsealable, "the block is not of the format this hub knows")
	if len(block) < 2 || block[0] != version {
		return nil, nil, nil, bad
	}
	n := int(block[1])
	b := block[2:]
	if len(b) < n+2 {
		return nil, nil, nil, bad
	}
	name, b = b[:n], b[n:]
	w := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if w > maxWrapped || len(b) < w+nonceSize+tagSize {
		return nil, nil, nil, bad
	}
	return name, b[:w], b[w:], nil
}
