//go:build live

package kafkalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/kafkatest"
)

const (
	interopKeys       = 20
	interopPartitions = 5
)

var interopCodecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// seen is a record as another client prints it.
type seen struct {
	Partition int32        `json:"partition"`
	Offset    int64        `json:"offset"`
	Key       string       `json:"key"`
	Value     string       `json:"value"`
	Headers   [][2]*string `json:"headers"`
}

// otherClient is a client that is not ours.
type otherClient struct {
	name  string
	lacks string // a codec with which it does not write
	read  func(t *testing.T, topic string, count int) []seen
	write func(t *testing.T, topic string) // with each codec, and what it can abort beside
}

// On Apache Kafka, kcat, librdkafka's Python client, kafkajs and Kafka's own
// console tools read what we write and write what we read: every codec,
// headers, aborted transactions left out, the same partition for a key.
// (franz-go: TestInterop, and every round of faults.)
func TestLiveInterop(t *testing.T) {
	cluster := kafkatest.Start(t, kafkatest.Options{})
	brokers := cluster.Brokers[0]
	c := open(t, cluster.Brokers)
	ours := create(t, c, interopPartitions)
	offsets := writeOurs(t, c, ours)
	for _, other := range []otherClient{kcat(brokers), confluentKafka(t, brokers), kafkaJS(t, brokers), consoleTools(cluster)} {
		t.Run(other.name+" reads", func(t *testing.T) {
			records := other.read(t, ours, len(offsets))
			if len(records) != len(offsets) {
				t.Errorf("%d records, want %d", len(records), len(offsets))
			}
			for _, r := range records {
				if r.Partition != keyPartition([]byte(r.Key), interopPartitions) || offsets[r.Key+"="+r.Value] != r.Offset {
					t.Errorf("%+v, which we did not commit there", r)
				}
				if len(r.Headers) != 1 || *r.Headers[0][0] != "h" || *r.Headers[0][1] != "1" {
					t.Errorf("%s has the headers %v", r.Key, r.Headers)
				}
			}
		})
		t.Run(other.name+" writes", func(t *testing.T) {
			topic := create(t, c, interopPartitions)
			other.write(t, topic)
			readTheirs(t, c, topic, other.lacks)
		})
	}
}

// writeOurs writes an aborted and a committed transaction with each codec, and
// returns the offsets of what is committed.
func writeOurs(t *testing.T, c *Client, topic string) map[string]int64 {
	t.Helper()
	offsets := map[string]int64{}
	for _, codec := range interopCodecs {
		p := producer(t, c, ProducerConfig{TransactionalID: topic + codec, Compression: codec})
		for _, end := range []string{"abort", "commit"} {
			must(t, "Begin", p.Begin())
			records := make([]Record, interopKeys)
			for i := range records {
				records[i] = Record{
					Topic: topic, Partition: AnyPartition, Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "%s/%s/%d", end, codec, i),
					Headers: []Header{{"h", []byte("1")}},
				}
			}
			mustSend(t, p, records)
			if end == "abort" {
				must(t, "Abort", p.Abort(t.Context()))
				continue
			}
			must(t, "Commit", p.Commit(t.Context()))
			for _, r := range records {
				offsets[string(r.Key)+"="+string(r.Value)] = r.Offset
			}
		}
	}
	waitStable(t, c, topic)
	return offsets
}

// readTheirs expects one committed record for each codec and key, where our
// producer would have put it, and nothing else.
func readTheirs(t *testing.T, c *Client, topic, lacks string) {
	t.Helper()
	waitStable(t, c, topic)
	ends, err := c.Offsets(t.Context(), topic)
	must(t, "Offsets", err)
	var values []string
	for _, e := range ends {
		err := c.ReadRange(t.Context(), topic, e.Partition, e.Start, e.Stable, func(r FetchedRecord) error {
			values = append(values, string(r.Value))
			if keyPartition(r.Key, interopPartitions) != e.Partition {
				t.Errorf("%s is in partition %d", r.Key, e.Partition)
			}
			if len(r.Headers) == 0 || r.Headers[0].Key != "h" || string(r.Headers[0].Value) != "1" {
				t.Errorf("%s has the headers %v", r.Key, r.Headers)
			}
			if i := strings.LastIndexByte(string(r.Value), '/'); "k"+string(r.Value[i+1:]) != string(r.Key) {
				t.Errorf("%s stands beside %s", r.Value, r.Key)
			}
			return nil
		})
		must(t, "ReadRange", err)
	}
	var want []string
	for _, codec := range interopCodecs {
		for i := range interopKeys {
			if codec == lacks {
				continue
			}
			want = append(want, fmt.Sprintf("commit/%s/%d", codec, i))
		}
	}
	slices.Sort(values)
	slices.Sort(want)
	same(t, values, want)
}

// run runs a client and returns what it prints.
func run(t *testing.T, dir, input, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
	var diagnosis bytes.Buffer
	cmd.Stderr = &diagnosis
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, diagnosis.Bytes())
	}
	return out
}

// lines decodes a JSON object a line.
func lines(t *testing.T, out []byte) []seen {
	t.Helper()
	var records []seen
	for line := range bytes.Lines(out) {
		var r seen
		must(t, "Unmarshal "+string(line), json.Unmarshal(line, &r))
		records = append(records, r)
	}
	return records
}

func kcat(brokers string) otherClient {
	return otherClient{
		name: "kcat",
		read: func(t *testing.T, topic string, _ int) []seen {
			out := run(t, "", "", "kcat", "-C", "-b", brokers, "-t", topic, "-o", "beginning", "-e", "-q", "-X", "isolation.level=read_committed",
				"-f", `{"partition":%p,"offset":%o,"key":"%k","value":"%s","headers":[["h","1"]],"raw":"%h"}`+"\n")
			if n := bytes.Count(out, []byte(`"raw":"h=1"`)); n != bytes.Count(out, []byte("\n")) {
				t.Errorf("%d records have their header", n)
			}
			return lines(t, out)
		},
		write: func(t *testing.T, topic string) {
			for _, codec := range interopCodecs {
				run(t, "", keyedLines("commit/"+codec, ":"), "kcat", "-P", "-b", brokers, "-t", topic, "-K", ":", "-H", "h=1", "-z", codec,
					"-X", "partitioner=murmur2_random", "-X", "enable.idempotence=true")
			}
		},
	}
}

// keyedLines are what a client takes that reads a record a line.
func keyedLines(value, separator string) string {
	var b strings.Builder
	for i := range interopKeys {
		fmt.Fprintf(&b, "k%d%s%s/%d\n", i, separator, value, i)
	}
	return b.String()
}

func interopScript(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "interop", name))
	must(t, "Abs", err)
	return path
}

// byScript is a client that one of the scripts in testdata/interop is.
func byScript(name, dir, brokers string, command ...string) otherClient {
	call := func(t *testing.T, verb, topic string, count int) []byte {
		t.Helper()
		return run(t, dir, "", command[0], append(command[1:], verb, brokers, topic, strconv.Itoa(count))...)
	}
	return otherClient{
		name: name,
		read: func(t *testing.T, topic string, count int) []seen {
			return lines(t, call(t, "read", topic, count))
		},
		write: func(t *testing.T, topic string) { call(t, "write", topic, interopKeys) },
	}
}

// confluentKafka is installed for the test and gone after it.
func confluentKafka(t *testing.T, brokers string) otherClient {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, "", "python3", "-m", "venv", "env")
	run(t, dir, "", filepath.Join(dir, "env/bin/pip"), "install", "--quiet", "--disable-pip-version-check", "confluent-kafka==2.11.1")
	return byScript("confluent-kafka", dir, brokers, filepath.Join(dir, "env/bin/python"), interopScript(t, "client.py"))
}

func kafkaJS(t *testing.T, brokers string) otherClient {
	t.Helper()
	dir := t.TempDir()
	must(t, "package.json", os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"private":true}`), 0o600))
	run(t, dir, "", "npm", "install", "--silent", "--no-audit", "--no-fund",
		"kafkajs@2.2.4", "kafkajs-snappy@1.1.0", "lz4js@0.2.0", "@bokuweb/zstd-wasm@0.0.27")
	source, err := os.ReadFile(interopScript(t, "client.js"))
	must(t, "client.js", err)
	must(t, "client.js", os.WriteFile(filepath.Join(dir, "client.js"), source, 0o600)) // beside its modules
	c := byScript("kafkajs", dir, brokers, "node", "client.js")
	c.lacks = "lz4" // none that brokers take is to be had for it without a compiler
	return c
}

// consoleTools are Kafka's own, in Java.
func consoleTools(cluster *kafkatest.Cluster) otherClient {
	return otherClient{
		name: "console tools",
		read: func(t *testing.T, topic string, count int) []seen {
			out := cluster.Tool(t, "", "org.apache.kafka.tools.consumer.ConsoleConsumer",
				"--bootstrap-server", cluster.Brokers[0], "--topic", topic, "--from-beginning", "--max-messages", strconv.Itoa(count),
				"--isolation-level", "read_committed", "--timeout-ms", "60000", "--formatter-property", "print.partition=true",
				"--formatter-property", "print.offset=true", "--formatter-property", "print.headers=true", "--formatter-property", "print.key=true")
			var records []seen
			for line := range strings.Lines(out) { // Partition:0 Offset:21 h:1 k3 commit/none/3
				f := strings.Split(strings.TrimSpace(line), "\t")
				if len(f) != 5 {
					t.Fatalf("a line of %d fields: %q", len(f), line)
				}
				partition, err := strconv.Atoi(strings.TrimPrefix(f[0], "Partition:"))
				must(t, line, err)
				offset, err := strconv.Atoi(strings.TrimPrefix(f[1], "Offset:"))
				must(t, line, err)
				name, value, _ := strings.Cut(f[2], ":")
				records = append(records, seen{int32(partition), int64(offset), f[3], f[4], [][2]*string{{&name, &value}}})
			}
			return records
		},
		write: func(t *testing.T, topic string) {
			for _, codec := range interopCodecs {
				input := keyedLines("commit/"+codec, "\t")
				input = "h:1\t" + strings.ReplaceAll(strings.TrimSuffix(input, "\n"), "\n", "\nh:1\t") + "\n"
				cluster.Tool(t, input, "org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", cluster.Brokers[0], "--topic", topic,
					"--compression-codec", codec, "--reader-property", "parse.key=true", "--reader-property", "parse.headers=true")
			}
		},
	}
}
