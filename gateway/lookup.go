package gateway

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/chuanyu-exchange/hub/gateway/feed"
	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/policies"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/redact"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// Values are values of fields by their paths, as a page writes them with the
// quotes of JSON left away; nil is null.
type Values map[string]*string

// Lookup asks about the one record of a business key (逐条查询, 核验).
type Lookup struct {
	Credentials
	ID      string // of the request
	Product string
	Purpose string
	// Key names every field of the product's business key; those that may be
	// null may be left out.
	Key    Values
	Fields []string // of a query; empty: all that may be had
	Claims Values   // of a verification; empty: that there is such a record
	// Emergency is the id of the emergency access that is invoked, or "".
	Emergency string
}

// Query releases the newest record of a key, if there is one for this caller,
// and never more. The body is the line that a page would hold.
func (g *Gateway) Query(ctx context.Context, l Lookup) (*Release, error) {
	l.Claims = nil
	return g.lookup(ctx, l, policies.Query, func(x *exchange, page *feed.Page) ([]byte, error) {
		for code := range page.Withheld { // of one record there is one reason
			return nil, problem.New(code, "")
		}
		if page.Records == 0 {
			return nil, problem.New(problem.RecordUnknown, "")
		}
		x.released = 1
		return page.Lines, nil
	})
}

// Verify says whether the newest record of a key is what the caller claims,
// and nothing else: no value leaves, and a record that is not there, was
// removed, or is not for this caller reads like a claim that is not true.
//
//	{"verified":true}
func (g *Gateway) Verify(ctx context.Context, l Lookup) (*Release, error) {
	l.Fields = nil
	return g.lookup(ctx, l, policies.Verify, func(x *exchange, page *feed.Page) ([]byte, error) {
		x.released = 1 // a no is worth as much as a yes
		holds, err := x.holds(page, l.Claims)
		if err != nil {
			return nil, err
		}
		page.Lines, page.Records, page.Withheld = nil, 0, nil
		if !holds {
			page.Ranges, page.Schemas = nil, nil
			return []byte("{\"verified\":false}\n"), nil
		}
		return []byte("{\"verified\":true}\n"), nil
	})
}

// lookup is the road of [Gateway.Exchange] for one record. answer makes the
// body of what was found.
func (g *Gateway) lookup(ctx context.Context, l Lookup, as policies.Delivery, answer func(*exchange, *feed.Page) ([]byte, error)) (*Release, error) {
	x, err := g.begin(Request{
		Credentials: l.Credentials, ID: l.ID, Product: l.Product, Purpose: l.Purpose, Fields: l.asked(as), Limit: 1,
		Format: JSON, Emergency: l.Emergency,
	}, as)
	if err != nil {
		return nil, err
	}
	if err := x.identify(ctx); err != nil { // 10 identity, 11 admission
		return nil, err
	}
	if err := x.decide(ctx); err != nil { // 12 catalogue, policies
		return nil, x.refuse(ctx, err)
	}
	key, err := x.key(&l)
	if err == nil {
		err = x.form()
	}
	if err != nil {
		return nil, x.refuse(ctx, err)
	}
	if err := x.reserve(ctx); err != nil { // 13 quota of the agreement
		return nil, x.refuse(ctx, err)
	}
	defer x.settle(ctx)

	q := x.query(ctx)
	q.Business = x.business(ctx)
	page, err := g.Reader.Newest(ctx, q, key) // 14 View, 15 feed
	if err != nil {
		return nil, err
	}
	if err := x.admitSubject(ctx, page, key); err != nil { // 13 again
		return nil, x.refuse(ctx, err)
	}
	return x.vouch(ctx, page, answer)
}

// vouch makes the answer, its receipt and its entry: steps 16 and 17.
func (x *exchange) vouch(ctx context.Context, page *feed.Page, answer func(*exchange, *feed.Page) ([]byte, error)) (*Release, error) {
	text, err := answer(x, page)
	if err != nil {
		return nil, x.refuse(ctx, err)
	}
	release := &Release{Body: text, Format: x.req.Format, Records: page.Records, Emergency: x.emergencyID()}
	r, err := x.unsigned(page, release)
	if err != nil {
		return nil, err
	}
	r.Delivery = x.delivery.String()
	if release.Receipt, err = x.Signer.Receipt(r); err != nil { // 16
		return nil, err
	}
	release.ID = r.ID
	if err := x.Ledger.Append(ctx, x.entry(r, release.Receipt)); err != nil { // 17, invariant 2
		return nil, err
	}
	return release, nil
}

// asked is what the decision is asked for: of a query that names fields, the
// key beside them; of a verification the key and the claims.
func (l *Lookup) asked(as policies.Delivery) []string {
	switch {
	case as == policies.Verify:
		return slices.Compact(slices.Sorted(func(yield func(string) bool) {
			for _, of := range []Values{l.Key, l.Claims} {
				for path := range of {
					if !yield(path) {
						return
					}
				}
			}
		}))
	case len(l.Fields) > 0:
		return slices.Concat(l.Fields, slices.Sorted(maps.Keys(l.Key)))
	}
	return nil
}

// key is the canonical form of the business key that the caller names. Only a
// field that may leave in the clear can be asked by: to find a record by what
// is masked or hashed would undo the mask.
func (x *exchange) key(l *Lookup) ([]byte, error) {
	schema, ok := x.snap.Schemas.Schema(x.product.Schema)
	if !ok {
		return nil, problem.New(problem.SchemaUnknown, "%s", x.product.Schema)
	}
	for path := range l.Key {
		if !slices.Contains(x.product.Key, path) {
			return nil, problem.New(problem.RequestInvalid, "key: the business key of %s is %s", x.product.ID, strings.Join(x.product.Key, ", "))
		}
	}
	for _, path := range x.product.Key {
		if x.decision.Obligations.Of(path).Action != redact.Keep {
			return nil, problem.New(problem.FieldWithheld, "%s: a record can be asked for only by what may be read in the clear", path)
		}
	}
	if x.delivery == policies.Query && len(l.Fields) > 0 { // the key was asked for only to be looked at here
		x.decision.Obligations = x.decision.Obligations.Restrict(l.Fields)
	}
	if err := checkClaims(schema, l.Claims); err != nil {
		return nil, err
	}
	return specimen(schema, x.product.Key, l.Key)
}

// specimen renders the key fields of a record that has this key and is
// otherwise empty, so that one road leads from a caller's text and from a
// record's bytes to the same form.
func specimen(s *schemas.Schema, key []string, given Values) ([]byte, error) {
	values := make([]schemas.Value, len(s.Leaves))
	for i := range s.Leaves {
		if l := &s.Leaves[i]; !l.Nullable {
			values[i] = schemas.Value{Set: true, Bytes: []byte{}}
		}
	}
	for _, path := range key {
		i, leaf, ok := s.Leaf(path)
		text := given[path]
		switch {
		case !ok:
			return nil, problem.New(problem.FieldUnknown, "%s has no field %s", s.Name, path)
		case text == nil && !leaf.Nullable:
			return nil, problem.New(problem.RequestInvalid, "key: %s is missing", path)
		case text == nil:
			continue
		}
		v, err := leaf.Value(*text)
		if err != nil {
			return nil, problem.New(problem.RequestInvalid, "key: %v", err)
		}
		values[i] = v
	}
	body, err := schemas.NewEncoder(s).Append(nil, values, nil, open{})
	if err != nil {
		return nil, problem.New(problem.RequestInvalid, "key: %v", err)
	}
	view, err := keyView(s, s, key)
	if err != nil {
		return nil, err
	}
	return view.Append(nil, body, nil, schemas.NewRun(nil, open{}))
}

// open passes the blocks of a specimen, which holds no secret, as they are.
type open struct{}

func (open) Seal(dst, plain, _ []byte) ([]byte, error) { return append(dst, plain...), nil }
func (open) Open(dst, block, _ []byte) ([]byte, error) { return append(dst, block...), nil }

// keyView renders the business key of records of a schema, as the product's
// own schema has it.
func keyView(writer, of *schemas.Schema, key []string) (*schemas.View, error) {
	keep := redact.Obligations{}
	for _, path := range key {
		keep[path] = redact.Obligation{Action: redact.Keep}
	}
	view, err := schemas.CompileView(schemas.ViewSpec{Writer: writer, Reader: of, Obligations: keep})
	if err != nil {
		return nil, problem.Wrap(problem.RecordUnredactable, err, "")
	}
	return view, nil
}

// business is feed.Query.Business: what specimen makes of a caller's key, made
// of a record.
func (x *exchange) business(ctx context.Context) func(dst, value, key []byte) ([]byte, error) {
	run := schemas.NewRun(nil, x.Unseal.Session(ctx, sealed.Prefix(x.product.ID)))
	views := map[uint32]*schemas.View{}
	return func(dst, value, key []byte) ([]byte, error) {
		id, body, err := schemas.SplitFrame(value)
		if err != nil {
			return dst, problem.Wrap(problem.RecordUnreadable, err, "")
		}
		view := views[id]
		if view == nil {
			writer, known := x.snap.Schemas.ByID(id)
			of, _ := x.snap.Schemas.Schema(x.product.Schema)
			if !known {
				return dst, problem.New(problem.SchemaUnknown, "id %d", id)
			}
			if view, err = keyView(writer, of, x.product.Key); err != nil {
				return dst, err
			}
			views[id] = view
		}
		return view.Append(dst, body, key, run)
	}
}

// admitSubject counts whom the question is about, whatever the answer: that
// there is no record is news of the subject as well.
func (x *exchange) admitSubject(ctx context.Context, page *feed.Page, key []byte) error {
	perDay := x.subjectsPerDay()
	if secret := x.hashKey(); perDay != quota.Unlimited && len(page.Subjects) == 0 && secret != nil {
		h := hmac.New(sha256.New, secret)
		h.Write([]byte("absent\x00"))
		h.Write(key)
		page.Subjects = []quota.Subject{quota.Subject(h.Sum(nil)[:len(quota.Subject{})])}
	}
	if perDay != quota.Unlimited && len(page.Subjects) == 0 {
		return problem.New(problem.QuotaUnavailable, "there is no key to tell the subjects of %s apart with", x.product.ID)
	}
	return quota.AdmitSubjects(ctx, x.Subjects, x.under(), perDay, page.Subjects)
}

// checkClaims refuses what could never be found true because it is written in
// another way than the field.
func checkClaims(s *schemas.Schema, claims Values) error {
	for path, text := range claims {
		_, leaf, ok := s.Leaf(path)
		if !ok {
			return problem.New(problem.FieldUnknown, "%s has no field %s", s.Name, path)
		}
		if text == nil {
			continue
		}
		if _, err := leaf.Value(*text); err != nil {
			return problem.New(problem.RequestInvalid, "claims: %v", err)
		}
	}
	return nil
}

// holds says whether the record that was found is what is claimed of it.
func (x *exchange) holds(page *feed.Page, claims Values) (bool, error) {
	for code := range page.Withheld { // it is there, and nobody can say what it says
		return false, problem.New(code, "")
	}
	if page.Records == 0 {
		return false, nil
	}
	var found struct {
		Operation record.Operation `json:"operation"`
		Record    json.RawMessage  `json:"record"`
	}
	if err := json.Unmarshal(page.Lines, &found); err != nil {
		return false, problem.Wrap(problem.RecordUnreadable, err, "")
	}
	schema, ok := x.snap.Schemas.Schema(x.product.Schema)
	holds := ok && found.Operation != record.Removal // invariant 4
	for path, claim := range claims {
		_, leaf, ok := schema.Leaf(path)
		value, err := member(found.Record, path)
		if err != nil {
			return false, err
		}
		holds = holds && ok && same(leaf, value, claim)
	}
	return holds, nil
}

// same compares a value of a record with a claim, both of the leaf.
func same(leaf *schemas.Leaf, value json.RawMessage, claim *string) bool {
	if claim == nil || bytes.Equal(value, []byte("null")) {
		return claim == nil && bytes.Equal(value, []byte("null"))
	}
	text := string(value)
	if value[0] == '"' && json.Unmarshal(value, &text) != nil {
		return false
	}
	a, errA := leaf.Value(text)
	b, errB := leaf.Value(*claim)
	return errA == nil && errB == nil && a.Int == b.Int && subtle.ConstantTimeCompare(a.Bytes, b.Bytes) == 1
}

// member is the value of a leaf in a rendered record; null where a block
// around it is.
func member(doc json.RawMessage, path string) (json.RawMessage, error) {
	for name := range strings.SplitSeq(path, ".") {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(doc, &fields); err != nil {
			return nil, problem.Wrap(problem.RecordUnreadable, err, "")
		}
		value, there := fields[name]
		if !there {
			return nil, problem.New(problem.RecordUnredactable, "field %s was not rendered", path)
		}
		if doc = value; string(doc) == "null" {
			break
		}
	}
	return doc, nil
}
