//go:build e2e

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestParticipantCommands suspends and removes a consumer as an operator does
// it: the running gateway serves it, and then refuses it and says why; what is
// for good is only shown until --yes.
func TestParticipantCommands(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	hub := live(t, "--data", data, "--rows", "40")
	defer hub.stop(t)
	bin := buildHubctl(t, dir)
	hubctl := func(args ...string) (stdout, stderr string, err error) {
		return outputOf(exec.CommandContext(t.Context(), bin, append(args, "--region", "500000", "--data", data)...))
	}
	pull := func() (string, error) {
		_, errs, err := hubctl("pull", "--product", "price_quote", "--purpose", "price_monitoring", "--as", "sc-commerce", "--limit", "1", "--pages", "1")
		return errs, err
	}
	refused := func(effect string) {
		t.Helper()
		want := "participant sc-commerce is " + effect
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			errs, err := pull()
			if err != nil && strings.Contains(errs, "[caller_suspended]") && strings.Contains(errs, want) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("not refused because %s: %v\n%s", want, err, errs)
			}
		}
	}
	if errs, err := pull(); err != nil {
		t.Fatalf("before: %v\n%s", err, errs)
	}
	order := func(name, as string, more ...string) (string, string, error) {
		return hubctl(append([]string{"participant", name, "sc-commerce", "--reason", "a test", "--as", as}, more...)...)
	}
	if out, errs, err := order("suspend", "zhou"); err == nil || !strings.Contains(errs, "[order_not_of_this_duty]") {
		t.Errorf("an auditor suspends: %v\n%s%s", err, out, errs)
	}
	if out, errs, err := order("suspend", "liang"); err != nil || !strings.Contains(out, "participant_suspend sc-commerce took effect") {
		t.Fatalf("suspend: %v\n%s%s", err, out, errs)
	}
	refused("suspended")
	if out, errs, err := order("remove", "wu"); err != nil || out != "" || !strings.Contains(errs, "Nothing was ordered; add --yes") {
		t.Errorf("remove without --yes: %v\n%s%s", err, out, errs)
	}
	if out, errs, err := order("remove", "wu", "--yes"); err != nil || !strings.Contains(out, "participant_remove sc-commerce took effect") {
		t.Fatalf("remove: %v\n%s%s", err, out, errs)
	}
	out, errs, err := hubctl("control", "status")
	if err != nil || !strings.Contains(out, "sc-commerce") || !strings.Contains(out, "ended") {
		t.Errorf("status: %v\n%s%s", err, out, errs)
	}
	refused("ended")
	// What these orders come to is what `policy who` answers with them.
	out, errs, err = hubctl("control", "status", "--json")
	if err != nil {
		t.Fatalf("%v\n%s", err, errs)
	}
	orders := filepath.Join(dir, "orders.json")
	if err := os.WriteFile(orders, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		with []string
		want bool
	}{{nil, true}, {[]string{"--orders", orders}, false}} {
		cmd := exec.CommandContext(t.Context(), bin, append([]string{"policy", "who", "--participant", "sc-commerce", "--region", "500000"}, c.with...)...)
		who, err := cmd.Output()
		if err != nil || strings.Contains(string(who), "price_quote") != c.want {
			t.Errorf("who, %v: %v\n%s", c.with, err, who)
		}
	}
}
