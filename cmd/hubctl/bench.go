package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/httpapi"
	"github.com/chuanyu-exchange/hub/gateway/signing"
	"github.com/chuanyu-exchange/hub/internal/bench"
)

type benchCommand struct {
	Names  []string `arg:"" optional:"" name:"name" help:"What to measure, e.g. connector/csv. Default: everything."`
	JSON   bool     `name:"json" help:"Print one JSON object a line for each result instead of a table."`
	Rows   int      `default:"100000" help:"Rows of each pass (${default})."`
	Kafka  []string `placeholder:"HOST:PORT" help:"Brokers of a running Apache Kafka, for kafka/produce-real and kafka/consume-real."`
	Repeat int      `default:"5" help:"Measured passes of each side (${default})."`
}

// Run measures and prints. It judges nothing: a ratio is for whoever reads it.
func (cmd *benchCommand) Run(s *streams) error {
	var results []bench.Result
	each := func(r bench.Result) error {
		if cmd.JSON {
			return json.NewEncoder(s.out).Encode(r)
		}
		results = append(results, r)
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("this program's own path: %w", err)
	}
	err = bench.Run(s.ctx, bench.Options{
		Rows: cmd.Rows, Repeat: cmd.Repeat, Frontend: frontend, Progress: s.say,
		Broker: []string{self, "bench-broker"}, Kafka: cmd.Kafka,
	}, cmd.Names, each)
	if s.ctx.Err() != nil {
		err = fmt.Errorf("interrupted: %w", err)
	}
	return errors.Join(err, bench.Table(s.out, results)) // what was measured before a failure stands
}

// benchBrokerCommand is the other process of a benchmark: nobody types it.
type benchBrokerCommand struct {
	Kind string `arg:""`
}

// Run serves until standard input ends.
func (cmd *benchBrokerCommand) Run(s *streams) error {
	return bench.ServeBroker(s.ctx, cmd.Kind, os.Stdin, s.out)
}

// frontend is the gateway's public server.
func frontend(g *gateway.Gateway, s *signing.Signer, certificate func() *tls.Certificate) *http.Server {
	api := &httpapi.API{Gateway: g, Keys: s, Metrics: httpapi.NewMetrics(g.Region), Logger: g.Logger}
	return api.Server(certificate)
}
