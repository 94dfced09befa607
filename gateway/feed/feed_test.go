package feed

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

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
