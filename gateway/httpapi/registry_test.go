package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/subject"
)

func (r *rig) lines() *subject.Lines {
	r.t.Helper()
	lines, err := subject.Load(r.schemaFiles, r.snapshot.Schemas)
	if err != nil {
		r.t.Fatal(err)
	}
	return lines
}

const (
	priceSubject     = "500000.price_quote.v1-value"
	complaintSubject = "500000.consumer_complaint.v1-value"
)

// ask sends a request as a Kafka client would; body "" sends none.
func (r *rig) ask(p *person, method, path, body string, header ...string) (status int, text, mediaType string) {
	r.t.Helper()
	var in io.Reader = http.NoBody
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+"/schema-registry"+path, in)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := p.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(raw), res.Header.Get("Content-Type")
}

// posted is the body that registers or looks up a schema.
func posted(t *testing.T, schema string) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"schema": schema, "schemaType": "AVRO", "references": []any{}, "ruleSet": nil})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	t.Run("answers", r.registryAnswers)
	t.Run("knowledge", r.registryKnowledge)
	t.Run("authentication", r.registryAuthentication)
	t.Run("media types", r.registryMediaTypes)
}

func (r *rig) registryAnswers(t *testing.T) {
	sc := r.person(r.sc.Issue(r.system("sc-commerce", "510000")))
	quote, _ := r.snapshot.Schemas.Schema("price_quote.v1")
	other, _ := r.snapshot.Schemas.Schema("bid_notice.v1")
	text := string(quote.Source)
	whole := fmt.Sprintf(`{"subject":%q,"version":1,"id":%d,"schema":%s}`, priceSubject, quote.ID, quoted(text))
	var spaced any
	if err := json.Unmarshal(quote.Source, &spaced); err != nil {
		t.Fatal(err)
	}
	rewritten, err := json.Marshal(spaced) // members in another order, the same schema
	if err != nil {
		t.Fatal(err)
	}
	same, changed := posted(t, string(rewritten)), posted(t, strings.Replace(text, `"doc":`, `"doc2":`, 1))
	id := fmt.Sprint(quote.ID)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string // the whole answer, or a part of it behind "~"
	}{
		{"GET", "", "", 200, `{}`},
		{"GET", "/", "", 200, `{}`},
		{"GET", "/contexts", "", 200, `["."]`},
		{"GET", "/schemas/types", "", 200, `["AVRO"]`},
		{"GET", "/schemas?latestOnly=true&subjectPrefix=500000.price_quote", "", 200, "[" + whole + "]"},
		{"GET", "/schemas/ids/" + id + "?subject=" + priceSubject, "", 200, `{"schema":` + quoted(text) + `}`},
		{"GET", "/schemas/ids/" + id + "?fetchMaxId=true", "", 200, `~,"maxId":`},
		{"GET", "/schemas/ids/" + id + "/schema", "", 200, text},
		{"GET", "/schemas/ids/" + id + "/subjects", "", 200, `["` + priceSubject + `"]`},
		{"GET", "/schemas/ids/" + id + "/versions", "", 200, `[{"subject":"` + priceSubject + `","version":1}]`},
		{"GET", "/schemas/ids/9999", "", 404, `~40403`},
		{"GET", "/schemas/ids/x", "", 404, `~40403`},
		{"GET", "/subjects?subjectPrefix=:.:500000.price_quote&deleted=true", "", 200, `["` + priceSubject + `"]`},
		{"GET", "/subjects?deletedOnly=true", "", 200, `[]`},
		{"GET", "/subjects?limit=0", "", 200, `[]`},
		{"GET", "/subjects/" + priceSubject + "/versions", "", 200, `[1]`},
		{"GET", "/subjects/" + priceSubject + "/versions?offset=1", "", 200, `[]`},
		{"GET", "/subjects/:.:" + priceSubject + "/versions/1", "", 200, whole},
		{"GET", "/subjects/" + priceSubject + "/versions/latest", "", 200, whole},
		{"GET", "/subjects/" + priceSubject + "/versions/-1", "", 200, whole},
		{"GET", "/subjects/" + priceSubject + "/versions/1/schema", "", 200, text},
		{"GET", "/subjects/" + priceSubject + "/versions/1/referencedby", "", 200, `[]`},
		{"GET", "/subjects/" + priceSubject + "/versions/2", "", 404, `~40402`},
		{"GET", "/subjects/" + priceSubject + "/versions/0", "", 422, `~42202`},
		{"GET", "/subjects/" + priceSubject + "/versions/newest", "", 422, `~42202`},
		{"GET", "/subjects/500000.nothing.v1-value/versions", "", 404, `~40401`},
		{"POST", "/subjects/" + priceSubject + "?normalize=true&deleted=false", same, 200, whole},
		{"POST", "/subjects/" + priceSubject, posted(t, string(other.Source)), 404, `~40403`},
		{"POST", "/subjects/" + priceSubject, changed, 404, `~40403`},
		{"POST", "/subjects/nothing-value", same, 404, `~40401`},
		{"POST", "/subjects/" + priceSubject, posted(t, `{"type":"record"}`), 422, `~42201`},
		{"POST", "/subjects/" + priceSubject, `{"schema":"\"int\"","schemaType":"PROTOBUF"}`, 422, `~42201`},
		{"POST", "/subjects/" + priceSubject, `{"schema":"\"int\"","references":[{"name":"x"}]}`, 422, `~42201`},
		{"POST", "/subjects/" + priceSubject, `{`, 400, `~40001`},
		{"POST", "/subjects/" + priceSubject, `"` + strings.Repeat("x", 1<<20) + `"`, 413, `~41301`},
		{"POST", "/subjects/" + priceSubject + "/versions?normalize=false", same, 200, `{"id":` + id + `}`},
		{"POST", "/subjects/" + priceSubject + "/versions", changed, 422, `~42205`},
		{"DELETE", "/subjects/" + priceSubject + "?permanent=true", "", 422, `~42205`},
		{"DELETE", "/subjects/" + priceSubject + "/versions/1", "", 422, `~42205`},
		{"DELETE", "/subjects/" + priceSubject + "/versions/7", "", 404, `~40402`},
		{"DELETE", "/subjects/nothing", "", 404, `~40401`},
		{"POST", "/compatibility/subjects/" + priceSubject + "/versions/latest", same, 200, `{"is_compatible":true}`},
		{"POST", "/compatibility/subjects/" + priceSubject + "/versions/latest", posted(t, string(other.Source)), 200, `{"is_compatible":false}`},
		{"POST", "/compatibility/subjects/" + priceSubject + "/versions?verbose=true", posted(t, string(other.Source)), 200, `~"messages":["the new version cannot read what version 1 wrote:`},
		{"POST", "/compatibility/subjects/" + priceSubject + "/versions/3", same, 404, `~40402`},
		{"POST", "/compatibility/subjects/nothing/versions", same, 404, `~40401`},
		{"GET", "/config", "", 200, `{"compatibilityLevel":"FULL_TRANSITIVE"}`},
		{"GET", "/config/" + priceSubject, "", 404, `~40408`},
		{"GET", "/config/" + priceSubject + "?defaultToGlobal=true", "", 200, `{"compatibilityLevel":"FULL_TRANSITIVE"}`},
		{"PUT", "/config", `{"compatibility":"NONE"}`, 422, `~42205`},
		{"PUT", "/config/" + priceSubject, `{"compatibility":"SOMETIMES"}`, 422, `~42203`},
		{"DELETE", "/config/" + priceSubject, "", 422, `~42205`},
		{"GET", "/mode", "", 200, `{"mode":"READONLY"}`},
		{"GET", "/mode/" + priceSubject, "", 200, `{"mode":"READONLY"}`},
		{"GET", "/mode/nothing", "", 404, `~40401`},
		{"PUT", "/mode", `{"mode":"READWRITE"}`, 422, `~42205`},
		{"PUT", "/mode", `{"mode":"OPEN"}`, 422, `~42204`},
		{"DELETE", "/mode", "", 422, `~42205`},
		{"GET", "/associations/resources/-/" + priceSubject + "?resourceType=topic", "", 404, `~"error_code":404,`},
		{"PATCH", "/subjects", "", 405, `~"error_code":405,`},
		{"GET", "/subjects/%2e%2e/versions", "", 404, `~"error_code":404,`},
	} {
		status, got, kind := r.ask(sc, c.method, c.path, c.body)
		part, isPart := strings.CutPrefix(c.want, "~")
		if status != c.status || isPart && !strings.Contains(got, part) || !isPart && got != c.want {
			t.Errorf("%s %s\n got %d %.300s\nwant %d %.300s", c.method, c.path, status, got, c.status, c.want)
		}
		if kind != "application/vnd.schemaregistry.v1+json" {
			t.Errorf("%s %s: content type %q", c.method, c.path, kind)
		}
		if status != 200 {
			hasBothTongues(t, got)
		}
	}
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// hasBothTongues checks the form of a refusal (invariant 10).
func hasBothTongues(t *testing.T, body string) {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal([]byte(body), &e); err != nil || len(e) != 2 || e["error_code"] == nil {
		t.Errorf("not {error_code, message}: %s", body)
		return
	}
	if text, _ := e["message"].(string); !strings.ContainsAny(text, "不无该版模请本兼路方令证") {
		t.Errorf("no Chinese in %s", body)
	}
}

// Who may not know of a product does not find its subject, its schema's id, nor
// whether a schema is compatible with it.
func (r *rig) registryKnowledge(t *testing.T) {
	knows, ignorant := r.person(r.sc.Issue(r.system("sc-amr", "510000"))), r.person(r.sc.Issue(r.system("sc-commerce", "510000")))
	complaint, _ := r.snapshot.Schemas.Schema("consumer_complaint.v1")
	id := fmt.Sprint(complaint.ID)
	for _, c := range [][3]string{
		{"GET", "/subjects/" + complaintSubject + "/versions", ""},
		{"GET", "/subjects/" + complaintSubject + "/versions/latest", ""},
		{"GET", "/schemas/ids/" + id, ""},
		{"GET", "/schemas/ids/" + id + "/schema", ""},
		{"GET", "/schemas/ids/" + id + "/subjects", ""},
		{"GET", "/mode/" + complaintSubject, ""},
		{"GET", "/config/" + complaintSubject + "?defaultToGlobal=true", ""},
		{"POST", "/subjects/" + complaintSubject, posted(t, string(complaint.Source))},
		{"POST", "/subjects/" + complaintSubject + "/versions", posted(t, string(complaint.Source))},
		{"POST", "/compatibility/subjects/" + complaintSubject + "/versions", posted(t, string(complaint.Source))},
	} {
		if status, got, _ := r.ask(knows, c[0], c[1], c[2]); status != 200 {
			t.Errorf("%s %s by who may know: %d %s", c[0], c[1], status, got)
		}
		if status, got, _ := r.ask(ignorant, c[0], c[1], c[2]); status != 404 || !strings.Contains(got, "may know") {
			t.Errorf("%s %s by who may not: %d %.200s", c[0], c[1], status, got)
		}
	}
	for _, list := range []string{"/subjects", "/schemas"} {
		if _, got, _ := r.ask(ignorant, "GET", list, ""); strings.Contains(got, "consumer_complaint") || !strings.Contains(got, priceSubject) {
			t.Errorf("%s: %.300s", list, got)
		}
	}
}

// The certificate is enough; what is presented beside it must be right.
func (r *rig) registryAuthentication(t *testing.T) {
	granted := r.admitted("sc-commerce")
	other := r.admitted("sc-amr")
	none := r.person(pkitest.Issued{})
	foreign := r.person(r.cq.Issue(r.system("sc-commerce", "510000"))) // not its province's authority
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for _, c := range []struct {
		name   string
		person *person
		auth   string
		status int
		code   problem.Code
	}{
		{"certificate", granted, "", 200, ""},
		{"certificate and bearer token", granted, "Bearer " + granted.token, 200, ""},
		{"certificate and the token as a password", granted, basic("token", granted.token), 200, ""},
		{"no certificate", none, "", 401, problem.CertificateMissing},
		{"no certificate, a token", none, "Bearer " + granted.token, 401, problem.CertificateMissing},
		{"a certificate of the wrong authority", foreign, "", 401, problem.CertificateName},
		{"another's token", granted, "Bearer " + other.token, 401, problem.TokenCertificate},
		{"another's token as a password", granted, basic("x", other.token), 401, problem.TokenCertificate},
		{"no token", granted, "Bearer x.y.z", 401, problem.TokenMalformed},
		{"a password", granted, basic("sc-commerce", "secret"), 401, problem.TokenMalformed},
		{"Basic without a password", granted, basic("sc-commerce", ""), 401, problem.TokenMalformed},
		{"Basic of nonsense", granted, "Basic !", 401, problem.TokenMalformed},
		{"another scheme", granted, "Negotiate abc", 401, problem.TokenMalformed},
	} {
		var header []string
		if c.auth != "" {
			header = []string{"Authorization", c.auth}
		}
		status, got, _ := r.ask(c.person, "GET", "/subjects", "", header...)
		if status != c.status || c.code != "" && !strings.Contains(got, string(c.code)) {
			t.Errorf("%s: %d %s", c.name, status, got)
		}
	}
	if n := len(r.entries()); n == 0 {
		t.Error("the refusals were not counted for the ledger")
	}
}

func (r *rig) registryMediaTypes(t *testing.T) {
	p := r.person(r.sc.Issue(r.system("sc-commerce", "510000")))
	for accept, want := range map[string]string{
		"": "application/vnd.schemaregistry.v1+json", "*/*": "application/vnd.schemaregistry.v1+json", "application/json": "application/json",
		"application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json": "application/vnd.schemaregistry.v1+json",
	} {
		if _, _, got := r.ask(p, "GET", "/subjects", "", "Accept", accept); got != want {
			t.Errorf("Accept %q: %q", accept, got)
		}
	}
	for kind, want := range map[string]int{"application/json": 200, "application/json; charset=utf-8": 200, "": 200, "application/octet-stream": 200, "text/html": 415} {
		if status, got, _ := r.ask(p, "GET", "/subjects", "", "Content-Type", kind); status != want {
			t.Errorf("Content-Type %q: %d %s", kind, status, got)
		}
	}
}
