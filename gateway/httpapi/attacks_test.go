package httpapi_test

import (
	"crypto/x509"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/attacks"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// attempts are the attacks by their names: each is tried and gives the answer.
type attempts map[string]func() answer

// siege is a rig with the callers that attack it.
type siege struct {
	*rig
	commerce, amr, stats *person // of Sichuan, with tokens of their own
	longLived            *person // so that the clock can be moved
	self                 spiffe.Name
}

// Every attack of the table has its code and its entry in the ledger; nothing
// is released. An attack that is not in the table is not tried, and none of the
// table is left out.
func TestAttacks(t *testing.T) {
	t.Parallel()
	s := newSiege(t)
	tries := attempts{}
	for _, more := range []attempts{
		s.paths(), s.headers(), s.certificates(), s.foreign(), s.tokens(), s.forms(), s.assertions(), s.policies(), s.orders(),
	} {
		for name, try := range more {
			if tries[name] != nil {
				t.Errorf("%s stands twice", name)
			}
			tries[name] = try
		}
	}
	before := len(s.entries())
	for _, a := range attacks.Table() {
		try := tries[a.Name]
		if delete(tries, a.Name); try == nil {
			t.Errorf("%s: is in the table and nobody tries it", a.Name)
			continue
		}
		t.Run(a.Name, func(t *testing.T) { before = s.refuses(t, a, try, before) })
	}
	for name := range tries {
		t.Errorf("%s: is tried and not in the table", name)
	}
}

func newSiege(t *testing.T) *siege {
	t.Helper()
	r := newRig(t, map[string]string{
		"agreements/price_quote-cq-commerce-sc-stats.yaml": over(t, "agreements/price_quote-cq-commerce-sc-stats.yaml"),
		"agreements/future.yaml":                           agreement("future", "sc-amr", "price_quote", "cq-commerce", "price_monitoring", "2090-01-01", "2091-01-01", 100, 100),
	})
	r.publish("price_quote", 5, nil)
	r.publish("consumer_complaint", 5, nil)
	year := 365 * 24 * time.Hour
	s := &siege{rig: r, commerce: r.admitted("sc-commerce"), amr: r.admitted("sc-amr"), stats: r.admitted("sc-stats"), self: r.system("sc-commerce", "510000")}
	s.longLived = r.person(r.sc.Issue(s.self, pkitest.Valid(time.Now().Add(-year), time.Now().Add(20*year))))
	s.longLived.token = r.tokenFor(s.longLived, s.self, nil)
	return s
}

// refuses runs one attack and returns how many entries the ledger then has.
func (s *siege) refuses(t *testing.T, a attacks.Attack, try func() answer, before int) int {
	t.Helper()
	got := try()
	if got.code != a.Code || got.status != a.Code.Entry().Status {
		t.Errorf("status %d, %s; want %s: %s", got.status, got.code, a.Code, got.body)
	}
	if got.header.Get("Hub-Receipt") != "" || strings.Contains(string(got.body), "值 ") {
		t.Errorf("something was released: %s", got.body)
	}
	entries := s.entries()
	of := func(e receipt.Entry) bool { return e.Kind != receipt.Release && e.Code == a.Code }
	i := slices.IndexFunc(entries[before:], of)
	if i < 0 {
		t.Errorf("no entry of %s among %+v", a.Code, entries[before:])
		return len(entries)
	}
	e := entries[before+i]
	if e.Kind != a.Entry || e.Region != region || (a.Entry == receipt.Refusal) != (e.Consumer != "") || a.Entry == receipt.AuthFailures && (e.Count != 1 || e.Address != "127.0.0.1") {
		t.Errorf("entry: %+v", e)
	}
	return len(entries)
}

// gets asks for a path.
func (s *siege) gets(p *person, path string) func() answer {
	return func() answer { return s.get(p, path) }
}

// at moves the gateway's clock meanwhile.
func (s *siege) at(offset time.Duration, try func() answer) func() answer {
	return func() answer {
		s.setClock(offset)
		defer s.setClock(0)
		return try()
	}
}

// raw sends a request whose path is written as it stands.
func (s *siege) raw(p *person, method, path string, body io.Reader, header http.Header) func() answer {
	return func() answer {
		s.t.Helper()
		req, err := http.NewRequestWithContext(s.t.Context(), method, s.url, body)
		if err != nil {
			s.t.Fatal(err)
		}
		req.URL.Opaque = path
		maps.Copy(req.Header, header)
		return s.do(p, req)
	}
}

func (s *siege) paths() attempts {
	out := attempts{}
	for name, path := range map[string]string{
		"an encoded slash": "/v1/products%2Fprice_quote/records?purpose=price_monitoring", "an encoded slash, encoded again": "/v1/products%252Fprice_quote",
		"an encoded backslash": "/v1/products%5Cprice_quote", "an encoded zero byte": "/v1/products/price_quote%00",
		"dots": "/v1/products/../products/price_quote", "encoded dots": "/v1/products/%2e%2e/products/price_quote",
		"encoded dots, encoded again": "/v1/products/%252e%252e/products", "a path parameter": "/v1/products/price_quote;v=1/records",
		"a doubled slash": "/v1//products", "a trailing slash": "/v1/products/",
		"a letter that looks like one": "/v1/products/" + url.PathEscape("price_quоte"), "full-width letters": "/v1/" + url.PathEscape("ｐroducts"),
		"capital letters": "/V1/Products", "no such path": "/v2/products",
	} {
		out[name] = s.raw(s.commerce, http.MethodGet, path, http.NoBody, nil)
	}
	out["another method"] = s.raw(s.commerce, http.MethodDelete, "/v1/products", http.NoBody, nil)
	out["a query without end"] = s.gets(s.commerce, prices+"&cursor="+strings.Repeat("A", 20<<10))
	out["a header without end"] = s.raw(s.commerce, http.MethodGet, prices, http.NoBody, http.Header{"X-Trace": {strings.Repeat("x", 70<<10)}})
	out["a question without end"] = func() answer {
		return s.inquire(s.commerce, "price_quote", "query", map[string]any{"purpose": strings.Repeat("x", 20<<10)})
	}
	out["a form without end"] = func() answer {
		return s.grant(s.commerce, url.Values{"grant_type": {strings.Repeat("x", 20<<10)}})
	}
	out["an order without end"] = func() answer { return s.postOrder(s.person(s.cq.Issue(liang)), strings.Repeat("x", 65<<10)) }
	out["a parameter that is unknown"] = s.gets(s.commerce, prices+"&cursr=x")
	out["a parameter twice"] = s.gets(s.commerce, prices+"&limit=1&limit=2")
	out["a purpose that is a sentence"] = s.gets(s.commerce, "/v1/products/price_quote/records?purpose=DROP%20TABLE")
	out["more fields than there are"] = s.gets(s.commerce, prices+"&fields="+strings.Repeat("a,", 600)+"a")
	return out
}

func (s *siege) headers() attempts {
	sequence := func(c *x509.Certificate) string { return ":" + base64.StdEncoding.EncodeToString(c.Raw) + ":" }
	proxy := func(ca *pkitest.Authority, home, name string) *person {
		return s.person(ca.Issue(spiffe.Name{Region: home, Role: spiffe.Proxy, System: name}))
	}
	mine := http.Header{"Client-Cert": {sequence(s.commerce.issued.Chain[0])}}
	ask := func(p *person, h http.Header) func() answer { return s.raw(p, http.MethodGet, prices, http.NoBody, h) }
	edge, revoked := proxy(s.cq, region, "edge"), proxy(s.cq, region, "edge")
	s.order(liang, control.RevokeCertificate, jws.KeyID(revoked.issued.Chain[0]), "")
	stranger := pkitest.New(s.t, "stranger").Issue(s.self)
	return attempts{
		"a header from a participant":                        ask(s.commerce, mine),
		"a header from nobody":                               ask(s.person(pkitest.Issued{}), mine),
		"a header on a public path":                          s.raw(s.commerce, http.MethodGet, "/openapi.json", http.NoBody, mine),
		"a header from a proxy that is not listed":           ask(proxy(s.cq, region, "another"), mine),
		"a header from the other province's proxy":           ask(proxy(s.sc, "510000", "edge"), mine),
		"a header from a proxy whose certificate is revoked": ask(revoked, mine),
		"a header twice":                                     ask(edge, http.Header{"Client-Cert": {mine.Get("Client-Cert"), mine.Get("Client-Cert")}}),
		"a header with an underscore":                        ask(s.commerce, http.Header{"Client_cert": mine["Client-Cert"]}),
		"a header that is no certificate":                    ask(edge, http.Header{"Client-Cert": {":AAAA:"}}),
		"a chain without a certificate":                      ask(edge, http.Header{"Client-Cert-Chain": mine["Client-Cert"]}),
		"a proxy without a header":                           ask(edge, nil),
		"a proxy with more certificates than a chain has": ask(edge, http.Header{
			"Client-Cert": mine["Client-Cert"], "Client-Cert-Chain": {strings.Repeat(mine.Get("Client-Cert")+", ", 6) + mine.Get("Client-Cert")},
		}),
		"a proxy with a stranger's certificate": ask(edge, http.Header{"Client-Cert": {sequence(stranger.Chain[0])}}),
	}
}

// with is someone with a certificate and the token of commerce.
func (s *siege) with(ca *pkitest.Authority, name spiffe.Name, changes ...pkitest.Change) func() answer {
	p := s.person(ca.Issue(name, changes...))
	p.token = s.commerce.token
	return s.gets(p, prices)
}

func (s *siege) certificates() attempts {
	uses := func(use x509.ExtKeyUsage) pkitest.Change {
		return func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{use} }
	}
	revoked := s.admitted("sc-commerce")
	s.order(liang, control.RevokeCertificate, jws.KeyID(revoked.issued.Chain[0]), "")
	suspended := s.admitted("sc-drc")
	s.order(liang, control.SuspendParticipant, "sc-drc", "")
	return attempts{
		"no certificate": s.gets(s.person(pkitest.Issued{}), prices),
		"more certificates than a chain has": func() answer {
			issued := s.sc.Issue(s.self)
			issued.Chain = append(issued.Chain, slices.Repeat(issued.Chain[:1], 5)...)
			p := s.person(issued)
			p.token = s.commerce.token
			return s.get(p, prices)
		},
		"a stranger's authority":                                s.with(pkitest.New(s.t, "stranger"), s.self),
		"an expired certificate":                                s.with(s.sc, s.self, pkitest.Valid(time.Now().Add(-2*time.Hour), time.Now().Add(-time.Minute))),
		"a certificate that is not valid yet":                   s.with(s.sc, s.self, pkitest.Valid(time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))),
		"a server's certificate":                                s.with(s.sc, s.self, uses(x509.ExtKeyUsageServerAuth)),
		"the other province's authority naming one of ours":     s.with(s.sc, s.system("cq-commerce", region)),
		"an authority naming one that its bundle does not list": s.with(s.sc, s.system("cq-commerce", "510000")),
		"a connector's certificate":                             s.with(s.sc, spiffe.Name{Region: "510000", Role: spiffe.Connector, Participant: "sc-commerce", System: "x"}),
		"the gateway's own certificate":                         s.with(s.cq, spiffe.Name{Region: region, Role: spiffe.Gateway}, uses(x509.ExtKeyUsageClientAuth)),
		"two names":                                             s.with(s.sc, s.self, func(x *x509.Certificate) { x.URIs = append(x.URIs, s.system("sc-amr", "510000").URL()) }),
		"an unknown participant":                                s.with(s.sc, s.system("sc-nobody", "510000")),
		"a certificate revoked by order":                        s.gets(revoked, prices),
		"a suspended participant":                               s.gets(suspended, prices),
	}
}

func (s *siege) policies() attempts {
	cursor := s.get(s.commerce, prices+"&limit=2").header.Get("Hub-Next-Cursor")
	id := s.get(s.commerce, prices+"&limit=2").header.Get("Hub-Receipt-Id")
	none := s.admitted("cq-stats")
	return attempts{
		"no purpose":                      s.gets(s.commerce, "/v1/products/price_quote/records"),
		"a purpose that is not agreed":    s.gets(s.commerce, "/v1/products/price_quote/records?purpose=statistics"),
		"an agreement that ended":         s.gets(s.stats, "/v1/products/price_quote/records?purpose=statistics"),
		"an agreement that has not begun": s.gets(s.amr, prices),
		"no agreement":                    s.gets(none, prices),
		"a withheld field":                s.gets(s.stats, complaints+"statistics&fields=complainant.phone"),
		"a withheld block":                s.gets(s.stats, complaints+"statistics&fields=complainant"),
		"an unknown field":                s.gets(s.stats, complaints+"statistics&fields=nothing"),
		"an unknown product":              s.gets(s.commerce, "/v1/products/nothing/records?purpose=x"),
		"a hidden product":                s.gets(s.commerce, complaints+"complaint_handling"),
		"a hidden product's description":  s.gets(s.commerce, "/v1/products/consumer_complaint"),
		"a limit of zero":                 s.gets(s.commerce, prices+"&limit=0"),
		"a limit beyond the largest":      s.gets(s.commerce, prices+"&limit=5001"),
		"a cursor that is none":           s.gets(s.commerce, prices+"&cursor=AAAA"),
		"another caller's cursor":         s.gets(s.amr, complaints+"complaint_handling&cursor="+cursor),
		"another caller's receipt":        s.gets(s.amr, "/v1/receipts/"+id),
		"a receipt that is none":          s.gets(s.commerce, "/v1/receipts/00000000-0000-7000-8000-000000000000"),
	}
}
