//go:build live && e2e

package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
)

func need(t *testing.T, tool, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Fatalf("%s is not here; on Debian: apt-get install %s", tool, pkg)
	}
	return path
}

// A receipt is verified by Python and openssl alone, and what was changed is
// noticed by them.
func TestLiveReceiptByOpenSSL(t *testing.T) {
	python := need(t, "python3", "python3")
	need(t, "openssl", "openssl")
	data, dir := t.TempDir(), t.TempDir()
	hub := live(t, "--data", data, "--rows", "40")
	defer hub.stop(t)
	profile, err := client.LoadProfile(filepath.Join(data, "510000", "participants", "sc-amr", "profile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := profile.Client("500000", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var page *client.Page
	for deadline := time.Now().Add(20 * time.Second); page == nil || page.Receipt == nil; time.Sleep(100 * time.Millisecond) {
		if page, err = c.Records(t.Context(), client.Query{Product: "consumer_complaint", Purpose: "complaint_handling"}); err != nil || time.Now().After(deadline) {
			t.Fatalf("no page: %v", err)
		}
	}
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	receipt, body := write("r.jws", []byte(page.Signed)), write("r.body", page.Body)
	root := filepath.Join(data, "500000", "root.pem")
	verify := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), python, append([]string{"../../docs/examples/verify_receipt.py"}, args...)...).CombinedOutput()
		return string(out), err
	}
	if out, err := verify(receipt, body, root); err != nil || !strings.Contains(out, "VERIFIED: ") || !strings.Contains(out, "consumer_complaint were released to sc-amr") {
		t.Errorf("%v\n%s", err, out)
	}
	part := strings.Split(page.Signed, ".")
	for title, args := range map[string][]string{
		"another body":      {receipt, write("other.body", append(bytes.Clone(page.Body), ' ')), root},
		"the other root":    {receipt, body, filepath.Join(data, "510000", "root.pem")},
		"another signature": {write("s.jws", []byte(part[0]+"."+part[1]+"."+strings.Repeat("A", len(part[2])))), body, root},
		"another payload":   {write("p.jws", []byte(part[0]+"."+strings.Replace(part[1], part[1][40:44], "AAAA", 1)+"."+part[2])), body, root},
	} {
		if out, err := verify(args...); err == nil || !strings.Contains(out, "NOT VERIFIED") && !strings.Contains(out, "Error") {
			t.Errorf("%s: %v\n%s", title, err, out)
		}
	}
}

// The demo with its quotas in a real Redis.
func TestLiveRedis(t *testing.T) {
	server := need(t, "redis-server", "redis-server")
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	redis := exec.CommandContext(ctx, server, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err := redis.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = redis.Wait() })
	if s := once(t, "--rows", "60", "--redis", "redis://127.0.0.1:"+port); !s.OK {
		t.Errorf("%+v", s)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// Counts end by themselves; that they were made stays in the statistics.
	if _, err := conn.Write([]byte("INFO commandstats\r\nQUIT\r\n")); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(answer), "cmdstat_evalsha") {
		t.Errorf("nothing was counted in Redis: %q, %v", answer, err)
	}
}
