package vault

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	testSecretID = "planted-secret-id-5f2c"
	firstToken   = "planted-token-1"
)

// fakeServer answers like a Vault in a state that a real one is hard to put
// into. Paths it was given no answer for are 404.
type fakeServer struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]http.HandlerFunc // by "METHOD /path"
	calls   map[string]int
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	f := &fakeServer{answers: map[string]http.HandlerFunc{}, calls: map[string]int{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	f.on("PUT /v1/auth/500000/approle/login", answer(200, loginBody(firstToken, 3600)))
	f.on("PUT /v1/auth/token/renew-self", answer(200, loginBody(firstToken, 3600)))
	f.on("PUT /v1/auth/token/revoke-self", answer(204, ""))
	f.on("GET /v1/auth/token/lookup-self", answer(200, `{"data":{"ttl":3600}}`))
	f.on("GET /v1/sys/health", answer(200, `{"initialized":true,"sealed":false}`))
	return f
}

func (f *fakeServer) on(call string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[call] = h
}

func (f *fakeServer) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

// below lists the calls to paths that begin with prefix.
func (f *fakeServer) below(prefix string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for call := range f.calls {
		if _, path, _ := strings.Cut(call, " "); strings.HasPrefix(path, prefix) {
			out = append(out, call)
		}
	}
	return out
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := r.Method + " " + r.URL.Path
	f.mu.Lock()
	f.calls[call]++
	h := f.answers[call]
	f.mu.Unlock()
	if h == nil {
		http.Error(w, `{"errors":[]}`, http.StatusNotFound)
		return
	}
	h(w, r)
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func errorBody(text string) string {
	b, _ := json.Marshal(map[string]any{"errors": []string{text}})
	return string(b)
}

func loginBody(token string, lease int) string {
	b, _ := json.Marshal(map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": lease, "renewable": true}})
	return string(b)
}

// hang answers nothing until the caller has gone, which a server notices only
// once it has read the body.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func (f *fakeServer) config(log *strings.Builder) Config {
	c := Config{
		Address: f.URL, Mounts: ProvinceMounts("500000"), RoleID: "role",
		SecretID: func() (string, error) { return testSecretID, nil }, Timeout: 2 * time.Second,
	}
	if log != nil {
		c.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	return c
}

func (f *fakeServer) open(t *testing.T, change func(*Config)) *Client {
	t.Helper()
	cfg := f.config(nil)
	if change != nil {
		change(&cfg)
	}
	c, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
