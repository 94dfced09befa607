package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const helperEnv = "EMBEDDED_TEST_HELPER_DIR"

// How this test binary acts when it is started as a devvault: it stands where
// the path of the configuration would.
const (
	actLingers = "lingers" // it takes its time to end
	actTaken   = "taken"
	actFails   = "fails"
	actSilent  = "silent"
)

// TestMain lets the test binary be a devvault, and a parent that is killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "server" {
		os.Exit(act(os.Args[3]))
	}
	if dir := os.Getenv(helperEnv); dir != "" {
		v, err := StartVault(context.Background(), VaultOptions{SourceDir: "../../deploy/devvault", DataDir: dir})
		if err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		fmt.Println("started", v.Address(), v.child.cmd.Process.Pid)
		select {}
	}
	os.Exit(m.Run())
}

func act(as string) int {
	switch as {
	case actTaken:
		return exitAddressUsed
	case actFails:
		fmt.Fprintln(os.Stderr, "the reason")
		return 1
	case actLingers:
		fmt.Println("serving 127.0.0.1:1")
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	if as == actLingers {
		time.Sleep(300 * time.Millisecond)
	}
	return 0
}

func TestKafkaAvoidsATakenPort(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	var log bytes.Buffer
	port := taken.Addr().(*net.TCPAddr).Port
	k, err := StartKafka(KafkaOptions{DataDir: t.TempDir(), Port: port, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = k.Close() }()
	if k.Address() == taken.Addr().String() || !strings.HasPrefix(k.Address(), "127.0.0.1:") {
		t.Errorf("address %s", k.Address())
	}
	if !strings.Contains(log.String(), fmt.Sprintf("port=%d", port)) {
		t.Errorf("the log does not name the taken port: %s", log.String())
	}
}

func TestKafkaKeepsItsDataAndMakesNoTopicUnasked(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "kafka")
	k, err := StartKafka(KafkaOptions{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v, %v", info.Mode(), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	client := kafkaClient(t, k.Address())
	if err := produce(ctx, client, "unmade"); err == nil {
		t.Error("a topic was created because a client named it")
	}
	createTopic(ctx, t, client, "made")
	if err := produce(ctx, client, "made"); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if err := errors.Join(k.Close(), k.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := StartKafka(KafkaOptions{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	reader := kafkaClient(t, again.Address(), kgo.ConsumeTopics("made"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer reader.Close()
	if got := reader.PollRecords(ctx, 1).Records(); len(got) != 1 || string(got[0].Value) != "value" {
		t.Errorf("after the restart: %v", got)
	}
}

func kafkaClient(t *testing.T, address string, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(more, kgo.SeedBrokers(address), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(1), kgo.RecordRetries(1))...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func produce(ctx context.Context, c *kgo.Client, topic string) error {
	return c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("value")}).FirstErr()
}

func createTopic(ctx context.Context, t *testing.T, c *kgo.Client, name string) {
	t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
	req := kmsg.NewCreateTopicsRequest()
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, c)
	if err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Fatalf("create topic: %v, %+v", err, resp)
	}
}

func TestLockIsExclusive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lockPath(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockPath(t.Context(), path, 0); !errors.Is(err, errInUse) {
		t.Errorf("a second lock: %v", err)
	}
	time.AfterFunc(150*time.Millisecond, func() { _ = first.Close() })
	second, err := lockPath(t.Context(), path, 10*time.Second)
	if err != nil {
		t.Fatalf("the lock is not passed on: %v", err)
	}
	_ = second.Close()
}

func TestSourceDigest(t *testing.T) {
	t.Parallel()
	base := func() fstest.MapFS {
		return fstest.MapFS{
			"main.go": {Data: []byte("a")}, "go.mod": {Data: []byte("b")}, "stubs/x/x.go": {Data: []byte("c")},
			"README.md": {Data: []byte("d")}, "main_test.go": {Data: []byte("e")},
		}
	}
	want, err := sourceDigest(base(), "go1.26 linux amd64")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		title   string
		env     string
		change  func(fstest.MapFS)
		differs bool
	}{
		{"nothing changed", "go1.26 linux amd64", func(fstest.MapFS) {}, false},
		{"another Go", "go1.27 linux amd64", func(fstest.MapFS) {}, true},
		{"a source changed", "go1.26 linux amd64", func(m fstest.MapFS) { m["stubs/x/x.go"] = &fstest.MapFile{Data: []byte("C")} }, true},
		{"a module changed", "go1.26 linux amd64", func(m fstest.MapFS) { m["go.mod"] = &fstest.MapFile{Data: []byte("B")} }, true},
		{"a source renamed", "go1.26 linux amd64", func(m fstest.MapFS) { m["main2.go"] = m["main.go"]; delete(m, "main.go") }, true},
		{"a source added", "go1.26 linux amd64", func(m fstest.MapFS) { m["y.go"] = m["main.go"] }, true},
		{"the text changed", "go1.26 linux amd64", func(m fstest.MapFS) { m["README.md"] = &fstest.MapFile{Data: []byte("D")} }, false},
		{"a test changed", "go1.26 linux amd64", func(m fstest.MapFS) { m["main_test.go"] = &fstest.MapFile{Data: []byte("E")} }, false},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			sources := base()
			c.change(sources)
			got, err := sourceDigest(sources, c.env)
			if err != nil || (got != want) != c.differs {
				t.Errorf("digest %s, before %s, %v", got, want, err)
			}
		})
	}
	if _, err := sourceDigest(fstest.MapFS{"README.md": {}}, ""); err == nil {
		t.Error("a directory without sources has a digest")
	}
}

func TestLogFileIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	l, err := openLogFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line := bytes.Repeat([]byte("x"), 1000)
	for range 5 * maxLogFile / len(line) {
		_, _ = l.Write(line)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(path + "*")
	var total int64
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if len(files) != 2 || total > 2*maxLogFile || total < maxLogFile {
		t.Errorf("%d bytes in %v", total, files)
	}
}

func TestLineWriter(t *testing.T) {
	t.Parallel()
	var got []string
	w := &lineWriter{line: func(s string) { got = append(got, s) }}
	long := strings.Repeat("l", maxLineFromPipe)
	for _, part := range []string{"ser", "ving a\nb\r\n\nc", long, "\nd"} {
		_, _ = w.Write([]byte(part))
	}
	want := []string{"serving a", "b", "", "c" + long, ""}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%d lines: %.60q", len(got), got)
	}
}

func TestKafkaLogIsBounded(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(0, 0)
	l := &kafkaLog{logger: slog.New(slog.NewTextHandler(&out, nil)), now: func() time.Time { return now }}
	l.Logf(kfake.LogLevelInfo, "a request")
	for range 1000 {
		l.Logf(kfake.LogLevelWarn, "noise %d", 1)
	}
	if n := strings.Count(out.String(), "\n"); n != maxLogsAMinute || strings.Contains(out.String(), "a request") {
		t.Errorf("%d lines in a minute", n)
	}
	now = now.Add(time.Minute)
	l.Logf(kfake.LogLevelError, "again")
	if want := fmt.Sprintf("dropped_before=%d", 1000-maxLogsAMinute); !strings.Contains(out.String(), want) {
		t.Error("the lines left out are not counted")
	}
}

func TestChildEnvironment(t *testing.T) {
	t.Parallel()
	got := childEnvironment([]string{"PATH=/bin", "BAO_STATIC_SEAL_CURRENT_KEY=k", "VAULT_TOKEN=t", "HOME=/h"})
	if strings.Join(got, " ") != "PATH=/bin HOME=/h" {
		t.Errorf("got %v", got)
	}
	if got := childEnvironment(nil); got == nil {
		t.Error("nil lets a child inherit everything")
	}
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		title   string
		files   []string // before
		storage bool     // before
		keeps   bool     // the storage, after
		fails   bool
	}{
		{"the first start", nil, false, false, false},
		{"an ordinary start", []string{sealKeyFile, tokenFile}, true, true, false},
		{"killed before the token was written down", []string{sealKeyFile, initMarker}, true, false, false},
		{"killed after it was written down", []string{sealKeyFile, initMarker, tokenFile}, true, true, false},
		{"killed before the initialisation", []string{sealKeyFile}, true, true, false},
		{"the seal key is lost", []string{tokenFile}, true, true, true},
		{"the token is lost", []string{sealKeyFile}, true, true, false}, // found out once the server answers
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, f := range c.files {
				if err := writeSecret(filepath.Join(dir, f), "x"); err != nil {
					t.Fatal(err)
				}
			}
			if c.storage {
				if err := os.Mkdir(filepath.Join(dir, storageDir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := prepare(dir); (err != nil) != c.fails {
				t.Fatalf("prepare: %v", err)
			}
			if kept, _ := exists(filepath.Join(dir, storageDir)); kept != c.keeps {
				t.Errorf("storage kept: %v", kept)
			}
			if marked, _ := exists(filepath.Join(dir, initMarker)); marked {
				t.Error("the marker is still there")
			}
			if c.fails {
				return
			}
			if info, err := os.Stat(filepath.Join(dir, sealKeyFile)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("seal key: %v, %v", info, err)
			}
		})
	}
}

func TestBuildSaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := BuildDevvault(t.Context(), t.TempDir(), t.TempDir(), nil)
	if err == nil || !strings.Contains(err.Error(), "install Go") {
		t.Errorf("without a go command: %v", err)
	}
}

// A hub that is killed and started again must not write to the storage of a
// child that still lives.
func TestChildKeepsTheLockOfAParentThatIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, lockFile)
	lock, err := lockPath(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := startChild(t.Context(), os.Args[0], actLingers, filepath.Join(dir, "log"), lock, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if c.address != "127.0.0.1:1" {
		t.Errorf("address %q", c.address)
	}
	_ = lock.Close() // as the kernel does for a killed parent
	_ = c.stdin.Close()
	if _, err := lockPath(t.Context(), path, 0); !errors.Is(err, errInUse) {
		t.Errorf("the lock is free while the child lives: %v", err)
	}
	again, err := lockPath(t.Context(), path, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
	if err := c.stop(); err != nil {
		t.Error(err)
	}
}

func TestChildThatDoesNotServe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		title, act string
		check      func(error) bool
	}{
		{"its port is taken", actTaken, func(err error) bool { return errors.Is(err, errAddressUsed) }},
		{"it fails", actFails, func(err error) bool { return strings.Contains(err.Error(), "the reason") }},
		{"it says nothing", actSilent, func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			lock, err := lockPath(t.Context(), filepath.Join(dir, lockFile), 0)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = lock.Close() }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err = startChild(ctx, os.Args[0], c.act, filepath.Join(dir, "log"), lock, slog.New(slog.DiscardHandler))
			if err == nil || !c.check(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}
