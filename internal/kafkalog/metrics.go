package kafkalog

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what clients do; it is a prometheus.Collector, for a registry
// of the caller's. Several clients may share one. Labels are kinds of calls,
// and the names of topics that the caller fetches: nothing of a record
// (invariant 5).
type Metrics struct {
	calls        *prometheus.HistogramVec // seconds, with all repetitions
	retries      *prometheus.CounterVec
	failures     *prometheus.CounterVec
	batchRecords prometheus.Histogram
	batchBytes   prometheus.Histogram
	fetched      *prometheus.CounterVec
	fetchedBytes *prometheus.CounterVec
	lag          *prometheus.GaugeVec
	buffered     prometheus.Gauge
	leases       prometheus.Gauge
	tailBytes    prometheus.Gauge
	tailShared   prometheus.Counter
}

// NewMetrics returns metrics that nobody has registered yet.
func NewMetrics() *Metrics {
	name := func(s string) string { return "hub_kafkalog_" + s }
	return &Metrics{
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name("call_seconds"), Help: "Time of calls to the cluster with all their repetitions, by kind.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"call"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("retries_total"), Help: "Repetitions of calls to the cluster, by kind.",
		}, []string{"call"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("failures_total"), Help: "Calls to the cluster that failed for good, by kind.",
		}, []string{"call"}),
		batchRecords: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name("batch_records"), Help: "Records of acknowledged batches.", Buckets: prometheus.ExponentialBuckets(1, 4, 9),
		}),
		batchBytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name("batch_bytes"), Help: "Bytes of acknowledged batches on the wire.", Buckets: prometheus.ExponentialBuckets(256, 4, 9),
		}),
		fetched: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("fetched_records_total"), Help: "Records read, by topic.",
		}, []string{"topic"}),
		fetchedBytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("fetched_bytes_total"), Help: "Bytes of record batches as they lie in the log, by topic.",
		}, []string{"topic"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: name("lag_records"), Help: "Offsets from where the last fetch ended to where it could have gone.",
		}, []string{"topic", "partition"}),
		buffered: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: name("buffered_bytes"), Help: "Bytes of records that wait to be sent or are in flight.",
		}),
		leases: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: name("leases"), Help: "Results of fetches that nobody has released yet.",
		}),
		tailBytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: name("tail_bytes"), Help: "Memory that tails keep for readers to come.",
		}),
		tailShared: prometheus.NewCounter(prometheus.CounterOpts{
			Name: name("tail_shared_total"), Help: "Reads through a tail that cost no fetch of their own.",
		}),
	}
}

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.calls, m.retries, m.failures, m.batchRecords, m.batchBytes, m.fetched, m.fetchedBytes,
		m.lag, m.buffered, m.leases, m.tailBytes, m.tailShared,
	}
}

// Describe sends what there is to measure.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(to)
	}
}

// Collect sends what was measured.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(to)
	}
}

// call is the end of a call that was repeated so many times. Its kind is the
// first word of what, which this package chooses; the rest names topics.
func (m *Metrics) call(what string, took time.Duration, repeated int, err error) {
	kind, _, _ := strings.Cut(what, " ")
	m.calls.WithLabelValues(kind).Observe(took.Seconds())
	if repeated > 0 {
		m.retries.WithLabelValues(kind).Add(float64(repeated))
	}
	if err != nil {
		m.failures.WithLabelValues(kind).Inc()
	}
}

// batch was acknowledged.
func (m *Metrics) batch(records int32, bytes int) {
	m.batchRecords.Observe(float64(records))
	m.batchBytes.Observe(float64(bytes))
}

// read is what one fetch found in one partition.
func (m *Metrics) read(topic string, part *FetchedPartition, bytes int, limit int64) {
	if len(part.Records) > 0 {
		m.fetched.WithLabelValues(topic).Add(float64(len(part.Records)))
	}
	if bytes > 0 {
		m.fetchedBytes.WithLabelValues(topic).Add(float64(bytes))
	}
	m.lag.WithLabelValues(topic, strconv.Itoa(int(part.Partition))).Set(float64(max(limit-part.Next, 0)))
}
