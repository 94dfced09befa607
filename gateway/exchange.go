package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/feed"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// exchange is what one request has found out so far. It ends with the request.
type exchange struct {
	*Gateway
	snap *Snapshot
	now  time.Time
	req  Request

	delivery    policies.Delivery // how the answer is to leave
	caller      identity.Caller
	product     *catalogue.Product
	decision    policies.Decision
	shape       shape
	cursor      receipt.Cursor
	reservation *quota.Reservation
	released    int64 // records for which the agreement pays
}

// begin takes the snapshot that everything of the request is decided over.
func (g *Gateway) begin(req Request, delivery policies.Delivery) (*exchange, error) {
	snap, err := g.Snapshot()
	return &exchange{Gateway: g, snap: snap, now: g.Now(), req: req, delivery: delivery}, err
}

// identify is steps 10 and 11. Who is not identified, or comes too often, is
// counted and not written down one by one.
func (x *exchange) identify(ctx context.Context) error {
	caller, err := x.Identify(ctx, x.snap, x.req.Credentials, x.now)
	x.caller = caller
	return err
}

// decide is step 12. What the caller may not know of does not exist for it.
func (x *exchange) decide(ctx context.Context) error {
	product, ok := x.snap.Catalogue.Product(x.req.Product)
	if !ok || !x.snap.Policies.MayKnow(x.caller.Participant, product, x.Region) {
		return problem.New(problem.ProductUnknown, "")
	}
	if !x.caller.Within(product.ID) {
		return problem.New(problem.TokenScope, "")
	}
	x.product = product
	if x.req.Limit < 1 || x.req.Limit > feed.MaxRecords {
		return problem.New(problem.LimitOutOfRange, "limit %d: 1 to %d", x.req.Limit, feed.MaxRecords)
	}
	x.decision = x.snap.Policies.Decide(policies.Request{
		Caller: policies.Caller{
			Participant: x.caller.Participant, Region: x.caller.Region, Kind: x.caller.Kind, System: x.caller.System,
		},
		Product: product.ID, Region: x.Region, Asked: x.req.Fields, Purpose: x.req.Purpose,
		Delivery: x.delivery, Emergency: x.req.Emergency, Time: x.now,
	})
	if x.decision.Effect != policies.Permit {
		return problem.New(x.decision.Code, "%s", x.decision.Detail)
	}
	if err := x.standing(); err != nil {
		return err
	}
	x.alarm(ctx)
	return nil
}

// standing is what the operators ordered about the agreement or emergency since
// it was made (Order 809, article 27): it acts on the next page.
func (x *exchange) standing() error {
	switch s := x.snap.Control.Agreement(x.under()); s.Effect {
	case control.Good:
		return nil
	case control.Suspended:
		return problem.New(problem.AgreementSuspended, "agreement %s, since %s", s.Subject, s.Since.Format(time.RFC3339))
	default:
		return problem.New(problem.AgreementEnded, "agreement %s was ended at %s", s.Subject, s.Since.Format(time.RFC3339))
	}
}

// alarm makes every use of emergency access seen: here, in the ledger's entry
// and in the metrics.
func (x *exchange) alarm(ctx context.Context) {
	if e := x.decision.Emergency; e != nil {
		x.Logger.ErrorContext(ctx, "emergency access is used", slog.String("emergency", e.ID), slog.String("reason", e.Reason),
			slog.Any("granted_by", e.GrantedBy), slog.Time("until", e.Until), slog.String("consumer", x.caller.Participant),
			slog.String("system", x.caller.System), slog.String("product", x.product.ID), slog.String("purpose", x.req.Purpose))
	}
}

// open finds the form of the answer and reads the cursor, which belongs to
// this caller, product and purpose.
func (x *exchange) open() (err error) {
	if err = x.form(); err == nil && x.req.Cursor != "" {
		x.cursor, err = receipt.OpenCursor(x.req.Cursor, x.snap.CursorKeys, x.owner())
	}
	return err
}

func (x *exchange) owner() receipt.Owner {
	return receipt.Owner{Consumer: x.caller.Participant, Region: x.Region, Product: x.product.ID, Purpose: x.req.Purpose}
}

// reserve is step 13. When the shared store is down, what is shared
// unconditionally is served within a limit of this process (design, section 6).
func (x *exchange) reserve(ctx context.Context) error {
	claim := quota.Claim{Agreement: x.caller.Participant + "/" + x.product.ID, Allowance: unagreed, Records: int64(x.req.Limit)}
	if id, allowed, ok := x.decision.Under(); ok {
		claim.Agreement = id
		claim.Allowance = quota.Allowance{RequestsPerMinute: allowed.RequestsPerMinute, RecordsPerDay: allowed.RecordsPerDay}
	}
	r, degraded, err := x.Quota.Reserve(ctx, x.product.ShareClass == catalogue.Unconditional, claim)
	if degraded {
		x.Logger.WarnContext(ctx, "quota store is down, counting in this process", slog.String("product", x.product.ID))
	}
	x.reservation = r
	return err
}

// unagreed is the allowance of products that need no agreement.
var unagreed = quota.Allowance{RequestsPerMinute: 600, RecordsPerDay: 10_000_000}

// settle gives back what was reserved and not released. It runs to the end
// also when the caller has hung up.
func (x *exchange) settle(ctx context.Context) {
	if err := x.reservation.Settle(ctx, x.released); err != nil {
		x.Logger.WarnContext(ctx, "quota was not refunded", slog.String("agreement", x.under()), slog.Any("error", err))
	}
}

// query is steps 14 and 15: what feed reads, and the View each record passes.
func (x *exchange) query(ctx context.Context) feed.Query {
	return feed.Query{
		Topic:            record.Topic(x.Region, x.product.ID, x.product.Major),
		Cursor:           x.cursor,
		Limit:            int(x.reservation.Granted()),
		Subject:          x.subject(),
		HideDecisionTime: x.hidesDecisionTime(),
		Warnings:         x.warnings(),
		Form:             x.shape.form,
		Redact:           x.redact(schemas.NewRun(x.hashKey(), x.Unseal.Session(ctx, sealed.Prefix(x.product.ID)))),
	}
}

// warnings are those of which every field that they may be about is released
// as it is: of any other they would tell something.
func (x *exchange) warnings() []string {
	schema, ok := x.snap.Schemas.Schema(x.product.Schema)
	if !ok {
		return nil
	}
	told := record.WarningChecks()
	maps.DeleteFunc(told, func(_, check string) bool {
		return slices.ContainsFunc(schema.Leaves, func(l schemas.Leaf) bool {
			return l.Check == check && x.decision.Obligations.Of(l.Path).Action != redact.Keep
		})
	})
	return slices.Sorted(maps.Keys(told))
}

func (x *exchange) scope() scope {
	return scope{obligations: x.decision.Obligations, rows: x.decision.Rows}
}

// hashKey is a key for each agreement, or, of a product that needs none, for
// each consumer: equal values are equal within one and say nothing across two.
func (x *exchange) hashKey() []byte {
	key, within := x.snap.HashKeys[x.product.ID], x.under()
	if within == "" && x.product.ShareClass == catalogue.Unconditional {
		within = "consumer\x00" + x.caller.Participant // no agreement's id holds a zero byte
	}
	if key == nil || within == "" {
		return nil
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte(within))
	return h.Sum(nil)
}

// subject makes what stands for the subject of a record; nil if the agreement
// does not count them. Without a key nothing can be told apart, and
// admitSubjects then refuses.
func (x *exchange) subject() func(key []byte) quota.Subject {
	secret := x.hashKey()
	if x.subjectsPerDay() == quota.Unlimited || secret == nil {
		return nil
	}
	h := hmac.New(sha256.New, secret)
	var sum []byte
	return func(key []byte) (s quota.Subject) {
		h.Reset()
		h.Write([]byte("subject\x00"))
		h.Write(key)
		sum = h.Sum(sum[:0])
		copy(s[:], sum)
		return s
	}
}

func (x *exchange) subjectsPerDay() int64 {
	if _, allowed, ok := x.decision.Under(); ok && allowed.SubjectsPerDay != nil {
		return *allowed.SubjectsPerDay
	}
	return quota.Unlimited
}

// admitSubjects counts whom the page is about, before it is recorded or leaves.
func (x *exchange) admitSubjects(ctx context.Context, page *feed.Page) error {
	perDay := x.subjectsPerDay()
	if perDay != quota.Unlimited && int64(len(page.Subjects)) != page.Records {
		return problem.New(problem.QuotaUnavailable, "there is no key to tell the subjects of %s apart with", x.product.ID)
	}
	return quota.AdmitSubjects(ctx, x.Subjects, x.under(), perDay, page.Subjects)
}

// render makes the answer and its unsigned receipt, which is nil for a page
// with nothing in it.
func (x *exchange) render(page *feed.Page) (*Release, *receipt.Receipt, error) {
	out := &Release{Format: x.req.Format, Records: page.Records, AtEnd: page.Next.AtEnd(), Emergency: x.emergencyID()}
	if len(x.snap.CursorKeys) == 0 {
		return nil, nil, problem.New(problem.VaultUnavailable, "there is no cursor key")
	}
	out.Next = page.Next.Seal(x.snap.CursorKeys[0], x.owner())
	var err error
	if out.Body, err = x.body(page, out.Next); err != nil {
		return nil, nil, err
	}
	if page.Records == 0 && len(page.Withheld) == 0 {
		return out, nil, nil
	}
	r, err := x.unsigned(page, out)
	return out, r, err
}

// unsigned is the receipt of an answer before it is signed.
func (x *exchange) unsigned(page *feed.Page, out *Release) (*receipt.Receipt, error) {
	salt, digest, err := receipt.NewDigest()
	if err != nil {
		return nil, err
	}
	digest.Write(out.Body)
	of := x.scope()
	obligations := sha256.Sum256([]byte(of.canonical()))
	return &receipt.Receipt{
		Region: x.Region, Product: x.product.ID, Schemas: page.Schemas, Agreement: x.agreementID(), Emergency: x.emergencyID(),
		Purpose: x.req.Purpose, Provider: x.product.Providers[x.Region], Consumer: x.caller.Participant, System: x.caller.System,
		Policy: x.snap.Policies.Version(), Obligations: "sha256:" + hex.EncodeToString(obligations[:]),
		Topic: record.Topic(x.Region, x.product.ID, x.product.Major), Ranges: page.Ranges,
		Records: page.Records, Withheld: page.Withheld, Reader: x.resolvedInto(page),
		Body: receipt.Body{MediaType: out.Format, Bytes: int64(len(out.Body)), Salt: salt, Digest: digest.Sum(nil)},
	}, nil
}

// resolvedInto is the schema that records were resolved into, if it is not
// simply their own.
func (x *exchange) resolvedInto(page *feed.Page) string {
	if reader := x.shape.reader.Name; slices.ContainsFunc(page.Schemas, func(of string) bool { return of != reader }) {
		return reader
	}
	return ""
}

// entry is what the ledger keeps of a release.
func (x *exchange) entry(r *receipt.Receipt, signed string) *receipt.Entry {
	e := x.blankEntry(r.ID, receipt.Release)
	e.At, e.Provider, e.Receipt = r.IssuedAt, r.Provider, signed
	return e
}

// refuse records a refusal of a caller who is known, then returns it. If it
// cannot be recorded, that is what the caller is told: either way, no.
func (x *exchange) refuse(ctx context.Context, refusal error) error {
	p := problem.From(refusal)
	if p.Code.Entry().Status >= 500 {
		return refusal // a part is down: that is no refusal
	}
	id, err := x.NewID(x.now)
	if err != nil {
		return err
	}
	e := x.blankEntry(id, receipt.Refusal)
	e.Code, e.Detail = p.Code, p.Detail
	if err := x.Ledger.Append(ctx, e); err != nil {
		return err
	}
	return refusal
}

func (x *exchange) blankEntry(id string, kind receipt.Kind) *receipt.Entry {
	return &receipt.Entry{
		ID: id, Kind: kind, Region: x.Region, At: x.now.UTC(), Request: x.req.ID,
		Consumer: x.caller.Participant, System: x.caller.System, Address: x.req.Address.String(),
		Product: asName(x.req.Product), Purpose: asName(x.req.Purpose), Agreement: x.agreementID(), Emergency: x.emergencyID(),
		Policy: x.snap.Policies.Version(),
	}
}

// under is the id of the agreement or emergency under which records leave.
func (x *exchange) under() string {
	id, _, _ := x.decision.Under()
	return id
}

func (x *exchange) emergencyID() string {
	if x.decision.Emergency == nil {
		return ""
	}
	return x.decision.Emergency.ID
}

func (x *exchange) agreementID() string {
	if x.decision.Agreement == nil {
		return ""
	}
	return x.decision.Agreement.ID
}

// name is what products and purposes are named with. What a stranger wrote in
// their place does not enter the ledger.
var name = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

func asName(s string) string {
	if name.MatchString(s) {
		return s
	}
	return ""
}
