package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// lookupBody is the body of POST /v1/products/{product}/query and …/verify. The
// key of a person is in no URL, and so in no log on the way (invariant 5).
type lookupBody struct {
	Purpose   string                     `json:"purpose"`
	Key       map[string]json.RawMessage `json:"key"`
	Fields    []string                   `json:"fields"` // of a query
	Claims    map[string]json.RawMessage `json:"claims"` // of a verification
	Emergency string                     `json:"emergency"`
}

// query is POST /v1/products/{product}/query.
func (a *API) query(c *gin.Context) error {
	return a.lookup(c, "purpose, key, fields, emergency", func(in *lookupBody) bool { return in.Claims == nil }, a.Gateway.Query)
}

// verify is POST /v1/products/{product}/verify.
func (a *API) verify(c *gin.Context) error {
	return a.lookup(c, "purpose, key, claims, emergency", func(in *lookupBody) bool { return in.Fields == nil }, a.Gateway.Verify)
}

func (a *API) lookup(c *gin.Context, members string, whole func(*lookupBody) bool, ask func(context.Context, gateway.Lookup) (*gateway.Release, error)) error {
	var in lookupBody
	if err := readObject(c.Request.Body, &in); err != nil || !whole(&in) {
		return a.noted(c, bodyProblem(err, members))
	}
	l, err := in.request(c)
	if err != nil {
		return a.noted(c, err)
	}
	release, err := ask(c.Request.Context(), l)
	if err != nil {
		return err
	}
	c.Header(HeaderReceipt, release.Receipt)
	c.Header(HeaderReceiptID, release.ID)
	c.Data(http.StatusOK, release.Format, release.Body)
	a.Metrics.released(l.Product, release)
	return nil
}

var errBehind = errors.New("something stands behind the object")

// readObject reads one JSON object strictly.
func readObject(from io.Reader, into any) error {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errBehind
	}
	return nil
}

// bodyProblem says nothing of what stood in the body.
func bodyProblem(err error, members string) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem.New(problem.RequestTooLarge, "the body has more than %d bytes", tooLarge.Limit)
	}
	return problem.New(problem.RequestInvalid, "the body is one JSON object of these members: %s", members)
}

// maxValue bounds one value of a key or a claim, in bytes.
const maxValue = 4000

func (in *lookupBody) request(c *gin.Context) (gateway.Lookup, error) {
	l := gateway.Lookup{
		Credentials: credentials(c), ID: c.GetString(keyInstance), Product: c.Param("product"),
		Purpose: in.Purpose, Fields: in.Fields, Emergency: in.Emergency,
	}
	switch {
	case l.Purpose != "" && !wordPattern.MatchString(l.Purpose):
		return l, problem.New(problem.RequestInvalid, "purpose is not a name")
	case l.Emergency != "" && !idPattern.MatchString(l.Emergency):
		return l, problem.New(problem.RequestInvalid, "emergency is not an id")
	case len(in.Fields) > maxFields || slices.ContainsFunc(in.Fields, func(f string) bool { return !fieldPattern.MatchString(f) }):
		return l, problem.New(problem.RequestInvalid, "fields is a list of at most %d names", maxFields)
	case len(in.Key) == 0:
		return l, problem.New(problem.RequestInvalid, "key names no field")
	}
	var err error
	if l.Key, err = values("key", in.Key); err == nil {
		l.Claims, err = values("claims", in.Claims)
	}
	return l, err
}

// values takes the quotes of JSON away.
func values(member string, of map[string]json.RawMessage) (gateway.Values, error) {
	out := make(gateway.Values, len(of))
	for path, raw := range of {
		if !fieldPattern.MatchString(path) || len(of) > maxFields {
			return nil, problem.New(problem.RequestInvalid, "%s: its members are at most %d names of fields", member, maxFields)
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil || len(raw) > maxValue {
			return nil, problem.New(problem.RequestInvalid, "%s: the value of %s has more than %d bytes", member, path, maxValue)
		}
		switch v := v.(type) {
		case nil:
			out[path] = nil
		case string:
			out[path] = &v
		case bool, float64: // exact, as it was written
			text := string(raw)
			out[path] = &text
		default:
			return nil, problem.New(problem.RequestInvalid, "%s: the value of %s is neither text, number, true, false nor null", member, path)
		}
	}
	return out, nil
}
