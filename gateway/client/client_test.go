package client_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/schemas"
)

// liar is a gateway that answers what a test tells it to.
type liar struct {
	t       *testing.T
	ca      *pkitest.Authority
	url     string
	mu      sync.Mutex
	answer  func(w http.ResponseWriter)
	grants  int
	answers int
}

func newLiar(t *testing.T, name spiffe.Name) *liar {
	t.Helper()
	l := &liar{t: t, ca: pkitest.New(t, "Chongqing")}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", func(w http.ResponseWriter, _ *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.grants++
		_, _ = fmt.Fprintf(w, `{"access_token":"t%d","token_type":"Bearer","expires_in":600}`, l.grants)
	})
	mux.HandleFunc("GET /v1/products/price_quote/records", func(w http.ResponseWriter, _ *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.answers++
		l.answer(w)
	})
	server := httptest.NewUnstartedServer(mux)
	var config net.ListenConfig
	ln, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = server.Listener.Close()
	server.Listener = ln
	server.TLS = &tls.Config{Certificates: []tls.Certificate{l.ca.Issue(name, asServer).TLS()}, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// asServer lets any name serve TLS on loopback.
func asServer(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
}

// shipped is read once: it takes longer than what most tests do.
var shipped = sync.OnceValues(schemas.Shipped)

func (l *liar) client() *client.Client {
	l.t.Helper()
	known, err := shipped()
	if err != nil {
		l.t.Fatal(err)
	}
	cert := l.ca.Issue(spiffe.Name{Region: "500000", Role: spiffe.System, Participant: "sc-commerce", System: "x"}).TLS()
	c, err := client.New(client.Config{
		URL: l.url, Region: "500000", Participant: "sc-commerce", Roots: l.ca.Pool(), Now: time.Now, Schemas: known,
		Certificate: func() *tls.Certificate { return &cert },
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(c.Close)
	return c
}

const goodLine = `{"event_id":"00000000000000000000000000000000","operation":"upsert","version":1,"record":{"market_code":"x"}}` + "\n"

// page answers a body with a receipt that change alters before it is signed.
func (l *liar) page(body string, signer pkitest.Issued, change func(*receipt.Receipt)) func(w http.ResponseWriter) {
	l.t.Helper()
	salt, h, err := receipt.NewDigest()
	if err != nil {
		l.t.Fatal(err)
	}
	h.Write([]byte(body))
	r := &receipt.Receipt{
		ID: "1", Region: "500000", IssuedAt: time.Now().UTC(), Product: "price_quote", Schemas: []string{"price_quote.v1"}, Purpose: "price_monitoring",
		Consumer: "sc-commerce", Records: int64(strings.Count(body, "\n")), Body: receipt.Body{Bytes: int64(len(body)), Salt: salt, Digest: h.Sum(nil)},
	}
	if change != nil {
		change(r)
	}
	payload, err := json.Marshal(r)
	if err != nil {
		l.t.Fatal(err)
	}
	s, err := jws.NewSigner(signer.Key, signer.Chain, receipt.Type)
	if err != nil {
		l.t.Fatal(err)
	}
	signed, err := s.Sign(payload)
	if err != nil {
		l.t.Fatal(err)
	}
	return func(w http.ResponseWriter) {
		w.Header().Set("Hub-Receipt", signed)
		w.Header().Set("Hub-Next-Cursor", "next")
		_, _ = w.Write([]byte(body))
	}
}

var (
	gatewayName = spiffe.Name{Region: "500000", Role: spiffe.Gateway}
	signingName = spiffe.Name{Region: "500000", Role: spiffe.Signing}
	query       = client.Query{Product: "price_quote", Purpose: "price_monitoring"}
)

func TestBelievesOnlyWhatIsVouchedFor(t *testing.T) {
	t.Parallel()
	l := newLiar(t, gatewayName)
	signer := l.ca.Issue(signingName)
	stranger := pkitest.New(t, "stranger").Issue(signingName)
	with := func(change func(*receipt.Receipt)) func(http.ResponseWriter) { return l.page(goodLine, signer, change) }
	for title, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   problem.Code
	}{
		"a good page":                     {with(nil), ""},
		"an empty page without a receipt": {func(w http.ResponseWriter) { w.Header().Set("Hub-Next-Cursor", "n") }, ""},
		"records without a receipt":       {func(w http.ResponseWriter) { w.Header().Set("Hub-Next-Cursor", "n"); _, _ = w.Write([]byte(goodLine)) }, problem.ReceiptInvalid},
		"a stranger's receipt":            {l.page(goodLine, stranger, nil), problem.ReceiptInvalid},
		"another consumer's":              {with(func(r *receipt.Receipt) { r.Consumer = "sc-amr" }), problem.ReceiptInvalid},
		"another product's":               {with(func(r *receipt.Receipt) { r.Product = "consumer_complaint" }), problem.ReceiptInvalid},
		"another purpose's":               {with(func(r *receipt.Receipt) { r.Purpose = "statistics" }), problem.ReceiptInvalid},
		"an emergency's":                  {with(func(r *receipt.Receipt) { r.Emergency = "flood" }), problem.ReceiptInvalid},
		"another province's":              {with(func(r *receipt.Receipt) { r.Region = "510000" }), problem.ReceiptInvalid},
		"an old one":                      {with(func(r *receipt.Receipt) { r.IssuedAt = r.IssuedAt.Add(-30 * time.Minute) }), problem.ReceiptInvalid},
		"another body's":                  {with(func(r *receipt.Receipt) { r.Body.Digest[0] ^= 1 }), problem.AnswerInvalid},
		"another count":                   {with(func(r *receipt.Receipt) { r.Records = 2 }), problem.AnswerInvalid},
		"an unknown schema":               {with(func(r *receipt.Receipt) { r.Schemas = []string{"price_quote.v9"} }), problem.SchemaUnknown},
		"another schema's fields":         {with(func(r *receipt.Receipt) { r.Schemas = []string{"consumer_complaint.v1"} }), problem.AnswerInvalid},
		"a field of no schema":            {l.page(strings.Replace(goodLine, "market_code", "password", 1), signer, nil), problem.AnswerInvalid},
		"a line that is no record":        {l.page("{}{}\n", signer, nil), problem.AnswerInvalid},
		"no next cursor":                  {func(w http.ResponseWriter) { _, _ = w.Write(nil) }, problem.AnswerInvalid},
		"an answer without end": {func(w http.ResponseWriter) {
			for range 10 {
				_, _ = w.Write(make([]byte, 1<<20))
			}
		}, problem.AnswerInvalid},
		"an error that is no problem": {func(w http.ResponseWriter) { http.Error(w, "oops", http.StatusBadGateway) }, problem.AnswerInvalid},
	} {
		l.mu.Lock()
		l.answer = c.answer
		l.mu.Unlock()
		page, err := l.client().Records(t.Context(), query)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", title, err)
			}
			continue
		}
		if problem.CodeOf(err) != c.want || page != nil {
			t.Errorf("%s: %+v, %v, want %s", title, page, err, c.want)
		}
	}
}

// The gateway of the other province, or a participant with a server's
// certificate, is not the gateway that was asked for.
func TestServerMustBeTheGateway(t *testing.T) {
	t.Parallel()
	for _, name := range []spiffe.Name{
		{Region: "510000", Role: spiffe.Gateway}, signingName, {Region: "500000", Role: spiffe.System, Participant: "p", System: "s"},
	} {
		l := newLiar(t, name)
		if _, err := l.client().Records(t.Context(), query); problem.CodeOf(err) != problem.GatewayUnreachable {
			t.Errorf("%s: %v", name, err)
		}
		if l.grants != 0 {
			t.Errorf("%s was sent a request", name)
		}
	}
}

func refuse(w http.ResponseWriter, code problem.Code, retryAfter string) {
	w.Header().Set("Retry-After", retryAfter)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(code.Entry().Status)
	_ = json.NewEncoder(w).Encode(problem.New(code, "").Document("i"))
}

func TestRefusedAndStaleTokens(t *testing.T) {
	t.Parallel()
	l := newLiar(t, gatewayName)
	good := l.page(goodLine, l.ca.Issue(signingName), nil)
	l.answer = func(w http.ResponseWriter) {
		if l.answers == 1 {
			refuse(w, problem.TokenExpired, "")
			return
		}
		good(w)
	}
	if _, err := l.client().Records(t.Context(), query); err != nil || l.grants != 2 {
		t.Errorf("an expired token: %v after %d grants", err, l.grants)
	}
	l.answer = func(w http.ResponseWriter) { refuse(w, problem.AgreementEnded, "") }
	_, err := l.client().Records(t.Context(), query)
	refused, ok := errors.AsType[*client.RefusedError](err)
	if !ok || refused.Document.Code != problem.AgreementEnded || problem.CodeOf(err) != problem.AgreementEnded {
		t.Errorf("a refusal: %v", err)
	}
}

// What passes is waited for, within patience; what does not is returned; and
// an empty page is the end only when it leads back to itself.
func TestFollow(t *testing.T) {
	t.Parallel()
	l := newLiar(t, gatewayName)
	good := l.page(goodLine, l.ca.Issue(signingName), nil)
	empty := func(next string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Hub-Next-Cursor", next)
			w.Header().Set("Hub-At-End", "true")
		}
	}
	steps := []func(http.ResponseWriter){
		func(w http.ResponseWriter) { refuse(w, problem.KafkaUnavailable, "0") }, good, empty("a"), good, empty("b"), empty("b"),
	}
	l.answer = func(w http.ResponseWriter) { steps[min(l.answers, len(steps))-1](w) }
	records := 0
	err := l.client().Follow(t.Context(), query, 0, 5*time.Second, func(p *client.Page) error { records += len(p.Records); return nil })
	if err != nil || records != 2 || l.answers != len(steps) {
		t.Errorf("%v, %d records in %d answers", err, records, l.answers)
	}
	l.answer = func(w http.ResponseWriter) { refuse(w, problem.KafkaUnavailable, "0") }
	started := time.Now()
	err = l.client().Follow(t.Context(), query, 0, 300*time.Millisecond, func(*client.Page) error { return nil })
	if problem.CodeOf(err) != problem.KafkaUnavailable || time.Since(started) > 5*time.Second {
		t.Errorf("out of patience: %v after %s", err, time.Since(started))
	}
	stop := errors.New("the sink is full")
	l.answer = good
	if err := l.client().Follow(t.Context(), query, 0, 0, func(*client.Page) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a sink that fails: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	l := newLiar(t, gatewayName)
	cert := l.ca.Issue(gatewayName).TLS()
	c, err := client.New(client.Config{URL: "https://127.0.0.1:1", Region: "500000", Roots: l.ca.Pool(), Now: time.Now, Certificate: func() *tls.Certificate { return &cert }})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Records(t.Context(), client.Query{Product: "p", Cursor: "a-cursor"})
	if problem.CodeOf(err) != problem.GatewayUnreachable || strings.Contains(err.Error(), "a-cursor") {
		t.Errorf("%v", err)
	}
	if _, err := client.New(client.Config{URL: "http://127.0.0.1:1", Now: time.Now}); problem.CodeOf(err) != problem.ConfigInvalid {
		t.Errorf("without TLS: %v", err)
	}
}
