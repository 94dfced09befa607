package client

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// clockSkew is how far a gateway's clock may be from ours.
const clockSkew = 5 * time.Minute

// verify believes a page only as far as its receipt vouches for it: signed by
// the province's gateway, for us, for what we asked, over exactly these bytes.
func (c *Client) verify(p *Page, q Query) error {
	if p.Next == "" {
		return problem.New(problem.AnswerInvalid, "there is no cursor for the next page")
	}
	if p.Signed == "" {
		if n, err := count(p.Body, q.Format, nil); err != nil || n > 0 {
			return problem.New(problem.ReceiptInvalid, "the answer has records and no receipt")
		}
		return nil
	}
	var err error
	if p.Receipt, err = c.vouched(p.Signed, p.Body, question{product: q.Product, purpose: q.Purpose, emergency: q.Emergency}); err != nil {
		return err
	}
	if q.Format == "" || q.Format == JSON {
		return c.read(p)
	}
	return c.check(p, q.Format)
}

// question is what a receipt says that we asked.
type question struct{ product, purpose, emergency, delivery string }

// vouched is the receipt of an answer of this moment, to this question of ours.
func (c *Client) vouched(signed string, body []byte, q question) (*receipt.Receipt, error) {
	r, err := receipt.Verify(signed, c.roots)
	if err != nil {
		return nil, err
	}
	if off := r.IssuedAt.Sub(c.config.Now()).Abs(); off > clockSkew {
		return nil, problem.New(problem.ReceiptInvalid, "it was issued at %s: not just now", r.IssuedAt.Format(time.RFC3339))
	}
	said := question{product: r.Product, purpose: r.Purpose, emergency: r.Emergency, delivery: r.Delivery}
	if said != q || r.Consumer != c.config.Participant || r.Region != c.config.Region {
		return nil, problem.New(problem.ReceiptInvalid, "it is for %s of %s, to %s, for %s: not what was asked", r.Product, r.Region, r.Consumer, r.Purpose)
	}
	return r, r.Matches(body)
}

// known is the fields that records of an answer may have: those of the schema
// that they were resolved into, or of their own.
func (c *Client) known(r *receipt.Receipt) (of []fields, names []string, err error) {
	names = r.Schemas
	if r.Reader != "" {
		names = []string{r.Reader}
	}
	for _, name := range names {
		s, ok := c.config.Schemas.Schema(name)
		if !ok {
			return nil, nil, problem.New(problem.SchemaUnknown, "%s: this client is older than the gateway", name)
		}
		of = append(of, fieldsOf(s))
	}
	return of, names, nil
}

// read takes the records apart and holds each against the schemas that the
// receipt names.
func (c *Client) read(p *Page) error {
	known, names, err := c.known(p.Receipt)
	if err != nil {
		return err
	}
	for line := range bytes.Lines(p.Body) {
		r, err := parseRecord(bytes.TrimSuffix(line, []byte("\n")))
		switch {
		case err != nil:
			return problem.Wrap(problem.AnswerInvalid, err, "record %d cannot be read", len(p.Records)+1)
		case !slices.ContainsFunc(known, func(f fields) bool { return f.hold(r.Record) }):
			return problem.New(problem.AnswerInvalid, "record %d: its fields are not those of %s", len(p.Records)+1, strings.Join(names, ", "))
		}
		p.Records = append(p.Records, r)
	}
	return counted(int64(len(p.Records)), p.Receipt)
}

func counted(n int64, r *receipt.Receipt) error {
	if n != r.Records {
		return problem.New(problem.AnswerInvalid, "%d records, the receipt says %d", n, r.Records)
	}
	return nil
}
