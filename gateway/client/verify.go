package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
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
		if len(p.Body) > 0 {
			return problem.New(problem.ReceiptInvalid, "the answer has records and no receipt")
		}
		return nil
	}
	r, err := receipt.Verify(p.Signed, c.roots)
	if err != nil {
		return err
	}
	if off := r.IssuedAt.Sub(c.config.Now()).Abs(); off > clockSkew {
		return problem.New(problem.ReceiptInvalid, "it was issued at %s: not just now", r.IssuedAt.Format(time.RFC3339))
	}
	if r.Product != q.Product || r.Purpose != q.Purpose || r.Consumer != c.config.Participant || r.Region != c.config.Region {
		return problem.New(problem.ReceiptInvalid, "it is for %s of %s, to %s, for %s: not what was asked", r.Product, r.Region, r.Consumer, r.Purpose)
	}
	if err := r.Matches(p.Body); err != nil {
		return err
	}
	p.Receipt = r
	return c.read(p)
}

// read takes the records apart and holds each against the schemas that the
// receipt names.
func (c *Client) read(p *Page) error {
	var known []*schemas.Schema
	for _, name := range p.Receipt.Schemas {
		s, ok := c.config.Schemas.Schema(name)
		if !ok {
			return problem.New(problem.SchemaUnknown, "%s: this client is older than the gateway", name)
		}
		known = append(known, s)
	}
	if len(p.Body) > 0 {
		for i, line := range lines(p.Body) {
			d := json.NewDecoder(bytes.NewReader(line))
			d.DisallowUnknownFields()
			var r Record
			if err := d.Decode(&r); err != nil {
				return problem.Wrap(problem.AnswerInvalid, err, "record %d cannot be read", i+1)
			}
			if err := fits(r.Record, known); err != nil {
				return problem.Wrap(problem.AnswerInvalid, err, "record %d: %v", i+1, err)
			}
			p.Records = append(p.Records, r)
		}
	}
	if int64(len(p.Records)) != p.Receipt.Records {
		return problem.New(problem.AnswerInvalid, "%d records, the receipt says %d", len(p.Records), p.Receipt.Records)
	}
	return nil
}

// fits says whether every member of a record is a field of one of the schemas.
func fits(record json.RawMessage, known []*schemas.Schema) error {
	paths, err := members(record, "")
	if err != nil {
		return err
	}
	for _, s := range known {
		if !slices.ContainsFunc(paths, func(path string) bool { _, _, ok := s.Leaf(path); return !ok }) {
			return nil
		}
	}
	return fmt.Errorf("its fields are not those of %s", names(known))
}

func names(known []*schemas.Schema) string {
	var out []string
	for _, s := range known {
		out = append(out, s.Name)
	}
	return strings.Join(out, ", ")
}

// members are the paths of an object's values; objects within are gone into.
func members(object json.RawMessage, prefix string) ([]string, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(object, &m); err != nil {
		return nil, fmt.Errorf("it is no JSON object: %w", err)
	}
	var paths []string
	for name, v := range m {
		if len(v) > 0 && v[0] == '{' {
			inner, err := members(v, prefix+name+".")
			if err != nil {
				return nil, err
			}
			paths = append(paths, inner...)
			continue
		}
		paths = append(paths, prefix+name)
	}
	return paths, nil
}
