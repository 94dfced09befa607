package kafkalog

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var updateVersions = flag.Bool("update", false, "write the tables of protocol versions anew")

// versionRange is what a broker takes of one request.
type versionRange struct{ least, most int16 }

// recorded are the versions of a line of Kafka, as TestLiveVersions wrote them
// down from its broker.
func recorded(t *testing.T, version string) map[protocol.ApiKey]versionRange {
	t.Helper()
	text, err := os.ReadFile(recordedPath(version))
	must(t, "ReadFile", err)
	all := map[protocol.ApiKey]versionRange{}
	for line := range strings.Lines(string(text)) {
		var key, least, most int16
		var name string
		if _, err := fmt.Sscan(line, &key, &name, &least, &most); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[protocol.ApiKey(key)] = versionRange{least, most}
	}
	return all
}

func recordedPath(version string) string {
	return filepath.Join("testdata", "versions", "kafka-"+version+".txt")
}

// requests of this package: the messages of kafka-go that its files import, and
// those that it writes itself.
func requests(t *testing.T) []protocol.ApiKey {
	t.Helper()
	byName := map[string]protocol.ApiKey{}
	for key := range protocol.ApiKey(100) {
		byName[strings.ToLower(key.String())] = key
	}
	used := map[protocol.ApiKey]bool{protocol.Produce: true, protocol.Fetch: true}
	files, err := filepath.Glob("*.go")
	must(t, "Glob", err)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		must(t, "ParseFile", err)
		for _, i := range file.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			must(t, "Unquote", err)
			if name, ok := strings.CutPrefix(name, "github.com/segmentio/kafka-go/protocol/"); ok {
				key, known := byName[name]
				if !known {
					t.Fatalf("%s imports %s: which request is that?", path, name)
				}
				used[key] = true
			}
		}
	}
	var all []protocol.ApiKey
	for key := range used {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

// TestVersions: every request that is sent has a version that each line of
// Kafka takes, and the reference says which.
func TestVersions(t *testing.T) {
	t.Parallel()
	old, now := recorded(t, "3.9.1"), recorded(t, "4.3.1")
	var page bytes.Buffer
	page.WriteString(versionsHead)
	for _, key := range requests(t) {
		least, most := spoken(key)
		row := []string{key.String(), strconv.Itoa(int(key)), span16(versionRange{key.MinVersion(), key.MaxVersion()}), span16(versionRange{least, most})}
		for _, broker := range []map[protocol.ApiKey]versionRange{old, now} {
			takes, ok := broker[key]
			chosen := min(most, takes.most)
			if !ok || chosen < max(least, takes.least) {
				t.Errorf("%s: %v are spoken, a broker takes %v", key, versionRange{least, most}, takes)
			}
			row = append(row, span16(takes), strconv.Itoa(int(chosen)))
		}
		fmt.Fprintf(&page, "| %s |\n", strings.Join(row, " | "))
	}
	page.WriteString(clientHead)
	for _, seen := range clientVersions(t) {
		verdict := "yes"
		if takes := now[seen.key]; seen.version < takes.least || seen.version > takes.most {
			verdict = "**no**: it takes " + span16(takes)
		}
		fmt.Fprintf(&page, "| %s | %d | %s |\n", seen.key, seen.version, verdict)
	}
	page.WriteString(versionsFoot)
	for _, key := range requests(t) {
		if takes := now[key]; key.MinVersion() < takes.least {
			fmt.Fprintf(&page, "- %s %s\n", key, span16(versionRange{key.MinVersion(), takes.least - 1}))
		}
	}
	const path = "../../docs/reference/kafka-versions.md"
	if *updateVersions {
		must(t, "WriteFile", os.WriteFile(path, page.Bytes(), 0o644))
	}
	written, err := os.ReadFile(path)
	must(t, "ReadFile", err)
	if !bytes.Equal(written, page.Bytes()) {
		t.Errorf("%s is not what there is: go test ./internal/kafkalog -run TestVersions -update\n%s", path, page.Bytes())
	}
}

func span16(r versionRange) string { return fmt.Sprintf("%d–%d", r.least, r.most) }

// seenVersion is a request as it came to a broker.
type seenVersion struct {
	key     protocol.ApiKey
	version int16
}

// clientVersions are what kafka-go's own Conn, Writer and Reader send to a
// broker that takes what Kafka 4 takes. None of it is in the product.
func clientVersions(t *testing.T) []seenVersion {
	t.Helper()
	cluster := startCluster(t)
	var mu sync.Mutex
	seen := map[seenVersion]bool{}
	cluster.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		mu.Lock()
		defer mu.Unlock()
		seen[seenVersion{protocol.ApiKey(req.Key()), req.GetVersion()}] = true
		cluster.KeepControl()
		return nil, nil, false
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	address := cluster.ListenAddrs()[0]
	conn, err := kafka.DialContext(ctx, "tcp", address)
	must(t, "Dial", err)
	must(t, "CreateTopics", conn.CreateTopics(kafka.TopicConfig{Topic: "t", NumPartitions: 1, ReplicationFactor: 1}))
	w := &kafka.Writer{Addr: kafka.TCP(address), Topic: "t", RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond}
	must(t, "WriteMessages", w.WriteMessages(ctx, kafka.Message{Value: []byte("v")}))
	must(t, "Close", w.Close())
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{address}, Topic: "t", GroupID: "g", MaxWait: 50 * time.Millisecond})
	m, err := r.FetchMessage(ctx)
	must(t, "FetchMessage", err)
	must(t, "CommitMessages", r.CommitMessages(ctx, m))
	must(t, "Close", r.Close())
	must(t, "DeleteTopics", conn.DeleteTopics("t"))
	must(t, "Close", conn.Close())
	mu.Lock()
	defer mu.Unlock()
	var all []seenVersion
	for s := range seen {
		if s.key != protocol.Heartbeat { // whether there is time for one
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b seenVersion) int { return int(a.key-b.key)*100 + int(a.version-b.version) })
	return all
}

const (
	versionsHead = `# Versions of Kafka's protocol

Generated by ` + "`go test ./internal/kafkalog -run TestVersions -update`" + `; the test holds it against the source, and
` + "`make test-live`" + ` holds the brokers' columns against brokers.

Kafka 4.0 removed old versions of many requests (KIP-896), and the hub's client stands on kafka-go's
messages, which know old ones and few new ones. So each connection first asks its broker what it takes
(ApiVersions, which every broker answers in version 0), and then sends of each request the newest version
that both sides know. A broker with which there is none for a request gets no such request: the call fails
with the name of the request and the oldest Kafka that will do (2.5). Nothing is sent by guess.

| request | key | kafka-go's messages | spoken | Kafka 3.9.1 takes | sent | Kafka 4.3.1 takes | sent |
|---|---|---|---|---|---|---|---|
`
	clientHead = `
"Spoken" is narrower than kafka-go's messages where a version lacks what correctness needs
(` + "`internal/kafkalog/versions.go`" + ` says what), and where the hub encodes or decodes itself: the request to
Produce, the answers to Fetch and ApiVersions.

## What kafka-go's own client sends

Its Conn and Reader have versions of their own built in, its Writer asks the broker. The hub uses neither;
they are the references of the benchmarks. Observed on the wire, against a broker that takes what Kafka 4
takes:

| request | version | Kafka 4.3.1 takes it |
|---|---|---|
`
	versionsFoot = `
## What Kafka 4.3.1 refuses of what kafka-go knows

Neither sends it to such a broker, because both ask first. (Kafka 4 names Produce from 0 on for the sake of
old clients that look for it there, and refuses what is below 3, which is not spoken here.)

`
)
