package vault

import (
	"os"
	"path/filepath"
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
