package embedded

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	lockFile = "lock"
	lockWait = 20 * time.Second // for a process that is just ending
	lockPoll = 100 * time.Millisecond
)

// privateDir makes sure that dir exists for its owner alone, and returns its
// absolute path.
func privateDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("data directory %q: %w", dir, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return "", fmt.Errorf("make the data directory: %w", err)
	}
	if err := os.Chmod(abs, 0o700); err != nil { //nolint:gosec // a directory needs the x bits
		return "", fmt.Errorf("close the data directory to others: %w", err)
	}
	return abs, nil
}

// lockPath takes the lock on a file, which holds until the returned file and
// every copy of it in a child process are closed: a child that outlives its
// killed parent for a moment still holds the lock. After wait it gives up.
func lockPath(ctx context.Context, path string, wait time.Duration) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // below the data or cache directory
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for the lock %s: %w", path, ctx.Err()), f.Close())
		case <-deadline.C:
			return nil, errors.Join(fmt.Errorf("%w: %s is locked; end the other process or use another directory", errInUse, path), f.Close())
		case <-time.After(lockPoll):
		}
	}
}

var errInUse = errors.New("another process uses this directory")

// makeSecret writes 32 random bytes, in base64, into a file for its owner
// alone.
func makeSecret(path string) error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("make a random key: %w", err)
	}
	return writeSecret(path, base64.StdEncoding.EncodeToString(key))
}

// writeSecret puts a file for its owner alone in place, whole or not at all,
// also when the machine loses power.
func writeSecret(path, content string) (err error) {
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // below the data directory
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // below the data directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
