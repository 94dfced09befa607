package httpapi_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// A stranger with a certificate sends the registry anything at all: it answers
// with JSON and a status of its table, and never tells of what the caller may
// not know.
func FuzzRegistryRequest(f *testing.F) {
	r := newRig(f, nil)
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
