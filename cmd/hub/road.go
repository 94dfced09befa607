package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/instance"
	"github.com/chuanyu-exchange/hub/deploy/config"
	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/sample"
	"github.com/chuanyu-exchange/hub/internal/vault"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// road is the whole way of one product of one province: a connector on this
// side, a consumer on the other.
type road struct {
	province *province
	product  *catalogue.Product
	dir      string // drop directory

	connector *instance.Connector
	consumer  string
	purpose   string
	client    *client.Client
	stateFile string

	mu       sync.Mutex
	position connectors.Position
	before   connectors.Position // of this run
	state    consumerState
	released int64 // in this run
	receipts int64 // in this run
	refused  []*problem.Problem
	fault    error // of the consumer, the last one
	seen     map[string]int
}

// consumerState is what a consumer keeps: the cursor in one file with what it
// made of the records before it.
type consumerState struct {
	Cursor   string `json:"cursor"`
	Released int64  `json:"released"`
	Receipts int64  `json:"receipts"`
	Withheld int64  `json:"withheld"`
}

// openAtOnce is how many roads are opened at a time: each logs in, takes a
// certificate and connects, and waits most of that.
const openAtOnce = 8

// openRoads opens a connector and a consumer for every product of both sides.
func (d *dev) openRoads(ctx context.Context) error {
	for _, p := range d.provinces {
		for _, product := range p.world.products(p.region) {
			d.roads = append(d.roads, &road{province: p, product: product, dir: filepath.Join(p.dir, "drop", product.ID), seen: map[string]int{}})
		}
	}
	errs := make([]error, len(d.roads))
	var all sync.WaitGroup
	room := make(chan struct{}, openAtOnce)
	for i, r := range d.roads {
		all.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			if err := r.open(ctx); err != nil {
				errs[i] = fmt.Errorf("%s of %s: %w", r.product.ID, r.province.name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (r *road) open(ctx context.Context) error {
	file, err := r.configure(ctx)
	if err != nil {
		return err
	}
	f, err := instance.Load(file)
	if err != nil {
		return err
	}
	f.Use(r.province.world.schemas, r.province.world.catalogue)
	r.connector, err = f.Open(ctx, r.province.logger, time.Now, instance.Hooks{Progress: r.progress, Refused: r.refuse})
	if err != nil {
		return err
	}
	r.province.closing("connector of "+r.product.ID, func(context.Context) error { return r.connector.Close() })
	if r.position, err = f.Position(ctx, r.connector.Kafka, r.product.Major); err != nil {
		return err
	}
	r.before = r.position
	return r.openConsumer()
}

// configure writes the connector's configuration, as an integrator would.
func (r *road) configure(ctx context.Context) (string, error) {
	p := r.province
	provider := r.product.Providers[p.region]
	roleID, secretFile, err := p.secret(ctx, vault.ConnectorRole{Provider: provider, Product: r.product.ID}.Name())
	if err != nil {
		return "", err
	}
	mapping := filepath.Join(p.dir, "mapping-"+r.product.ID+".yaml")
	text, err := config.Mapping(p.region, r.product.ID)
	if err != nil {
		return "", err
	}
	if err := replaceFile(mapping, text, 0o600); err != nil {
		return "", err
	}
	kind := r.kind()
	yaml := fmt.Sprintf(`# Written anew at each start of the demo; see deploy/config/connector.yaml for all that may stand here.
region: %q
provider: %s
product: %s
mapping: %s
quarantine: quarantine
source:
  %s: {dir: drop/%s, match: %q, settle: 300ms, poll: 100ms, delete: true%s}
kafka: {brokers: [%q], tls: {}}
vault: {address: %q, standby: %s, roleID: %q, secretIDFile: %q}
`, p.region, provider, r.product.ID, filepath.Base(mapping), kind.source, r.product.ID, kind.match, kind.more, p.broker,
		p.vault.address, p.vault.standbyYAML(), roleID, secretFile)
	if p.cmd.Rate > 0 {
		yaml += fmt.Sprintf("maxRowsPerSecond: %d\n", p.cmd.Rate)
	}
	if life := p.cmd.Rotation.Certificates; life > 0 {
		yaml += fmt.Sprintf("certificateLife: %s\n", life)
	}
	if p.cmd.Chunk > 0 {
		yaml += fmt.Sprintf("chunkRows: %d\n", p.cmd.Chunk)
	}
	file := filepath.Join(p.dir, "connector-"+r.product.ID+".yaml")
	return file, replaceFile(file, []byte(yaml), 0o600)
}

// fileKind is a kind of file: its source in a connector's configuration, and
// the format of its samples.
type fileKind struct {
	source, match, more string
	format              sample.Format
}

var (
	csvFiles  = fileKind{source: "csvfile", match: "*.csv", format: sample.FormatCSV}
	jsonFiles = fileKind{source: "jsonfile", match: "*", format: sample.FormatJSON}
	xlsxFiles = fileKind{source: "xlsxfile", match: "*.xlsx", format: sample.FormatXLSX}
	xmlFiles  = fileKind{source: "xmlfile", match: "*.xml", more: ", row: " + sample.XMLRow, format: sample.FormatXML}
)

// kindOf tells a file's kind by its name.
func kindOf(file string) fileKind {
	switch filepath.Ext(file) {
	case ".json", ".jsonl", ".ndjson":
		return jsonFiles
	case ".xlsx":
		return xlsxFiles
	case ".xml":
		return xmlFiles
	}
	return csvFiles
}

// kind is that of the files that are dropped, or else what systems of this
// family write: trading centres XML, credit platforms workbooks.
func (r *road) kind() fileKind {
	for _, d := range r.province.drops {
		if d.region == r.province.region && d.product == r.product.ID {
			return kindOf(d.file)
		}
	}
	switch family, _, _ := strings.Cut(r.product.Schema, "."); family {
	case "bid_notice", "bid_result", "bid_market_entity":
		return xmlFiles
	case "credit_listing":
		return xlsxFiles
	case "consumer_report":
		return jsonFiles
	}
	return csvFiles
}

func (r *road) progress(p connectors.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.position = p
}

func (r *road) refuse(p *problem.Problem) {
	r.mu.Lock()
	r.refused = append(r.refused, p)
	r.mu.Unlock()
	r.province.say("%s of %s: %s", r.product.ID, r.province.name, strings.TrimSpace(p.Terminal()))
}

// put drops a file where the connector finds it: under a name that is not
// taken yet, then renamed into place.
func (r *road) put(name string, write func(io.Writer) error) error {
	tmp, err := os.CreateTemp(r.dir, ".put-*")
	if err != nil {
		return err
	}
	err = errors.Join(write(tmp), tmp.Close())
	target := filepath.Join(r.dir, name)
	for n := 2; err == nil && exists(target); n++ {
		target = filepath.Join(r.dir, fmt.Sprintf("%d-%s", n, name))
	}
	if err == nil {
		err = os.Rename(tmp.Name(), target)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// feed drops what this run is to carry: the files that were named, or a
// sample.
func (r *road) feed() error {
	p := r.province
	for _, d := range p.drops {
		if d.region != p.region || d.product != r.product.ID {
			continue
		}
		if err := r.put(filepath.Base(d.file), func(w io.Writer) error { return copyFile(w, d.file) }); err != nil {
			return err
		}
	}
	if len(p.drops) > 0 {
		return nil
	}
	format := r.kind().format
	return r.put("sample."+string(format), func(w io.Writer) error {
		_, err := sample.Write(w, format, r.product.ID, sample.Options{Region: p.region, Rows: p.cmd.Rows, Seed: sampleSeed, FaultEvery: sampleFaultEvery})
		return err
	})
}

const (
	sampleSeed       = 20260101
	sampleFaultEvery = 50
)

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path) //nolint:gosec // the user names the file
	if err != nil {
		return problem.Wrap(problem.FileUnreadable, err, "%v", err)
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}

// openConsumer takes up the consumer of the other side where it stood.
func (r *road) openConsumer() (err error) {
	p := r.province
	if r.consumer, r.purpose, err = p.world.fullConsumer(p.region, r.product); err != nil {
		return err
	}
	participant, _ := p.world.catalogue.Participant(r.consumer)
	for _, other := range p.provinces {
		if other.region != participant.Region {
			continue
		}
		dir := other.profileDir(r.consumer)
		r.stateFile = filepath.Join(dir, p.region+"-"+r.product.ID+".json")
		profile, err := client.LoadProfile(filepath.Join(dir, "profile.yaml"))
		if err != nil {
			return err
		}
		if r.client, err = profile.Client(p.region, time.Now); err != nil {
			return err
		}
		p.closing("client of "+r.consumer, func(context.Context) error { r.client.Close(); return nil })
	}
	text, err := os.ReadFile(r.stateFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, &r.state)
	}
	return err
}

// consume takes a verified page: what it made of it and the cursor behind it
// are written in one step.
func (r *road) consume(page *client.Page) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.state
	next.Cursor = page.Next
	if page.Receipt != nil {
		next.Receipts++
		next.Released += page.Receipt.Records
		for _, n := range page.Receipt.Withheld {
			next.Withheld += n
		}
	}
	if next != r.state {
		text, err := json.Marshal(&next)
		if err == nil {
			err = replaceFile(r.stateFile, text, 0o600)
		}
		if err != nil {
			return err
		}
	}
	r.released += next.Released - r.state.Released
	r.receipts += next.Receipts - r.state.Receipts
	r.state = next
	for _, record := range page.Records {
		r.seen[record.EventID]++
	}
	return nil
}

// patience is how long a consumer waits in one stretch for what may pass.
const patience = 30 * time.Second

// drain pulls to the end of what is published now.
func (r *road) drain(ctx context.Context) error {
	err := r.client.Follow(ctx, client.Query{Product: r.product.ID, Purpose: r.purpose, Cursor: r.state.Cursor}, 0, patience, r.consume)
	if err != nil {
		return fmt.Errorf("%s pulling %s from %s: %w", r.consumer, r.product.ID, r.province.name, err)
	}
	return nil
}

// follow pulls until ctx ends; what fails is told and tried again.
func (r *road) follow(ctx context.Context) {
	for ctx.Err() == nil {
		r.mu.Lock()
		cursor := r.state.Cursor
		r.mu.Unlock()
		err := r.client.Follow(ctx, client.Query{Product: r.product.ID, Purpose: r.purpose, Cursor: cursor}, 500*time.Millisecond, patience, r.consume)
		if ctx.Err() != nil {
			return
		}
		r.mu.Lock()
		r.fault = err
		r.mu.Unlock()
		r.province.logger.WarnContext(ctx, "consumer", slog.String("consumer", r.consumer), slog.String("product", r.product.ID), slog.String("problem", problem.From(err).LogText()))
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
}
