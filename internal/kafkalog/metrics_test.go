package kafkalog

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// gathered are the metrics of a registry as name{labels} to value; of a
// histogram, how much was observed.
func gathered(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	must(t, "Gather", err)
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := f.GetName() + "{" + strings.Join(labels, ",") + "}"
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	m, registry := NewMetrics(), prometheus.NewRegistry()
	registry.MustRegister(m)
	c := open(t, cluster.ListenAddrs(), func(cfg *Config) { cfg.Metrics = m })
	must(t, "CreateTopics", c.CreateTopics(t.Context(), Topic{Name: "quotes", Partitions: 1}))
	p := producer(t, c, ProducerConfig{})
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: 2})
	mustSend(t, p, numbered("quotes", 0, 0, 10))
	mustSend(t, p, numbered("quotes", 0, 10, 20))
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: 1})
	if p.Send(t.Context(), numbered("quotes", 0, 20, 21)) == nil {
		t.Fatal("Send succeeded")
	}
	got, err := c.NewFetcher(FetcherConfig{Topic: "quotes"}).Fetch(t.Context(), PartitionOffset{0, 5})
	must(t, "Fetch", err)
	tail := c.NewTail(TailConfig{FetchBytes: leastFetchBytes})
	for range 3 {
		shared, err := tail.Fetch(t.Context(), "quotes", PartitionOffset{0, 0})
		must(t, "Fetch", err)
		shared.Release()
	}
	answer, arrived := make(chan struct{}), make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		close(arrived)
		cluster.SleepControl(func() { <-answer })
		cluster.DropControl()
		return nil, nil, false
	})
	sent := make(chan error, 1)
	go func() { sent <- p.Send(context.Background(), numbered("quotes", 0, 20, 21)) }()
	<-arrived
	all := gathered(t, registry)
	size, _ := recordSize(&numbered("quotes", 0, 20, 21)[0])
	for name, want := range map[string]float64{
		"hub_kafkalog_retries_total{call=writing}":           2,
		"hub_kafkalog_failures_total{call=writing}":          1,
		"hub_kafkalog_call_seconds{call=writing}":            3,
		"hub_kafkalog_batch_records{}":                       2,
		"hub_kafkalog_batch_bytes{}":                         2,
		"hub_kafkalog_lag_records{partition=0,topic=quotes}": 0,
		"hub_kafkalog_leases{}":                              2, // what was fetched, and what the tail keeps
		"hub_kafkalog_tail_shared_total{}":                   2,
		"hub_kafkalog_fetched_records_total{topic=quotes}":   15 + 20,
		"hub_kafkalog_buffered_bytes{}":                      float64(wholeSize(size)),
		"hub_kafkalog_failures_total{call=reading}":          0,
		"hub_kafkalog_retries_total{call=looking}":           0,
	} {
		if all[name] != want {
			t.Errorf("%s is %v, want %v", name, all[name], want)
		}
	}
	if all["hub_kafkalog_tail_bytes{}"] <= 0 || all["hub_kafkalog_fetched_bytes_total{topic=quotes}"] <= 0 {
		t.Errorf("bytes: %v", all)
	}
	close(answer)
	must(t, "Send", <-sent)
	got.Release()
	tail.Close()
	all = gathered(t, registry)
	for _, name := range []string{"hub_kafkalog_leases{}", "hub_kafkalog_tail_bytes{}", "hub_kafkalog_buffered_bytes{}"} {
		if all[name] != 0 {
			t.Errorf("%s is %v at the end", name, all[name])
		}
	}
	if text := fmt.Sprint(all); strings.Contains(text, "v1") || strings.Contains(text, "k1") {
		t.Errorf("metrics hold something of a record: %s", text)
	}
}
