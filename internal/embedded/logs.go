package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

const (
	maxLogFile      = 1 << 20 // bytes; one older file of the same size is kept
	maxLogsAMinute  = 20
	maxLineFromPipe = 64 << 10
)

// logFile is a file that never grows beyond maxLogFile: when it is full it
// becomes the older one, and the one before that is gone.
type logFile struct {
	mu   sync.Mutex
	path string
	f    *os.File
	size int64
}

func openLogFile(path string) (*logFile, error) {
	l := &logFile{path: path}
	return l, l.open()
}

func (l *logFile) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("open the log: %w", err), f.Close())
	}
	l.f, l.size = f, info.Size()
	return nil
}

// Write never fails: a full disk costs log lines, and must not end the process
// that writes them.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil && l.size+int64(len(p)) > maxLogFile {
		_ = l.f.Close()
		l.f = nil
		if os.Rename(l.path, l.path+".1") == nil {
			_ = l.open()
		}
	}
	if l.f != nil {
		n, _ := l.f.Write(p)
		l.size += int64(n)
	}
	return len(p), nil
}

func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	return f.Close()
}

// lineWriter cuts a stream into lines and hands each on; what is longer than
// maxLineFromPipe is cut there.
type lineWriter struct {
	line func(string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		switch {
		case i >= 0:
			w.line(strings.TrimSuffix(string(w.rest[:i]), "\r"))
			w.rest = w.rest[i+1:]
		case len(w.rest) > maxLineFromPipe:
			w.line(string(w.rest))
			w.rest = nil
		default:
			return len(p), nil
		}
	}
}

// kafkaLog passes on kfake's warnings and errors, at most maxLogsAMinute: a
// client in a loop must not fill a disk.
type kafkaLog struct {
	logger *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	minute  time.Time
	count   int
	dropped int
}

// Logf implements [kfake.Logger].
func (l *kafkaLog) Logf(level kfake.LogLevel, format string, args ...any) {
	if level != kfake.LogLevelError && level != kfake.LogLevelWarn {
		return
	}
	pass, dropped := l.admit()
	if !pass {
		return
	}
	to := slog.LevelWarn
	if level == kfake.LogLevelError {
		to = slog.LevelError
	}
	l.logger.LogAttrs(context.Background(), to, "embedded kafka: "+fmt.Sprintf(format, args...), slog.Int("dropped_before", dropped))
}

func (l *kafkaLog) admit() (pass bool, dropped int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := l.now(); now.Sub(l.minute) >= time.Minute {
		l.minute, l.count = now, 0
	}
	if l.count == maxLogsAMinute {
		l.dropped++
		return false, 0
	}
	l.count++
	dropped, l.dropped = l.dropped, 0
	return true, dropped
}
