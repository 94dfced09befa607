package schemas_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/redact"
	"github.com/chuanyu-exchange/hub/schemas/schematest"
)

// TestPlantedValues redacts random values of random schemas by random
// obligations, in every format: what was planted in a field that is not kept
// occurs nowhere in the output, and nothing of a record in an error.
func TestPlantedValues(t *testing.T) {
	t.Parallel()
	start := seed(t)
	released, refused, hidden := 0, 0, 0
	for i := range pairs(t, 120) {
		g := schematest.New(start + uint64(i))
		s := foreign(t, g.Schema())
		body, plants := g.Value(nil, s.Type)
		o := randomObligations(g.Rand, s)
		for _, format := range []schemas.Format{schemas.JSON, schemas.CSV, schemas.Avro} {
			v, err := schemas.CompileView(schemas.ViewSpec{Writer: s, Obligations: o, Format: format})
			if err != nil {
				continue // a mask on a number, a hash on a list
			}
			run := schemas.NewRun([]byte("key"), nil)
			out, err := v.Append(nil, body, nil, run)
			if err != nil {
				refused++
				hidden += search(t, start+uint64(i), err.Error(), plants, nil)
				continue
			}
			released++
			hidden += search(t, start+uint64(i), string(out), plants, o)
			broken := bytes.Clone(body)
			for range 1 + len(body)/16 {
				broken[g.IntN(len(broken))] ^= byte(1 + g.IntN(255))
			}
			if _, err := v.Append(nil, broken, nil, run); err != nil {
				search(t, start+uint64(i), err.Error(), plants, nil)
			}
		}
	}
	t.Logf("%d records released, %d refused, %d values looked for", released, refused, hidden)
	if released < refused/4 || hidden < released/4 {
		t.Error("too little was looked for")
	}
}

// randomObligations fit their fields mostly.
func randomObligations(rng *rand.Rand, s *schemas.Schema) redact.Obligations {
	o := redact.Obligations{}
	for i := range s.Leaves {
		l := &s.Leaves[i]
		fits := []string{"keep", "keep", "null", "drop"}
		switch {
		case l.Repeated || l.Kind == schemas.Keys:
		case l.Kind == schemas.String:
			fits = append(fits, "hash", "mask:name", "mask:phone", "mask:identity", "mask:identity_birth", "mask:address")
		case l.Kind == schemas.Date || l.Kind == schemas.TimestampMillis:
			fits = append(fits, "hash", "generalise:month")
		case l.Kind == schemas.Long || l.Kind == schemas.Decimal:
			fits = append(fits, "hash", "generalise:band", "generalise:fine_band")
		default:
			fits = append(fits, "hash")
		}
		if rng.IntN(60) == 0 {
			fits = []string{"mask:name", "generalise:province"}
		}
		ob, err := redact.Parse(fits[rng.IntN(len(fits))])
		if err != nil {
			panic(err)
		}
		o[l.Path] = ob
	}
	return o
}

// search looks for what was planted, in the forms that a format may give it,
// and says for how many values. Of a text that is kept elsewhere nothing can
// be said; random ones are not.
func search(t *testing.T, seed uint64, where string, plants []schematest.Plant, o redact.Obligations) int {
	t.Helper()
	n := 0
	for _, p := range plants {
		if o.Of(p.Path).Action == redact.Keep {
			continue
		}
		n++
		for _, form := range []string{
			string(p.Text), base64.StdEncoding.EncodeToString(p.Text), hex.EncodeToString(p.Text), fmt.Sprintf("%q", p.Text),
		} {
			if strings.Contains(where, form) {
				t.Fatalf("seed %d: %s (%s) is in %q", seed, p.Path, o.Of(p.Path), where)
			}
		}
	}
	return n
}
