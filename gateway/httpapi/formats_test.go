package httpapi_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/container"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// getAs asks with an Accept header.
func (r *rig) getAs(p *person, path string, accept ...string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header["Accept"] = accept
	return r.do(p, req)
}

// secrets plants a value of its own in every text that the purpose masks,
// hashes or drops.
func secrets(i int, set func(path, text string)) []string {
	var planted []string
	for _, path := range []string{
		"complainant.name", "complainant.phone", "complainant.id_no", "dossier.facts", "dossier.request", "dossier.case_no",
	} {
		text := fmt.Sprintf("种植 %s %d", base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s/%d", path, i)), i)
		if path == "complainant.phone" {
			text = fmt.Sprintf("1390013%04d", i)
		}
		set(path, text)
		planted = append(planted, text)
	}
	return planted
}

// The same records in every format, under the same receipt's rules: redacted
// alike, none with a value that is not released, on pages with the same ends.
func TestFormatsSayTheSame(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.doubts = []string{"region_abolished"}
	var planted []string
	r.publish("consumer_complaint", 25, func(i int, set func(path, text string)) {
		planted = append(planted, secrets(i, set)...)
		set("region_code", []string{"500112", "=cmd|' /C calc'!A0", "渝,\"中\"\n区"}[i%3])
	})
	c := r.client("sc-amr")
	for _, purpose := range []string{"complaint_analysis", "complaint_handling"} {
		q := client.Query{Product: "consumer_complaint", Purpose: purpose, Limit: 9}
		var want []map[string]any
		of := map[client.Format][]map[string]any{}
		var ranges [][]receipt.Range
		for _, format := range []client.Format{client.JSON, client.Avro, client.CSV} {
			q.Format = format
			_, pages := pull(t, c, q)
			for i, p := range pages {
				if purpose == "complaint_analysis" {
					holdsNone(t, string(format), p.Body, planted)
				} else if name := bytes.Split(p.Body, []byte("种植 "))[0]; len(name) == len(p.Body) {
					t.Errorf("%s: what is released is not there either", format)
				}
				of[format] = append(of[format], decoded(t, format, p.Body)...)
				if format == client.JSON {
					ranges = append(ranges, p.Receipt.Ranges)
				} else if !reflect.DeepEqual(p.Receipt.Ranges, ranges[i]) {
					t.Errorf("%s: page %d ends elsewhere: %+v", format, i, p.Receipt.Ranges)
				}
			}
		}
		if want = of[client.JSON]; len(want) != 25 {
			t.Fatalf("%d records", len(want))
		}
		if !reflect.DeepEqual(of[client.Avro], want) {
			t.Errorf("%s: Avro says\n%v\nJSON\n%v", purpose, of[client.Avro][0], want[0])
		}
		for i, row := range of[client.CSV] {
			if flat := flattened(want[i]); !reflect.DeepEqual(row, flat) {
				t.Fatalf("%s: CSV says\n%v\nJSON\n%v", purpose, row, flat)
			}
		}
	}
}

func holdsNone(t *testing.T, what string, body []byte, planted []string) {
	t.Helper()
	for _, value := range planted {
		if bytes.Contains(body, []byte(value)) {
			t.Fatalf("%s holds %q, which is not released", what, value)
		}
	}
}

// decoded reads a page with what others read it with.
func decoded(t *testing.T, format client.Format, body []byte) []map[string]any {
	t.Helper()
	var lines [][]byte
	switch format {
	case client.JSON:
		lines = bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	case client.CSV:
		return rows(t, body)
	case client.Avro:
		lines = avroLines(t, body)
	}
	var out []map[string]any
	for _, line := range lines {
		var one map[string]any
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&one); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		// An instant in microseconds says all of them.
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(one["decision_time"])); err == nil {
			one["decision_time"] = at.Format(time.RFC3339Nano)
		}
		if warnings, ok := one["warnings"].([]any); ok && len(warnings) == 0 {
			delete(one, "warnings") // which the JSON leaves out
		}
		out = append(out, one)
	}
	return out
}

func avroLines(t *testing.T, body []byte) (lines [][]byte) {
	t.Helper()
	in, err := container.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	s, err := schemas.ParseAvro("released.v1", in.Metadata()["avro.schema"])
	if err != nil {
		t.Fatal(err)
	}
	all := redact.Obligations{}
	for i := range s.Leaves {
		all[s.Leaves[i].Path] = redact.Obligation{Action: redact.Keep}
	}
	view, err := schemas.CompileView(schemas.ViewSpec{Writer: s, Obligations: all})
	if err != nil {
		t.Fatal(err)
	}
	for {
		record, err := in.Next()
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		line, err := view.Append(nil, record, nil, &schemas.Run{})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
}

func rows(t *testing.T, body []byte) (out []map[string]any) {
	t.Helper()
	all, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range all[1:] {
		one := map[string]any{}
		for i, cell := range row {
			if cell != "" {
				one[all[0][i]] = cell
			}
		}
		out = append(out, one)
	}
	return out
}

// flattened is a record of JSON as CSV writes it.
func flattened(record map[string]any) map[string]any {
	out := map[string]any{}
	var walk func(prefix string, of map[string]any)
	walk = func(prefix string, of map[string]any) {
		for name, v := range of {
			switch v := v.(type) {
			case nil:
			case map[string]any:
				walk(prefix+name+".", v)
			case []any:
				text, _ := json.Marshal(v)
				if out[prefix+name] = string(text); name == "warnings" {
					out[name] = strings.Trim(string(text), `[]"`)
				}
			default:
				if text := fmt.Sprint(v); text != "" {
					out[prefix+name] = text
				}
			}
		}
	}
	walk("", record)
	return out
}

// What a caller accepts decides the format, and the parameter before that; the
// receipt vouches for the bytes as they are sent.
func TestFormatIsNegotiated(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	p := r.admitted("sc-commerce")
	const lines, object, avro, table = "application/x-ndjson", "application/json", "application/avro", "text/csv; charset=utf-8"
	for _, c := range []struct {
		parameter string
		accept    []string
		want      string
	}{
		{"", nil, lines},
		{"", []string{""}, lines},
		{"", []string{"*/*"}, lines},
		{"", []string{"text/html,application/xhtml+xml,*/*;q=0.8"}, lines},
		{"", []string{"application/json"}, object},
		{"", []string{"text/csv;q=0.4, application/avro;q=0.5"}, avro},
		{"", []string{"Avro/Binary"}, avro},
		{"", []string{"text/csv, */*;q=0.1"}, table},
		{"", []string{"application/pdf", "text/*"}, table},
		{"", []string{"application/x-ndjson;q=0, text/csv"}, table},
		{"&format=csv", []string{"application/json"}, table},
		{"&format=avro", nil, avro},
		{"&format=json", nil, object},
		{"&format=ndjson", []string{"text/csv"}, lines},
	} {
		a := r.getAs(p, prices+c.parameter, c.accept...)
		if got := a.header.Get("Content-Type"); got != c.want {
			t.Errorf("%s %q: %d %s %s, want %s", c.parameter, c.accept, a.status, a.code, got, c.want)
			continue
		}
		signed, err := receipt.Verify(a.header.Get("Hub-Receipt"), func(string) *x509.CertPool { return r.cq.Pool() })
		if err != nil || signed.Matches(a.body) != nil || signed.Body.MediaType != c.want || signed.Records != 3 {
			t.Errorf("%s: receipt %+v, %v", c.want, signed, err)
		}
		if link := a.header.Get("Link"); c.parameter != "" && !strings.Contains(link, c.parameter[1:]) {
			t.Errorf("the next page has another format: %s", link)
		}
	}
}

// Whoever asks for a form that there is not is told so, and the ledger knows.
func TestFormIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.publish("price_quote", 3, nil)
	p := r.admitted("sc-commerce")
	for _, c := range []struct {
		parameter, accept string
		want              problem.Code
	}{
		{"&format=xml", "*/*", problem.FormatUnavailable},
		{"&format=", "*/*", problem.FormatUnavailable},
		{"", "application/pdf", problem.FormatUnavailable},
		{"", "text/csv;q=0", problem.FormatUnavailable},
		{"&schema_version=2", "*/*", problem.VersionUnknown},
		{"&schema_version=9999", "text/csv", problem.VersionUnknown},
	} {
		before := len(r.entries())
		a := r.getAs(p, prices+c.parameter, c.accept)
		if a.code != c.want || a.status != c.want.Entry().Status {
			t.Errorf("%s %s: %d %s", c.parameter, c.accept, a.status, a.code)
		}
		added := r.entries()[before:]
		if i := slices.IndexFunc(added, func(e receipt.Entry) bool {
			return e.Kind == receipt.Refusal && e.Code == c.want && e.Consumer == "sc-commerce"
		}); i < 0 {
			t.Errorf("%s %s: the ledger has %+v", c.parameter, c.accept, added)
		}
	}
	for _, bad := range []string{"0", "-1", "01", "newest", "1;2", "99999"} {
		if a := r.get(p, prices+"&schema_version="+bad); a.code != problem.RequestInvalid {
			t.Errorf("version %s: %d %s", bad, a.status, a.code)
		}
	}
	// Who may not know of the product learns nothing of its versions.
	if a := r.get(p, "/v1/products/consumer_complaint/records?purpose=complaint_handling&schema_version=7"); a.code != problem.ProductUnknown {
		t.Errorf("a hidden product: %d %s", a.status, a.code)
	}
}

// A page without records says in every format what its records would be, and
// has no receipt.
func TestEmptyPages(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	p := r.admitted("sc-commerce")
	for format, want := range map[string]int{"ndjson": 0, "csv": 0, "avro": 0} {
		a := r.get(p, prices+"&format="+format)
		if a.header.Get("Hub-Receipt") != "" || (len(a.body) == 0) != (format == "ndjson") {
			t.Errorf("%s: %q", format, a.body)
		}
		if len(a.body) > 0 && len(decoded(t, client.Format(format), a.body)) != want {
			t.Errorf("%s: %q", format, a.body)
		}
	}
	for _, format := range []client.Format{client.Avro, client.CSV} {
		if _, err := r.client("sc-commerce").Records(t.Context(), client.Query{Product: "price_quote", Purpose: "price_monitoring", Format: format}); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
}
