package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// ErrDenied says that the server knows the token or the credentials and does
// not permit what was asked. Trying again does not help.
var ErrDenied = errors.New("not permitted by Vault")

// ErrNotFound says that the named key, version or role is not there. Of a
// sealing key it means that it was destroyed, or never wrapped what was given.
var ErrNotFound = errors.New("not found in Vault")

// errRejected is status 400: the server read the request and refuses it. What
// that means depends on the request.
var errRejected = errors.New("rejected by Vault")

// maxServerText bounds what is kept of the server's own words.
const maxServerText = 300

// request is one call of the HTTP API.
type request struct {
	what   string // for people: "unwrap a data key"
	method string // GET, LIST, POST or DELETE
	path   string // below /v1/
	query  map[string][]string
	body   map[string]any
	// quiet keeps the server's words out of the error, because the request
	// or its answer carries a secret that the server might repeat.
	quiet bool
	// once: never sent to a second node, because the first may have done it
	// and it cannot be done twice.
	once bool
	// wrap has the answer wrapped: kept by the server for so long, for
	// whoever first shows the token that stands for it.
	wrap time.Duration
}

func (r request) String() string { return r.what + ": " + r.method + " " + r.path }

// conn is a client with a deadline on every call, no retries, and a breaker.
type conn struct {
	api     *api.Client
	http    *http.Client
	timeout time.Duration
	nodes   []string // of one cluster; api asks one of them
	breaker *breaker
}

// endpoint is where a server answers and how to talk to it.
type endpoint struct {
	nodes       []string // of one cluster, at least one
	roots       *x509.CertPool
	certificate func() *tls.Certificate // shown to the server; nil: none
	timeout     time.Duration
	now         func() time.Time
}

// newConn builds a conn from its arguments alone. The environment of the
// process (VAULT_TOKEN, VAULT_AGENT_ADDR, VAULT_NAMESPACE, HTTP_PROXY …), which
// the library reads by default, does not count: a hub's behaviour is what its
// configuration says.
func newConn(e endpoint) (*conn, error) {
	config := &tls.Config{RootCAs: e.roots, MinVersion: tls.VersionTLS12}
	if e.certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return e.certificate(), nil }
	}
	transport := &http.Transport{
		// With a TLS configuration of its own, a transport speaks HTTP/2 only
		// when told to.
		ForceAttemptHTTP2:   true,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: e.timeout,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
	}
	h := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// Retries of the library would make a dead server cost seconds a call.
	a, err := api.NewClient(&api.Config{Address: e.nodes[0], HttpClient: h, MaxRetries: 0, Timeout: e.timeout})
	if err != nil {
		return nil, fmt.Errorf("set up a client for Vault at %q: %w", e.nodes[0], err)
	}
	a.ClearToken()
	a.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	return &conn{api: a, http: h, timeout: e.timeout, nodes: e.nodes, breaker: &breaker{now: e.now}}, nil
}

// send makes one call, with the conn's deadline, and says what its failure
// means. Reading what is not there is [ErrNotFound]. A node that does not do
// its work is followed by the next one of its cluster, within the deadline;
// when none is left, the breaker counts it.
func (c *conn) send(ctx context.Context, r request) (*api.Secret, error) {
	if err := c.breaker.admit(); err != nil {
		return nil, fmt.Errorf("%s: %w", r, err)
	}
	token := c.api.Token()
	callCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	node := c.api.Address()
	s, err := c.call(callCtx, r)
	for tried := 1; err != nil && c.elsewhere(ctx, err, node); tried++ {
		if node = c.api.Address(); tried == len(c.nodes) || callCtx.Err() != nil || r.once {
			break
		}
		s, err = c.call(callCtx, r)
	}
	if err != nil {
		err = c.explain(ctx, r, token, err)
	} else if s == nil && (r.method == http.MethodGet || r.method == "LIST") {
		err = fmt.Errorf("%s: %w", r, ErrNotFound)
	}
	c.breaker.report(outcomeOf(err))
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *conn) call(ctx context.Context, r request) (*api.Secret, error) {
	client := c.api
	if r.wrap > 0 {
		client = client.WithRequestCallbacks(func(q *api.Request) { q.WrapTTL = seconds(r.wrap) })
	}
	switch logical := client.Logical(); r.method {
	case http.MethodGet:
		return logical.ReadWithDataWithContext(ctx, r.path, r.query)
	case "LIST":
		return logical.ListWithContext(ctx, r.path)
	case http.MethodPost:
		return logical.WriteWithContext(ctx, r.path, r.body)
	case http.MethodDelete:
		return logical.DeleteWithContext(ctx, r.path)
	default:
		return nil, errors.New("unknown method")
	}
}

// elsewhere says whether a call that failed at one node may do better at
// another, and if so turns to the next one: for this call and later ones.
func (c *conn) elsewhere(ctx context.Context, err error, node string) bool {
	if len(c.nodes) < 2 || ctx.Err() != nil {
		return false
	}
	if answer, ok := errors.AsType[*api.ResponseError](err); ok && answer.StatusCode < 500 && !transient(answer.StatusCode) {
		return false
	}
	if c.api.Address() == node { // nobody else has turned away from it yet
		next := (slices.Index(c.nodes, node) + 1) % len(c.nodes)
		return c.api.SetAddress(c.nodes[next]) == nil
	}
	return true
}

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return answered
	case errors.Is(err, context.Canceled):
		return unknown
	case problem.CodeOf(err) == problem.VaultUnavailable:
		return failed
	default:
		return answered
	}
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) + "s" }

// explain turns a failed call into what a caller acts on.
func (c *conn) explain(ctx context.Context, r request, token string, err error) error {
	answer, ok := errors.AsType[*api.ResponseError](err)
	if !ok {
		if errors.Is(ctx.Err(), context.Canceled) {
			return fmt.Errorf("%s: %w", r, context.Canceled)
		}
		return problem.Wrap(problem.VaultUnavailable, fmt.Errorf("%s: %w", r, err), "%s", r.what)
	}
	text := ""
	if !r.quiet {
		text = serverText(answer.Errors, token)
	}
	switch status := answer.StatusCode; {
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		return fmt.Errorf("%s: %w (status %d%s)", r, ErrDenied, status, text)
	case status == http.StatusNotFound:
		return fmt.Errorf("%s: %w (status %d%s)", r, ErrNotFound, status, text)
	case status < 500 && !transient(status):
		return fmt.Errorf("%s: %w (status %d%s)", r, errRejected, status, text)
	default:
		return problem.Wrap(problem.VaultUnavailable, fmt.Errorf("%s: status %d%s", r, status, text), "%s", r.what)
	}
}

// transient are the statuses below 500 that pass by themselves: a node that is
// not up to date, a rate limit, a standby of one kind or another.
func transient(status int) bool {
	switch status {
	case http.StatusPreconditionFailed, http.StatusTooManyRequests, http.StatusRequestTimeout, 472, 473:
		return true
	}
	return false
}

// serverText is what the server said, bounded, without the token.
func serverText(lines []string, token string) string {
	text := strings.Join(strings.Fields(strings.Join(lines, "; ")), " ")
	if text == "" {
		return ""
	}
	if token != "" {
		text = strings.ReplaceAll(text, token, "[token]")
	}
	if r := []rune(text); len(r) > maxServerText {
		text = string(r[:maxServerText]) + " …"
	}
	return ": " + text
}
