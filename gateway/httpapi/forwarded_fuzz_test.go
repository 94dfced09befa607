package httpapi

import (
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// Whatever stands in the headers, it is refused, or is certificates of which
// the first is Client-Cert's.
func FuzzParseForwarded(f *testing.F) {
	leaf := pkitest.New(f, "x").Issue(spiffe.Name{Region: "510000", Role: spiffe.System, Participant: "sc-amr", System: "x"}).Chain[0]
	good := ":" + base64.StdEncoding.EncodeToString(leaf.Raw) + ":"
	f.Add(good, good)
	f.Add(good, good+", "+good)
	f.Add("::", ",")
	f.Fuzz(func(t *testing.T, cert, chain string) {
		h := http.Header{}
		if cert != "" {
			h.Set(headerClientCert, cert)
		}
		if chain != "" {
			h.Set(headerClientChain, chain)
		}
		out, err := parseForwarded(h)
		switch {
		case err != nil && out != nil:
			t.Fatal("refused and returned")
		case err == nil && (len(out) == 0) != (cert == "" && chain == ""):
			t.Fatalf("%d certificates of %q and %q", len(out), cert, chain)
		case len(out) > maxForwarded:
			t.Fatalf("%d certificates", len(out))
		}
	})
}
