package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	exitAddressUsed = 3 // devvault's status for a port that another process has
	stopTimeout     = 10 * time.Second
	tailOfLog       = 2 << 10
)

var errAddressUsed = errors.New("the address is in use")

// child is a running devvault process.
type child struct {
	address string // host:port
	cmd     *exec.Cmd
	stdin   io.Closer
	log     *logFile
	exited  chan struct{} // closed when the process has ended
	err     error         // how; to be read after exited
	serving atomic.Bool
	closing atomic.Bool
}

// startChild starts devvault and waits until it serves. The child inherits the
// lock.
func startChild(ctx context.Context, binary, config, logPath string, lock *os.File, logger *slog.Logger) (*child, error) {
	log, err := openLogFile(logPath)
	if err != nil {
		return nil, err
	}
	served := make(chan string, 1)
	// The child outlives ctx, which bounds the start alone.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), binary, "server", "-config", config, "-exit-with-stdin") //nolint:gosec // the operator's choice
	cmd.Env = childEnvironment(os.Environ())
	cmd.ExtraFiles = []*os.File{lock}
	// Ctrl-C on a terminal goes to a whole process group: devvault is to end
	// after its parent has finished with it, not at the same moment.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = log
	cmd.Stdout = &lineWriter{line: func(line string) {
		if address, ok := strings.CutPrefix(line, "serving "); ok {
			select {
			case served <- address:
			default:
			}
		}
	}}
	cmd.WaitDelay = stopTimeout
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the child's standard input: %w", err), log.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", binary, err), log.Close())
	}
	c := &child{cmd: cmd, stdin: stdin, log: log, exited: make(chan struct{})}
	go c.wait(logger) //nolint:gosec // it lives as long as the child, not as long as ctx
	select {
	case c.address = <-served:
		c.serving.Store(true)
		return c, nil
	case <-c.exited:
		return nil, c.whyEnded(logPath)
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("wait for %s to serve: %w", binary, ctx.Err()), c.stop())
	}
}

// childEnvironment leaves out all that could change what the child does: it
// obeys its configuration alone (OpenBao reads BAO_* and VAULT_*, seal keys
// among them).
func childEnvironment(env []string) []string {
	out := []string{} // not nil, which would mean everything
	for _, e := range env {
		switch name, _, _ := strings.Cut(e, "="); name {
		case "PATH", "HOME", "TMPDIR", "LANG", "TZ", "GODEBUG":
			out = append(out, e)
		}
	}
	return out
}

func (c *child) wait(logger *slog.Logger) {
	c.err = c.cmd.Wait()
	c.err = errors.Join(c.err, c.log.Close())
	if c.serving.Load() && !c.closing.Load() {
		logger.LogAttrs(context.Background(), slog.LevelError, "devvault: it ended by itself; see its log", slog.Any("error", c.err))
	}
	close(c.exited)
}

// whyEnded explains a child that ended before it served.
func (c *child) whyEnded(logPath string) error {
	if exit, ok := errors.AsType[*exec.ExitError](c.err); ok && exit.ExitCode() == exitAddressUsed {
		return errAddressUsed
	}
	text, err := os.ReadFile(logPath) //nolint:gosec // below the data directory, at most maxLogFile
	if len(text) > tailOfLog {
		text = text[len(text)-tailOfLog:]
	}
	return errors.Join(fmt.Errorf("it ended at once: %w; the end of its log:\n%s", c.err, strings.TrimSpace(string(text))), err)
}

// stop ends the child by the end of its standard input, and by a signal if it
// does not heed that.
func (c *child) stop() error {
	c.closing.Store(true)
	_ = c.stdin.Close() // it fails only when the child is gone, which is what it is for
	select {
	case <-c.exited:
		return c.err
	case <-time.After(stopTimeout):
	}
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill devvault: %w", err)
	}
	<-c.exited
	return fmt.Errorf("devvault did not end within %s and was killed", stopTimeout)
}
