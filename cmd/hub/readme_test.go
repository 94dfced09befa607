//go:build e2e

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// commands are those of the README's shell blocks, without comments.
func commands(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	inside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "```sh":
			inside = true
		case strings.HasPrefix(line, "```"):
			inside = false
		case inside && line != "" && !strings.HasPrefix(line, "#"):
			command, _, _ := strings.Cut(line, "  #")
			out = append(out, strings.TrimSpace(command))
		}
	}
	return out
}

// checkout copies the source as a new user has it: nothing built, no state.
func checkout(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hub")
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{".git", "bin", ".hub-dev", ".clients", "receipts"}, rel) {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(dir, rel), 0o750)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		return errors.Join(err, os.WriteFile(filepath.Join(dir, rel), content, info.Mode().Perm()))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestReadme runs every command of the README, in its order, in a new
// checkout, as it says: `make run` in one terminal, the rest in another.
func TestReadme(t *testing.T) {
	all := commands(t, filepath.Join("..", "..", "README.md"))
	if chinese := commands(t, filepath.Join("..", "..", "README.zh-CN.md")); !slices.Equal(all, chinese) {
		t.Errorf("the two READMEs have different commands:\n%q\n%q", all, chinese)
	}
	if len(all) < 10 || all[0] != "make run" || all[1] != "make test" {
		t.Fatalf("commands: %q", all)
	}
	dir := checkout(t)
	output := startDemo(t, dir)
	wait := func(want string) {
		t.Helper()
		deadline := time.Now().Add(3 * time.Minute)
		for !strings.Contains(output.String(), want) {
			if time.Now().After(deadline) {
				t.Fatalf("not seen: %s\n%s", want, output)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	for _, road := range []string{"500000 consumer_complaint", "500000 price_quote", "510000 consumer_complaint", "510000 price_quote"} {
		wait(road + " read=500 published=490 quarantined=9 duplicates=1 released=490 receipts=1")
	}
	expected := map[string]string{
		"bin/hubctl pull --region 500000 --product price_quote":        `"commodity_name"`,
		"bin/hubctl receipt verify":                                    "and the body is the one that was released",
		"bin/hubctl pull --region 500000 --product consumer_complaint": "测***",
		"bin/connector preview":                                        "5 rows: 3 would be published",
		"bin/connector status":                                         "price_quote of cq-commerce in 500000",
		"bin/connector quarantine":                                     "rows in quarantine",
		"bin/hub dev --once --json":                                    `"published":3`,
		"bin/hub dev --once":                                           "All of it is true",
	}
	runCommands(t, dir, all[2:], expected, wait)
	for guide, expected := range guides {
		t.Run(guide, func(t *testing.T) {
			runCommands(t, dir, commands(t, filepath.Join("..", "..", "docs", "guides", guide)), expected, wait)
		})
	}
	found, err := filepath.Glob(filepath.Join("..", "..", "docs", "guides", "*.md"))
	if err != nil || len(found) != len(guides)+len(readGuides) {
		t.Errorf("%d guides, %d are run and %d are only read: %v", len(found), len(guides), len(readGuides), err)
	}
}

// readGuides are pages without commands for the demo: their list, how Kafka
// clients read (gateway/httpapi tries it with theirs), and the policy officer's,
// whose commands cmd/hubctl tries.
var readGuides = []string{"README.md", "kafka-clients.md", "policy-officer.zh-CN.md"}

// guides are the guides and what their commands print.
var guides = map[string]map[string]string{
	"complaints.md": {
		"bin/hubctl sample consumer_complaint": "identifier_invalid",
		"bin/connector check":                  "ok",
		"bin/connector preview":                "200 rows: 196 would be published",
		"bin/connector status":                 "consumer_complaint of cq-amr in 500000",
		"bin/connector quarantine":             "identifier_invalid",
		"bin/hubctl pull --region 500000 --product consumer_complaint --purpose complaint_handling": `"complainant":{"name":"测试`,
		"bin/hubctl pull --region 500000 --product consumer_complaint --purpose complaint_analysis": "测***",
		"bin/hubctl pull --region 500000 --product consumer_report":                                 `"clue":"测试：`,
	},
	"credit-lists.md": {
		"bin/hubctl products --region 500000 --as sc-drc":                        "serious_violation_list",
		"bin/hubctl products --region 500000 --as sc-drc serious_violation_list": "responsible.representative_id_no",
		"bin/hubctl pull":                   "receipt",
		"bin/hubctl query":                  `"life_cycle":`,
		"bin/hubctl verify":                 "receipt",
		"bin/hubctl receipt verify":         "and the body is the one that was released",
		"grep -c":                           "1",
		"grep '":                            `"removal_reason"`,
		`grep '"life_cycle":"listed"' list`: "", // into a file
	},
	"bids.md": {
		"bin/hubctl sample bid_result":                         "identifier_invalid",
		"bin/connector preview":                                "60 rows: 57 would be published",
		"bin/connector status":                                 "bid_result of sc-trading in 510000",
		"bin/connector quarantine":                             "code_unknown",
		"bin/hubctl pull --region 510000 --product bid_result": `"bid_section_code"`,
		"bin/hubctl pull --region 510000 --product bid_result --purpose cross_posting --as cq-trading --format": "every receipt verified",
		"head -n 1 won.csv": "event_id,operation,version,decision_time,warnings,record.",
		"bin/hubctl pull --region 510000 --product bid_notice":        `"notice_no"`,
		"bin/hubctl pull --region 510000 --product bid_market_entity": `"registered_capital"`,
	},
}

// runCommands runs commands as a user types them, and waits for what is dropped
// to be carried.
func runCommands(t *testing.T, dir string, all []string, expected map[string]string, wait func(string)) {
	t.Helper()
	for _, command := range all {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
		want, longest := "", ""
		for prefix, text := range expected {
			if strings.HasPrefix(command, prefix) && len(prefix) > len(longest) {
				longest, want = prefix, text
			}
		}
		if !strings.Contains(string(out), want) {
			t.Errorf("%s: no %q in\n%s", command, want, out)
		}
		if strings.HasPrefix(command, "cp docs/examples/prices.csv ") {
			wait("500000 price_quote read=505 published=493 quarantined=11 duplicates=1 released=493")
		} else if words := strings.Fields(command); words[0] == "cp" {
			waitCarried(t, filepath.Join(dir, words[2], filepath.Base(words[1])))
		}
	}
}

// waitCarried waits until a dropped file was carried: the demo then removes it.
func waitCarried(t *testing.T, path string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s still lies there", path)
		}
	}
}

// startDemo runs `make run` as its own process group and returns what it
// prints.
func startDemo(t *testing.T, dir string) *lockedOutput {
	t.Helper()
	out := &lockedOutput{}
	cmd := exec.Command("make", "run")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case err := <-done:
			t.Logf("`make run` ended: %v", err)
		case <-time.After(20 * time.Second):
			t.Error("`make run` does not end on Ctrl-C")
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		if left := processesWith(dir); len(left) > 0 {
			t.Errorf("still running: %s", left)
		}
	})
	return out
}

type lockedOutput struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *lockedOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *lockedOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
