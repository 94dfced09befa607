//go:build e2e

package vault_test

import (
	"slices"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/internal/vaulttest"
)

// Three nodes, the leader of which is killed: the client goes on at another
// one by itself, with the token and the keys that it had.
func TestRaftLeaderKilled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	nodes, root := vaulttest.Raft(t, "../../deploy/devvault", 3)
	if err := vault.Provision(ctx, nodes[0].Address, root, province("500000")); err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	roleID, secretID, err := vault.NewSecretID(ctx, nodes[0].Address, root, province("500000"), vault.RoleGateway)
	if err != nil {
		t.Fatal(err)
	}
	logins := 0
	c, err := vault.Open(ctx, vault.Config{
		Address: nodes[0].Address, Standby: []string{nodes[1].Address, nodes[2].Address}, Mounts: vault.ProvinceMounts("500000"), RoleID: roleID,
		SecretID: func() (string, error) { logins++; return secretID, nil },
	})
	if err != nil {
		t.Fatal(problem.From(err).LogText())
	}
	defer func() { _ = c.Close() }()
	before, err := c.SharedKeys(ctx, vault.KeyCursor)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	nodes[0].Kill()
	var after []vault.SharedKey
	vaulttest.Eventually(t, 2*time.Minute, "no other node took over", func() bool {
		after, err = c.SharedKeys(ctx, vault.KeyCursor)
		if err != nil && problem.CodeOf(err) != problem.VaultUnavailable {
			t.Fatalf("while the nodes elect: %v", err)
		}
		return err == nil
	})
	t.Logf("answers again after %s", time.Since(began).Round(100*time.Millisecond))
	if !slices.EqualFunc(before, after, func(a, b vault.SharedKey) bool { return string(a.Key) == string(b.Key) }) {
		t.Error("the keys are others")
	}
	permitted(t, "a certificate", certify(t, c, spec(vault.CertGatewaySigning, "spiffe://500000.hub.chuanyu/gateway/signing")))
	if logins != 1 {
		t.Errorf("%d logins: the token went with the leader", logins)
	}
}
