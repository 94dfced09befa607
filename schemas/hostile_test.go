package schemas_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Invariant 3: what cannot be redacted is not released.
func TestViewFailsClosed(t *testing.T) {
	t.Parallel()
	s := shipped(t, "consumer_complaint.v1")
	good := encode(t, s, values(t, s, goldenRecords[s.Name]))
	phone := redact.Obligations{"complainant.phone": {Action: redact.Mask, Method: redact.MaskPhone}}
	hash := redact.Obligations{"dossier.case_no": {Action: redact.Hash}}
	notUTF8 := bytes.Replace(good, []byte("13800000000"), []byte("138\xff\xfe000000"), 1)
	for _, c := range []struct {
		title string
		body  []byte
		key   string
		ob    redact.Obligations
		run   *schemas.Run
		want  problem.Code
	}{
		{"an empty record", nil, "golden-key", keepAll(s), schemas.NewRun(nil, glassBox{}), problem.RecordUnreadable},
		{"a cut record", good[:len(good)-1], "golden-key", keepAll(s), schemas.NewRun(nil, glassBox{}), problem.RecordUnreadable},
		{"a cut record of which nothing is released", good[:len(good)-1], "golden-key", nil, &schemas.Run{}, problem.RecordUnreadable},
		{"bytes behind the record", append(bytes.Clone(good), 0), "golden-key", phone, schemas.NewRun(nil, glassBox{}), problem.RecordUnreadable},
		{"a mask on text that is not UTF-8", notUTF8, "golden-key", phone, schemas.NewRun(nil, glassBox{}), problem.RecordUnredactable},
		{"no hash key", good, "golden-key", hash, schemas.NewRun(nil, glassBox{}), problem.RecordUnredactable},
		{"no unsealer", good, "golden-key", phone, &schemas.Run{}, problem.RecordUnredactable},
		{"a block of another record", good, "other-key", phone, schemas.NewRun(nil, glassBox{}), problem.Internal},
	} {
		out, err := view(t, s, c.ob).Append([]byte("before"), c.body, []byte(c.key), c.run)
		if err == nil || string(out) != "before" {
			t.Errorf("%s: released %q, %v", c.title, out, err)
			continue
		}
		if got := problem.CodeOf(err); got != c.want {
			t.Errorf("%s: %s, want %s (%v)", c.title, got, c.want, err)
		}
		if strings.Contains(err.Error(), "138") {
			t.Errorf("%s: the error holds content: %v", c.title, err)
		}
	}
}

// A count or length beyond the remaining bytes must cost nothing.
func TestHostileCounts(t *testing.T) { // not parallel: it counts allocations
	s, err := schemas.Parse("t.v1", []byte(`{"type":"record","name":"R","fields":[
		{"name":"a","type":{"type":"array","items":"long"},"zh":"甲","source":"x","sensitivity":"public"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	v := view(t, s, keepAll(s))
	for _, body := range [][]byte{
		binary.AppendVarint(nil, 1<<31),
		append(binary.AppendVarint(binary.AppendVarint(nil, -1<<62), 1), 0),
		append(binary.AppendVarint(binary.AppendVarint(nil, -1<<63), 1), 0),
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		var out []byte
		allocs := testing.AllocsPerRun(1, func() { out, err = v.Append(nil, body, nil, &schemas.Run{}) })
		if err == nil || allocs > 50 {
			t.Errorf("%x: %s, %v, %v allocations", body, out, err, allocs)
		}
	}
	if out, err := v.Append(nil, []byte{3, 2, 2, 4, 0}, nil, &schemas.Run{}); err != nil || string(out) != `{"a":[1,2]}` {
		t.Errorf("a block with its length: %s, %v", out, err)
	}
}

func BenchmarkView(b *testing.B) {
	s := shipped(b, "price_quote.v1")
	body := encode(b, s, values(b, s, goldenRecords[s.Name]))
	for name, o := range map[string]redact.Obligations{
		"full": keepAll(s),
		"eight": {
			"market_name": {Action: redact.Keep}, "commodity_name": {Action: redact.Keep}, "low_price": {Action: redact.Keep},
			"average_price": {Action: redact.Keep}, "high_price": {Action: redact.Keep}, "unit": {Action: redact.Keep},
			"collect_date": {Action: redact.Keep}, "region_code": {Action: redact.Keep},
		},
	} {
		b.Run(name, func(b *testing.B) {
			v, run := view(b, s, o), &schemas.Run{}
			var out []byte
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if out, err = v.Append(out[:0], body, goldenKey, run); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
