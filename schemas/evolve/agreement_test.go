package evolve_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	twmb "github.com/twmb/avro"

	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
)

// seeded is the seed of a run, printed, and how many pairs it takes.
func seeded(t *testing.T, pairs int) (uint64, int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = s
	}
	if n, err := strconv.Atoi(os.Getenv("PAIRS")); err == nil {
		pairs = n
	}
	t.Logf("SEED=%d PAIRS=%d", seed, pairs)
	return seed, pairs
}

// explained says why we may refuse what another library accepts; "" if there
// is no reason. The reasons are those of docs/adr/0023-avro-rules.md.
func explained(found []*evolve.MismatchError) string {
	reasons := []string{evolve.MismatchLogical, evolve.MismatchField}
	for _, m := range found {
		if slices.Contains(reasons, m.Rule) {
			return m.Rule
		}
	}
	return ""
}

// nullDefaults is a schema in which each field whose type is a union that
// begins with null has the default null.
func nullDefaults(t *testing.T, source []byte) string {
	t.Helper()
	var schema any
	if err := json.Unmarshal(source, &schema); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case object:
			union, ok := v["type"].([]any)
			if _, has := v["default"]; ok && !has && union[0] == "null" {
				v["default"] = nil
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(schema)
	out, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// twmb/avro is another implementation of the same specification.
func TestAgreesWithTwmb(t *testing.T) {
	t.Parallel()
	seed, n := seeded(t, 500)
	compatible, tried, strict := 0, 0, map[string]int{}
	for _, p := range randomPairs(seed, n) {
		theirW, errW := twmb.Parse(string(p.Writer))
		theirR, errR := twmb.Parse(string(p.Reader))
		writer, ourW := avro.Parse(p.Writer)
		reader, ourR := avro.Parse(p.Reader)
		if (errW == nil) != (ourW == nil) || (errR == nil) != (ourR == nil) {
			t.Errorf("parsed by one only: %v, %v; %v, %v\n%s\n%s", errW, ourW, errR, ourR, p.Writer, p.Reader)
		}
		if errW != nil || errR != nil || ourW != nil || ourR != nil {
			continue
		}
		tried++
		for i, s := range []*twmb.Schema{theirW, theirR} {
			ours := []*avro.Type{writer, reader}[i]
			f, rabin := evolve.Fingerprint(ours), twmb.NewRabin()
			if string(s.Canonical()) != string(evolve.Canonical(ours)) || binary.BigEndian.Uint64(s.Fingerprint(rabin)) != f.CRC64 ||
				string(s.Fingerprint(sha256.New())) != string(f.SHA256[:]) || string(s.Fingerprint(md5.New())) != string(f.MD5[:]) {
				t.Errorf("canonical form or fingerprint:\n%s\n%s", s.Canonical(), evolve.Canonical(ours))
			}
		}
		found, theirs := evolve.Mismatches(writer, reader), twmb.CheckCompatibility(theirW, theirR)
		reason := explained(found)
		if reason == "" && len(evolve.Mismatches(writer, parse(t, nullDefaults(t, p.Reader)))) == 0 {
			reason = "twmb fills a union that begins with null, without a default"
		}
		switch {
		case (len(found) == 0) == (theirs == nil):
		case theirs == nil && reason != "":
			strict[reason]++
		default:
			t.Errorf("ours %v, theirs %v\nwriter %s\nreader %s", found, theirs, p.Writer, p.Reader)
		}
		if len(found) == 0 {
			compatible++
		}
	}
	t.Logf("%d pairs, %d compatible, stricter by rule: %v", tried, compatible, strict)
	if tried < n/2 || compatible < n/10 || tried-compatible < n/10 {
		t.Error("the pairs are too much alike to show anything")
	}
}
