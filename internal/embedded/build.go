package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const (
	buildTimeout  = 30 * time.Minute // on a slow line and an old machine
	progressEvery = time.Second
	keptLines     = 20      // of the compiler's output, for the error
	maxSource     = 4 << 20 // bytes of one source file
)

// FindSource finds deploy/devvault in the checkout around the working directory.
func FindSource() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		source := filepath.Join(dir, "deploy", "devvault")
		if _, err := os.Stat(filepath.Join(source, "go.mod")); err == nil {
			return source, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", problem.New(problem.ConfigInvalid,
				"deploy/devvault was not found: run this inside a checkout of the hub, or set VAULT_ADDR and VAULT_TOKEN")
		}
		dir = parent
	}
}

// BuildDevvault returns a devvault binary built from the sources in sourceDir.
// It is built once and kept in cacheDir under a digest of the sources, the Go
// version and the platform; two processes may ask at once. The first time it
// needs a minute or two, and the Go module proxy; progress is told what goes
// on, at most once a second.
func BuildDevvault(ctx context.Context, sourceDir, cacheDir string, progress func(string)) (string, error) {
	if progress == nil {
		progress = func(string) {}
	}
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	binary, err := cachedName(ctx, sourceDir, cacheDir)
	if err != nil {
		return "", err
	}
	if built, err := exists(binary); built || err != nil {
		return binary, err
	}
	if err := os.MkdirAll(filepath.Dir(binary), 0o700); err != nil {
		return "", fmt.Errorf("make the cache directory: %w", err)
	}
	// The lock only saves a second process the work; what makes the cache safe
	// is that the binary is renamed into place.
	lock, err := lockForBuild(ctx, binary+".lock", progress)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }()
	if built, err := exists(binary); built || err != nil {
		return binary, err
	}
	if err := compile(ctx, sourceDir, binary+".new", progress); err != nil {
		return "", err
	}
	if err := os.Rename(binary+".new", binary); err != nil {
		return "", fmt.Errorf("put devvault in the cache: %w", err)
	}
	return binary, nil
}

// cachedName is where a binary of these sources is kept.
func cachedName(ctx context.Context, sourceDir, cacheDir string) (string, error) {
	goVersion, err := goEnvironment(ctx, sourceDir)
	if err != nil {
		return "", err
	}
	digest, err := sourceDigest(os.DirFS(sourceDir), goVersion)
	if err != nil {
		return "", fmt.Errorf("read the sources of devvault in %s: %w", sourceDir, err)
	}
	cache, err := filepath.Abs(cacheDir)
	if err != nil {
		return "", fmt.Errorf("cache directory %q: %w", cacheDir, err)
	}
	return filepath.Join(cache, "devvault-"+digest), nil
}

func lockForBuild(ctx context.Context, path string, progress func(string)) (*os.File, error) {
	lock, err := lockPath(ctx, path, 0)
	if errors.Is(err, errInUse) {
		progress("devvault: waiting for another process that is building it")
		lock, err = lockPath(ctx, path, buildTimeout)
	}
	if err != nil {
		return nil, fmt.Errorf("build devvault: %w", err)
	}
	return lock, nil
}

// goEnvironment names the Go version and platform that a build in dir uses.
func goEnvironment(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	cmd.Dir = dir
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("build devvault: %w: install Go, or give a devvault binary or the address of a Vault instead", err)
	}
	if err != nil {
		return "", fmt.Errorf("build devvault: go env in %s: %w", dir, err)
	}
	return string(out), nil
}

// sourceDigest is a digest of the build's environment and of every file that
// can change the binary, each by name and content.
func sourceDigest(sources fs.FS, environment string) (string, error) {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q\n", environment) // a hash takes everything
	seen := 0
	err := fs.WalkDir(sources, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isSource(d.Name()) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() > maxSource {
			return fmt.Errorf("%s has %d bytes, at most %d", path, info.Size(), maxSource)
		}
		content, err := fs.ReadFile(sources, path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		_, _ = fmt.Fprintf(h, "%q %x\n", path, sum)
		seen++
		return nil
	})
	if err != nil {
		return "", err
	}
	if seen == 0 {
		return "", errors.New("there are none")
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

func isSource(name string) bool {
	switch {
	case strings.HasSuffix(name, "_test.go"):
		return false
	case strings.HasSuffix(name, ".go"), name == "go.mod", name == "go.sum":
		return true
	}
	return false
}

// compile builds the module in dir. Without cgo, so that a machine without a C
// compiler gets the same binary.
func compile(ctx context.Context, dir, output string, progress func(string)) error {
	report := newBuildReport(progress, time.Now)
	out := &lineWriter{line: report.add}
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", output, ".") //nolint:gosec // the output lies in the cache
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = 5 * time.Second
	progress("devvault: building it, once for this machine: a minute or two")
	stop := report.tick()
	err := cmd.Run()
	stop()
	if err != nil {
		return fmt.Errorf("build devvault in %s: %w; the last lines of the output:\n%s", dir, errors.Join(err, ctx.Err()), report.last())
	}
	progress(report.summary())
	return nil
}

// buildReport turns the output of the go command into a line of progress.
type buildReport struct {
	progress func(string)
	now      func() time.Time
	began    time.Time

	mu         sync.Mutex
	downloaded int
	compiled   int
	lines      []string
}

func newBuildReport(progress func(string), now func() time.Time) *buildReport {
	return &buildReport{progress: progress, now: now, began: now()}
}

func (r *buildReport) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.HasPrefix(line, "go: downloading ") {
		r.downloaded++
		return
	}
	if !bytes.ContainsAny([]byte(line), " \t:") { // -v prints bare import paths
		r.compiled++
		return
	}
	if r.lines = append(r.lines, line); len(r.lines) > keptLines {
		r.lines = slices.Delete(r.lines, 0, 1)
	}
}

// tick reports every second until the function it returns is called.
func (r *buildReport) tick() (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(progressEvery)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				r.progress(r.summary())
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func (r *buildReport) summary() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("devvault: %d modules downloaded, %d packages compiled, %d s",
		r.downloaded, r.compiled, int(r.now().Sub(r.began).Seconds()))
}

func (r *buildReport) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}
