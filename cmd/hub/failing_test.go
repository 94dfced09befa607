//go:build e2e

package main

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/internal/vaulttest"
)

// failingVault is a devvault that goes away now and then.
type failingVault struct {
	*vaulttest.Node
	t       *testing.T
	token   string
	outages int

	mu       sync.Mutex
	back     time.Time // since when it is back; in the future while it is away
	versions int       // of the cursor key that were added
}

// recovery is how long after an outage a refusal may still come: the breaker's
// longest pause, a login, and a loaded machine.
const recovery = 10 * time.Second

func startFailingVault(t *testing.T) *failingVault {
	t.Helper()
	n := vaulttest.New(t, "../../deploy/devvault", vaulttest.FreePort(t), "\"file\" {\n  path = "+strconv.Quote(t.TempDir())+"\n}", "", "")
	n.Start()
	return &failingVault{Node: n, t: t, token: n.Initialise(http.DefaultClient)}
}

// away says whether it is away, or was until a moment ago.
func (v *failingVault) away() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Since(v.back) < recovery
}

// fail takes it away outages times: sealed, killed and paused in turn.
func (v *failingVault) fail(ctx context.Context, every time.Duration) {
	length := min(every/3, 20*time.Second)
	for v.outages < outages {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every - length):
		}
		v.mark(time.Now().Add(time.Hour))
		switch v.outages % 3 {
		case 0: // sealed: it answers, and does nothing; a new start opens it
			if status, _ := v.Call(http.DefaultClient, http.MethodPut, "sys/seal", v.token, nil); status >= 300 {
				v.t.Errorf("sealing: status %d", status)
			}
			time.Sleep(length)
			v.Kill()
			v.Start()
		case 1: // killed: nobody listens
			v.Kill()
			time.Sleep(length)
			v.Start()
		case 2: // paused: it takes connections and answers nothing
			v.Signal(syscall.SIGSTOP)
			time.Sleep(length)
			v.Signal(syscall.SIGCONT)
		}
		v.AwaitHealth(http.DefaultClient, http.StatusOK)
		v.outages++
		v.mark(time.Now())
	}
}

func (v *failingVault) mark(back time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.back = back
}

// rotate adds rotations versions to the cursor key of Chongqing. While the
// server is away none can be added: then it is tried again.
func (v *failingVault) rotate(ctx context.Context, every time.Duration) {
	pause := every
	for v.rotated() < rotations {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if pause = every; v.addVersion(ctx) != nil {
			pause = 200 * time.Millisecond
			continue
		}
		v.mu.Lock()
		v.versions++
		v.mu.Unlock()
	}
}

func (v *failingVault) addVersion(ctx context.Context) error {
	p := vault.Province{Region: "500000", TrustDomain: spiffe.TrustDomain("500000")}
	roleID, secretID, err := vault.NewSecretID(ctx, v.Address, v.token, p, vault.RoleOperator)
	if err != nil {
		return err
	}
	c, err := vault.Open(ctx, vault.Config{
		Address: v.Address, Mounts: vault.ProvinceMounts("500000"), RoleID: roleID, SecretID: func() (string, error) { return secretID, nil },
	})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return c.RotateCursorKey(ctx)
}

func (v *failingVault) rotated() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.versions
}
