package httpapi_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/chuanyu-exchange/hub/gateway/identity"
)

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
