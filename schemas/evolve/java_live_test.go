//go:build live

package evolve_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
)

// verdict is what Apache Avro's Java library says of a pair.
type verdict struct {
	Compatible bool   `json:"compatible"`
	Why        string `json:"why"`
	Canonical  string `json:"canonical"`
	CRC64      string `json:"crc64"`
	MD5        string `json:"md5"`
	SHA256     string `json:"sha256"`
	Error      string `json:"error"`
}

func askJava(t *testing.T, pairs []pair) []verdict {
	t.Helper()
	jars, err := filepath.Abs("../../.clients/jars")
	if err != nil {
		t.Fatal(err)
	}
	if found, err := filepath.Glob(jars + "/avro-*.jar"); err != nil || len(found) == 0 {
		t.Fatal("Apache Avro is not here: run `make clients`")
	}
	var in bytes.Buffer
	for _, p := range pairs {
		if err := json.NewEncoder(&in).Encode(p); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "java", "-cp", jars+"/*", "../../deploy/clients/AvroOracle.java")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	verdicts := make([]verdict, 0, len(pairs))
	for d := json.NewDecoder(&out); d.More(); {
		var v verdict
		if err := d.Decode(&v); err != nil {
			t.Fatal(err)
		}
		verdicts = append(verdicts, v)
	}
	if len(verdicts) != len(pairs) {
		t.Fatalf("%d verdicts for %d pairs", len(verdicts), len(pairs))
	}
	return verdicts
}

// Apache Avro's Java library is the reference that the specification grew with.
func TestLiveAgreesWithJava(t *testing.T) {
	seed, n := seeded(t, 10_000)
	pairs := randomPairs(seed, n)
	compatible, tried, strict := 0, 0, map[string]int{}
	for i, v := range askJava(t, pairs) {
		writer, errW := avro.Parse(pairs[i].Writer)
		reader, errR := avro.Parse(pairs[i].Reader)
		if (v.Error == "") != (errW == nil && errR == nil) {
			t.Errorf("parsed by one only: %s; %v, %v\n%s\n%s", v.Error, errW, errR, pairs[i].Writer, pairs[i].Reader)
		}
		if v.Error != "" || errW != nil || errR != nil {
			continue
		}
		tried++
		f := evolve.Fingerprint(writer)
		if v.Canonical != string(evolve.Canonical(writer)) || v.CRC64 != fmt.Sprintf("%016x", f.CRC64) ||
			v.MD5 != fmt.Sprintf("%x", f.MD5) || v.SHA256 != fmt.Sprintf("%x", f.SHA256) {
			t.Errorf("canonical form or fingerprint:\n%+v\n%s %+v", v, evolve.Canonical(writer), f)
		}
		found := evolve.Mismatches(writer, reader)
		reason := explained(found)
		switch {
		case (len(found) == 0) == v.Compatible:
		case v.Compatible && reason != "":
			strict[reason]++
		default:
			t.Errorf("ours %v, Java %t %s\nwriter %s\nreader %s", found, v.Compatible, v.Why, pairs[i].Writer, pairs[i].Reader)
		}
		if v.Compatible {
			compatible++
		}
	}
	t.Logf("%d pairs, %d compatible, stricter by rule: %v", tried, compatible, strict)
	if tried < n/2 || compatible < n/10 || tried-compatible < n/10 {
		t.Error("the pairs are too much alike to show anything")
	}
}
