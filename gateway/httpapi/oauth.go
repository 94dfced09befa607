package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

const (
	introspectPath = "/oauth2/introspect"
	revokePath     = "/oauth2/revoke"
)

// clientAuth is how a client authenticates itself; the second is beside the
// first and not in its place.
var clientAuth = []string{"tls_client_auth", "private_key_jwt"}

// metadata is RFC 8414.
func (a *API) metadata(c *gin.Context) error {
	snap, err := a.Gateway.Snapshot()
	if err != nil {
		return err
	}
	issuer := snap.Authority.Issuer
	return writeJSON(c, map[string]any{
		"issuer": issuer, "token_endpoint": snap.Authority.TokenEndpoint(), "jwks_uri": issuer + "/.well-known/jwks.json",
		"introspection_endpoint": issuer + introspectPath, "revocation_endpoint": issuer + revokePath,
		"grant_types_supported": []string{"client_credentials"}, "response_types_supported": []string{},
		"token_endpoint_auth_methods_supported":                    clientAuth,
		"introspection_endpoint_auth_methods_supported":            clientAuth,
		"revocation_endpoint_auth_methods_supported":               clientAuth,
		"token_endpoint_auth_signing_alg_values_supported":         identity.AssertionAlgorithms(),
		"introspection_endpoint_auth_signing_alg_values_supported": identity.AssertionAlgorithms(),
		"revocation_endpoint_auth_signing_alg_values_supported":    identity.AssertionAlgorithms(),
		"tls_client_certificate_bound_access_tokens":               true,
		"service_documentation":                                    issuer + "/openapi.json",
	})
}

// oauth answers with a handler of a form. Its failures have the form of RFC
// 6749, 5.2, with our code beside it.
func (a *API) oauth(handle func(c *gin.Context, form url.Values) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		form, err := readForm(c)
		if err != nil {
			err = a.noted(c, err)
		} else {
			err = handle(c, form)
		}
		if err != nil {
			a.failToken(c, err)
		}
	}
}

// readForm reads parameters from the body alone: what stands in a URL is
// written into logs. But for resource, each stands once.
func readForm(c *gin.Context) (url.Values, error) {
	if err := c.Request.ParseForm(); err != nil {
		return nil, problem.New(problem.RequestInvalid, "the form cannot be read or is larger than %d bytes", maxBodyBytes)
	}
	if c.Request.URL.RawQuery != "" {
		return nil, problem.New(problem.RequestInvalid, "parameters stand in the body")
	}
	for name, values := range c.Request.PostForm {
		if len(values) > 1 && name != "resource" {
			return nil, problem.New(problem.RequestInvalid, "a parameter stands more than once")
		}
	}
	return c.Request.PostForm, nil
}

// client is what the client says of itself, in the form or, as an id without a
// secret, by Basic.
func client(c *gin.Context, form url.Values) (gateway.Client, error) {
	out := gateway.Client{ID: form.Get("client_id"), AssertionType: form.Get("client_assertion_type"), Assertion: form.Get("client_assertion")}
	name, _, basic := c.Request.BasicAuth()
	if !basic {
		return out, nil
	}
	id, err := url.QueryUnescape(name) // RFC 6749, 2.3.1
	if err != nil || out.ID != "" && out.ID != id {
		return out, problem.New(problem.ClientMismatch, "Authorization names another client than client_id")
	}
	out.ID = id
	return out, nil
}

type granted struct {
	Token   string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int64  `json:"expires_in"`
	Scope   string `json:"scope,omitempty"`
}

// token is POST /oauth2/token.
func (a *API) token(c *gin.Context, form url.Values) error {
	if form.Get("grant_type") != "client_credentials" {
		return a.noted(c, problem.New(problem.GrantUnsupported, ""))
	}
	said, err := client(c, form)
	if err != nil {
		return a.noted(c, err)
	}
	g, err := a.Gateway.Grant(c.Request.Context(), gateway.GrantRequest{
		Credentials: credentials(c), Client: said, Scope: form.Get("scope"), Resources: form["resource"],
	}, a.Keys.Grant)
	if err != nil {
		return err
	}
	c.Header("Pragma", "no-cache")
	return writeJSON(c, granted{Token: g.Token, Type: "Bearer", Expires: int64(g.Life.Seconds()), Scope: g.Scope})
}

// introspection is the answer of RFC 7662, section 2.2.
type introspection struct {
	Active bool   `json:"active"`
	Type   string `json:"token_type,omitempty"`
	*identity.Claims
}

// introspect is POST /oauth2/introspect.
func (a *API) introspect(c *gin.Context, form url.Values) error {
	r, err := tokenRequest(c, form)
	if err != nil {
		return a.noted(c, err)
	}
	claims, err := a.Gateway.Introspect(c.Request.Context(), r)
	if err != nil {
		return err
	}
	out := introspection{Claims: claims}
	if claims != nil {
		out.Active, out.Type = true, "Bearer"
	}
	return writeJSON(c, out)
}

// revoke is POST /oauth2/revoke.
func (a *API) revoke(c *gin.Context, form url.Values) error {
	r, err := tokenRequest(c, form)
	if err != nil {
		return a.noted(c, err)
	}
	if err := a.Gateway.Revoke(c.Request.Context(), r); err != nil {
		return err
	}
	c.Status(http.StatusOK)
	c.Writer.WriteHeaderNow()
	return nil
}

func tokenRequest(c *gin.Context, form url.Values) (gateway.TokenRequest, error) {
	said, err := client(c, form)
	if err == nil && form.Get("token") == "" {
		err = problem.New(problem.RequestInvalid, "token is missing")
	}
	return gateway.TokenRequest{Credentials: credentials(c), Client: said, Subject: form.Get("token")}, err
}

// oauthErrors are the words of RFC 6749, 5.2 and RFC 8707, 2 for codes of ours;
// other refusals are of the client, or of the request if it is malformed.
var oauthErrors = map[problem.Code]string{
	problem.GrantUnsupported: "unsupported_grant_type", problem.ScopeUnknown: "invalid_scope", problem.ResourceUnknown: "invalid_target",
}

func (a *API) failToken(c *gin.Context, err error) {
	p := problem.From(err)
	e := p.Code.Entry()
	if e.Status == 0 || e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests {
		a.fail(c, err)
		return
	}
	kind, known := oauthErrors[p.Code]
	if !known {
		kind = "invalid_client"
		if e.Status == http.StatusBadRequest {
			kind = "invalid_request"
		}
	}
	c.Set(keyProblem, string(p.Code))
	if scheme, _, _ := strings.Cut(c.GetHeader("Authorization"), " "); e.Status == http.StatusUnauthorized && scheme != "" {
		c.Header("WWW-Authenticate", `Basic realm="hub"`) // RFC 6749, 5.2
	}
	body, err := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		problem.Document
	}{kind, e.EN, p.Document(c.GetString(keyInstance))})
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Data(e.Status, gateway.JSON, append(body, '\n'))
}
