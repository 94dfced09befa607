//go:build e2e

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
)

// TestAcknowledgeCommand acknowledges a bulletin as a consumer's officer does
// it: pull, take the event and the receipt from what was pulled, acknowledge;
// the issuer then lists it, and nobody else can.
func TestAcknowledgeCommand(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	hub := live(t, "--data", data, "--rows", "40")
	defer hub.stop(t)
	bin := buildHubctl(t, dir)
	hubctl := func(args ...string) (stdout, stderr string, err error) {
		return outputOf(exec.CommandContext(t.Context(), bin, append(args, "--region", "500000", "--data", data)...))
	}
	record, release := pulledBulletin(t, dir, hubctl)

	const purpose = "emergency_coordination"
	acknowledge := func(event, measures string) (stdout, stderr string, err error) {
		return hubctl("acknowledge", "price_bulletin", "--purpose", purpose, "--receipt", release, "--event", event,
			"--measure", measures, "--out", filepath.Join(dir, "acknowledgement.jws"))
	}
	out, errs, err := acknowledge(record.EventID, "noted,market_inspected")
	if err != nil || !strings.HasPrefix(out, "acknowledged as ") || !strings.Contains(out, "due ") {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
	if signed, err := os.ReadFile(filepath.Join(dir, "acknowledgement.jws")); err != nil || bytes.Count(signed, []byte(".")) != 2 {
		t.Errorf("what is kept is no signed acknowledgement: %v, %d bytes", err, len(signed))
	}
	out, errs, err = hubctl("acknowledgements", "price_bulletin", "--as", "cq-commerce")
	if err != nil || strings.Count(out, record.EventID) != 1 || !strings.Contains(out, "noted,market_inspected") {
		t.Errorf("the issuer's list: %v\n%s%s", err, out, errs)
	}
	for name, try := range map[string]struct {
		want string
		run  func() (string, string, error)
	}{
		"an event of no record": {"event_unknown", func() (string, string, error) { return acknowledge(strings.Repeat("0", 32), "noted") }},
		"an unknown measure":    {"request_invalid", func() (string, string, error) { return acknowledge(record.EventID, "ignored") }},
		"another's list": {"", func() (string, string, error) {
			return hubctl("acknowledgements", "price_bulletin", "--as", "sc-commerce")
		}},
	} {
		if out, errs, err := try.run(); err == nil || !strings.Contains(errs, try.want) || strings.Contains(out, record.EventID) {
			t.Errorf("%s: %v\n%s%s", name, err, out, errs)
		}
	}
}

// pulledBulletin pulls until there is a bulletin, and returns it with the id of its receipt.
func pulledBulletin(t *testing.T, dir string, hubctl func(...string) (string, string, error)) (r client.Record, release string) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		receipts := filepath.Join(dir, "receipts")
		out, errs, err := hubctl("pull", "--product", "price_bulletin", "--purpose", "emergency_coordination", "--limit", "1", "--pages", "1", "--receipts", receipts)
		found, globErr := filepath.Glob(filepath.Join(receipts, "*.jws"))
		if err == nil && globErr == nil && len(found) == 1 {
			line, _, _ := strings.Cut(out, "\n")
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			return r, strings.TrimSuffix(filepath.Base(found[0]), ".jws")
		}
		if time.Now().After(deadline) {
			t.Fatalf("no bulletin: %v\n%s%s", err, out, errs)
		}
	}
}
