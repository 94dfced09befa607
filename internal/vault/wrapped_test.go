package vault

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// The end-to-end tests do this with a real server.
func TestExchangedWrapping(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.on("PUT /v1/sys/wrapping/unwrap", answer(200, `{"data":{"secret_id":"planted-secret-id"}}`))
	const path = "auth/500000/approle/role/connector-a-b/secret-id"
	for made, want := range map[string]problem.Code{
		path: "", "sys/wrapping/wrap": problem.WrappingUsed, "auth/500000/approle/role/gateway/secret-id": problem.WrappingUsed,
	} {
		f.on("PUT /v1/sys/wrapping/lookup", answer(200, `{"data":{"creation_path":"`+made+`"}}`))
		dir := t.TempDir()
		files := SecretFiles{Role: "connector-a-b", Secret: filepath.Join(dir, "secret"), Wrapped: filepath.Join(dir, "wrapped")}
		if err := os.WriteFile(files.Wrapped, []byte("token"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := files.Take(t.Context(), f.config(nil))
		_, stat := os.Stat(files.Secret)
		if want == "" && (err != nil || stat != nil) {
			t.Errorf("made by %s: %v, %v", made, err, stat)
		}
		if want != "" && (err == nil || problem.CodeOf(err) != want || stat == nil) {
			t.Errorf("made by %s: %v, %v", made, err, stat)
		}
	}
}

// A start that is killed leaves any number of its steps undone. The next one
// raises no alarm if the secret id of this very token is in place, and does in
// every other case.
func TestKilledWhileTaking(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	const path = "auth/500000/approle/role/connector-a-b/secret-id"
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for title, c := range map[string]struct {
		undo func(f SecretFiles)
		used bool // an alarm is due
	}{
		"before the token was removed":       {func(f SecretFiles) { write(f.Wrapped, "token\n") }, false},
		"before the secret id was there":     {func(f SecretFiles) { write(f.Wrapped, "token"); _ = os.Remove(f.Secret) }, true},
		"with another secret id in place":    {func(f SecretFiles) { write(f.Wrapped, "token"); write(f.Secret, "older") }, true},
		"without the hash":                   {func(f SecretFiles) { write(f.Wrapped, "token"); _ = os.Remove(f.takenFile()) }, true},
		"a later token that somebody used":   {func(f SecretFiles) { write(f.Wrapped, "another") }, true},
		"a hash of nothing and another file": {func(f SecretFiles) { write(f.Wrapped, "token"); write(f.takenFile(), "") }, true},
	} {
		f.on("PUT /v1/sys/wrapping/lookup", answer(200, `{"data":{"creation_path":"`+path+`"}}`))
		f.on("PUT /v1/sys/wrapping/unwrap", answer(200, `{"data":{"secret_id":"planted-secret-id"}}`))
		dir := t.TempDir()
		files := SecretFiles{Role: "connector-a-b", Secret: filepath.Join(dir, "secret"), Wrapped: filepath.Join(dir, "wrapped")}
		write(files.Wrapped, "token")
		if err := files.Take(t.Context(), f.config(nil)); err != nil {
			t.Fatal(err)
		}
		c.undo(files)
		f.on("PUT /v1/sys/wrapping/lookup", answer(403, errorBody("wrapping token is not valid or does not exist")))
		var log strings.Builder
		err := files.Take(t.Context(), f.config(&log))
		_, stat := os.Stat(files.Wrapped)
		switch {
		case c.used && (err == nil || problem.CodeOf(err) != problem.WrappingUsed || !strings.Contains(log.String(), "ALARM") || stat != nil):
			t.Errorf("%s: %v, no alarm in %q", title, err, log.String())
		case !c.used && (err != nil || log.Len() > 0 || stat == nil):
			t.Errorf("%s: %v, %q, the token is there: %t", title, err, log.String(), stat == nil)
		}
	}
}

func TestSecretFilesAreForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	files := SecretFiles{Secret: filepath.Join(t.TempDir(), "secret")}
	if err := os.WriteFile(files.Secret, []byte("id\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := files.Read(); got != "id" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := os.Chmod(files.Secret, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Read(); err == nil {
		t.Error("a file that others may read was read")
	}
}
