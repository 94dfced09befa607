package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const decryptCall = "PUT /v1/500000/transit/decrypt/seal-p-202610"

var wrappedKey = []byte("vault:v1:d3JhcHBlZA==")

func unwrap(ctx context.Context, c *Client) ([]byte, error) {
	return c.UnwrapDataKey(ctx, "seal-p-202610", wrappedKey)
}

func TestFailuresAreTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		title   string
		handler http.HandlerFunc
		want    error        // or
		code    problem.Code // of a problem
	}{
		{"sealed", answer(503, errorBody("Vault is sealed")), nil, problem.VaultUnavailable},
		{"broken", answer(500, errorBody("internal error")), nil, problem.VaultUnavailable},
		{"behind a broken proxy", answer(502, "<html>"), nil, problem.VaultUnavailable},
		{"over its rate limit", answer(429, errorBody("rate limit")), nil, problem.VaultUnavailable},
		{"not up to date", answer(412, errorBody("required index state not present")), nil, problem.VaultUnavailable},
		{"a standby", answer(473, errorBody("performance standby")), nil, problem.VaultUnavailable},
		{"talking nonsense", answer(200, "<html>"), nil, problem.VaultUnavailable},
		{"answering nothing", answer(204, ""), nil, problem.VaultUnavailable},
		{"a key of the wrong size", answer(200, `{"data":{"plaintext":"c2hvcnQ="}}`), nil, problem.VaultUnavailable},
		{"key destroyed", answer(400, errorBody("encryption key not found")), ErrNotFound, ""},
		{"nothing mounted", answer(404, errorBody("no handler")), nil, problem.VaultUnavailable},
		{"not permitted", answer(403, errorBody("permission denied")), nil, problem.VaultUnavailable},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			f := newFakeServer(t)
			// Long enough for the library to try again, which it must not.
			client := f.open(t, func(cfg *Config) { cfg.Timeout = 3 * time.Second })
			f.on(decryptCall, c.handler)
			_, err := unwrap(t.Context(), client)
			if c.code != "" && problem.CodeOf(err) != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
			if c.want != nil && (!errors.Is(err, c.want) || problem.CodeOf(err) == problem.VaultUnavailable) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if n := f.count(decryptCall); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func TestHungServer(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	c := f.open(t, func(cfg *Config) { cfg.Timeout = 300 * time.Millisecond })
	f.on(decryptCall, hang)
	began := time.Now()
	if _, err := unwrap(t.Context(), c); problem.CodeOf(err) != problem.VaultUnavailable {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
	// The caller's own deadline counts when it is the shorter one.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := unwrap(ctx, c); problem.CodeOf(err) != problem.VaultUnavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestDeadServer(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	c := f.open(t, nil)
	f.Close()
	if _, err := unwrap(t.Context(), c); problem.CodeOf(err) != problem.VaultUnavailable {
		t.Errorf("a call: %v", err)
	}
	if err := c.Ready(t.Context()); problem.CodeOf(err) != problem.VaultUnavailable {
		t.Errorf("readiness: %v", err)
	}
	if _, err := Open(t.Context(), f.config(nil)); problem.CodeOf(err) != problem.VaultUnavailable {
		t.Errorf("opening: %v", err)
	}
}

func TestCancelledCallIsNotTheServersFault(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	c := f.open(t, nil)
	f.on(decryptCall, hang)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := unwrap(ctx, c); !errors.Is(err, context.Canceled) || problem.CodeOf(err) == problem.VaultUnavailable {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefused(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.on("PUT /v1/auth/500000/approle/login", answer(400, errorBody("invalid role or secret ID")))
	if _, err := Open(t.Context(), f.config(nil)); !errors.Is(err, ErrDenied) {
		t.Errorf("a wrong secret id: %v", err)
	}
	f.on("PUT /v1/auth/500000/approle/login", answer(503, errorBody("Vault is sealed")))
	if _, err := Open(t.Context(), f.config(nil)); problem.CodeOf(err) != problem.VaultUnavailable {
		t.Errorf("a sealed server: %v", err)
	}
	if _, err := Open(t.Context(), Config{Address: f.URL}); problem.CodeOf(err) != problem.ConfigInvalid {
		t.Errorf("an empty configuration: %v", err)
	}
}

// A server restarted without its memory, or an operator, may end a token at any
// time.
func TestRevokedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	c := f.open(t, nil)
	const second = "planted-token-2"
	f.on("PUT /v1/auth/500000/approle/login", answer(200, loginBody(second, 3600)))
	live := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Vault-Token") != second {
				answer(403, errorBody("permission denied"))(w, r)
				return
			}
			h(w, r)
		}
	}
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))
	f.on("GET /v1/auth/token/lookup-self", live(answer(200, `{"data":{"ttl":3600}}`)))
	f.on(decryptCall, live(answer(200, `{"data":{"plaintext":"`+key+`"}}`)))
	errs := make(chan error, 8)
	for range cap(errs) {
		go func() {
			_, err := unwrap(t.Context(), c)
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := f.count("PUT /v1/auth/500000/approle/login"); n != 2 {
		t.Errorf("%d logins, the first included", n)
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

func TestEndingTokenIsReplaced(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.on("PUT /v1/auth/500000/approle/login", answer(200, loginBody(firstToken, 1)))
	f.on("PUT /v1/auth/token/renew-self", answer(400, errorBody("max TTL reached")))
	c := f.open(t, nil)
	f.on("PUT /v1/auth/500000/approle/login", answer(503, errorBody("Vault is sealed")))
	deadline := time.Now().Add(10 * time.Second)
	await := func(what string, ok func() bool) {
		t.Helper()
		for !ok() {
			if time.Now().After(deadline) {
				t.Fatal(what)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	await("no login was tried when the token ended", func() bool { return f.count("PUT /v1/auth/500000/approle/login") > 2 })
	f.on("PUT /v1/auth/500000/approle/login", answer(200, loginBody("planted-token-2", 3600)))
	await("the token was not replaced", func() bool { return c.api.Token() == "planted-token-2" })
}

func TestReady(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		title  string
		call   string
		answer http.HandlerFunc
		ready  bool
	}{
		{"well", "GET /v1/none", nil, true},
		{"sealed", "GET /v1/sys/health", answer(299, `{"initialized":true,"sealed":true}`), false},
		{"not initialised", "GET /v1/sys/health", answer(299, `{"initialized":false,"sealed":true}`), false},
		{"hung", "GET /v1/sys/health", hang, false},
		{"its token about to end", "GET /v1/auth/token/lookup-self", answer(200, `{"data":{"ttl":60}}`), false},
		{"its token not to be looked up", "GET /v1/auth/token/lookup-self", answer(500, ""), false},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			f := newFakeServer(t)
			client := f.open(t, func(cfg *Config) { cfg.Timeout = 300 * time.Millisecond })
			f.on(c.call, c.answer)
			err := client.Ready(t.Context())
			if (err == nil) != c.ready || err != nil && problem.CodeOf(err) != problem.VaultUnavailable {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A server, or a proxy before it, may repeat in its error what it was sent.
func TestSecretsStayOutOfErrorsAndLogs(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	var log strings.Builder
	var all []error
	keep := func(err error) {
		t.Helper()
		if err == nil {
			t.Error("no error")
		}
		all = append(all, err)
	}
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("K", 32)))
	for _, status := range []int{400, 403, 404, 500} {
		echo := answer(status, errorBody("you sent "+testSecretID+" "+firstToken+" "+key))
		cfg := f.config(&log)
		f.on("PUT /v1/auth/500000/approle/login", echo)
		_, err := Open(t.Context(), cfg)
		keep(err)
		f.on("PUT /v1/auth/500000/approle/login", answer(200, loginBody(firstToken, 3600)))
		c, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		f.on(decryptCall, echo)
		_, err = unwrap(t.Context(), c)
		keep(err)
		f.on("PUT /v1/500000/transit/datakey/plaintext/seal-p-202610", echo)
		_, _, err = c.DataKey(t.Context(), "seal-p-202610")
		keep(err)
		f.on("GET /v1/500000/kv/metadata/cursor", answer(200, `{"data":{"versions":{"1":{}}}}`))
		f.on("GET /v1/500000/kv/data/cursor", echo)
		_, err = c.SharedKeys(t.Context(), "cursor")
		keep(err)
		f.on("GET /v1/500000/transit/keys/trust-bundle", echo)
		_, err = c.PublicKey(t.Context(), "trust-bundle")
		if errors.Is(err, ErrNotFound) || errors.Is(err, errRejected) || errors.Is(err, ErrDenied) {
			// Here the server's words are kept, without the token.
			if strings.Contains(err.Error(), firstToken) {
				t.Errorf("the token stands in %v", err)
			}
		}
		_ = c.Close()
	}
	for _, err := range all {
		text := problem.From(err).LogText() + err.Error()
		for _, secret := range []string{testSecretID, firstToken, key} {
			if strings.Contains(text, secret) {
				t.Errorf("%s stands in %s", secret, text)
			}
		}
	}
	if s := log.String(); strings.Contains(s, "planted") {
		t.Errorf("the log holds a secret: %s", s)
	}
}

func TestTheEnvironmentDoesNotCount(t *testing.T) {
	for name, value := range map[string]string{
		"VAULT_TOKEN": "stray", "VAULT_NAMESPACE": "stray", "VAULT_ADDR": "http://127.0.0.1:1",
		"VAULT_AGENT_ADDR": "http://127.0.0.1:1", "VAULT_HEADERS": `{"X-Stray":"stray"}`, "HTTP_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	f := newFakeServer(t)
	var strayed atomic.Bool
	login := answer(200, loginBody(firstToken, 3600))
	f.on("PUT /v1/auth/500000/approle/login", func(w http.ResponseWriter, r *http.Request) {
		for _, values := range r.Header {
			if strings.Contains(strings.Join(values, ""), "stray") {
				strayed.Store(true)
			}
		}
		login(w, r)
	})
	c := f.open(t, nil)
	if c.http.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy would see the tokens") // one on loopback is never used, so this cannot be tried
	}
	if strayed.Load() {
		t.Error("the environment reached the server")
	}
}

func TestTLSKeepsHTTP2(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	var proto atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto.Store(int64(r.ProtoMajor))
		f.ServeHTTP(w, r)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	cfg := f.config(nil)
	cfg.Address = s.URL
	if _, err := Open(t.Context(), cfg); problem.CodeOf(err) != problem.VaultUnavailable {
		t.Errorf("a server of an unknown authority: %v", err)
	}
	cfg.Roots = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	c, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if proto.Load() != 2 {
		t.Errorf("HTTP/%d", proto.Load())
	}
}

func TestCloseRevokesAndEnds(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	c := f.open(t, nil)
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Fatal(err)
	}
	if n := f.count("PUT /v1/auth/token/revoke-self"); n != 1 {
		t.Errorf("%d revocations", n)
	}
	logins := f.count("PUT /v1/auth/500000/approle/login")
	f.on(decryptCall, answer(403, ""))
	f.on("GET /v1/auth/token/lookup-self", answer(403, ""))
	if _, err := unwrap(t.Context(), c); err == nil || f.count("PUT /v1/auth/500000/approle/login") != logins {
		t.Errorf("a closed client logs in: %v", err)
	}
}

func TestNamesOfStrangersDoNotLeaveTheirPath(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	c := f.open(t, nil)
	for _, name := range []string{"", "..", "../sys", "a/b", "a b", "a?b", "a%2fb", "名", strings.Repeat("a", 201), ".a"} {
		if _, err := c.UnwrapDataKey(t.Context(), name, wrappedKey); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
		if name != "a/b" {
			if _, err := c.SharedKeys(t.Context(), name); !errors.Is(err, ErrNotFound) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	for _, w := range [][]byte{nil, []byte("x"), append([]byte("vault:v1:"), make([]byte, 2000)...)} {
		if _, err := c.UnwrapDataKey(t.Context(), "seal-p-202610", w); !errors.Is(err, ErrNotFound) {
			t.Errorf("%d bytes: %v", len(w), err)
		}
	}
	if asked := f.below("/v1/500000/"); len(asked) > 0 {
		t.Errorf("the server was asked %v", asked)
	}
}
