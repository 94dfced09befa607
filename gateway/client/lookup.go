package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Lookup asks about the one record of a business key. Values are written as a
// page writes them; a nil is null.
type Lookup struct {
	Product   string             `json:"-"`
	Purpose   string             `json:"purpose"`
	Key       map[string]*string `json:"key"`              // every field of the product's business key that is not null
	Fields    []string           `json:"fields,omitempty"` // of One; empty: all that may be had
	Claims    map[string]*string `json:"claims,omitempty"` // of Verify; empty: that there is such a record
	Emergency string             `json:"emergency,omitempty"`
}

// Answer is a verified answer about one record.
type Answer struct {
	Record   Record // of One
	Verified bool   // of Verify
	Receipt  *receipt.Receipt
	Signed   string // the receipt as it was issued
	Body     []byte // as it was received; what the receipt vouches for
}

// One fetches the newest record of a key. That there is none for us is
// problem.RecordUnknown.
func (c *Client) One(ctx context.Context, l Lookup) (*Answer, error) {
	a, err := c.lookup(ctx, l, "query")
	if err != nil {
		return nil, err
	}
	p := Page{Body: a.Body, Receipt: a.Receipt}
	if err := c.read(&p); err != nil {
		return nil, err
	}
	if len(p.Records) != 1 {
		return nil, problem.New(problem.AnswerInvalid, "%d records for one key", len(p.Records))
	}
	a.Record = p.Records[0]
	return a, nil
}

// Verify asks whether the claims about the record of a key are true.
func (c *Client) Verify(ctx context.Context, l Lookup) (*Answer, error) {
	a, err := c.lookup(ctx, l, "verify")
	if err != nil {
		return nil, err
	}
	var said struct {
		Verified *bool `json:"verified"`
	}
	d := json.NewDecoder(bytes.NewReader(a.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(&said); err != nil || said.Verified == nil {
		return nil, problem.New(problem.AnswerInvalid, "the answer is neither yes nor no")
	}
	a.Verified = *said.Verified
	return a, nil
}

func (c *Client) lookup(ctx context.Context, l Lookup, as string) (*Answer, error) {
	content, err := json.Marshal(l)
	if err != nil {
		return nil, problem.Wrap(problem.RequestInvalid, err, "")
	}
	body, header, err := c.call(ctx, http.MethodPost, "/v1/products/"+url.PathEscape(l.Product)+"/"+as, "application/json", content)
	if err != nil {
		return nil, err
	}
	a := &Answer{Body: body, Signed: header.Get(headerReceipt)}
	if a.Receipt, err = c.vouched(a.Signed, body, question{product: l.Product, purpose: l.Purpose, emergency: l.Emergency, delivery: as}); err != nil {
		return nil, err
	}
	return a, nil
}
