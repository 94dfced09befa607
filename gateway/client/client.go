package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/schemas"
)

// Config says which gateway to ask, and as whom.
type Config struct {
	URL         string // https://host:port
	Region      string // of the gateway: the province whose records are read
	Participant string // our own id, as the certificate names it
	Certificate func() *tls.Certificate
	// Roots are the authorities of the gateway's province: for its TLS
	// certificate and for its receipts.
	Roots   *x509.CertPool
	Schemas *schemas.Set // to hold records against; nil: those of this build
	Timeout time.Duration
	Now     func() time.Time
}

// Client pulls from one gateway. It is safe for concurrent use.
type Client struct {
	config Config
	http   *http.Client

	mu      sync.Mutex
	token   string
	renewAt time.Time
}

// The largest answer that is read: a segment, a record beyond it, and room.
const maxAnswer = 8 << 20

// New returns a client. It does not connect.
func New(c Config) (*Client, error) {
	if _, err := url.Parse(c.URL); err != nil || !strings.HasPrefix(c.URL, "https://") {
		return nil, problem.New(problem.ConfigInvalid, "gateway %q is not an https URL", c.URL)
	}
	if c.Schemas == nil {
		set, err := schemas.Shipped()
		if err != nil {
			return nil, err
		}
		c.Schemas = set
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	c.Timeout = cmp.Or(c.Timeout, time.Minute)
	if c.Now == nil {
		return nil, problem.New(problem.ConfigInvalid, "the client has no clock")
	}
	gateway := spiffe.Name{Region: c.Region, Role: spiffe.Gateway}
	transport := &http.Transport{
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS13, RootCAs: c.Roots,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if cert := c.Certificate(); cert != nil {
					return cert, nil
				}
				return &tls.Certificate{}, nil // the gateway says what is missing
			},
			VerifyConnection: func(s tls.ConnectionState) error { // beyond the chain: the province's gateway itself
				if name, err := spiffe.Of(s.PeerCertificates[0]); err != nil || name != gateway {
					return fmt.Errorf("the server is not the gateway of %s", c.Region)
				}
				return nil
			},
		},
	}
	return &Client{config: c, http: &http.Client{Transport: transport, Timeout: c.Timeout}}, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Query asks for a page.
type Query struct {
	Product string
	Purpose string
	Cursor  string   // Page.Next of the page before; "" to begin at the oldest record
	Limit   int      // 0: the gateway's default
	Fields  []string // empty: all that may be had
	// Emergency is the id of the emergency access (应急调用) that is invoked in
	// an agreement's place: its use raises an alarm at the provider's hub.
	Emergency string
	// Format is JSON if it is "". Only of JSON are the records taken apart.
	Format Format
	// Version is the version of the product's schema that records are resolved
	// into, as the registry counts them; "": the newest.
	Version string
}

// Format is how the gateway writes records.
type Format string

// The formats, as the parameter format= names them.
const (
	JSON Format = "ndjson" // one object a line
	Avro Format = "avro"   // an object container file
	CSV  Format = "csv"    // behind a row of names
)

// Page is a verified answer.
type Page struct {
	Records []Record // of JSON
	Next    string
	AtEnd   bool // nothing is published behind Next now
	// Receipt and Signed are nil and "" for a page without records.
	Receipt *receipt.Receipt
	Signed  string
	Body    []byte // as it was received; what the receipt vouches for
}

// Record is one record of a page.
type Record struct {
	EventID      string          `json:"event_id"`
	Operation    string          `json:"operation"`
	Version      uint32          `json:"version"`
	DecisionTime time.Time       `json:"decision_time,omitzero"` // only if the field it comes from is released
	Warnings     []problem.Code  `json:"warnings,omitempty"`     // of what is doubtful about it; only of released fields
	Record       json.RawMessage `json:"record"`                 // the released fields
}

// The headers of an answer; see /openapi.json.
const (
	headerReceipt = "Hub-Receipt"
	headerNext    = "Hub-Next-Cursor"
	headerAtEnd   = "Hub-At-End"
)

// Records pulls and verifies one page.
func (c *Client) Records(ctx context.Context, q Query) (*Page, error) {
	v := url.Values{"purpose": {q.Purpose}, "format": {string(cmp.Or(q.Format, JSON))}}
	if q.Version != "" {
		v.Set("schema_version", q.Version)
	}
	if q.Cursor != "" {
		v.Set("cursor", q.Cursor)
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if len(q.Fields) > 0 {
		v.Set("fields", strings.Join(q.Fields, ","))
	}
	if q.Emergency != "" {
		v.Set("emergency", q.Emergency)
	}
	body, header, err := c.get(ctx, "/v1/products/"+url.PathEscape(q.Product)+"/records?"+v.Encode(), "*/*")
	if err != nil {
		return nil, err
	}
	p := &Page{Body: body, Next: header.Get(headerNext), AtEnd: header.Get(headerAtEnd) == "true", Signed: header.Get(headerReceipt)}
	if err := c.verify(p, q); err != nil {
		return nil, err
	}
	return p, nil
}

// Receipt fetches a receipt again, as it was issued, and verifies it.
func (c *Client) Receipt(ctx context.Context, id string) (signed string, r *receipt.Receipt, err error) {
	body, _, err := c.get(ctx, "/v1/receipts/"+url.PathEscape(id), "application/jose")
	if err != nil {
		return "", nil, err
	}
	r, err = receipt.Verify(string(body), c.roots)
	return string(body), r, err
}

// Products is the gateway's answer to what this participant may know of.
func (c *Client) Products(ctx context.Context) (json.RawMessage, error) {
	body, _, err := c.get(ctx, "/v1/products", "application/json")
	return body, err
}

// Product is the gateway's entry of one product.
func (c *Client) Product(ctx context.Context, id string) (json.RawMessage, error) {
	body, _, err := c.get(ctx, "/v1/products/"+url.PathEscape(id), "application/json")
	return body, err
}

func (c *Client) roots(region string) *x509.CertPool {
	if region != c.config.Region {
		return nil
	}
	return c.config.Roots
}

// RefusedError is a problem document that the gateway answered.
type RefusedError struct {
	Document   problem.Document
	RetryAfter time.Duration // 0 if the gateway did not say
}

// Error gives the gateway's sentence, code, detail and what to do.
func (e *RefusedError) Error() string {
	s := fmt.Sprintf("%s: %s", e.Document.Code, e.Document.Title)
	if e.Document.Detail != "" {
		s += " (" + e.Document.Detail + ")"
	}
	return s + "; " + e.Document.Fix
}

// Unwrap gives the problem, so that its code can be asked for.
func (e *RefusedError) Unwrap() error {
	return problem.New(e.Document.Code, "%s", e.Document.Detail)
}

func (c *Client) get(ctx context.Context, path, accept string) ([]byte, http.Header, error) {
	return c.call(ctx, http.MethodGet, path, accept, nil)
}

// call asks with a grant; one that the gateway no longer takes is exchanged
// once.
func (c *Client) call(ctx context.Context, method, path, accept string, content []byte) ([]byte, http.Header, error) {
	for attempt := 0; ; attempt++ {
		token, err := c.grant(ctx, attempt > 0)
		if err != nil {
			return nil, nil, err
		}
		req, err := http.NewRequestWithContext(ctx, method, c.config.URL+path, bytes.NewReader(content))
		if err != nil {
			return nil, nil, problem.Wrap(problem.RequestInvalid, err, "")
		}
		req.Header.Set("Accept", accept)
		if len(content) > 0 {
			req.Header.Set("Content-Type", "application/json")
		}
		req.Header.Set("Authorization", "Bearer "+token)
		body, header, err := c.do(req)
		if refused, ok := errors.AsType[*RefusedError](err); ok && attempt == 0 && stale(refused.Document.Code) {
			continue
		}
		return body, header, err
	}
}

func stale(code problem.Code) bool {
	switch code {
	case problem.TokenExpired, problem.TokenForged, problem.TokenCertificate, problem.TokenIssuer:
		return true
	}
	return false
}

// grant returns the token, a new one when it nears its end or the certificate
// was exchanged.
func (c *Client) grant(ctx context.Context, anew bool) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != "" && !anew && c.config.Now().Before(c.renewAt) {
		return c.token, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.config.Participant}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.URL+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", problem.Wrap(problem.RequestInvalid, err, "")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, _, err := c.do(req)
	if err != nil {
		return "", err
	}
	var granted struct {
		Token   string `json:"access_token"`
		Expires int64  `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &granted); err != nil || granted.Token == "" {
		return "", problem.Wrap(problem.AnswerInvalid, err, "the token endpoint answered no token")
	}
	c.token = granted.Token
	c.renewAt = c.config.Now().Add(time.Duration(granted.Expires) * time.Second / 2)
	return c.token, nil
}

func (c *Client) do(req *http.Request) ([]byte, http.Header, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, nil, problem.Wrap(problem.GatewayUnreachable, err, "%s: %v", c.config.URL, reason(err))
	}
	defer func() { _ = res.Body.Close() }() // read whole below
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, nil, problem.Wrap(problem.GatewayUnreachable, err, "%s: the answer broke off", c.config.URL)
	case len(body) > maxAnswer:
		return nil, nil, problem.New(problem.AnswerInvalid, "the answer is larger than %d bytes", maxAnswer)
	case res.StatusCode == http.StatusOK || res.StatusCode == http.StatusCreated:
		return body, res.Header, nil
	}
	refused := &RefusedError{}
	if err := json.Unmarshal(body, &refused.Document); err != nil || refused.Document.Code == "" {
		return nil, nil, problem.New(problem.AnswerInvalid, "status %d without a problem document", res.StatusCode)
	}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		refused.RetryAfter = time.Duration(seconds) * time.Second
	}
	return nil, nil, refused
}

// reason is the cause of a transport error, without the URL, whose query may
// hold a cursor.
func reason(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
