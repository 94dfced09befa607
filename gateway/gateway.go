package gateway

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/feed"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/gateway/replay"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// Snapshot is what a request is decided over. A change makes a new one;
// requests on their way keep theirs.
type Snapshot struct {
	Catalogue  *catalogue.Catalogue
	Schemas    *schemas.Set
	Policies   *policies.Set
	Trust      *identity.Trust
	Status     identity.Status // what other authorities revoked; nil: nothing is known
	Authority  identity.Authority
	Control    *control.State      // what the operators ordered
	CursorKeys []receipt.CursorKey // seal with the first, open with all
	HashKeys   map[string][]byte   // product → key of its hashed fields
}

// SnapshotFunc gives the snapshot of now. With an error nothing is decided
// (invariant 3); with problem.PolicyNotAdopted the snapshot comes beside it,
// for operators.
type SnapshotFunc func() (*Snapshot, error)

// Signer signs receipts.
type Signer interface {
	// Receipt gives the receipt its id and time and returns it signed.
	Receipt(r *receipt.Receipt) (string, error)
	// Acknowledgement does the same for an acknowledgement.
	Acknowledgement(a *receipt.Acknowledgement) (string, error)
}

// Ledger is the province's record of releases and refusals.
type Ledger interface {
	// Append MUST return nil only when the entry is durable.
	Append(ctx context.Context, e *receipt.Entry) error
	// Find returns an entry by its id, or problem.ReceiptUnknown.
	Find(ctx context.Context, id string) (*receipt.Entry, error)
	// Entries hands entries to fn, oldest first: those since a time or, if it
	// is not 0, from a place on, most at the most and until fn says no. It
	// returns the place behind the last one, and whether that is the end.
	Entries(ctx context.Context, since time.Time, from, most int64, fn func(*receipt.Entry) bool) (next int64, atEnd bool, err error)
}

// Failures counts refusals that come before a caller is known, or by the
// thousand; see ledger.Failures.
type Failures interface {
	// Note counts one refusal of a consumer ("" if unknown) or an address. It
	// MUST NOT wait.
	Note(consumer, address string, code problem.Code, now time.Time)
}

// Reader reads pages; see feed.Feed.
type Reader interface {
	Read(ctx context.Context, q feed.Query) (*feed.Page, error)
	// Newest finds the one record that stands for a business key.
	Newest(ctx context.Context, q feed.Query, key []byte) (*feed.Page, error)
	// Event finds a record of these ranges by its event's id, or
	// problem.EventUnknown.
	Event(ctx context.Context, topic string, ranges []receipt.Range, id string) (value, key []byte, err error)
}

// Orders takes what the province's operators order; see control.Log.
type Orders interface {
	Submit(ctx context.Context, signed string) (control.Outcome, error)
}

// Gateway is one replica of a province's gateway. It holds no state of any
// consumer (invariant 9).
type Gateway struct {
	Region    string
	Snapshot  SnapshotFunc
	Orders    Orders
	Admission quota.Admission
	Quota     quota.Degrade
	Subjects  quota.SubjectStore // nil: an agreement that counts subjects is refused
	Reader    Reader
	Unseal    *sealed.Opener
	Signer    Signer
	Ledger    Ledger
	Failures  Failures
	Now       func() time.Time
	NewID     func(time.Time) (string, error)
	Logger    *slog.Logger
	// Replays remembers client assertions; nil: none is taken.
	Replays replay.Store
	// SignOrder signs what the gateway itself orders: that a token is revoked.
	SignOrder func(control.Order) (string, error)
	// Proxies are those that may pass client certificates on, by their names.
	Proxies []string
	// Versions are the names of a schema's published versions, oldest first, up
	// to and with itself; see subject.Lines. nil: each has one.
	Versions func(schema string) []string

	views viewCache
}

// Request is one request for records.
type Request struct {
	Credentials
	ID      string // told to the caller as instance of a problem
	Product string
	Purpose string
	Fields  []string // asked for; empty: all that may be had
	Cursor  string   // "" to begin at the oldest record
	Limit   int
	Format  string // media type: NDJSON, JSON, Avro or CSV
	// Version is the version of the product's schema in which records are asked
	// for, as the registry counts them: "1", "2", … or Latest. "" is Latest.
	Version string
	// Emergency is the id of the emergency access that is invoked, or "".
	Emergency string
}

// Credentials is what a caller presents.
type Credentials struct {
	Chain   []*x509.Certificate // leaf first; see [Gateway.Chain]
	Token   string              // Bearer
	Address netip.Addr
}

// Release is the answer to a request: complete, recorded, not yet sent.
type Release struct {
	Body    []byte
	Format  string
	Records int64
	Next    string // cursor of the next request
	AtEnd   bool   // Next lies at the end of what is published now
	Receipt string // signed; "" when nothing is released
	ID      string // of the receipt
	// Emergency is the emergency access under which it leaves, or "".
	Emergency string
}

// Exchange is the road of one request (design, section 2, steps 10 to 17).
func (g *Gateway) Exchange(ctx context.Context, req Request) (*Release, error) {
	x, err := g.begin(req, policies.Page)
	if err != nil {
		return nil, err
	}
	if err := x.identify(ctx); err != nil { // 10 identity, 11 admission
		return nil, err
	}
	if err := x.decide(ctx); err != nil { // 12 catalogue, policies
		return nil, x.refuse(ctx, err)
	}
	if err := x.open(); err != nil { // the form of the answer; the cursor, which only its owner may use
		return nil, x.refuse(ctx, err)
	}
	if err := x.reserve(ctx); err != nil { // 13 quota of the agreement
		return nil, x.refuse(ctx, err)
	}
	defer x.settle(ctx)

	page, err := g.Reader.Read(ctx, x.query(ctx)) // 14 View, 15 feed
	if err != nil {
		return nil, err
	}
	if err := x.admitSubjects(ctx, page); err != nil { // 13 again, now that it is known who they are
		return nil, x.refuse(ctx, err)
	}
	release, r, err := x.render(page)
	if err != nil || r == nil { // an empty page: nothing leaves, so there is nothing to vouch for
		return release, err
	}
	if release.Receipt, err = g.Signer.Receipt(r); err != nil { // 16
		return nil, err
	}
	release.ID = r.ID
	if err := g.Ledger.Append(ctx, x.entry(r, release.Receipt)); err != nil { // 17, invariant 2
		return nil, err
	}
	x.released = page.Records
	return release, nil // 18 is the caller's: nothing has left yet
}
