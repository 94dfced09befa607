//go:build e2e

package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const sourceDir = "../../deploy/devvault"

// parentProcess is this test binary, to start a devvault and be killed.
func parentProcess(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	parent.Env = append(os.Environ(), helperEnv+"="+dir)
	return parent
}

func startVault(t *testing.T, o VaultOptions) *Vault {
	t.Helper()
	o.SourceDir = sourceDir
	o.Progress = func(s string) { t.Log(s) }
	v, err := StartVault(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVaultKeepsItsKeysAndAvoidsATakenPort(t *testing.T) {
	t.Setenv("BAO_STATIC_SEAL_CURRENT_KEY", strings.Repeat("f", 64)) // must not reach the child
	dir := filepath.Join(t.TempDir(), "数据 \"vault\"")
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	v := startVault(t, VaultOptions{DataDir: dir, Port: taken.Addr().(*net.TCPAddr).Port})
	if v.Address() == "http://"+taken.Addr().String() {
		t.Fatalf("address %s", v.Address())
	}
	put(t, v, "/v1/sys/mounts/transit", `{"type":"transit"}`)
	put(t, v, "/v1/transit/keys/kept", `{}`)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BAO_STATIC_SEAL_CURRENT_KEY", "")
	again := startVault(t, VaultOptions{DataDir: dir})
	defer func() { _ = again.Close() }()
	if again.RootToken() != v.RootToken() {
		t.Error("another root token")
	}
	if status := ask(t, again, http.MethodGet, "/v1/transit/keys/kept", ""); status != http.StatusOK {
		t.Errorf("the key is gone: status %d", status)
	}
	checkModes(t, dir)
}

// checkModes looks at every file that holds a secret.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	for name, want := range map[string]fs.FileMode{".": 0o700, sealKeyFile: 0o600, tokenFile: 0o600, recoveryFile: 0o600, configFile: 0o600, vaultLogFile: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, not %o", name, info.Mode().Perm(), want)
		}
	}
}

func put(t *testing.T, v *Vault, path, body string) {
	t.Helper()
	if status := ask(t, v, http.MethodPut, path, body); status >= 300 {
		t.Fatalf("PUT %s: status %d", path, status)
	}
}

func ask(t *testing.T, v *Vault, method, path, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, v.Address()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", v.RootToken())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestAKilledParentLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		parent := parentProcess(t, dir)
		out, err := parent.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := parent.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		var address string
		var pid int
		if _, err := fmt.Sscanf(line, "started %s %d", &address, &pid); err != nil {
			t.Fatalf("round %d: %q: %v", round, line, err)
		}
		if err := parent.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = parent.Wait()
		awaitGone(t, address, pid)
	}
	// The data is whole, and the directory free at once.
	v := startVault(t, VaultOptions{DataDir: dir})
	if err := v.Close(); err != nil {
		t.Error(err)
	}
}

// A kill may fall before, into or after the initialisation.
func TestKilledAtAnyInstantOfTheStart(t *testing.T) {
	startVault(t, VaultOptions{DataDir: t.TempDir()}).mustClose(t) // the binary is built now
	dir := t.TempDir()
	for round := range 16 {
		if round == 8 {
			dir = t.TempDir()
		}
		parent := parentProcess(t, dir)
		if err := parent.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+15*round) * time.Millisecond)
		if err := parent.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = parent.Wait()
	}
	v := startVault(t, VaultOptions{DataDir: dir})
	put(t, v, "/v1/sys/mounts/transit", `{"type":"transit"}`)
	v.mustClose(t)
}

func (v *Vault) mustClose(t *testing.T) {
	t.Helper()
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}

// awaitGone waits until neither the address nor the process answers.
func awaitGone(t *testing.T, address string, pid int) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "http://"))
		if err == nil {
			_ = conn.Close()
		}
		if err != nil && !alive(pid) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("devvault %d at %s outlives its parent", pid, address)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// alive does not count a process that has ended and whose new parent has not
// fetched its status yet.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestTwoServersDoNotShareADirectory(t *testing.T) {
	dir := t.TempDir()
	v := startVault(t, VaultOptions{DataDir: dir})
	defer func() { _ = v.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := StartVault(ctx, VaultOptions{SourceDir: sourceDir, DataDir: dir}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second server on the same directory: %v", err)
	}
}

func TestVaultSaysWhyItDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	v := startVault(t, VaultOptions{DataDir: dir})
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, tokenFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := StartVault(t.Context(), VaultOptions{SourceDir: sourceDir, DataDir: dir}); err == nil || !strings.Contains(err.Error(), "root token") {
		t.Errorf("without the root token: %v", err)
	}
	if _, err := StartVault(t.Context(), VaultOptions{Binary: filepath.Join(dir, "nothing"), DataDir: t.TempDir()}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a binary: %v", err)
	}
}

func TestTwoBuildsAtOnce(t *testing.T) {
	cache := t.TempDir() // the compiler's own cache makes these builds short
	var wg sync.WaitGroup
	var mu sync.Mutex
	builds, waits := 0, 0
	paths := make([]string, 2)
	for i := range paths {
		wg.Go(func() {
			p, err := BuildDevvault(t.Context(), sourceDir, cache, func(s string) {
				mu.Lock()
				defer mu.Unlock()
				if strings.Contains(s, "building it, once") {
					builds++
				}
				if strings.Contains(s, "waiting for another") {
					waits++
				}
			})
			if err != nil {
				t.Error(err)
			}
			paths[i] = p
		})
	}
	wg.Wait()
	t.Logf("%d waited", waits) // it may come when the other has just finished
	if paths[0] != paths[1] || builds != 1 {
		t.Errorf("%d builds: %v", builds, paths)
	}
	if files, _ := filepath.Glob(filepath.Join(cache, "*.new")); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}
