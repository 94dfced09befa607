package feed

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
)

// maxIndexed bounds the business keys that a replica remembers the places of,
// of all products together: about 100 bytes each. The topic that would go
// beyond it is read from its beginning for every question instead.
const maxIndexed = 1_000_000

// fingerprint stands for a business key in memory: an HMAC under a secret of
// this process, so that the index says nothing about anybody.
type fingerprint [16]byte

// place is where the newest record of a key lies, and what makes it that
// (invariant 4).
type place struct {
	decided   int64 // microseconds
	offset    int64
	partition int32
	version   uint32
	event     [16]byte
}

func (p *place) order() record.Order {
	return record.Order{DecisionTime: time.UnixMicro(p.decided), Version: p.version, Tie: string(p.event[:])}
}

// newests are the places of one topic's keys, as far as it was read. They are a
// cache of the log: any replica comes to the same (invariant 9).
type newests struct {
	next   map[int32]int64 // partition → offset behind what was read
	places map[fingerprint]place
	only   *fingerprint // the one key that is looked for; nil: all of them
	room   func() bool  // for one key more; nil: there is
}

func newNewests() *newests {
	return &newests{next: map[int32]int64{}, places: map[fingerprint]place{}}
}

// index holds what was read of the topics that were asked about a single key.
type index struct {
	secret []byte
	most   int // keys: maxIndexed

	mu     sync.Mutex
	topics map[string]*topicIndex
	keys   int
}

// topicIndex is entered by whoever holds its turn: one request reads the topic
// on, and those that come meanwhile wait for it, or until they end.
type topicIndex struct {
	turn chan struct{}
	all  *newests // nil: it did not fit
}

func newIndex() *index {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails (crypto/rand)
	return &index{secret: secret, most: maxIndexed, topics: map[string]*topicIndex{}}
}

func (x *index) topic(name string) *topicIndex {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.topics[name]
	if t == nil {
		t = &topicIndex{turn: make(chan struct{}, 1), all: newNewests()}
		t.all.room = func() bool { return x.grow(1) }
		x.topics[name] = t
	}
	return t
}

// grow takes room for some keys, or gives it back.
func (x *index) grow(n int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if n > 0 && x.keys+n > x.most {
		return false
	}
	x.keys += n
	return true
}

var errIndexFull = errors.New("more keys than are remembered")

// Newest finds the one record that stands for a business key, the newest by
// decision time and version, and returns it as a page: empty if there is none,
// if it has expired, or if Redact excludes it. key is what Query.Business makes
// of the record. The errors are those of Read.
func (f *Feed) Newest(ctx context.Context, q Query, key []byte) (*Page, error) {
	ends, err := f.client.Offsets(ctx, q.Topic)
	if err != nil {
		return nil, problem.Wrap(problem.KafkaUnavailable, err, "")
	}
	mac := hmac.New(sha256.New, f.index.secret)
	at, known, err := f.place(ctx, &q, ends, mac, fingerprintOf(mac, key))
	p := &Page{Withheld: map[problem.Code]int64{}}
	if err != nil || !known {
		return p, err
	}
	for _, e := range ends {
		if e.Partition == at.partition && at.offset < e.Start {
			return p, nil // it has expired: what is older does not come to stand again
		}
	}
	b := builder{page: p, query: &q}
	err = f.client.ReadRange(ctx, q.Topic, at.partition, at.offset, at.offset+1, func(r kafkalog.FetchedRecord) error { return b.add(&r) })
	switch {
	case err != nil && problem.CodeOf(err) == problem.VaultUnavailable:
		return nil, err
	case err != nil:
		return nil, problem.Wrap(problem.KafkaUnavailable, err, "")
	case p.Records > 0 || len(p.Withheld) > 0:
		p.Ranges = []receipt.Range{{Partition: at.partition, From: at.offset, To: at.offset + 1}}
	}
	return p, nil
}

// place reads the topic on to its end and says where the key's record lies.
func (f *Feed) place(ctx context.Context, q *Query, ends []kafkalog.PartitionOffsets, mac hash.Hash, key fingerprint) (place, bool, error) {
	t := f.index.topic(q.Topic)
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return place{}, false, problem.Wrap(problem.KafkaUnavailable, ctx.Err(), "the topic is still being read")
	}
	if t.all != nil {
		err := f.extend(ctx, t.all, q, ends, mac)
		if !errors.Is(err, errIndexFull) {
			at, known := t.all.places[key]
			<-t.turn
			return at, known, err
		}
		f.index.grow(-len(t.all.places))
		t.all = nil
	}
	<-t.turn
	one := newNewests()
	one.only = &key
	err := f.extend(ctx, one, q, ends, mac)
	at, known := one.places[key]
	return at, known, err
}

// extend reads every partition from where n stands to its end. What was read
// stays known if it breaks off.
func (f *Feed) extend(ctx context.Context, n *newests, q *Query, ends []kafkalog.PartitionOffsets, mac hash.Hash) error {
	var scratch []byte
	for _, e := range ends {
		from := max(n.next[e.Partition], e.Start)
		if from >= e.Stable {
			continue
		}
		err := f.client.ReadRange(ctx, q.Topic, e.Partition, from, e.Stable, func(r kafkalog.FetchedRecord) (err error) {
			if scratch, err = q.Business(scratch[:0], r.Value, r.Key); err == nil {
				err = n.add(e.Partition, &r, fingerprintOf(mac, scratch))
			} else if code := problem.CodeOf(err); code != problem.VaultUnavailable && code != problem.Internal {
				err = nil // what cannot be read has no key by which it could be asked for
			}
			if err == nil {
				n.next[e.Partition] = r.Offset + 1
			}
			return err
		})
		switch {
		case err == nil:
			n.next[e.Partition] = e.Stable
		case errors.Is(err, errIndexFull), problem.CodeOf(err) == problem.VaultUnavailable:
			return err
		default:
			return problem.Wrap(problem.KafkaUnavailable, fmt.Errorf("%s, partition %d: %w", q.Topic, e.Partition, err), "")
		}
	}
	return nil
}

// add remembers a record that supersedes what is known of its key.
func (n *newests) add(partition int32, r *kafkalog.FetchedRecord, key fingerprint) error {
	if n.only != nil && *n.only != key {
		return nil
	}
	env, err := record.ParseEnvelope(headers(r))
	if err != nil {
		return nil //nolint:nilerr // a page leaves it out as well
	}
	at := place{decided: env.DecisionTime.UnixMicro(), offset: r.Offset, partition: partition, version: env.Version}
	if _, err := hex.Decode(at.event[:], []byte(env.EventID)); err != nil {
		return nil //nolint:nilerr // ParseEnvelope lets none through
	}
	last, known := n.places[key]
	switch {
	case known && !at.order().Supersedes(last.order()):
		return nil
	case !known && n.room != nil && !n.room():
		return errIndexFull
	}
	n.places[key] = at
	return nil
}

func fingerprintOf(mac hash.Hash, key []byte) (out fingerprint) {
	mac.Reset()
	mac.Write(key)
	var sum [sha256.Size]byte
	copy(out[:], mac.Sum(sum[:0]))
	return out
}
