package httpapi

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "embed"

	"github.com/gin-gonic/gin"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// The headers of an answer with records.
const (
	HeaderReceipt   = "Hub-Receipt"    // the signed receipt
	HeaderReceiptID = "Hub-Receipt-Id" // its id, under /v1/receipts/
	HeaderNext      = "Hub-Next-Cursor"
	HeaderAtEnd     = "Hub-At-End" // "true": nothing is published behind the next cursor now
)

const (
	defaultLimit = 1000
	maxFields    = 512
)

//go:embed openapi.json
var openAPI []byte

func (a *API) openAPI(c *gin.Context) error {
	c.Data(http.StatusOK, gateway.JSON, openAPI)
	return nil
}

func (a *API) keySet(c *gin.Context) error {
	set, err := a.Keys.Keys()
	if err != nil {
		return err
	}
	snap, err := a.Gateway.Snapshot()
	if err != nil {
		return err
	}
	for _, other := range jws.KeySet(snap.Control.Keys(a.Gateway.Now())).Keys {
		if len(set.Key(other.KeyID)) == 0 { // of another replica, or of this one before its restart
			set.Keys = append(set.Keys, other)
		}
	}
	return writeJSON(c, set)
}

func writeJSON(c *gin.Context, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	c.Data(http.StatusOK, gateway.JSON, append(body, '\n'))
	return nil
}

// retryAfter is when a refused caller may come again, in whole seconds.
func retryAfter(err error) string {
	wait := time.Second
	if refused, ok := errors.AsType[*quota.RefusedError](err); ok {
		wait = max(wait, refused.RetryAfter)
	}
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}

// records is GET /v1/products/{product}/records.
func (a *API) records(c *gin.Context) error {
	req, err := recordsRequest(c)
	if err != nil {
		return a.noted(c, err)
	}
	release, err := a.Gateway.Exchange(c.Request.Context(), req)
	if err != nil {
		return err
	}
	next := url.Values{"cursor": {release.Next}, "limit": {strconv.Itoa(req.Limit)}, "purpose": {req.Purpose}}
	if req.Emergency != "" {
		next.Set("emergency", req.Emergency)
	}
	if len(req.Fields) > 0 {
		next.Set("fields", strings.Join(req.Fields, ","))
	}
	for _, parameter := range []string{"format", "schema_version"} {
		if given := c.Query(parameter); given != "" {
			next.Set(parameter, given)
		}
	}
	c.Header("Link", "<"+c.Request.URL.Path+"?"+next.Encode()+`>; rel="next"`)
	c.Header(HeaderNext, release.Next)
	c.Header(HeaderAtEnd, strconv.FormatBool(release.AtEnd))
	if release.Receipt != "" {
		c.Header(HeaderReceipt, release.Receipt)
		c.Header(HeaderReceiptID, release.ID)
	}
	c.Data(http.StatusOK, release.Format, release.Body)
	a.Metrics.released(req.Product, release)
	return nil
}

var (
	wordPattern  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	idPattern    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{2,62}$`)
	fieldPattern = regexp.MustCompile(`^[a-z][a-z0-9_.]{0,127}$`)
)

var recordsParameters = []string{"cursor", "limit", "purpose", "fields", "emergency", "format", "schema_version"}

// recordsQuery refuses a parameter that is unknown or given twice, because a
// caller who misspells one would get what it did not ask for.
func recordsQuery(raw string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, problem.New(problem.RequestInvalid, "the query cannot be read")
	}
	for parameter, values := range query {
		if !slices.Contains(recordsParameters, parameter) || len(values) != 1 {
			return nil, problem.New(problem.RequestInvalid, "parameters, each at most once: %s", strings.Join(recordsParameters, ", "))
		}
	}
	return query, nil
}

// recordsRequest reads the parameters.
func recordsRequest(c *gin.Context) (gateway.Request, error) {
	req := gateway.Request{
		Credentials: credentials(c), ID: c.GetString(keyInstance), Product: c.Param("product"), Limit: defaultLimit,
	}
	query, err := recordsQuery(c.Request.URL.RawQuery)
	if err != nil {
		return req, err
	}
	if req.Purpose = query.Get("purpose"); req.Purpose != "" && !wordPattern.MatchString(req.Purpose) {
		return req, problem.New(problem.RequestInvalid, "purpose is not a name")
	}
	if req.Emergency = query.Get("emergency"); req.Emergency != "" && !idPattern.MatchString(req.Emergency) {
		return req, problem.New(problem.RequestInvalid, "emergency is not an id")
	}
	if req.Version, err = askedVersion(query); err != nil {
		return req, err
	}
	req.Format = format(query, c.Request.Header.Values("Accept"))
	req.Cursor = query.Get("cursor")
	if query.Has("limit") {
		if req.Limit, err = strconv.Atoi(query.Get("limit")); err != nil {
			return req, problem.New(problem.LimitOutOfRange, "limit is not a number")
		}
	}
	if query.Has("fields") {
		req.Fields = strings.Split(query.Get("fields"), ",")
	}
	if len(req.Fields) > maxFields || slices.ContainsFunc(req.Fields, func(f string) bool { return !fieldPattern.MatchString(f) }) {
		return req, problem.New(problem.RequestInvalid, "fields is a list of at most %d names, parted by commas", maxFields)
	}
	return req, nil
}

// receipt is GET /v1/receipts/{id}: the stored bytes.
func (a *API) receipt(c *gin.Context) error {
	signed, err := a.Gateway.Receipt(c.Request.Context(), credentials(c), c.Param("id"))
	if err != nil {
		return err
	}
	c.Data(http.StatusOK, "application/jose", []byte(signed))
	return nil
}

// products is GET /v1/products.
func (a *API) products(c *gin.Context) error {
	known, err := a.Gateway.Products(c.Request.Context(), credentials(c))
	if err != nil {
		return err
	}
	out := struct {
		Region   string           `json:"region"`
		Products []productSummary `json:"products"`
	}{Region: a.Gateway.Region, Products: []productSummary{}}
	for _, p := range known {
		out.Products = append(out.Products, summary(p, a.Gateway.Region))
	}
	return writeJSON(c, out)
}

// product is GET /v1/products/{product}.
func (a *API) product(c *gin.Context) error {
	d, err := a.Gateway.Product(c.Request.Context(), credentials(c), c.Param("product"))
	if err != nil {
		return err
	}
	return writeJSON(c, detail(d, a.Gateway.Region))
}

// productSummary is a catalogue entry as callers see it (Order 809, art. 13).
type productSummary struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	NameZH      string   `json:"name_zh"`
	SummaryZH   string   `json:"summary_zh"`
	Schema      string   `json:"schema"`
	ShareClass  string   `json:"share_class"`
	Provider    string   `json:"provider"`
	UpdateCycle string   `json:"update_cycle"`
	Purposes    []string `json:"purposes"`
	LegalBasis  []string `json:"legal_basis"`
	Conditions  []string `json:"conditions,omitempty"`
	Records     string   `json:"records"` // path
	// Acknowledgements is the path to which records are acknowledged, if they are.
	Acknowledgements string `json:"acknowledgements,omitempty"`
}

func summary(p *catalogue.Product, region string) productSummary {
	s := productSummary{
		ID: p.ID, Name: p.NameEN, NameZH: p.NameZH, SummaryZH: p.SummaryZH, Schema: p.Schema, ShareClass: p.ShareClass.String(),
		Provider: p.Providers[region], UpdateCycle: p.UpdateCycle, LegalBasis: p.LegalBasis, Conditions: p.Conditions,
		Purposes: []string{}, Records: "/v1/products/" + p.ID + "/records",
	}
	if p.Acknowledgement != "" {
		s.Acknowledgements = "/v1/products/" + p.ID + "/acknowledgements"
	}
	for _, purpose := range p.Purposes {
		s.Purposes = append(s.Purposes, purpose.ID)
	}
	return s
}

type productDetail struct {
	productSummary
	Agreements []agreementSummary `json:"agreements"`
	Fields     []fieldSummary     `json:"fields"`
}

type agreementSummary struct {
	ID        string    `json:"id"`
	Purposes  []string  `json:"purposes"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
}

type fieldSummary struct {
	Path        string            `json:"path"`
	NameZH      string            `json:"name_zh"`
	Kind        string            `json:"kind"`
	Nullable    bool              `json:"nullable"`
	Repeated    bool              `json:"repeated,omitempty"`
	Sensitivity string            `json:"sensitivity"`
	Codes       map[string]string `json:"codes,omitempty"`
}

func detail(d *gateway.ProductDetail, region string) productDetail {
	out := productDetail{productSummary: summary(d.Product, region), Agreements: []agreementSummary{}}
	for _, a := range d.Agreements {
		out.Agreements = append(out.Agreements, agreementSummary{
			ID: a.ID, Purposes: a.Purposes, NotBefore: a.Term.NotBefore, NotAfter: a.Term.NotAfter,
		})
	}
	for i := range d.Schema.Leaves {
		l := &d.Schema.Leaves[i]
		out.Fields = append(out.Fields, fieldSummary{
			Path: l.Path, NameZH: l.ZH, Kind: l.Kind.String(), Nullable: l.Nullable, Repeated: l.Repeated,
			Sensitivity: d.Sensitivity[l.Path].String(), Codes: l.SymbolsZH,
		})
	}
	return out
}
