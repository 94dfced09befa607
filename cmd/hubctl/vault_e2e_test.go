//go:build e2e

package main

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/chuanyu-exchange/hub/internal/embedded"
	"github.com/chuanyu-exchange/hub/internal/pkitest"
	"github.com/chuanyu-exchange/hub/internal/vault"

	deploy "github.com/chuanyu-exchange/hub/deploy/vault"
)

// The commands that talk to Vault, against a real server. `login ROLE` in a
// script writes the login of an AppRole; with `standby` behind it, at a cluster
// the first node of which is dead.
func TestVaultScripts(t *testing.T) {
	ctx := t.Context()
	server, err := embedded.StartVault(ctx, embedded.VaultOptions{SourceDir: "../../deploy/devvault", DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() }) // after the scripts, which run later than this function
	cat, err := shippedCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	login := func(ts *testscript.TestScript, _ bool, args []string) {
		roleID, secretID, err := vault.NewSecretID(ctx, server.Address(), server.RootToken(), deploy.Province("500000", cat), args[0])
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+".secret"), []byte(secretID), 0o600))
		where := "address: " + server.Address()
		if slices.Contains(args, "standby") {
			where = "address: http://127.0.0.1:1\nstandby: [\"" + server.Address() + "\"]"
		}
		text := where + "\nroleID: " + roleID + "\nsecretIDFile: " + args[0] + ".secret\n"
		ts.Check(os.WriteFile(ts.MkAbs(args[0]+".yaml"), []byte(text), 0o600))
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/vault", Cmds: map[string]func(*testscript.TestScript, bool, []string){"login": login},
		Setup: func(e *testscript.Env) error {
			e.Setenv("VAULT_ADDR", server.Address())
			e.Setenv("VAULT_TOKEN", server.RootToken())
			root := pkitest.New(t, "Chongqing").Root
			return os.WriteFile(filepath.Join(e.WorkDir, "roots.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}), 0o600)
		},
	})
}
