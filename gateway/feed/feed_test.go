package feed

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"

	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/record"
)

var update = flag.Bool("update", false, "write the golden file anew")

// The lines of a page, member by member, as consumers read them.
func TestLines(t *testing.T) {
	t.Parallel()
	const path = "testdata/lines.golden"
	p := &Page{}
	for _, q := range []Query{
		{Warnings: []string{"check_character_doubtful", "region_abolished"}},
		{Warnings: []string{"region_abolished"}, HideDecisionTime: true},
		{},
	} {
		q.Redact = func(dst, value, _ []byte) ([]byte, string, error) { return append(dst, value...), "s", nil }
		b := builder{page: p, query: &q}
		for i, warnings := range [][]string{nil, {"region_abolished"}, {"check_character_doubtful", "region_abolished"}} {
			if err := b.add(message(i+1, warnings)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for line := range bytes.Lines(p.Lines) {
		if !json.Valid(line) {
			t.Errorf("%s is not JSON", line)
		}
	}
	if *update {
		if err := os.WriteFile(path, p.Lines, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.Lines, want) {
		t.Errorf("lines are\n%swant\n%s", p.Lines, want)
	}
}

// The same envelope as a row and as Avro bytes, under the names that announce it.
func TestRowsAndBytes(t *testing.T) {
	t.Parallel()
	for _, hide := range []bool{false, true} {
		q := Query{Form: Rows, HideDecisionTime: hide, Warnings: []string{"region_abolished", "check_character_doubtful"}}
		q.Redact = func(dst, _, _ []byte) ([]byte, string, error) {
			return append(dst, "in_force,\"a,b\"\r\n"...), "s", nil
		}
		p := &Page{}
		b := builder{page: p, query: &q}
		id := record.EventID(record.Key([]byte("secret"), []byte{1}), record.Digest{1}, 1)
		if err := b.add(message(1, []string{"check_character_doubtful", "unknown", "region_abolished"})); err != nil {
			t.Fatal(err)
		}
		want := "event_id,operation,version,decision_time,warnings,record.status,record.parties.name\r\n" +
			id + ",upsert,1,1970-01-01T00:00:01Z,check_character_doubtful region_abolished,in_force,\"a,b\"\r\n"
		if hide {
			want = strings.NewReplacer(",decision_time", "", ",1970-01-01T00:00:01Z", "").Replace(want)
		}
		if got := string(Columns([]byte("status,parties.name\r\n"), hide)) + string(p.Lines); got != want {
			t.Errorf("rows are\n%swant\n%s", got, want)
		}

		q.Form, p.Lines = Binary, nil
		q.Redact = func(dst, _, _ []byte) ([]byte, string, error) { return append(dst, 2), "s", nil } // the long 1
		if err := b.add(message(1, []string{"check_character_doubtful", "region_abolished"})); err != nil {
			t.Fatal(err)
		}
		source, err := Schema([]byte(`"long"`), hide)
		if err != nil {
			t.Fatal(err)
		}
		codec, err := goavro.NewCodec(string(source))
		if err != nil {
			t.Fatal(err)
		}
		native, rest, err := codec.NativeFromBinary(p.Lines)
		of, _ := native.(map[string]any)
		if err != nil || len(rest) > 0 || of["event_id"] != id || of["version"] != int64(1) || of["record"] != int64(1) || len(of["warnings"].([]any)) != 2 {
			t.Errorf("%s: %v, %v", source, native, err)
		}
		if _, told := of["decision_time"]; told == hide {
			t.Errorf("decision time: %v", native)
		}
	}
	if got := string(Columns([]byte("\r\n"), true)); got != "event_id,operation,version,warnings,record\r\n" {
		t.Errorf("nothing released: %s", got)
	}
}

func message(i int, warnings []string) *kafkalog.FetchedRecord {
	key := record.Key([]byte("secret"), []byte{byte(i)})
	e := record.Envelope{
		Product: "bid_result", Provider: "cq-trading", EventID: record.EventID(key, record.Digest{1}, 1), Operation: record.Upsert,
		DecisionTime: time.Unix(int64(i), 0), Version: 1, Content: record.Digest{1}, Warnings: warnings,
	}
	m := &kafkalog.FetchedRecord{Value: []byte(`{"status":"in_force"}`), Key: key[:]}
	for name, value := range e.Headers() {
		m.Headers = append(m.Headers, kafkalog.Header{Key: name, Value: value})
	}
	return m
}
