package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// AckRequest acknowledges one record of a product that asks for it: a bulletin.
type AckRequest struct {
	Credentials
	ID      string // of the request
	Product string
	Purpose string
	Release string // id of the receipt under which the record was released
	EventID string
	TakenAt time.Time
	// Measures that the consumer took.
	Measures []receipt.Measure
}

// Acknowledge is the road of an acknowledgement back to its issuer: who may
// read the record for this purpose now, and was given it, may acknowledge it.
// It is in the ledger before it is answered (invariant 2).
func (g *Gateway) Acknowledge(ctx context.Context, req AckRequest) (id, signed string, err error) {
	x, err := g.begin(Request{Credentials: req.Credentials, ID: req.ID, Product: req.Product, Purpose: req.Purpose, Limit: 1}, policies.Page)
	if err != nil {
		return "", "", err
	}
	if err := x.identify(ctx); err != nil {
		return "", "", err
	}
	a, err := x.acknowledgement(ctx, &req)
	if err != nil {
		return "", "", x.refuse(ctx, err)
	}
	if signed, err = g.Signer.Acknowledgement(a); err != nil {
		return "", "", err
	}
	e := x.blankEntry(a.ID, receipt.Acknowledged)
	e.At, e.Provider, e.Receipt = a.IssuedAt, a.Provider, signed
	if err := g.Ledger.Append(ctx, e); err != nil {
		return "", "", err
	}
	return a.ID, signed, nil
}

// acknowledgement decides, and finds the record in what was released.
func (x *exchange) acknowledgement(ctx context.Context, req *AckRequest) (*receipt.Acknowledgement, error) {
	released, err := x.releaseTo(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := x.decide(ctx); err != nil {
		return nil, err
	}
	switch {
	case released == nil:
		return nil, problem.New(problem.ReceiptUnknown, "")
	case x.product.Acknowledgement == "":
		return nil, problem.New(problem.AcknowledgementUntaken, "%s", x.product.ID)
	case req.TakenAt.IsZero() || req.TakenAt.After(x.now):
		return nil, problem.New(problem.RequestInvalid, "taken_at is missing or lies in the future")
	}
	if err := receipt.CheckMeasures(req.Measures); err != nil {
		return nil, err
	}
	due, err := x.due(ctx, released, req.EventID)
	if err != nil {
		return nil, err
	}
	return &receipt.Acknowledgement{
		Region: x.Region, Product: x.product.ID, Provider: x.product.Providers[x.Region], Consumer: x.caller.Participant, System: x.caller.System,
		Agreement: x.under(), Purpose: x.req.Purpose, Policy: x.snap.Policies.Version(), Release: req.Release, EventID: req.EventID,
		TakenAt: req.TakenAt.UTC(), Measures: req.Measures, Due: due, Late: x.now.After(due),
	}, nil
}

// releaseTo reads the receipt under which the record was released, and has the
// acknowledgement decided as that release was: by page or query, in an emergency
// or not. nil: a receipt of somebody else, of another product, or of a yes or
// no, which does not exist for it.
func (x *exchange) releaseTo(ctx context.Context, req *AckRequest) (*receipt.Receipt, error) {
	e, err := x.Ledger.Find(ctx, req.Release)
	if problem.CodeOf(err) == problem.ReceiptUnknown {
		return nil, nil //nolint:nilnil // told after the decision, so that what is refused anyway tells nothing
	}
	if err != nil {
		return nil, err
	}
	if e.Kind != receipt.Release || e.Consumer != x.caller.Participant || e.Product != req.Product {
		return nil, nil //nolint:nilnil // likewise
	}
	r, err := receipt.Read(e.Receipt)
	if err != nil {
		return nil, err
	}
	if r.Delivery == policies.Verify.String() {
		return nil, nil //nolint:nilnil // likewise
	}
	if x.req.Emergency = r.Emergency; r.Delivery != "" {
		x.delivery, err = policies.ParseDelivery(r.Delivery)
	}
	return r, err
}

// due says until when a record of the release was to be acknowledged. One that
// the receipt does not cover does not exist.
func (x *exchange) due(ctx context.Context, released *receipt.Receipt, event string) (due time.Time, err error) {
	value, key, err := x.Reader.Event(ctx, record.Topic(x.Region, x.product.ID, x.product.Major), released.Ranges, event)
	if err != nil {
		return due, err
	}
	return x.dueTime(value, key)
}

// dueTime reads the one field of the record that says until when.
func (x *exchange) dueTime(value, key []byte) (due time.Time, err error) {
	id, body, err := schemas.SplitFrame(value)
	if err != nil {
		return due, problem.Wrap(problem.RecordUnreadable, err, "")
	}
	schema, ok := x.snap.Schemas.ByID(id)
	if !ok {
		return due, problem.New(problem.SchemaUnknown, "id %d", id)
	}
	path := x.product.Acknowledgement
	only := scope{obligations: redact.Obligations{path: {Action: redact.Keep}}, rows: x.decision.Rows}
	view, err := x.views.get(schemas.ViewSpec{Writer: schema, Reader: schema, Obligations: only.obligations, Predicate: only.rows}, only.canonical())
	if err != nil {
		return due, problem.Wrap(problem.RecordUnredactable, err, "")
	}
	doc, err := view.Append(nil, body, key, &schemas.Run{})
	switch {
	case errors.Is(err, schemas.ErrExcluded): // it lay in the page's ranges and was not released
		return due, problem.New(problem.EventUnknown, "")
	case err != nil:
		return due, err
	}
	field, err := member(doc, path)
	if err == nil {
		err = json.Unmarshal(field, &due)
	}
	if err != nil {
		return due, problem.Wrap(problem.RecordUnreadable, err, "")
	}
	return due, nil
}

// AckPage is acknowledgements as they were issued, oldest first.
type AckPage struct {
	Signed []string
	Next   int64 // place in the ledger to go on from
	AtEnd  bool
}

// Bounds of one listing.
const (
	MaxAcks     = 500
	maxAckScans = 100_000 // entries of the ledger
)

// AckQuery asks for the acknowledgements of a product since a time, or from
// AckPage.Next on.
type AckQuery struct {
	Product string
	Since   time.Time
	From    int64 // 0: begin at Since
	Limit   int
}

// product is what the query asks for, if the caller provides it.
func (q AckQuery) product(snap *Snapshot, caller, region string) (*catalogue.Product, error) {
	p, ok := snap.Catalogue.Product(q.Product)
	switch {
	case !ok || !snap.Policies.MayKnow(caller, p, region):
		return nil, problem.New(problem.ProductUnknown, "")
	case p.Providers[region] != caller:
		return nil, problem.New(problem.ProviderOnly, "%s is of %s", p.ID, p.Providers[region])
	case p.Acknowledgement == "":
		return nil, problem.New(problem.AcknowledgementUntaken, "%s", p.ID)
	case q.Limit < 1 || q.Limit > MaxAcks:
		return nil, problem.New(problem.LimitOutOfRange, "limit %d: 1 to %d", q.Limit, MaxAcks)
	}
	return p, nil
}

// Acknowledgements are those of a product, for its provider alone. To anyone
// else who may know of the product they are refused.
func (g *Gateway) Acknowledgements(ctx context.Context, c Credentials, q AckQuery) (*AckPage, error) {
	snap, err := g.Snapshot()
	if err != nil {
		return nil, err
	}
	caller, err := g.Identify(ctx, snap, c, g.Now())
	if err != nil {
		return nil, err
	}
	p, err := q.product(snap, caller.Participant, g.Region)
	if err != nil {
		return nil, err
	}
	page := &AckPage{}
	page.Next, page.AtEnd, err = g.Ledger.Entries(ctx, q.Since, q.From, maxAckScans, func(e *receipt.Entry) bool {
		if e.Kind == receipt.Acknowledged && e.Product == p.ID && e.Provider == caller.Participant {
			page.Signed = append(page.Signed, e.Receipt)
		}
		return len(page.Signed) < q.Limit
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}
