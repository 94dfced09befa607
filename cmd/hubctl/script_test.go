package main

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hubctl": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }})
}

// The command line as its user types it. Each script finds a receipt that is
// years old, with its body, and the certificates of two authorities.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(e *testscript.Env) error {
		e.Setenv("GORACE", os.Getenv("GORACE")) // or the race detector waits a second at the end of each command
		return writeReceipt(t, e.WorkDir)
	}})
}

func writeReceipt(t *testing.T, dir string) error {
	t.Helper()
	ca, other := pkitest.New(t, "Chongqing"), pkitest.New(t, "another")
	long := time.Date(2021, 5, 1, 0, 0, 0, 0, time.UTC)
	issued := ca.Issue(spiffe.Name{Region: "500000", Role: spiffe.Signing}, pkitest.Valid(long, long.Add(72*time.Hour)))
	body := []byte(`{"event_id":"1"}` + "\n")
	salt, h, err := receipt.NewDigest()
	if err != nil {
		return err
	}
	h.Write(body)
	payload, err := json.Marshal(receipt.Receipt{
		ID: "r1", Region: "500000", IssuedAt: long.Add(time.Hour), Product: "price_quote", Consumer: "sc-commerce", Records: 1,
		Body: receipt.Body{Bytes: int64(len(body)), Salt: salt, Digest: h.Sum(nil)},
	})
	if err != nil {
		return err
	}
	s, err := jws.NewSigner(issued.Key, issued.Chain, receipt.Type)
	if err != nil {
		return err
	}
	signed, err := s.Sign(payload)
	root := func(name string, a *pkitest.Authority) error {
		return os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Root.Raw}), 0o600)
	}
	return errors.Join(err, os.MkdirAll(filepath.Join(dir, ".hub-dev", "500000"), 0o700), root(".hub-dev/500000/root.pem", ca), root("other.pem", other),
		os.WriteFile(filepath.Join(dir, "r1.jws"), []byte(signed), 0o600), os.WriteFile(filepath.Join(dir, "r1.body"), body, 0o600))
}
