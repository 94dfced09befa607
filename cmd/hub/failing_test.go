//go:build e2e

package main

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/spiffe"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/internal/vaulttest"
)

// failingVault is a devvault alone, or the nodes of a raft cluster, of which the
// one that serves goes away now and then.
type failingVault struct {
	t       *testing.T
	nodes   []*vaulttest.Node
	token   string
	client  *http.Client // does not wait for a node that is paused
	outages int

	mu       sync.Mutex
	back     time.Time // since when a node serves; in the future while none does
	versions int       // of the cursor key that were added
}

// recovery is how long after an outage a refusal may still come: the breaker's
// longest pause, a login, and a loaded machine.
const recovery = 10 * time.Second

func startFailingVault(t *testing.T, nodes int) *failingVault {
	t.Helper()
	v := &failingVault{t: t, client: &http.Client{Timeout: time.Second}}
	if source := "../../deploy/devvault"; nodes > 1 {
		v.nodes, v.token = vaulttest.Raft(t, source, nodes)
	} else {
		n := vaulttest.New(t, source, vaulttest.FreePort(t), "\"file\" {\n  path = "+strconv.Quote(t.TempDir())+"\n}", "", "")
		n.Start()
		v.nodes, v.token = []*vaulttest.Node{n}, n.Initialise(http.DefaultClient)
	}
	return v
}

// addresses are those of all nodes, as VAULT_ADDR takes them.
func (v *failingVault) addresses() string {
	list := make([]string, len(v.nodes))
	for i, n := range v.nodes {
		list[i] = n.Address
	}
	return strings.Join(list, ",")
}

// away says whether no node serves, or none did until a moment ago.
func (v *failingVault) away() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Since(v.back) < recovery
}

// serving is the node that serves; nil if none does.
func (v *failingVault) serving() *vaulttest.Node {
	for _, n := range v.nodes {
		if status, _ := n.Call(v.client, http.MethodGet, "sys/health", "", nil); status == http.StatusOK {
			return n
		}
	}
	return nil
}

// other waits until another node than the lost one serves.
func (v *failingVault) other(lost *vaulttest.Node) (n *vaulttest.Node) {
	vaulttest.Eventually(v.t, time.Minute, "no other node took over", func() bool {
		n = v.serving()
		return n != nil && n != lost
	})
	return n
}

// whole waits until one node serves and each other one stands by.
func (v *failingVault) whole() {
	vaulttest.Eventually(v.t, time.Minute, "not all nodes came back", func() bool {
		statuses := map[int]int{}
		for _, n := range v.nodes {
			status, _ := n.Call(v.client, http.MethodGet, "sys/health", "", nil)
			statuses[status]++
		}
		return statuses[http.StatusOK] == 1 && statuses[http.StatusTooManyRequests] == len(v.nodes)-1
	})
}

// fail takes the node that serves away outages times: sealed, killed and paused
// in turn. Where there are others, one of them must take over and gateways must
// work with it while the first is away; nothing may be felt of its return. used
// is the newest version of the cursor key that pages came with.
func (v *failingVault) fail(ctx context.Context, every time.Duration, used func() uint64) {
	length := min(every/3, 20*time.Second)
	for v.outages < outages {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every - length):
		}
		n := v.other(nil)
		v.serves(time.Now().Add(time.Hour))
		restore := v.take(n)
		if len(v.nodes) > 1 {
			v.other(n)
			v.serves(time.Now())
			v.followed(ctx, used)
		}
		time.Sleep(length)
		restore()
		v.whole()
		if len(v.nodes) == 1 {
			v.serves(time.Now())
		}
		v.outages++
	}
}

func (v *failingVault) serves(since time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.back = since
}

// followed waits until pages come with cursors of a key that was made by the
// node that took over: the gateway reads its keys from there.
func (v *failingVault) followed(ctx context.Context, used func() uint64) {
	var before uint64
	added := false
	vaulttest.Eventually(v.t, time.Minute, "the gateway did not follow to the node that took over", func() bool {
		switch {
		case before == 0:
			before = v.newest()
		case !added:
			added = v.addVersion(ctx) == nil
		}
		return added && used() > before
	})
}

// newest is the newest version of the cursor key of Chongqing; 0 if it cannot
// be asked for.
func (v *failingVault) newest() uint64 {
	n := v.serving()
	if n == nil {
		return 0
	}
	_, answer := n.Call(v.client, http.MethodGet, vault.ProvinceMounts("500000").KV+"/metadata/"+vault.KeyCursor, v.token, nil)
	data, _ := answer["data"].(map[string]any)
	version, _ := data["current_version"].(float64)
	return uint64(version)
}

// take takes a node away, and returns what brings it back.
func (v *failingVault) take(n *vaulttest.Node) (restore func()) {
	switch v.outages % 3 {
	case 0: // sealed: it answers, and does nothing; a new start opens it
		if status, _ := n.Call(http.DefaultClient, http.MethodPut, "sys/seal", v.token, nil); status >= 300 {
			v.t.Errorf("sealing: status %d", status)
		}
		return func() { n.Kill(); n.Start() }
	case 1: // killed: nobody listens
		n.Kill()
		return n.Start
	default: // paused: it takes connections and answers nothing
		n.Signal(syscall.SIGSTOP)
		return func() { n.Signal(syscall.SIGCONT) }
	}
}

// rotate adds rotations versions to the cursor key of Chongqing. While the
// server is away none can be added: then it is tried again.
func (v *failingVault) rotate(ctx context.Context, every time.Duration) {
	pause := every
	for done := 0; done < rotations; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if pause = every; v.addVersion(ctx) != nil {
			pause = 200 * time.Millisecond
			continue
		}
		done++
	}
}

func (v *failingVault) addVersion(ctx context.Context) error {
	n := v.serving()
	if n == nil {
		return errors.New("no node serves")
	}
	p := vault.Province{Region: "500000", TrustDomain: spiffe.TrustDomain("500000")}
	roleID, secretID, err := vault.NewSecretID(ctx, n.Address, v.token, p, vault.RoleOperator)
	if err != nil {
		return err
	}
	c, err := vault.Open(ctx, vault.Config{
		Address: n.Address, Mounts: vault.ProvinceMounts("500000"), RoleID: roleID, SecretID: func() (string, error) { return secretID, nil },
	})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.RotateCursorKey(ctx); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.versions++
	return nil
}

func (v *failingVault) rotated() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.versions
}
