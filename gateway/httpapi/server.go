package httpapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-jose/go-jose/v4"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/subject"
)

// Limits of what a stranger may send.
const (
	maxHeader      = 64 << 10  // names and values
	maxHeaderBytes = 128 << 10 // with the request line; beyond it net/http answers 431 by itself, in plain text and uncounted
	maxBodyBytes   = 16 << 10
	maxQuery       = 16 << 10
	readTimeout    = 10 * time.Second
	answerTimeout  = 60 * time.Second
	idleTimeout    = 2 * time.Minute
)

// Keys is the gateway as a signer of grants.
type Keys interface {
	Grant(payload []byte) (string, error)
	Keys() (jose.JSONWebKeySet, error)
}

// API is the public surface of a gateway.
type API struct {
	Gateway *gateway.Gateway
	Keys    Keys
	// Subjects is what the schema registry answers from; nil: there is none.
	Subjects *subject.Lines
	Metrics  *Metrics
	Logger   *slog.Logger
}

// Handler returns the routes.
func (a *API) Handler() http.Handler {
	gin.SetMode(gin.ReleaseMode) // gin prints to standard output otherwise
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false
	r.UseRawPath = true // an encoded slash is no slash
	r.UnescapePathValues = false
	if err := r.SetTrustedProxies(nil); err != nil {
		panic(err) // nil is always valid
	}
	r.Use(a.observe, a.limit, a.present)
	r.NoRoute(a.answer(func(c *gin.Context) error { return a.noted(c, problem.New(problem.RouteUnknown, "")) }))
	r.NoMethod(a.answer(func(c *gin.Context) error { return a.noted(c, problem.New(problem.MethodNotAllowed, "")) }))
	r.POST("/oauth2/token", a.oauth(a.token))
	r.POST(introspectPath, a.oauth(a.introspect))
	r.POST(revokePath, a.oauth(a.revoke))
	r.GET("/.well-known/oauth-authorization-server", a.answer(a.metadata))
	r.GET("/.well-known/jwks.json", a.answer(a.keySet))
	r.GET("/openapi.json", a.answer(a.openAPI))
	r.GET("/v1/products", a.answer(a.products))
	r.GET("/v1/products/:product", a.answer(a.product))
	r.GET("/v1/products/:product/records", a.answer(a.records))
	r.POST("/v1/products/:product/query", a.answer(a.query))
	r.POST("/v1/products/:product/verify", a.answer(a.verify))
	r.POST("/v1/products/:product/acknowledgements", a.answer(a.acknowledge))
	r.GET("/v1/products/:product/acknowledgements", a.answer(a.acknowledgements))
	r.GET("/v1/receipts/:id", a.answer(a.receipt))
	r.GET("/v1/control", a.answer(a.control))
	r.POST(ordersPath, a.answer(a.order))
	if a.Subjects != nil {
		a.registryRoutes(r.Group(registryPath))
	}
	return r
}

// Server is the public listener: TLS 1.3, a client certificate asked for and
// not yet checked.
func (a *API) Server(certificate func() *tls.Certificate) *http.Server {
	return &http.Server{
		Handler: a.Handler(),
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS13,
			ClientAuth: tls.RequestClientCert, // package identity checks it
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				if c := certificate(); c != nil {
					return c, nil
				}
				return nil, errors.New("the gateway has no certificate")
			},
		},
		ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(a.Logger.Handler(), slog.LevelDebug), // handshakes of strangers
	}
}

const (
	keyInstance = "instance"
	keyProblem  = "problem"
)

// observe gives the request its id and one line of log and metrics when it is
// answered. Neither holds the query, which may hold a cursor.
func (a *API) observe(c *gin.Context) {
	started := a.Gateway.Now()
	id, err := a.Gateway.NewID(started)
	if err != nil {
		c.AbortWithStatus(http.StatusInternalServerError)
		return
	}
	c.Set(keyInstance, id)
	defer func() {
		if fault := recover(); fault != nil {
			a.Logger.ErrorContext(c, "panic", slog.String("instance", id), slog.String("route", c.FullPath()), slog.Any("fault", fault))
			if !c.Writer.Written() {
				a.fail(c, problem.New(problem.Internal, ""))
			}
		}
		code, _ := c.Get(keyProblem)
		a.Metrics.request(c.FullPath(), c.Writer.Status(), code, a.Gateway.Now().Sub(started))
		a.Logger.InfoContext(c, "request", slog.String("instance", id), slog.String("method", c.Request.Method), slog.String("route", c.FullPath()),
			slog.Int("status", c.Writer.Status()), slog.Any("code", code), slog.Duration("took", a.Gateway.Now().Sub(started)), slog.Int("bytes", c.Writer.Size()))
	}()
	ctx, cancel := context.WithTimeout(c.Request.Context(), answerTimeout)
	defer cancel()
	c.Request = c.Request.WithContext(ctx)
	c.Next()
}

// limit refuses what is larger than any request of ours, and paths that are
// written so as to be read in two ways.
func (a *API) limit(c *gin.Context) {
	escaped := c.Request.URL.EscapedPath()
	most := int64(maxBodyBytes)
	switch {
	case c.FullPath() == ordersPath:
		most = maxOrderBytes
	case isRegistry(c):
		most = maxRegistryBody
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, most)
	switch {
	case headerBytes(c.Request.Header) > maxHeader:
		a.fail(c, a.noted(c, problem.New(problem.RequestTooLarge, "the header has more than %d bytes", maxHeader)))
	case len(c.Request.URL.RawQuery) > maxQuery:
		a.fail(c, a.noted(c, problem.New(problem.RequestTooLarge, "the query has more than %d bytes", maxQuery)))
	case strings.ContainsAny(escaped, `%\;`) || escaped != path.Clean(escaped) && escaped != registryPath+"/":
		a.fail(c, a.noted(c, problem.New(problem.RouteUnknown, "")))
	default:
		c.Header("Cache-Control", "no-store")
		c.Header("X-Content-Type-Options", "nosniff")
		return
	}
	c.Abort()
}

func headerBytes(h http.Header) (n int) {
	for name, values := range h {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	return n
}

// noted counts what is refused before anybody is asked who it is, by address,
// for the ledger.
func (a *API) noted(c *gin.Context, err error) error {
	a.Gateway.Failures.Note("", address(c.Request.RemoteAddr).String(), problem.CodeOf(err), a.Gateway.Now())
	return err
}

// answer is the one place where a handler's error becomes a problem document.
func (a *API) answer(handle func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := handle(c); err != nil {
			a.fail(c, err)
		}
	}
}

func (a *API) fail(c *gin.Context, err error) {
	if isRegistry(c) {
		a.failRegistry(c, err)
		return
	}
	p := problem.From(err)
	status := a.noteProblem(c, p, err)
	body, err := json.Marshal(p.Document(c.GetString(keyInstance)))
	if err != nil {
		c.Status(http.StatusInternalServerError)
		return
	}
	c.Data(status, "application/problem+json", append(body, '\n'))
}

// noteProblem puts a problem into log, metrics and headers, and says with
// which status it is answered.
func (a *API) noteProblem(c *gin.Context, p *problem.Problem, err error) int {
	status := p.Code.Entry().Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	c.Set(keyProblem, string(p.Code))
	if status >= http.StatusInternalServerError {
		a.Logger.ErrorContext(c, "request failed", slog.String("instance", c.GetString(keyInstance)), slog.String("problem", p.LogText()))
	}
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		c.Header("Retry-After", retryAfter(err))
	case http.StatusUnauthorized:
		c.Header("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	return status
}

func isRegistry(c *gin.Context) bool {
	path := c.Request.URL.Path
	return path == registryPath || strings.HasPrefix(path, registryPath+"/")
}

// credentials are what the request presents.
func credentials(c *gin.Context) gateway.Credentials {
	out := ofConnection(c)
	out.Chain, _ = c.MustGet(keyChain).([]*x509.Certificate)
	scheme, token, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		out.Token = token
	}
	return out
}

func address(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}
