package httpapi_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
)

// members compares a JSON object with what it must hold, no more and no less.
func members(t *testing.T, got []byte, want map[string]any) {
	t.Helper()
	var have map[string]any
	if err := json.Unmarshal(got, &have); err != nil {
		t.Fatalf("%v in %q", err, got)
	}
	for name := range have {
		if _, there := want[name]; !there {
			t.Errorf("a member more: %s: %v", name, have[name])
		}
	}
	for name, value := range want {
		if !reflect.DeepEqual(have[name], value) {
			t.Errorf("%s: %v, want %v", name, have[name], value)
		}
	}
}

// Every member of the metadata of RFC 8414, section 2.
func TestAuthorizationServerMetadata(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	methods, algorithms := []any{"tls_client_auth", "private_key_jwt"}, []any{"EdDSA", "ES256", "PS256", "RS256"}
	a := r.get(r.person(pkitest.Issued{}), "/.well-known/oauth-authorization-server") // anyone may ask
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		t.Errorf("%d %s", a.status, a.header)
	}
	members(t, a.body, map[string]any{
		"issuer":                                r.url, // section 3.3: what the document was asked for under
		"token_endpoint":                        r.url + "/oauth2/token",
		"jwks_uri":                              r.url + "/.well-known/jwks.json",
		"introspection_endpoint":                r.url + "/oauth2/introspect",
		"revocation_endpoint":                   r.url + "/oauth2/revoke",
		"service_documentation":                 r.url + "/openapi.json",
		"grant_types_supported":                 []any{"client_credentials"},
		"response_types_supported":              []any{}, // there is no authorization endpoint
		"token_endpoint_auth_methods_supported": methods, "introspection_endpoint_auth_methods_supported": methods,
		"revocation_endpoint_auth_methods_supported":       methods,
		"token_endpoint_auth_signing_alg_values_supported": algorithms, "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
		"revocation_endpoint_auth_signing_alg_values_supported": algorithms,
		"tls_client_certificate_bound_access_tokens":            true, // RFC 8705, section 3.3
	})
}

// Every field of an access token: RFC 9068, section 2, and cnf of RFC 8705.
func TestAccessTokenProfile(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	p := r.person(r.sc.Issue(r.system("sc-commerce", "510000")))
	keys, err := r.signer.Keys()
	if err != nil {
		t.Fatal(err)
	}
	signer, ids := keys.Keys[0].Certificates[0], map[any]bool{}
	for _, scope := range []string{"", "price_quote"} {
		form := url.Values{"grant_type": {"client_credentials"}}
		if scope != "" {
			form.Set("scope", scope)
		}
		var given struct {
			Token string `json:"access_token"`
			Type  string `json:"token_type"`
			Life  int64  `json:"expires_in"`
		}
		before := r.now().Unix()
		a := r.do(p, formRequest(t, r.url+"/oauth2/token", form))
		after := r.now().Unix()
		if err := json.Unmarshal(a.body, &given); err != nil || a.status != http.StatusOK || given.Type != "Bearer" || given.Life != 600 {
			t.Fatalf("%d %s, %v", a.status, a.body, err)
		}
		parts := strings.Split(given.Token, ".")
		header, err := base64.RawURLEncoding.DecodeString(parts[0])
		if err != nil {
			t.Fatal(err)
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		members(t, header, map[string]any{
			"typ": "at+jwt", "alg": "EdDSA", "kid": identity.Thumbprint(signer), "x5c": []any{base64.StdEncoding.EncodeToString(signer.Raw)},
		})
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatal(err)
		}
		issued, _ := claims["iat"].(float64)
		if int64(issued) < before || int64(issued) > after {
			t.Errorf("iat %v is not between %d and %d", claims["iat"], before, after)
		}
		if id, _ := claims["jti"].(string); id == "" || ids[id] {
			t.Errorf("jti %q is none, or another token's", id)
		}
		ids[claims["jti"]] = true
		want := map[string]any{
			"iss": r.url, "aud": "urn:chuanyu-hub:" + region, "sub": "sc-commerce", "client_id": "sc-commerce", "region": "510000",
			"iat": issued, "nbf": issued, "exp": issued + 600, "jti": claims["jti"],
			"cnf": map[string]any{"x5t#S256": identity.Thumbprint(p.issued.Chain[0])},
		}
		if scope != "" {
			want["scope"] = scope
		}
		members(t, payload, want)
	}
}

// An OAuth client library that knows nothing of this hub gets a grant and uses
// it, in each of the ways that it knows; and with an assertion.
func TestOAuthClientLibrary(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	p := r.person(r.sc.Issue(r.system("sc-commerce", "510000")))
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, p.http)
	assertion := jwt(t, jose.EdDSA, p.issued.Key, map[jose.HeaderKey]any{"typ": "JWT"}, map[string]any{
		"iss": "sc-commerce", "sub": "sc-commerce", "aud": r.url + "/oauth2/token", "exp": r.now().Unix() + 60, "jti": "from the library",
	})
	for title, config := range map[string]clientcredentials.Config{
		"it finds out":         {ClientID: "sc-commerce"},
		"by Basic":             {ClientID: "sc-commerce", AuthStyle: oauth2.AuthStyleInHeader},
		"in the form":          {ClientID: "sc-commerce", AuthStyle: oauth2.AuthStyleInParams},
		"narrowed":             {ClientID: "sc-commerce", Scopes: []string{"price_quote"}},
		"for this resource":    {ClientID: "sc-commerce", EndpointParams: url.Values{"resource": {r.url}}},
		"by an assertion, too": {ClientID: "sc-commerce", AuthStyle: oauth2.AuthStyleInParams, EndpointParams: url.Values{"client_assertion_type": {identity.AssertionType}, "client_assertion": {assertion}}},
	} {
		config.TokenURL = r.url + "/oauth2/token"
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+prices, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := config.Client(ctx).Do(req)
		if err != nil {
			t.Errorf("%s: %v", title, err)
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK || res.Header.Get("Hub-Receipt") == "" {
			t.Errorf("%s: %d", title, res.StatusCode)
		}
	}
}
