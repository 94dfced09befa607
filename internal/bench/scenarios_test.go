package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/httpapi"
	"github.com/chuanyu-exchange/hub/gateway/signing"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/internal/sample"
)

// frontend is what hubctl hands over.
func frontend(g *gateway.Gateway, s *signing.Signer, certificate func() *tls.Certificate) *http.Server {
	return (&httpapi.API{Gateway: g, Keys: s, Metrics: httpapi.NewMetrics(g.Region), Logger: g.Logger}).Server(certificate)
}

func testHub(t *testing.T, rows int, fields string) *hub {
	t.Helper()
	w, err := newWorld(t.TempDir(), rows)
	if err != nil {
		t.Fatal(err)
	}
	h, err := newHub(t.Context(), w, frontend, fields)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// pulled collects the lines of every page by their event id.
type pulled map[string]map[string]any

func (p pulled) add(t *testing.T, body []byte) {
	t.Helper()
	for line := range bytes.Lines(body) {
		var doc map[string]any
		if err := json.Unmarshal(line, &doc); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		id, _ := doc["event_id"].(string)
		if p[id] != nil || id == "" {
			t.Fatalf("event %q comes twice or has no id", id)
		}
		p[id] = doc
	}
}

// Both sides of pull/masked8 do the same work: each record once, in the same
// words, and of each record the eight fields.
func TestPlainEndpointSaysTheSame(t *testing.T) {
	t.Parallel()
	rows := 1200
	if testing.Short() {
		rows = 300
	}
	h := testHub(t, rows, eightFields)
	p, err := h.newPlainEndpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}()
	c := newLineCounter(h.caller.tls(), h.local.pool())
	defer func() { _ = c.close() }()

	plain := pulled{}
	for next := "?partition=0&offset=0"; next != ""; {
		_, header, err := c.get(t.Context(), p.url+"/records"+next)
		if err != nil {
			t.Fatal(err)
		}
		plain.add(t, c.body.Bytes())
		next = header.Get(plainNext)
	}

	who, err := h.credentials(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.header = http.Header{"Authorization": {"Bearer " + who.Token}}
	ours, cursor := pulled{}, ""
	for len(ours) < rows {
		query := url.Values{"purpose": {purpose}, "cursor": {cursor}}
		lines, header, err := c.get(t.Context(), h.url+"/v1/products/"+productID+"/records?"+query.Encode())
		if err != nil || lines == 0 {
			t.Fatal(lines, err)
		}
		ours.add(t, c.body.Bytes())
		cursor = header.Get(httpapi.HeaderNext)
	}

	if len(ours) != rows || len(plain) != rows {
		t.Fatalf("%d and %d records of %d", len(ours), len(plain), rows)
	}
	want := []string{"average_price", "collect_date", "commodity_name", "high_price", "low_price", "market_name", "source_unit", "unit"}
	for id, line := range ours {
		if !reflect.DeepEqual(line, plain[id]) {
			t.Fatalf("the gateway says %v\nthe plain endpoint %v", line, plain[id])
		}
		fields, _ := line["record"].(map[string]any)
		if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, want) {
			t.Fatalf("fields: %v", got)
		}
		if fields["market_name"] != "川***" || fields["source_unit"] != "1150***B" {
			t.Fatalf("masks: %v", fields)
		}
	}
}

func TestPlainEndpointAsksForACertificate(t *testing.T) {
	t.Parallel()
	h := testHub(t, 10, eightFields)
	p, err := h.newPlainEndpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.close() }()
	c := newLineCounter(&tls.Certificate{}, h.local.pool())
	defer func() { _ = c.close() }()
	if _, _, err := c.get(t.Context(), p.url+"/records?partition=0&offset=0"); err == nil {
		t.Error("it answers anybody")
	}
	known := newLineCounter(h.caller.tls(), h.local.pool())
	defer func() { _ = known.close() }()
	if _, _, err := known.get(t.Context(), p.url+"/records?partition=x"); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("a page of no partition: %v", err)
	}
}

// The Writer writes what the connector wrote: the same records in the same
// partitions.
func TestWriterWritesTheSame(t *testing.T) {
	t.Parallel()
	w, err := newWorld(t.TempDir(), 1200)
	if err != nil {
		t.Fatal(err)
	}
	host, err := newConnectorHost(w)
	if err != nil {
		t.Fatal(err)
	}
	ready, err := startBroker(t.Context(), w.topics()...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ready.close() }()
	if err := w.publish(t.Context(), host, ready); err != nil {
		t.Fatal(err)
	}
	target, err := startBroker(t.Context(), w.topics()...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.close() }()
	p, err := w.writerPass(t.Context(), ready, target)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := p.run(t.Context()); n != 1200 || err != nil {
		t.Fatal(n, err)
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	if got, want := contents(t, w, target), contents(t, w, ready); len(want) != 1200 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d records of %d are the same", len(got), len(want))
	}
}

// A clock that is wrong, for one, sends rows to quarantine: then nothing is
// measured, and it is said why.
func TestQuarantinedRowsAreNoResult(t *testing.T) {
	t.Parallel()
	w, err := newWorld(t.TempDir(), 20)
	if err != nil {
		t.Fatal(err)
	}
	var damaged bytes.Buffer
	if _, err := sample.CSV(&damaged, productID, sample.Options{Region: region, Rows: 20, FaultEvery: 5}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.file, damaged.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openConnectorCSV(t.Context(), w, nil); err == nil || !strings.Contains(err.Error(), "4 of the sample rows were quarantined") {
		t.Errorf("%v", err)
	}
}

// contents are a topic's records by key, with their partition.
func contents(t *testing.T, w *world, b *broker) map[string]kafka.Message {
	t.Helper()
	out := map[string]kafka.Message{}
	err := w.scan(t.Context(), b, func(partition int32, r *kafkalog.FetchedRecord) {
		m := message(r)
		m.Partition = int(partition)
		out[string(m.Key)] = m
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMarkersAreNoRecords(t *testing.T) {
	t.Parallel()
	if isRecord(&kafka.Message{Key: make([]byte, 4), Value: make([]byte, 6)}) || !isRecord(&kafka.Message{Key: make([]byte, record.DigestSize)}) {
		t.Error("markers and records are not told apart")
	}
}

// benchmarkRows is what hubctl bench carries by default.
const benchmarkRows = 100_000

// BenchmarkSides runs each side of each scenario by itself, for profiles and
// for benchstat; one op is one pass over all rows. What is compared with each
// other belongs into one run with turns: hubctl bench.
func BenchmarkSides(b *testing.B) {
	for _, s := range new(Options).possible(scenarios(), nil) {
		b.Run(s.name, func(b *testing.B) {
			w, err := newWorld(b.TempDir(), benchmarkRows)
			if err != nil {
				b.Fatal(err)
			}
			w.self = []string{os.Args[0], brokerArgument}
			c, err := s.open(b.Context(), w, frontend)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = c.close() }()
			for _, side := range c.sides() {
				b.Run(side.name, func(b *testing.B) { benchmarkSide(b, &side, s.unit) })
			}
		})
	}
}

func benchmarkSide(b *testing.B, side *contestant, unit string) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		p, err := side.prepare(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		n, err := p.run(context.Background())
		b.StopTimer()
		if err != nil || n != benchmarkRows {
			b.Fatal(n, err)
		}
		if err := p.close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N)*benchmarkRows/b.Elapsed().Seconds(), unit)
}
