package registry_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/registry"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// theirs is a registry with ids of its own; its fields make it misbehave.
type theirs struct {
	mu       sync.Mutex
	bySchema map[string]int // text → id
	subjects map[string]int // subject + text → id
	next     int
	user     string // asked for as Basic
	writes   int
	readOnly bool
	mixUp    bool // gives back another schema than was asked for
	perTopic bool // one id for each subject
	answer   string
}

func (s *theirs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refuse := func(status, code int, message string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"error_code": code, "message": message})
	}
	if user, password, _ := r.BasicAuth(); s.user != "" && user+":"+password != s.user {
		refuse(401, 40101, "who are you")
		return
	}
	if s.answer != "" {
		_, _ = w.Write([]byte(s.answer))
		return
	}
	var in struct{ Schema string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	subject, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/subjects/"), "/")
	id, known := s.subjects[subject+in.Schema]
	switch {
	case r.Method == http.MethodGet && s.mixUp:
		_, _ = w.Write([]byte(`{"schema":"\"int\""}`))
	case r.Method == http.MethodGet:
		for text, id := range s.bySchema {
			if r.URL.Path == fmt.Sprintf("/schemas/ids/%d", id) {
				_ = json.NewEncoder(w).Encode(map[string]string{"schema": text})
				return
			}
		}
		refuse(404, 40403, "no such schema")
	case strings.HasSuffix(r.URL.Path, "/versions") && s.readOnly:
		refuse(422, 42205, "read-only")
	case strings.HasSuffix(r.URL.Path, "/versions"):
		if id = s.bySchema[in.Schema]; id == 0 || s.perTopic {
			s.next++
			id = s.next
		}
		s.writes++
		s.bySchema[in.Schema], s.subjects[subject+in.Schema] = id, id
		_ = json.NewEncoder(w).Encode(map[string]int{"id": id})
	case known:
		_ = json.NewEncoder(w).Encode(map[string]int{"id": id})
	default:
		refuse(404, 40401, "no such subject")
	}
}

var (
	shippedSchemas  = sync.OnceValues(schemas.Shipped)
	shippedProducts = sync.OnceValues(func() ([]*catalogue.Product, error) {
		set, err := shippedSchemas()
		if err != nil {
			return nil, err
		}
		cat, err := catalogue.Load(catalogue.Shipped(), set.Sensitivities, catalogue.WithCodes(set.Codes))
		if err != nil {
			return nil, err
		}
		return cat.Products(), nil
	})
)

func shipped(t *testing.T) (*schemas.Set, []*catalogue.Product) {
	t.Helper()
	set, err := shippedSchemas()
	products, errProducts := shippedProducts()
	if err := errors.Join(err, errProducts); err != nil {
		t.Fatal(err)
	}
	return set, products
}

// serve starts a registry and returns its address, with the user in it.
func serve(t *testing.T, s *theirs) string {
	t.Helper()
	s.bySchema, s.subjects, s.next = map[string]int{}, map[string]int{}, 100
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	if s.user != "" {
		return strings.Replace(server.URL, "http://", "http://"+s.user+"@", 1)
	}
	return server.URL
}

func TestReconcileTakesTheIDsOfContent(t *testing.T) {
	t.Parallel()
	set, products := shipped(t)
	s := &theirs{user: "hub:secret"}
	address := serve(t, s)
	rounds := 2
	if testing.Short() {
		rounds = 1
	}
	for round := range rounds { // the second finds what the first registered
		c, err := registry.Open(address)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Reconcile(t.Context(), set, products, "500000", "510000")
		if err != nil {
			t.Fatal(err)
		}
		for _, ours := range set.All() {
			other, _ := got.Schema(ours.Name)
			if want := s.bySchema[string(ours.Source)]; want <= 100 || int(other.ID) != want {
				t.Errorf("%s has the id %d, there it is %d", ours.Name, other.ID, want)
			}
			if by, ok := got.ByID(other.ID); !ok || by.Name != ours.Name || ours.ID > 100 {
				t.Errorf("%s is not found by its id, or the set given was changed", ours.Name)
			}
		}
		if _, ok := got.ByID(1); ok {
			t.Error("an id of the lock file is left")
		}
		if round == 1 && s.writes != len(s.subjects) {
			t.Errorf("registered again: %d writes for %d", s.writes, len(s.subjects))
		}
	}
}

func TestReconcileNeverGuesses(t *testing.T) {
	t.Parallel()
	set, products := shipped(t)
	for name, c := range map[string]struct {
		registry *theirs
		says     string
	}{
		"it has another schema under the id": {&theirs{mixUp: true}, "differences"},
		"it takes no schema":                 {&theirs{readOnly: true}, "it answers 422 (42205): read-only"},
		"one schema has several ids":         {&theirs{perTopic: true}, "one schema must have one id"},
		"it answers something else":          {&theirs{answer: "<html>"}, "not that of a schema registry"},
		"it answers without an id":           {&theirs{answer: `{"schema":"\"int\""}`}, "is not "},
		"it answers without end":             {&theirs{answer: strings.Repeat(" ", 5<<20)}, "more than"},
	} {
		client, err := registry.Open(serve(t, c.registry))
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Reconcile(t.Context(), set, products, "500000", "510000")
		if problem.CodeOf(err) != problem.RegistryUnusable || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	set, products := shipped(t)
	for _, address := range []string{"", "registry:8081", "ftp://registry", "http://", "http://u:secret@registry/?x=1", "http://[secret"} {
		if _, err := registry.Open(address); problem.CodeOf(err) != problem.ConfigInvalid || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close() // nobody listens there
	c, err := registry.Open(strings.Replace(server.URL, "http://", "http://u:secret@", 1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Reconcile(t.Context(), set, products, "500000")
	if problem.CodeOf(err) != problem.RegistryUnusable || !strings.Contains(err.Error(), "cannot be reached") || strings.Contains(problem.From(err).LogText(), "secret") {
		t.Errorf("%v", err)
	}
}
