//go:build live

package httpapi_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
	"github.com/chuanyu-exchange/hub/schemas/sealed"
)

// Unmodified Kafka and registry clients of three languages read the topics as
// connectors write them, with the schemas of our registry: every schema, both
// branches of every union, every symbol, Chinese text. What lies in a sealed
// block is bytes to them, the very bytes that were sealed.
func TestLiveRegistryClients(t *testing.T) {
	r := newRig(t, nil)
	reader := r.admitted("sc-amr")
	expected, topics := r.publishAll(reader)
	granted := r.clientConfig(reader, topics, len(expected))
	alone := r.clientConfig(&person{issued: reader.issued}, topics, len(expected)) // the certificate is enough
	clients := absolute(t, "../../.clients")
	scripts := absolute(t, "../../deploy/clients")
	for name, command := range map[string][]string{
		"confluent-kafka (Python)":             {clients + "/venv/bin/python", scripts + "/consume.py", alone},
		"@confluentinc/schemaregistry (Node)":  {"node", scripts + "/consume.mjs", alone, "confluentinc"},
		"@kafkajs/confluent-schema-reg (Node)": {"node", scripts + "/consume.mjs", granted, "kafkajs"},
		"Apache Avro and HTTP (Java)":          {"java", "-cp", clients + "/jars/*", scripts + "/Consume.java", granted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, command[0], command[1:]...)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v (are the clients here? `make clients`)\n%s", err, errs.String())
			}
			compareDecoded(t, &out, expected)
		})
	}
}

// compareDecoded holds what a client printed against what was published.
func compareDecoded(t *testing.T, out *bytes.Buffer, expected map[string]any) {
	t.Helper()
	seen := map[string]bool{}
	for d := json.NewDecoder(out); d.More(); {
		d.UseNumber()
		var line struct {
			Topic     string
			Partition int32
			Offset    int64
			Value     any
		}
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		at := fmt.Sprintf("%s/%d/%d", line.Topic, line.Partition, line.Offset)
		seen[at] = true
		if !reflect.DeepEqual(line.Value, expected[at]) {
			t.Errorf("%s\n got %v\nwant %v", at, line.Value, expected[at])
		}
	}
	if len(seen) != len(expected) {
		t.Errorf("%d records of %d", len(seen), len(expected))
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	out, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// clientConfig writes what a client is told; a person with a grant gives it
// along, as a bearer token (Java) or as the password of Basic (Node).
func (r *rig) clientConfig(p *person, topics []string, records int) string {
	r.t.Helper()
	dir := r.t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			r.t.Fatal(err)
		}
		return path
	}
	key, err := x509.MarshalPKCS8PrivateKey(p.issued.Key)
	if err != nil {
		r.t.Fatal(err)
	}
	var chain []byte
	for _, c := range p.issued.Chain {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	told := map[string]any{
		"brokers": strings.Join(r.cluster.ListenAddrs(), ","), "registry": r.url + "/schema-registry", "topics": topics, "records": records,
		"ca":          write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.cq.Root.Raw})),
		"certificate": write("cert.pem", chain), "key": write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"modules": absolute(r.t.(*testing.T), "../../.clients/node"),
	}
	if p.token != "" {
		told["token"] = p.token
	}
	config, err := json.Marshal(told)
	if err != nil {
		r.t.Fatal(err)
	}
	return write("config.json", config)
}

// publishAll publishes records of every schema to the topic of one product that
// the reader may know of. It returns what clients are to decode, by place.
func (r *rig) publishAll(reader *person) (expected map[string]any, topics []string) {
	r.t.Helper()
	status, subjects, _ := r.ask(reader, "GET", "/subjects", "")
	if status != 200 {
		r.t.Fatal(subjects)
	}
	expected = map[string]any{}
	for _, s := range r.snapshot.Schemas.All() {
		products := slices.DeleteFunc(r.snapshot.Catalogue.Products(), func(p *catalogue.Product) bool {
			return p.Schema != s.Name || !strings.Contains(subjects, `"`+record.Topic(region, p.ID, p.Major)+`-value"`)
		})
		if len(products) == 0 {
			r.t.Fatalf("the reader knows no product of %s", s.Name)
		}
		topic := record.Topic(region, products[0].ID, products[0].Major)
		topics = append(topics, topic)
		r.publishEveryBranch(s, topic, expected)
	}
	return expected, topics
}

func (r *rig) publishEveryBranch(s *schemas.Schema, topic string, expected map[string]any) {
	r.t.Helper()
	t, err := avro.Parse(s.Source)
	if err != nil {
		r.t.Fatal(err)
	}
	reference, err := goavro.NewCodec(string(evolve.Canonical(t))) // without logical types: plain values
	if err != nil {
		r.t.Fatal(err)
	}
	name := sealed.KeyName("live", "202611")
	wrapped := []byte("wrapped:" + name)
	dataKey, err := unwrap(r.t.Context(), name, wrapped)
	if err != nil {
		r.t.Fatal(err)
	}
	sealer, err := sealed.NewSealer(name, wrapped, dataKey)
	if err != nil {
		r.t.Fatal(err)
	}
	n := 4
	for i := range s.Leaves {
		n = max(n, len(s.Leaves[i].Symbols)+2)
	}
	var records []kafkalog.Record
	for i := range n {
		values := make([]schemas.Value, len(s.Leaves))
		for l := range s.Leaves {
			values[l] = branchValue(&s.Leaves[l], i, l)
		}
		key := record.Key([]byte("secret"), fmt.Append(nil, topic, i))
		body, err := schemas.NewEncoder(s).Append(nil, values, key[:], sealer)
		if err != nil {
			r.t.Fatal(err)
		}
		native, rest, err := reference.NativeFromBinary(body)
		if err != nil || len(rest) > 0 {
			r.t.Fatalf("%s: %v", s.Name, err)
		}
		expected[fmt.Sprintf("%s/0/%d", topic, i)] = throughJSON(r.t.(*testing.T), plainValue(t, native))
		records = append(records, kafkalog.Record{Topic: topic, Partition: 0, Key: key[:], Value: append(schemas.AppendFrame(nil, s.ID), body...)})
	}
	producer, err := r.kafka.NewProducer(r.t.Context(), kafkalog.ProducerConfig{})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := errors.Join(producer.Send(r.t.Context(), records), producer.Close(r.t.Context())); err != nil {
		r.t.Fatal(err)
	}
}

// branchValue is a value of a leaf in the i-th record: null in the first and in
// every third after it where that may be, each symbol of an enum in turn.
func branchValue(l *schemas.Leaf, i, leaf int) schemas.Value {
	if l.Nullable && (i == 0 || i > 1 && (i+leaf)%3 == 0) {
		return schemas.Value{}
	}
	number := int64(i*131 + leaf)
	switch l.Kind {
	case schemas.Boolean:
		number = int64(i % 2)
	case schemas.Enum:
		number = int64((i + leaf) % len(l.Symbols))
	case schemas.Decimal:
		number = number*997 - 40_000 // both signs, one to three bytes
	case schemas.TimestampMillis:
		number = 1_767_225_600_000 + number
	}
	text := fmt.Sprintf("川渝㵘𠮷 “%s” %d\n", l.Path, i)
	if l.Repeated {
		v := schemas.Value{Set: true}
		for range i % 3 {
			v.Ints, v.Texts = append(v.Ints, number), append(v.Texts, []byte(text))
		}
		return v
	}
	if l.Kind == schemas.String || l.Kind == schemas.Bytes {
		return schemas.TextValue(text)
	}
	return schemas.IntValue(number)
}

// plainValue is a value as goavro decodes it, as the clients print it.
func plainValue(t *avro.Type, v any) any {
	switch t.Kind {
	case avro.Record:
		out := map[string]any{}
		for i := range t.Fields {
			out[t.Fields[i].Name] = plainValue(t.Fields[i].Type, v.(map[string]any)[t.Fields[i].Name])
		}
		return out
	case avro.Union:
		if v == nil {
			return nil
		}
		for _, inner := range v.(map[string]any) {
			return plainValue(t.Branches[1], inner) // ["null", T]
		}
	case avro.Array:
		out := []any{}
		for _, item := range v.([]any) {
			out = append(out, plainValue(t.Items, item))
		}
		return out
	case avro.Bytes:
		return map[string]any{"hex": hex.EncodeToString(v.([]byte))}
	}
	return v
}

func throughJSON(t *testing.T, v any) (out any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}
