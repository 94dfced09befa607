package httpapi_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/httpapi"
	"github.com/chuanyu-exchange/hub/gateway/identity"
	"github.com/chuanyu-exchange/hub/gateway/quota"
	"github.com/chuanyu-exchange/hub/gateway/signing"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
)

// uncounted forgets refusals.
type uncounted struct{}

func (uncounted) Note(string, string, problem.Code, time.Time) {}

// registryOnly is a rig of what the registry needs, without Kafka: a process
// that fuzzes must start within seconds on any machine.
func registryOnly(t testing.TB) *rig {
	t.Helper()
	r := &rig{schemaFiles: schemas.Files(), t: t, cq: pkitest.New(t, "Chongqing"), sc: pkitest.New(t, "Sichuan")}
	r.snapshot = r.newSnapshot(nil)
	r.snapshot.Trust = identity.NewTrust(map[string]identity.Authorities{
		region:   {Roots: []*x509.Certificate{r.cq.Root}, Names: []string{"cq-*"}},
		"510000": {Roots: []*x509.Certificate{r.sc.Root}, Names: []string{"sc-*"}},
	})
	r.snapshot.Authority = identity.Authority{Region: region, Issuer: "https://gateway.test", Roots: r.cq.Pool()}
	unlimited := quota.PerMinute(quota.Unlimited)
	r.gateway = &gateway.Gateway{
		Region: region, Snapshot: func() (*gateway.Snapshot, error) { return r.snapshot, nil },
		Admission: quota.Admission{Store: quota.NewMemory(1000, time.Now), PerAddress: unlimited, PerCaller: unlimited},
		Failures:  uncounted{}, Now: time.Now, NewID: signing.NewID, Logger: slog.New(slog.DiscardHandler),
	}
	r.api = &httpapi.API{Gateway: r.gateway, Subjects: r.lines(), Metrics: httpapi.NewMetrics(region), Logger: r.gateway.Logger}
	return r
}

// A stranger with a certificate sends the registry anything at all: it answers
// with JSON and a status of its table, and never tells of what the caller may
// not know.
func FuzzRegistryRequest(f *testing.F) {
	r := registryOnly(f)
	ignorant := r.sc.Issue(r.system("sc-commerce", "510000"))
	quote, _ := r.snapshot.Schemas.Schema("price_quote.v1")
	body, err := json.Marshal(map[string]string{"schema": string(quote.Source)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("GET", "/schemas/ids/2", "subject=x&fetchMaxId=true", "", "")
	f.Add("GET", "/subjects", "offset=1&limit=-1&subjectPrefix=:.:", "", "Basic OjEyMw==")
	f.Add("POST", "/subjects/"+priceSubject, "normalize=true", string(body), "")
	f.Add("POST", "/subjects/"+priceSubject+"/versions", "", `{"schema":"\"int\""}`, "Bearer a.b.c")
	f.Add("POST", "/compatibility/subjects/"+priceSubject+"/versions/latest", "verbose=true", `{"schema":"{\"type\":\"record\",\"name\":\"PriceQuote\",\"fields\":[]}"}`, "")
	f.Add("PUT", "/config/"+complaintSubject, "", `{"compatibility":"none"}`, "")
	f.Add("DELETE", "/subjects/"+complaintSubject+"/versions/-1", "permanent=true", "", "")
	handler := r.api.Handler()
	f.Fuzz(func(t *testing.T, method, path, query, body, auth string) {
		req := &http.Request{
			Method: method, URL: &url.URL{Path: "/schema-registry" + path, RawQuery: query}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Authorization": {auth}}, Body: http.NoBody, RemoteAddr: "192.0.2.1:1", TLS: &tls.ConnectionState{PeerCertificates: ignorant.Chain},
		}
		if auth == "" {
			req.Header.Del("Authorization")
		}
		if body != "" {
			in := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
			req.Body, req.ContentLength = in.Body, in.ContentLength
		}
		out := httptest.NewRecorder()
		handler.ServeHTTP(out, req.WithContext(t.Context()))
		switch out.Code {
		case 200, 400, 401, 404, 405, 413, 422:
		default:
			t.Fatalf("%s %q: status %d %s", method, path, out.Code, out.Body)
		}
		if !json.Valid(out.Body.Bytes()) && method != http.MethodHead {
			t.Fatalf("%s %q: no JSON: %q", method, path, out.Body)
		}
		if strings.Contains(out.Body.String(), "consumer_complaint.v1-value") || strings.Contains(out.Body.String(), "ComplaintStatus") {
			t.Fatalf("%s %q tells of what the caller may not know", method, path)
		}
	})
}
