package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
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
}

func (r request) String() string { return r.what + ": " + r.method + " " + r.path }

// conn is a client with a deadline on every call and no retries.
type conn struct {
	api     *api.Client
	http    *http.Client
	timeout time.Duration
}

// newConn builds a conn from its arguments alone. The environment of the
// process (VAULT_TOKEN, VAULT_AGENT_ADDR, VAULT_NAMESPACE, HTTP_PROXY …), which
// the library reads by default, does not count: a hub's behaviour is what its
// configuration says.
func newConn(address string, roots *x509.CertPool, timeout time.Duration) (*conn, error) {
	transport := &http.Transport{
		// With a TLS configuration of its own, a transport speaks HTTP/2 only
		// when told to.
		ForceAttemptHTTP2:   true,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: timeout,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
	}
	h := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// Retries of the library would make a dead server cost seconds a call.
	a, err := api.NewClient(&api.Config{Address: address, HttpClient: h, MaxRetries: 0, Timeout: timeout})
	if err != nil {
		return nil, fmt.Errorf("set up a client for Vault at %q: %w", address, err)
	}
	a.ClearToken()
	a.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	return &conn{api: a, http: h, timeout: timeout}, nil
}

// send makes one call, with the conn's deadline, and says what its failure
// means. Reading what is not there is [ErrNotFound].
func (c *conn) send(ctx context.Context, r request) (*api.Secret, error) {
	token := c.api.Token()
	callCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var s *api.Secret
	var err error
	switch logical := c.api.Logical(); r.method {
	case http.MethodGet:
		s, err = logical.ReadWithDataWithContext(callCtx, r.path, r.query)
	case "LIST":
		s, err = logical.ListWithContext(callCtx, r.path)
	case http.MethodPost:
		s, err = logical.WriteWithContext(callCtx, r.path, r.body)
	case http.MethodDelete:
		s, err = logical.DeleteWithContext(callCtx, r.path)
	default:
		return nil, fmt.Errorf("%s: unknown method", r)
	}
	if err != nil {
		return nil, c.explain(ctx, r, token, err)
	}
	if s == nil && (r.method == http.MethodGet || r.method == "LIST") {
		return nil, fmt.Errorf("%s: %w", r, ErrNotFound)
	}
	return s, nil
}

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
