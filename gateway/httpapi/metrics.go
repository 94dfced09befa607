package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/chuanyu-exchange/hub/gateway"
)

// Metrics counts requests and releases. Labels hold routes, codes and products
// of the catalogue; never a value that a stranger chose.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	records  *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	// emergencies is what an alarm is set on: any increase is one.
	emergencies *prometheus.CounterVec
}

// NewMetrics registers the gateway's metrics in a registry of their own.
func NewMetrics(region string) *Metrics {
	labels := prometheus.Labels{"region": region}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hub_gateway_requests_total", Help: "Requests by route, status and problem code.", ConstLabels: labels,
		}, []string{"route", "status", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "hub_gateway_request_seconds", Help: "Time to the last byte, by route.", ConstLabels: labels,
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"route"}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hub_gateway_released_records_total", Help: "Records released, by product.", ConstLabels: labels,
		}, []string{"product"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hub_gateway_released_bytes_total", Help: "Bytes released, by product.", ConstLabels: labels,
		}, []string{"product"}),
	}
	m.emergencies = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hub_gateway_emergency_releases_total", Help: "Answers released under emergency access, by product.", ConstLabels: labels,
	}, []string{"product"})
	m.registry.MustRegister(m.requests, m.seconds, m.records, m.bytes, m.emergencies)
	return m
}

func (m *Metrics) request(route string, status int, code any, took time.Duration) {
	if route == "" {
		route = "unknown"
	}
	text, _ := code.(string)
	m.requests.WithLabelValues(route, strconv.Itoa(status), text).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

func (m *Metrics) released(product string, r *gateway.Release) {
	m.records.WithLabelValues(product).Add(float64(r.Records))
	m.bytes.WithLabelValues(product).Add(float64(len(r.Body)))
	if r.Emergency != "" {
		m.emergencies.WithLabelValues(product).Inc()
	}
}

// Check is one thing that must work for the gateway to be ready.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
}

// Admin returns the routes of the admin port: /healthz while the process
// lives, /readyz while every check passes, /metrics.
func Admin(m *Metrics, checks []Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
		defer cancel()
		var faults []error
		for _, c := range checks {
			if err := c.Run(ctx); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", c.Name, err))
			}
		}
		if err := errors.Join(faults...); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
