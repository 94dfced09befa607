package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/instance"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/registry"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

type runCommand struct{}

func (runCommand) Run(w *world) error {
	f, err := w.file()
	if err != nil {
		return err
	}
	if err := useRegistry(w.ctx, f, os.Getenv("SCHEMA_REGISTRY_URL")); err != nil {
		return err
	}
	c, err := f.Open(w.ctx, w.logger, time.Now, instance.Hooks{Progress: func(p connectors.Position) {
		w.logger.InfoContext(w.ctx, "committed", slog.String("product", f.Product), slog.String("batch", p.Batch), slog.Int64("rows", p.Rows),
			slog.Int64("published", p.Counts.Published), slog.Int64("duplicates", p.Counts.Duplicates),
			slog.Int64("quarantined", p.Counts.QuarantinedRows()), slog.Bool("complete", p.Complete))
	}})
	if err != nil {
		return err
	}
	w.logger.InfoContext(w.ctx, "carrying", slog.String("region", f.Region), slog.String("provider", f.Provider), slog.String("product", f.Product))
	return errors.Join(c.Run(w.ctx), c.Close())
}

// useRegistry takes the ids of schemas from a registry of somebody else's; ""
// keeps those of the lock file. The province's gateways must be told the same.
func useRegistry(ctx context.Context, f *instance.File, address string) error {
	if address == "" {
		return nil
	}
	c, err := registry.Open(address)
	if err != nil {
		return err
	}
	set, err := schemas.Shipped()
	if err != nil {
		return err
	}
	cat, err := catalogue.Load(catalogue.Shipped(), set.Sensitivities, catalogue.WithCodes(set.Codes))
	if err != nil {
		return err
	}
	product, ok := cat.Product(f.Product)
	if !ok {
		return problem.New(problem.ConfigInvalid, "the catalogue has no product %s", f.Product)
	}
	if set, err = c.Reconcile(ctx, set, []*catalogue.Product{product}, f.Region); err != nil {
		return err
	}
	f.Use(set, cat)
	return nil
}

type checkCommand struct {
	Offline bool `help:"Check only what needs no network."`
}

func (cmd checkCommand) Run(w *world) error {
	f, err := w.file()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.timeout)
	defer cancel()
	failed := 0
	report := func(part string, err error) bool {
		if err == nil {
			_, _ = fmt.Fprintf(w.out, "ok    %s\n", part)
			return true
		}
		failed++
		_, _ = fmt.Fprintf(w.out, "FAIL  %s\n      %s", part, strings.ReplaceAll(problem.From(err).Terminal(), "\n", "\n      "))
		_, _ = fmt.Fprintln(w.out)
		return false
	}
	off, err := f.Offline()
	if !report("configuration, catalogue and mapping agree", err) {
		return problem.New(problem.ConfigInvalid, "1 check failed")
	}
	report("drop directory can be read and written", writable(f.SourceDir()))
	report("quarantine directory can be written", writable(f.Quarantine))
	if !cmd.Offline {
		quiet := slog.New(slog.DiscardHandler)
		if v, err := f.OpenVault(ctx, quiet); report("Vault at "+f.Vault.Address+" takes the credentials", err) {
			report("Vault is unsealed", errors.Join(v.Ready(ctx), v.Close()))
		}
		if k, err := f.ReachKafka(ctx, quiet); report("Kafka at "+strings.Join(f.Kafka.Brokers, ", ")+" answers", err) {
			_, err := f.Position(ctx, k, off.Product.Major)
			report("topics are there", errors.Join(err, k.Close()))
		}
	}
	if failed > 0 {
		return problem.New(problem.ConfigInvalid, "%d checks failed", failed)
	}
	return nil
}

// writable tries it, because permissions alone do not tell.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return problem.Wrap(problem.DirectoryUnreadable, err, "%v", err)
	}
	probe, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return problem.Wrap(problem.DirectoryUnreadable, err, "%v", err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

type previewCommand struct {
	File string `arg:"" help:"The file to look at, wherever it lies."`
	Rows int    `default:"3" help:"How many mapped rows and how many faults of each kind to show (${default})."`
}

func (cmd previewCommand) Run(w *world) error {
	f, err := w.file()
	if err != nil {
		return err
	}
	off, err := f.Offline()
	if err != nil {
		return err
	}
	rows, closeFile, err := f.Source.Read(cmd.File, off.Mapping.Columns())
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(cmd.File), err)
	}
	defer func() { _ = closeFile() }() // read only
	p, err := newPreview(w.out, off, cmd.Rows)
	if err != nil {
		return err
	}
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return p.summary()
		}
		if err != nil {
			return errors.Join(err, p.summary())
		}
		if err := p.row(&row); err != nil {
			return err
		}
	}
}

// preview shows what mapping and validation make of rows.
type preview struct {
	out       io.Writer
	off       *instance.Offline
	validator *connectors.Validator
	encoder   *schemas.Encoder
	view      *schemas.View
	values    []schemas.Value
	show      int

	read, good int64
	faults     map[problem.Code]int64
	shown      map[problem.Code]int
}

func newPreview(out io.Writer, off *instance.Offline, show int) (*preview, error) {
	v, err := connectors.NewValidator(off.Schema, off.Product.Rows)
	if err != nil {
		return nil, err
	}
	all := redact.Obligations{}
	for i := range off.Schema.Leaves {
		all[off.Schema.Leaves[i].Path] = redact.Obligation{Action: redact.Keep}
	}
	view, err := schemas.CompileView(schemas.ViewSpec{Writer: off.Schema, Obligations: all})
	return &preview{
		out: out, off: off, validator: v, encoder: schemas.NewEncoder(off.Schema), view: view, show: show,
		values: make([]schemas.Value, len(off.Schema.Leaves)), faults: map[problem.Code]int64{}, shown: map[problem.Code]int{},
	}, err
}

// unsealed stands for the sealer: a preview is shown to the provider alone and
// leaves nothing behind.
type unsealed struct{}

func (unsealed) Seal(dst, plain, _ []byte) ([]byte, error) { return append(dst, plain...), nil }
func (unsealed) Open(dst, block, _ []byte) ([]byte, error) { return append(dst, block...), nil }

func (p *preview) row(row *source.Row) error {
	p.read++
	faults := p.off.Mapping.Apply(row, p.values)
	if len(faults) == 0 {
		faults = p.validator.Validate(p.values, time.Now())
	}
	if len(faults) > 0 {
		p.fault(row, faults)
		return nil
	}
	p.good++
	if p.good > int64(p.show) {
		return nil
	}
	body, err := p.encoder.Append(nil, p.values, nil, unsealed{})
	if err != nil {
		return fmt.Errorf("row %d: %w", row.Number, err)
	}
	doc, err := p.view.Append(nil, body, nil, schemas.NewRun(nil, unsealed{}))
	if err != nil {
		return fmt.Errorf("row %d: %w", row.Number, err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, doc, "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "row %d would be published as\n%s\n", row.Number, pretty.Bytes())
	return err
}

func (p *preview) fault(row *source.Row, faults []connectors.Fault) {
	code := faults[0].Code
	p.faults[code]++
	if p.shown[code]++; p.shown[code] > p.show {
		return
	}
	_, _ = fmt.Fprintf(p.out, "row %d (line %d) would be quarantined:\n", row.Number, row.Line)
	for _, f := range faults {
		e := f.Code.Entry()
		_, _ = fmt.Fprintf(p.out, "  %s %s [%s] %s · %s %s\n", f.Field, columnOf(f), f.Code, e.EN, e.ZH, f.Detail)
	}
}

func columnOf(f connectors.Fault) string {
	if f.Column == "" {
		return ""
	}
	return "(column " + f.Column + ")"
}

func (p *preview) summary() error {
	_, err := fmt.Fprintf(p.out, "%d rows: %d would be published (or are duplicates), %d quarantined\n", p.read, p.good, p.read-p.good)
	for _, code := range slices.Sorted(maps.Keys(p.faults)) {
		e := code.Entry()
		_, _ = fmt.Fprintf(p.out, "  %6d  %s: %s · %s\n", p.faults[code], code, e.EN, e.ZH)
	}
	return err
}

type quarantineCommand struct {
	List listQuarantine `cmd:"" default:"withargs" help:"List the entries, oldest first."`
	Show showQuarantine `cmd:"" help:"Show one row in clear, with its reasons."`
}

type listQuarantine struct {
	JSON bool `name:"json" help:"One JSON object a line."`
}

func (cmd listQuarantine) Run(w *world) error {
	f, err := w.file()
	if err != nil {
		return err
	}
	entries, err := connectors.ReadQuarantine(f.Quarantine, f.Product)
	if err != nil {
		return err
	}
	if cmd.JSON {
		out := json.NewEncoder(w.out)
		for i := range entries {
			entries[i].Sealed = nil
			if err := out.Encode(&entries[i]); err != nil {
				return err
			}
		}
		return nil
	}
	t := tabwriter.NewWriter(w.out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "ID\tFILE\tROW\tLINE\tFIELD\tREASON\t原因")
	for _, e := range entries {
		reason := e.Faults[0].Code.Entry()
		_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\t%s\n", e.ID, e.File, e.Row, e.Line, e.Faults[0].Field, reason.Code, reason.ZH)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w.out, "%d rows in quarantine; `connector quarantine show ID` shows one\n", len(entries))
	return err
}

type showQuarantine struct {
	ID string `arg:"" help:"Id of the entry."`
}

func (cmd showQuarantine) Run(w *world) error {
	f, err := w.file()
	if err != nil {
		return err
	}
	entries, err := connectors.ReadQuarantine(f.Quarantine, f.Product)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(entries, func(e connectors.Entry) bool { return e.ID == cmd.ID })
	if i < 0 {
		return problem.New(problem.RequestInvalid, "there is no entry %s among %d", cmd.ID, len(entries))
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.timeout)
	defer cancel()
	v, err := f.OpenVault(ctx, w.logger)
	if err != nil {
		return err
	}
	row, err := connectors.Unseal(ctx, &entries[i], f.Provider, instance.Opener(v))
	if err := errors.Join(err, v.Close()); err != nil {
		return err
	}
	e := &entries[i]
	_, _ = fmt.Fprintf(w.out, "%s, row %d, line %d, at %s\n", e.File, e.Row, e.Line, e.At.Format(time.RFC3339))
	for _, fault := range e.Faults {
		reason := fault.Code.Entry()
		_, _ = fmt.Fprintf(w.out, "  %s %s [%s] %s · %s %s\n  → %s · %s\n", fault.Field, columnOf(fault), fault.Code, reason.EN, reason.ZH, fault.Detail, reason.FixEN, reason.FixZH)
	}
	_, err = fmt.Fprintf(w.out, "\n%s\n", row)
	return err
}

type statusCommand struct {
	JSON bool `name:"json" help:"One JSON object."`
}

func (cmd statusCommand) Run(w *world) error {
	f, err := w.file()
	if err != nil {
		return err
	}
	off, err := f.Offline()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.timeout)
	defer cancel()
	k, err := f.ReachKafka(ctx, w.logger)
	if err != nil {
		return err
	}
	p, err := f.Position(ctx, k, off.Product.Major)
	if err := errors.Join(err, k.Close()); err != nil {
		return err
	}
	if cmd.JSON {
		return json.NewEncoder(w.out).Encode(&p)
	}
	t := &p.Totals
	_, err = fmt.Fprintf(w.out, "%s of %s in %s\n  batches      %d complete\n  read         %d\n  published    %d\n  duplicates   %d\n  quarantined  %d\n",
		f.Product, f.Provider, f.Region, p.Batches, t.Read, t.Published, t.Duplicates, t.QuarantinedRows())
	for _, code := range slices.Sorted(maps.Keys(t.Quarantined)) {
		_, _ = fmt.Fprintf(w.out, "    %6d  %s · %s\n", t.Quarantined[code], code, code.Entry().ZH)
	}
	if p.Batch != "" && !p.Complete {
		_, _ = fmt.Fprintf(w.out, "  under way    batch %s, row %d\n", p.Batch, p.Rows)
	}
	return err
}
