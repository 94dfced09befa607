package kafkatest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a broker may take to listen: the machine may be busy,
// and the first start may fetch Kafka.
const patience = 3 * time.Minute

// Options say what cluster is wanted. The zero value is one broker of the
// script's own version, in plaintext.
type Options struct {
	Brokers int
	Version string // of Kafka
	// Listener is the protocol of the clients' listener: PLAINTEXT, SSL,
	// SASL_PLAINTEXT or SASL_SSL.
	Listener   string
	Properties string // lines of server.properties that override the script's
	Format     string // further arguments of the storage tool
}

// Cluster is some brokers.
type Cluster struct {
	Brokers []string // host:port, of broker 1, 2 …

	options Options
	dir     string
	nodes   []*process
}

// Start runs a cluster for the test and returns when every broker listens.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	o.Brokers = max(o.Brokers, 1)
	dir, err := os.MkdirTemp("", "kafkatest-") //nolint:usetesting // its logs are kept when the test fails
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{options: o, dir: dir, nodes: make([]*process, o.Brokers)}
	t.Cleanup(func() { c.stop(t) })
	if o.Properties != "" {
		if err := os.WriteFile(c.extra(), []byte(o.Properties), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range o.Brokers {
		c.Brokers = append(c.Brokers, freePorts(t))
	}
	c.install(t)
	for node := range c.nodes {
		c.launch(t, node)
	}
	for node := range c.nodes {
		c.await(t, node)
	}
	return c
}

// Kill ends a broker at once. node counts from 0.
func (c *Cluster) Kill(node int) { c.nodes[node].kill() }

// Pause makes a broker hang: it keeps its connections and answers nothing.
func (c *Cluster) Pause(node int) { c.nodes[node].signal(syscall.SIGSTOP) }

// Resume lets a broker that was paused go on.
func (c *Cluster) Resume(node int) { c.nodes[node].signal(syscall.SIGCONT) }

// Restart starts a broker that was killed, and returns when it listens.
func (c *Cluster) Restart(t testing.TB, node int) {
	t.Helper()
	c.launch(t, node)
	c.await(t, node)
}

// Tool runs one of Kafka's own console tools and returns what it prints.
func (c *Cluster) Tool(t testing.TB, input, class string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), script(), append([]string{"tool", class}, args...)...)
	cmd.Env = append(c.environment(), "KAFKA_LOG=error")
	cmd.Stdin = strings.NewReader(input)
	var diagnosis strings.Builder
	cmd.Stderr = &diagnosis
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", class, args, err, out, diagnosis.String())
	}
	return string(out)
}

func (c *Cluster) install(t testing.TB) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), script(), "install")
	cmd.Env = c.environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kafka.sh install: %v\n%s", err, out)
	}
}

func (c *Cluster) launch(t testing.TB, node int) {
	t.Helper()
	args := []string{"run", c.dir, strconv.Itoa(node + 1)}
	for _, address := range c.Brokers {
		args = append(args, address[strings.LastIndexByte(address, ':')+1:])
	}
	// Not t.Context(): it ends before the clean-up, and with it the brokers,
	// while clients are still closing.
	cmd := exec.Command(script(), args...)
	cmd.Env = c.environment()
	p, err := launch(cmd, c.log(node))
	if err != nil {
		t.Fatalf("starting broker %d: %v", node+1, err)
	}
	c.nodes[node] = p
}

// await returns when the broker listens: Kafka listens after it has recovered.
func (c *Cluster) await(t testing.TB, node int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", c.Brokers[node])
		if err == nil {
			_ = conn.Close()
			return
		}
		if !c.nodes[node].running() || time.Now().After(deadline) {
			t.Fatalf("broker %d does not listen: %v; its log ends:\n%s", node+1, err, c.tail(node))
		}
	}
}

func (c *Cluster) environment() []string {
	env := os.Environ()
	set := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	set("KAFKA_VERSION", c.options.Version)
	set("KAFKA_LISTENER", c.options.Listener)
	set("KAFKA_FORMAT", c.options.Format)
	if c.options.Properties != "" {
		set("KAFKA_EXTRA", c.extra())
	}
	return env
}

func (c *Cluster) extra() string { return filepath.Join(c.dir, "extra.properties") }
func (c *Cluster) log(node int) string {
	return filepath.Join(c.dir, fmt.Sprintf("broker-%d.log", node+1))
}

// tail is what a broker's log says of errors, and its last lines.
func (c *Cluster) tail(node int) string {
	text, err := os.ReadFile(c.log(node))
	if err != nil {
		return err.Error()
	}
	lines := strings.SplitAfter(string(text), "\n")
	var out strings.Builder
	for i, line := range lines {
		if i >= len(lines)-10 || strings.Contains(line, " ERROR ") || strings.Contains(line, "Exception") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// stop ends every broker. After a failed test the logs stay.
func (c *Cluster) stop(t testing.TB) {
	t.Helper()
	for _, p := range c.nodes {
		if p != nil {
			p.kill()
		}
	}
	if t.Failed() {
		for node := range c.nodes { // the data is of no use to anybody
			_ = os.RemoveAll(filepath.Join(c.dir, strconv.Itoa(node+1), "data"))
		}
		t.Logf("the brokers' logs are kept in %s", c.dir)
		return
	}
	if err := os.RemoveAll(c.dir); err != nil {
		t.Error(err)
	}
}

// freePorts finds an address whose port and the one after it are free, below
// the ports that the system gives to outgoing connections: one of those could
// sit on a broker's port while the broker is down.
func freePorts(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := 20_000 + 2*rand.IntN(6_000)
		if free(t, port) && free(t, port+1) {
			return fmt.Sprintf("127.0.0.1:%d", port)
		}
	}
	t.Fatal("no two neighbouring ports are free")
	return ""
}

func free(t testing.TB, port int) bool {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// script is deploy/kafka/kafka.sh, wherever the test runs.
func script() string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "..", "deploy", "kafka", "kafka.sh")
}
