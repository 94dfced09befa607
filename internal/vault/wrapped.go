package vault

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const (
	longestWrap    = 72 * time.Hour
	wrappingLookup = "sys/wrapping/lookup"
	wrappingUnwrap = "sys/wrapping/unwrap"
	maxSecretFile  = 4 << 10
)

// Wrapped stands for a secret that the server keeps until somebody shows the
// token, once: what to hand over, instead of the secret itself. If the one it
// is meant for finds it used, somebody else has the secret.
type Wrapped struct {
	Token    string
	Accessor string // of what is wrapped: with it the secret is revoked without being known
	Expires  time.Time
}

// wrappedAnswer reads what came of a request with wrap.
func wrappedAnswer(what string, s *api.Secret) (Wrapped, error) {
	if s == nil || s.WrapInfo == nil || s.WrapInfo.Token == "" {
		return Wrapped{}, errAnswer(what, "something that is not wrapped")
	}
	w := s.WrapInfo
	return Wrapped{Token: w.Token, Accessor: w.WrappedAccessor, Expires: w.CreationTime.Add(time.Duration(w.TTL) * time.Second)}, nil
}

// unwrap takes the secret behind a wrapping token, with the call of path that
// must have made it. The path is looked at first: whoever intercepts a token
// could open it and wrap what he found, or something of his own, anew; but not
// as an answer of that path without being permitted to call it.
//
// problem.WrappingUsed: the token was used by somebody, or has expired.
func (c *conn) unwrap(ctx context.Context, token, path string) (*api.Secret, error) {
	token = strings.TrimSpace(token)
	c.api.SetToken(token)
	defer c.api.ClearToken()
	s, err := c.send(ctx, request{
		what: "look a wrapping token up", method: http.MethodPost, path: wrappingLookup, body: map[string]any{"token": token}, quiet: true,
	})
	if err != nil {
		return nil, usedUp(err)
	}
	if s == nil || s.Data["creation_path"] != path {
		return nil, problem.New(problem.WrappingUsed, "the token was not made by %s: it has been exchanged on its way", path)
	}
	s, err = c.send(ctx, request{what: "unwrap", method: http.MethodPost, path: wrappingUnwrap, quiet: true, once: true})
	if err != nil {
		return nil, usedUp(err)
	}
	if s == nil {
		return nil, errAnswer("unwrap", "an empty answer")
	}
	return s, nil
}

// usedUp tells a token that the server does not know from a server that does
// not answer.
func usedUp(err error) error {
	if errors.Is(err, errRejected) || errors.Is(err, ErrDenied) || errors.Is(err, ErrNotFound) {
		return problem.Wrap(problem.WrappingUsed, err, "the server does not know the wrapping token any more")
	}
	return err
}

// SecretFiles keep an AppRole's secret id on disk, for the owner alone. The
// operator puts a wrapping token into Wrapped; the first [SecretFiles.Take]
// exchanges it for the secret id, which then lies in Secret, and beside it, in
// Secret.taken, a hash of both.
type SecretFiles struct {
	Role    string // the AppRole whose secret id must be wrapped
	Secret  string
	Wrapped string // "": the secret id is put into Secret as it is
}

// Take exchanges the wrapping token, if one lies there. It may be called at
// each start: without a token there is nothing to do. After it has failed with
// problem.WrappingUsed nothing is taken: somebody else may have the secret id,
// so it has to be revoked and another one made.
func (f SecretFiles) Take(ctx context.Context, cfg Config) error {
	if f.Wrapped == "" {
		return nil
	}
	token, err := readSecretFile(f.Wrapped)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return problem.Wrap(problem.ConfigInvalid, err, "wrapped secret id: %v", err)
	}
	done, err := f.taken(token)
	if err != nil {
		return err
	}
	if done {
		return os.Remove(f.Wrapped)
	}
	cfg = cfg.withDefaults()
	cn, err := cfg.conn()
	if err != nil {
		return err
	}
	defer cn.http.CloseIdleConnections()
	s, err := cn.unwrap(ctx, token, secretIDPath(cfg.Mounts, f.Role))
	if err != nil && problem.CodeOf(err) == problem.WrappingUsed {
		cfg.Logger.LogAttrs(ctx, slog.LevelError, "vault: ALARM: the wrapped secret id was used before, or has expired; revoke it and find out by whom",
			slog.String("role", f.Role), slog.String("file", f.Wrapped))
		return fmt.Errorf("%s: %w", f.Wrapped, err)
	}
	if err != nil {
		return err
	}
	secretID, _ := s.Data["secret_id"].(string)
	if secretID == "" {
		return errAnswer("unwrap", "no secret id")
	}
	return f.keep(token, secretID)
}

// keep writes the hash first, because without its secret id it proves nothing,
// and removes the token last: wherever this is killed, the next start finds
// either the two that belong together or no secret id of this token.
func (f SecretFiles) keep(token, secretID string) error {
	err := writeSecretFile(f.takenFile(), takenHash(token, secretID))
	if err == nil {
		err = writeSecretFile(f.Secret, secretID)
	}
	if err != nil {
		return problem.Wrap(problem.ConfigInvalid, err, "secret id: %v", err)
	}
	return os.Remove(f.Wrapped)
}

func (f SecretFiles) takenFile() string { return f.Secret + ".taken" }

// takenHash binds a secret id to the token that it came out of.
func takenHash(token, secretID string) string {
	sum := sha256.Sum256([]byte(token + "\n" + secretID))
	return hex.EncodeToString(sum[:])
}

// taken says whether the secret id in place is the one that came out of this
// token, here: a start that was killed had taken it.
func (f SecretFiles) taken(token string) (bool, error) {
	hash, errHash := readSecretFile(f.takenFile())
	secretID, errSecret := readSecretFile(f.Secret)
	if errors.Is(errHash, fs.ErrNotExist) || errors.Is(errSecret, fs.ErrNotExist) {
		return false, nil
	}
	if err := errors.Join(errHash, errSecret); err != nil {
		return false, problem.Wrap(problem.ConfigInvalid, err, "secret id: %v", err)
	}
	return subtle.ConstantTimeCompare([]byte(hash), []byte(takenHash(token, secretID))) == 1, nil
}

// Read returns the secret id; use it as [Config.SecretID].
func (f SecretFiles) Read() (string, error) { return readSecretFile(f.Secret) }

// readSecretFile refuses a file that others may read.
func readSecretFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("%s may be read by others (mode %#o): chmod 600 it, and have the secret exchanged if others were on this machine", path, mode)
	}
	if info.Size() > maxSecretFile {
		return "", fmt.Errorf("%s: %d bytes are no secret id", path, info.Size())
	}
	b, err := os.ReadFile(path) //nolint:gosec // the configuration names the file
	return strings.TrimSpace(string(b)), err
}

// writeSecretFile puts a secret in place in one step, durably: what it stands
// for cannot be had again.
func writeSecretFile(path, secret string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.WriteString(secret)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close()) // the name, too, is on disk
}

func secretIDPath(m Mounts, role string) string {
	return "auth/" + m.AppRole + "/role/" + role + "/secret-id"
}
