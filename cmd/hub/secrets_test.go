//go:build e2e

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chuanyu-exchange/hub/connectors/instance"
	"github.com/chuanyu-exchange/hub/internal/kafkalog"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/internal/sample"
)

// Secrets planted in every sealed field and in the key lie nowhere in clear:
// not in any file of the data directory, not in what the program prints.
func TestPlantedSecretsAreNowhere(t *testing.T) {
	planted := map[string]string{}
	for i, column := range []string{"投诉编号", "关联编号", "投诉请求", "争议事实", "投诉人姓名", "投诉人电话", "证件号码", "投诉人地址"} {
		planted[column] = fmt.Sprintf("PLANTED%02dx9f27ac31d8e5b064", i)
	}
	// Papers of another kind have numbers of any shape.
	given := maps.Clone(planted)
	given["证件类型"] = "其他"
	dir, data := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "complaints.csv")
	writeSample(t, file, "consumer_complaint", sample.Options{Region: "500000", Rows: 300, Seed: 5, FaultEvery: 7, Planted: given})
	cmd := command(t, "dev", "--once", "--verbose", "--data", data, "--drop", "500000/consumer_complaint="+file)
	printed, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	looked := 0
	find := func(where string, content []byte) {
		for column, secret := range planted {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s lies in clear in %s", column, where)
			}
		}
	}
	find("what was printed", printed)
	err = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		looked++
		content, err := os.ReadFile(path)
		find(path, content)
		return err
	})
	if err != nil || looked < 20 {
		t.Errorf("%d files, %v", looked, err)
	}
	hub := live(t, "--data", data)
	defer hub.stop(t)
	// Batches lie compressed on disk: what is in the topics is looked at too.
	findInTopics(t, data, find)
	// The consumer with the right to them has them.
	all := pullAll(t, data, "510000", "sc-amr", "500000", "consumer_complaint", "complaint_handling")
	if len(all) == 0 || !strings.Contains(string(all[0].Record), planted["投诉人姓名"]) {
		t.Errorf("%d records, and the name is not in them: the test proves nothing", len(all))
	}
	for _, r := range pullAll(t, data, "510000", "sc-stats", "500000", "consumer_complaint", "statistics") {
		find("what the statistics bureau gets", r.Record)
	}
}

// findInTopics looks at every key, value and header of every topic of
// Chongqing.
func findInTopics(t *testing.T, data string, find func(where string, content []byte)) {
	t.Helper()
	f, err := instance.Load(filepath.Join(data, "500000", "connector-consumer_complaint.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := f.ReachKafka(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = k.Close() }()
	records := 0
	for _, topic := range []string{
		record.Topic("500000", "consumer_complaint", 1), record.PositionTopic("500000"), record.ManifestTopic("500000"), record.LedgerTopic("500000"),
	} {
		ends, err := k.Offsets(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range ends {
			if err := k.ReadRange(t.Context(), topic, e.Partition, e.Start, e.Stable, func(r kafkalog.FetchedRecord) error {
				records++
				find("a key of "+topic, r.Key)
				find("a value of "+topic, r.Value)
				for _, h := range r.Headers {
					find("a header of "+topic, h.Value)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if records < 200 {
		t.Errorf("only %d records: the test proves little", records)
	}
}
