package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Acknowledgement says that one record was taken note of; see
// receipt.Acknowledgement.
type Acknowledgement struct {
	Product  string            `json:"-"`
	Purpose  string            `json:"purpose"`
	Receipt  string            `json:"receipt"`  // Page.Receipt.ID of the page with the record
	EventID  string            `json:"event_id"` // Record.EventID
	TakenAt  time.Time         `json:"taken_at"`
	Measures []receipt.Measure `json:"measures"`
}

// Acknowledge returns an acknowledgement to the issuer of a record and gives
// back what its gateway signed, verified. It may be repeated.
func (c *Client) Acknowledge(ctx context.Context, a Acknowledgement) (signed string, _ *receipt.Acknowledgement, err error) {
	content, err := json.Marshal(a)
	if err != nil {
		return "", nil, problem.Wrap(problem.RequestInvalid, err, "")
	}
	body, _, err := c.call(ctx, http.MethodPost, "/v1/products/"+url.PathEscape(a.Product)+"/acknowledgements", "application/jose", content)
	if err != nil {
		return "", nil, err
	}
	r, err := receipt.VerifyAcknowledgement(string(body), c.roots)
	switch {
	case err != nil:
		return "", nil, err
	case r.Product != a.Product || r.EventID != a.EventID || r.Release != a.Receipt || r.Consumer != c.config.Participant ||
		r.Region != c.config.Region || !slices.Equal(r.Measures, a.Measures):
		return "", nil, problem.New(problem.ReceiptInvalid, "it is of %s, for %s of %s: not what was acknowledged", r.Consumer, r.Product, r.Region)
	}
	return string(body), r, nil
}

// AckPage is a page of acknowledgements.
type AckPage struct {
	Acknowledgements []*receipt.Acknowledgement
	Signed           []string // as they were issued, in the same order
	Next             int64    // for the next page
	AtEnd            bool
}

// Acknowledgements lists those of a product that is our own, since a time or
// from AckPage.Next on, each verified.
func (c *Client) Acknowledgements(ctx context.Context, product string, since time.Time, from int64) (*AckPage, error) {
	v := url.Values{"since": {since.UTC().Format(time.RFC3339)}}
	if from > 0 {
		v.Set("from", strconv.FormatInt(from, 10))
	}
	body, _, err := c.get(ctx, "/v1/products/"+url.PathEscape(product)+"/acknowledgements?"+v.Encode(), "application/json")
	if err != nil {
		return nil, err
	}
	var in struct {
		Acknowledgements []string `json:"acknowledgements"`
		Next             int64    `json:"next"`
		AtEnd            bool     `json:"at_end"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, problem.Wrap(problem.AnswerInvalid, err, "the answer is not a list of acknowledgements")
	}
	page := &AckPage{Signed: in.Acknowledgements, Next: in.Next, AtEnd: in.AtEnd}
	for _, signed := range in.Acknowledgements {
		a, err := receipt.VerifyAcknowledgement(signed, c.roots)
		if err != nil {
			return nil, err
		}
		if a.Product != product || a.Provider != c.config.Participant || a.Region != c.config.Region {
			return nil, problem.New(problem.ReceiptInvalid, "acknowledgement %s is of another product or provider", a.ID)
		}
		page.Acknowledgements = append(page.Acknowledgements, a)
	}
	return page, nil
}
