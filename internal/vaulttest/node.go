package vaulttest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/embedded"
)

// Node is a devvault that a test configures, seals, pauses and kills.
type Node struct {
	Address string // https:// or http:// and host:port
	t       testing.TB
	source  string // deploy/devvault
	config  string
	cmd     *exec.Cmd
	ended   chan struct{}
}

// binary is that of the demo, built once.
func (n *Node) binary() string {
	n.t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		n.t.Fatal(err)
	}
	path, err := embedded.BuildDevvault(n.t.Context(), n.source, filepath.Join(cache, "chuanyu-hub"), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return path
}

// FreePort is a port that nobody had a moment ago, nor the one above it, which
// raft takes.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		above, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+1))
		_ = l.Close()
		if err == nil {
			_ = above.Close()
			return port
		}
	}
	t.Fatal("no free ports")
	return 0
}

// staticSeal opens by itself with a key of the test's.
func staticSeal() string {
	return "seal \"static\" {\n  current_key_id = \"t\"\n  current_key = \"" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)) + "\"\n}\nlog_level = \"error\"\n"
}

// New writes the configuration of a node built from source (deploy/devvault):
// a storage block, and the certificate and key to serve TLS with, if any. Its
// seal opens by itself.
func New(t testing.TB, source string, port int, storage, certFile, keyFile string) *Node {
	t.Helper()
	scheme, tls := "http", "tls_disable = true"
	if certFile != "" {
		scheme, tls = "https", fmt.Sprintf("tls_cert_file = %q\n  tls_key_file = %q", certFile, keyFile)
	}
	n := &Node{t: t, source: source, config: filepath.Join(t.TempDir(), "devvault.hcl"), Address: scheme + "://127.0.0.1:" + strconv.Itoa(port)}
	text := fmt.Sprintf("storage %s\nlistener \"tcp\" {\n  address = \"127.0.0.1:%d\"\n  %s\n}\napi_addr = %q\ncluster_addr = \"https://127.0.0.1:%d\"\n%s",
		storage, port, tls, n.Address, port+1, staticSeal())
	if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Kill)
	return n
}

// Start starts it and waits until it listens.
func (n *Node) Start() {
	n.t.Helper()
	n.cmd = exec.CommandContext(context.WithoutCancel(n.t.Context()), n.binary(), "server", "-config", n.config, "-exit-with-stdin")
	stdin, err := n.cmd.StdinPipe() // held until the test's process ends
	if err != nil {
		n.t.Fatal(err)
	}
	_ = stdin
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	log := &bytes.Buffer{} // read only after the process has ended
	n.cmd.Stderr = log
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.ended = make(chan struct{})
	listening := make(chan bool, 1)
	go func(cmd *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "serving ") {
				listening <- true
			}
		}
		_ = cmd.Wait()
	}(n.cmd, n.ended)
	select {
	case <-listening:
	case <-n.ended:
		n.t.Fatalf("devvault ended at once: %s", log)
	case <-time.After(30 * time.Second):
		n.t.Fatal("devvault does not listen")
	}
}

// Kill ends it as a power failure does; again is nothing.
func (n *Node) Kill() {
	if n.cmd != nil && n.cmd.Process != nil {
		_ = n.cmd.Process.Kill()
		<-n.ended
		n.cmd = nil
	}
}

// Signal pauses it (SIGSTOP) and lets it go on (SIGCONT).
func (n *Node) Signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatal(err)
	}
}

// Call makes one call of the HTTP API by hand.
func (n *Node) Call(client *http.Client, method, path, token string, body any) (status int, answer map[string]any) {
	n.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		n.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(n.t.Context(), method, n.Address+"/v1/"+path, bytes.NewReader(b))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", token)
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	_ = json.NewDecoder(resp.Body).Decode(&answer) // an empty answer has none
	return resp.StatusCode, answer
}

// Initialise makes the root token and waits until the node is active.
func (n *Node) Initialise(client *http.Client) (root string) {
	n.t.Helper()
	status, answer := n.Call(client, http.MethodPut, "sys/init", "", map[string]int{"recovery_shares": 1, "recovery_threshold": 1})
	root, _ = answer["root_token"].(string)
	if status != http.StatusOK || root == "" {
		n.t.Fatalf("init: status %d", status)
	}
	n.AwaitHealth(client, http.StatusOK)
	return root
}

// AwaitHealth waits for a status of sys/health: 200 active, 429 standby, 503
// sealed.
func (n *Node) AwaitHealth(client *http.Client, want int) {
	n.t.Helper()
	Eventually(n.t, time.Minute, fmt.Sprintf("%s does not come to status %d", n.Address, want), func() bool {
		status, _ := n.Call(client, http.MethodGet, "sys/health", "", nil)
		return status == want
	})
}

// Eventually waits for what takes its time on a loaded machine.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}
