package bench

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/segmentio/kafka-go"

	"github.com/chuanyu-exchange/hub/internal/spiffe"
)

// plainEndpoint answers the question of pull/masked8 as one would write it
// with the usual libraries and without the hub. It has no state between two
// requests, and gives the same lines as the gateway, members in another order.
type plainEndpoint struct {
	*hub
	codec   *goavro.Codec
	offsets *kafka.Client
	url     string
	stop    func() error
}

// The header and the parameters that lead to the next page.
const (
	plainNext      = "Next"
	plainPartition = "partition"
	plainOffset    = "offset"
)

func (h *hub) newPlainEndpoint(ctx context.Context) (*plainEndpoint, error) {
	codec, err := goavro.NewCodec(string(h.schema.Source))
	if err != nil {
		return nil, fmt.Errorf("goavro: %w", err)
	}
	issued, err := h.local.issue(spiffe.Name{Region: region, Role: spiffe.Gateway}, time.Now())
	if err != nil {
		return nil, err
	}
	transport := &kafka.Transport{DialTimeout: callTimeout}
	p := &plainEndpoint{
		hub: h, codec: codec, offsets: &kafka.Client{Addr: kafka.TCP(h.broker.address), Timeout: callTimeout, Transport: transport},
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /records", p.records)
	var stop func() error
	p.url, stop, err = serveTLS(ctx, &http.Server{Handler: routes, ReadHeaderTimeout: callTimeout, TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*issued.tls()},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: h.remote.pool(),
	}})
	p.stop = func() error {
		transport.CloseIdleConnections()
		return stop()
	}
	return p, err
}

func (p *plainEndpoint) close() error { return p.stop() }

// pass pulls all pages with the client that also reads the gateway's.
func (p *plainEndpoint) pass(context.Context) (pass, error) {
	c := newLineCounter(p.caller.tls(), p.local.pool())
	run := func(ctx context.Context) (int, error) {
		n := 0
		for next := "?" + plainPartition + "=0&" + plainOffset + "=0"; next != ""; {
			lines, header, err := c.get(ctx, p.url+"/records"+next)
			if err != nil {
				return n, err
			}
			n += lines
			next = header.Get(plainNext)
		}
		return n, nil
	}
	return pass{run: run, close: c.close}, nil
}

// records answers a page of one partition.
func (p *plainEndpoint) records(w http.ResponseWriter, r *http.Request) {
	partition, err := strconv.Atoi(r.FormValue(plainPartition))
	offset, offsetErr := strconv.ParseInt(r.FormValue(plainOffset), 10, 64)
	if err != nil || offsetErr != nil {
		http.Error(w, "partition and offset are numbers", http.StatusBadRequest)
		return
	}
	body, next, err := p.page(r.Context(), partition, offset)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set(plainNext, next)
	_, _ = w.Write(body) // who hung up does not get the rest
}

// page reads up to pageRecords records. A Reader that fetches about one page
// at once, 100 KiB compressed, does it fastest; by default it would fetch ten.
func (p *plainEndpoint) page(ctx context.Context, partition int, offset int64) (body []byte, next string, err error) {
	end, err := p.end(ctx, partition)
	if err != nil {
		return nil, "", err
	}
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{p.broker.address}, Topic: p.topic(), Partition: partition, IsolationLevel: kafka.ReadCommitted,
		MinBytes: 1, MaxBytes: 100 << 10, MaxWait: 10 * time.Millisecond, QueueCapacity: 100, ReadLagInterval: -1,
	})
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.SetOffset(offset); err != nil {
		return nil, "", err
	}
	for n := 0; n < pageRecords && offset < end; {
		m, err := r.FetchMessage(ctx)
		if err != nil {
			return nil, "", err
		}
		offset = m.Offset + 1
		if !isRecord(&m) {
			continue
		}
		line, err := p.line(&m)
		if err != nil {
			return nil, "", err
		}
		body = append(append(body, line...), '\n')
		n++
	}
	if offset >= end {
		partition, offset = partition+1, 0
	}
	if partition == p.product.Partitions {
		return body, "", nil
	}
	return body, fmt.Sprintf("?%s=%d&%s=%d", plainPartition, partition, plainOffset, offset), nil
}

// end is the offset behind the partition's last message.
func (p *plainEndpoint) end(ctx context.Context, partition int) (int64, error) {
	answer, err := p.offsets.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{p.topic(): {kafka.LastOffsetOf(partition)}},
	})
	if err != nil {
		return 0, err
	}
	for _, found := range answer.Topics[p.topic()] {
		if found.Partition == partition {
			return found.LastOffset, found.Error
		}
	}
	return 0, fmt.Errorf("there is no partition %d", partition)
}

// plainLine is one line of the answer.
type plainLine struct {
	EventID      string         `json:"event_id"`
	Operation    string         `json:"operation"`
	Version      int            `json:"version"`
	DecisionTime time.Time      `json:"decision_time"`
	Record       map[string]any `json:"record"`
}

func (p *plainEndpoint) line(m *kafka.Message) ([]byte, error) {
	const frame = 5
	if len(m.Value) < frame {
		return nil, fmt.Errorf("offset %d: no schema id", m.Offset)
	}
	native, _, err := p.codec.NativeFromBinary(m.Value[frame:])
	if err != nil {
		return nil, fmt.Errorf("offset %d: %w", m.Offset, err)
	}
	fields, ok := native.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("offset %d: no record", m.Offset)
	}
	line := plainLine{}
	if line.Record, err = plainRedact(fields); err != nil {
		return nil, fmt.Errorf("offset %d: %w", m.Offset, err)
	}
	for _, h := range m.Headers {
		switch h.Key {
		case "hub-event-id":
			line.EventID = string(h.Value)
		case "hub-operation":
			line.Operation = string(h.Value)
		case "hub-version":
			line.Version, err = strconv.Atoi(string(h.Value))
		case "hub-decision-time":
			var us int64
			us, err = strconv.ParseInt(string(h.Value), 10, 64)
			line.DecisionTime = time.UnixMicro(us).UTC()
		}
		if err != nil {
			return nil, fmt.Errorf("offset %d, header %s: %w", m.Offset, h.Key, err)
		}
	}
	return json.Marshal(&line)
}

// plainRedact copies the 8 fields that eightFields releases. The assertions
// are those of the schema; what has another type is left out.
func plainRedact(in map[string]any) (map[string]any, error) {
	out := make(map[string]any, 8)
	for _, name := range []string{"commodity_name", "unit"} {
		out[name] = in[name]
	}
	for _, name := range []string{"low_price", "average_price", "high_price"} {
		price, ok := in[name].(*big.Rat)
		if !ok {
			return nil, fmt.Errorf("field %s has type %T", name, in[name])
		}
		out[name] = price.FloatString(4)
	}
	day, isDay := in["collect_date"].(time.Time)
	market, isText := in["market_name"].(string)
	unit, isCode := in["source_unit"].(string)
	if !isDay || !isText || !isCode {
		return nil, errors.New("a field has another type than its schema says")
	}
	out["collect_date"] = day.Format(time.DateOnly)
	name, code := []rune(market), []rune(unit)
	if len(name) < 2 || len(code) < 15 {
		return nil, errors.New("a field is too short for its mask")
	}
	out["market_name"] = string(name[:1]) + "***"
	out["source_unit"] = string(code[:4]) + "***" + string(code[len(code)-1:])
	return out, nil
}
