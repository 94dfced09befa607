package feed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
)

// Limits of a page.
const (
	MaxRecords = 5000
	// SegmentBytes ends a page: what one receipt covers is complete in memory
	// before any of it leaves.
	SegmentBytes = 1 << 20
	// maxScanned bounds the work of a page of which little can be released.
	maxScanned = 4 * MaxRecords
	// sharedBytes bounds what was fetched for one page and is kept for others.
	sharedBytes = 32 << 20
)

// Feed reads the topics of one province.
type Feed struct {
	client *kafkalog.Client
	tail   *kafkalog.Tail // pages are read through it: consumers at one place share what is fetched
	index  *index
}

// New returns the feed of a cluster. It needs no closing: it ends with the
// client.
func New(client *kafkalog.Client) *Feed {
	return &Feed{client: client, tail: client.NewTail(kafkalog.TailConfig{Bytes: sharedBytes}), index: newIndex()}
}

// ErrExcluded is what Redact returns for a record that is not released to this
// consumer, with which nothing is wrong.
var ErrExcluded = errors.New("the record is not for this consumer")

// Redact appends the redacted form of a value (framed Avro) with this Kafka
// key, and says by which schema. Its errors are those of schemas.View.Append, or
// ErrExcluded.
type Redact func(dst, value, key []byte) (out []byte, schema string, err error)

// Query asks for a page.
type Query struct {
	Topic string
	// Cursor is where to begin; with no partitions, at the oldest record. At
	// its end, the page is empty and Page.Next names the range behind it.
	Cursor receipt.Cursor
	Limit  int  // records, 1 to MaxRecords
	Form   Form // what Redact writes, and how the envelope is written around it
	Redact Redact
	// Subject makes of a record's key what stands for its subject; nil if
	// nobody counts them.
	Subject func(key []byte) quota.Subject
	// Business appends what stands for the business key of a value: equal bytes
	// for equal keys, whatever schema the value has. For Newest.
	Business func(dst, value, key []byte) ([]byte, error)
	// HideDecisionTime leaves the decision time out of the lines: it is the
	// value of a field, and the field is not released.
	HideDecisionTime bool
	// Warnings are those that lines may name: the fields that they are about
	// are released.
	Warnings []string
}

// Page is what a query found.
type Page struct {
	Lines    []byte // the records, one behind the other, in Query.Form
	Records  int64
	Schemas  []string
	Ranges   []receipt.Range // that were read, not empty
	Subjects []quota.Subject // of the records, in their order; see Query.Subject
	Withheld map[problem.Code]int64
	Next     receipt.Cursor
}

var errFull = errors.New("the page is full")

// Read reads a page. Its error carries problem.KafkaUnavailable, or
// problem.VaultUnavailable when a sealing key is needed and cannot be had now.
func (f *Feed) Read(ctx context.Context, q Query) (*Page, error) {
	p := &Page{Withheld: map[problem.Code]int64{}}
	cursor, fresh, err := f.cursor(ctx, q)
	if err != nil {
		return nil, err
	}
	p.Next = cursor
	if !fresh {
		return p, nil
	}
	b := builder{page: p, query: &q}
	for i := range cursor.Partitions {
		at := &p.Next.Partitions[i]
		from := at.Next
		err := b.partition(ctx, f.tail, at)
		if at.Next > from {
			p.Ranges = append(p.Ranges, receipt.Range{Partition: at.Partition, From: from, To: at.Next})
		}
		if errors.Is(err, errFull) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// cursor closes the range that is read. read is false for a cursor at its end:
// then what is returned is the range behind it, and this page is empty, so that
// the same cursor never names two different pages.
func (f *Feed) cursor(ctx context.Context, q Query) (c receipt.Cursor, read bool, err error) {
	ends, err := f.client.Offsets(ctx, q.Topic)
	if err != nil {
		return c, false, problem.Wrap(problem.KafkaUnavailable, err, "")
	}
	begin := len(q.Cursor.Partitions) == 0
	atEnd := q.Cursor.AtEnd()
	for _, e := range ends {
		at := receipt.CursorPartition{Partition: e.Partition, Next: e.Start, End: e.Stable}
		for _, given := range q.Cursor.Partitions {
			if given.Partition == e.Partition {
				at = given
			}
		}
		if at.Next < e.Start { // expired meanwhile
			at.Next = e.Start
		}
		if begin || atEnd {
			at.End = e.Stable
		}
		at.End = max(at.End, at.Next)
		c.Partitions = append(c.Partitions, at)
	}
	return c, begin || !atEnd, nil
}

// builder fills a page.
type builder struct {
	page    *Page
	query   *Query
	scanned int
}

// partition reads one partition up to its end or until the page is full, and
// moves at behind what was read.
func (b *builder) partition(ctx context.Context, tail *kafkalog.Tail, at *receipt.CursorPartition) error {
	if at.Next >= at.End {
		return nil
	}
	err := tail.ReadRange(ctx, b.query.Topic, at.Partition, at.Next, at.End, func(r kafkalog.FetchedRecord) error {
		if b.full() {
			return errFull
		}
		if err := b.add(&r); err != nil {
			return fmt.Errorf("%s, partition %d, offset %d: %w", b.query.Topic, at.Partition, r.Offset, err)
		}
		at.Next = r.Offset + 1
		return nil
	})
	switch {
	case err == nil:
		at.Next = at.End
	case errors.Is(err, errFull), problem.CodeOf(err) == problem.VaultUnavailable:
	default:
		return problem.Wrap(problem.KafkaUnavailable, err, "")
	}
	return err
}

func (b *builder) full() bool {
	return b.page.Records >= int64(b.query.Limit) || len(b.page.Lines) >= SegmentBytes || b.scanned >= maxScanned
}

// add renders a record, or counts why it is withheld. Only what may pass by
// itself is an error.
func (b *builder) add(r *kafkalog.FetchedRecord) error {
	b.scanned++
	p := b.page
	before := len(p.Lines)
	env, err := record.ParseEnvelope(headers(r))
	if err != nil {
		p.Withheld[problem.RecordUnreadable]++
		return nil //nolint:nilerr // it is counted, and the page goes on
	}
	p.Lines = b.query.appendEnvelope(p.Lines, &env)
	lines, schema, err := b.query.Redact(p.Lines, r.Value, r.Key)
	if errors.Is(err, ErrExcluded) { // not for this consumer, and not worth a word
		p.Lines = p.Lines[:before]
		return nil
	}
	if err != nil {
		p.Lines = p.Lines[:before]
		code := problem.CodeOf(err)
		if code == problem.VaultUnavailable || code == problem.Internal {
			return err
		}
		p.Withheld[code]++
		return nil
	}
	p.Lines = b.query.end(lines)
	p.Records++
	if b.query.Subject != nil {
		p.Subjects = append(p.Subjects, b.query.Subject(r.Key))
	}
	p.addSchema(schema)
	return nil
}

func (p *Page) addSchema(name string) {
	if !slices.Contains(p.Schemas, name) {
		p.Schemas = append(p.Schemas, name)
	}
}

func headers(r *kafkalog.FetchedRecord) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, h := range r.Headers {
			if !yield(h.Key, h.Value) {
				return
			}
		}
	}
}
