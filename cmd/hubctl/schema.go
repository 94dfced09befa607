package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
	"github.com/chuanyu-exchange/hub/schemas/subject"
)

type schemaCommand struct {
	Check       schemaCheckCommand  `cmd:"" help:"Check schema files by the rules of Avro and of the exchange; a directory also with its lock file and levels. Without argument: the schemas of this build."`
	Diff        schemaDiffCommand   `cmd:"" help:"Show what changed between two schemas."`
	Compat      schemaCompatCommand `cmd:"" help:"Hold a new schema against the published ones; exit 1 if it breaks its level."`
	Fingerprint fingerprintCommand  `cmd:"" help:"Show canonical form and fingerprints of a schema."`
}

type schemaCheckCommand struct {
	Paths []string `arg:"" optional:"" help:"Files (*.avsc) or directories."`
}

func (cmd *schemaCheckCommand) Run(s *streams) error {
	if len(cmd.Paths) == 0 {
		lines, err := subject.Shipped()
		if err = s.checked("the schemas of this build", lines, err); err != nil {
			return problem.Wrap(problem.ConfigInvalid, err, "%v", err)
		}
		return nil
	}
	failed := 0
	for _, path := range cmd.Paths {
		if err := s.checkPath(path); err != nil {
			failed++
			s.say("%v", err)
		}
	}
	if failed > 0 {
		return problem.New(problem.ConfigInvalid, "%d of %d are not valid schemas", failed, len(cmd.Paths))
	}
	return nil
}

func (s *streams) checkPath(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		dir := os.DirFS(path)
		set, err := schemas.Load(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		lines, err := subject.Load(dir, set)
		return s.checked(path, lines, err)
	}
	source, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return err
	}
	if _, err := avro.Parse(source); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	schema, err := schemas.Parse(schemaName(path), source)
	if err != nil {
		return fmt.Errorf("%s: Avro, but not a schema of the exchange: %w", path, err)
	}
	_, err = fmt.Fprintf(s.out, "%s: valid, %d fields\n", path, len(schema.Leaves))
	return err
}

func (s *streams) checked(what string, lines *subject.Lines, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for _, line := range lines.All() {
		last := line.Revisions[len(line.Revisions)-1].Schema
		if _, err := fmt.Fprintf(s.out, "%-24s %-20s revisions %d, newest %s (id %d)\n", line.Name, line.Level, len(line.Revisions), last.Name, last.ID); err != nil {
			return err
		}
	}
	return nil
}

type schemaDiffCommand struct {
	From string `arg:"" help:"A file, or the name of a schema of this build (price_quote.v1)."`
	To   string `arg:"" help:"The same."`
}

func (cmd *schemaDiffCommand) Run(s *streams) error {
	from, err := readSchema(cmd.From)
	if err != nil {
		return err
	}
	to, err := readSchema(cmd.To)
	if err != nil {
		return err
	}
	for _, change := range evolve.Diff(from, to) {
		if _, err := fmt.Fprintln(s.out, change); err != nil {
			return err
		}
	}
	return nil
}

type schemaCompatCommand struct {
	Level     string   `placeholder:"LEVEL" help:"BACKWARD, FORWARD, FULL, each also with _TRANSITIVE, or NONE. Default: the declared level of the schema's line, else FULL_TRANSITIVE."`
	Next      string   `arg:"" help:"The new schema: a file, or the name of a schema of this build."`
	Published []string `arg:"" optional:"" help:"The published ones, oldest first. Default: those of this build whose name the file bears (price_quote.v1.2.avsc: price_quote.v1)."`
}

func (cmd *schemaCompatCommand) Run(s *streams) error {
	next, err := readSchema(cmd.Next)
	if err != nil {
		return err
	}
	level, published, err := cmd.published()
	if err != nil {
		return err
	}
	if cmd.Level != "" {
		if level, err = evolve.ParseLevel(cmd.Level); err != nil {
			return problem.New(problem.ConfigInvalid, "--level: %v", err)
		}
	}
	found := level.Check(next, published...)
	for _, v := range found {
		s.say("%v", v)
	}
	if len(found) > 0 {
		return problem.New(problem.ConfigInvalid, "%s breaks %s in %d places", cmd.Next, level, len(found))
	}
	_, err = fmt.Fprintf(s.out, "%s: compatible, %s with %d published\n", cmd.Next, level, len(published))
	return err
}

func (cmd *schemaCompatCommand) published() (evolve.Level, []*avro.Type, error) {
	var out []*avro.Type
	if len(cmd.Published) > 0 {
		for _, path := range cmd.Published {
			t, err := readSchema(path)
			if err != nil {
				return 0, nil, err
			}
			out = append(out, t)
		}
		return evolve.FullTransitive, out, nil
	}
	lines, err := subject.Shipped()
	if err != nil {
		return 0, nil, err
	}
	line, ok := lines.Line(schemaName(cmd.Next))
	if !ok {
		return 0, nil, problem.New(problem.ConfigInvalid, "%s: no schema of that name is published; name what it follows", cmd.Next)
	}
	for _, r := range line.Revisions {
		if r.Schema.Name != schemaName(cmd.Next) {
			out = append(out, r.Type)
		}
	}
	return line.Level, out, nil
}

type fingerprintCommand struct {
	Schema    string `arg:"" help:"A file, or the name of a schema of this build."`
	Canonical bool   `help:"Print only the Parsing Canonical Form."`
}

func (cmd *fingerprintCommand) Run(s *streams) error {
	t, err := readSchema(cmd.Schema)
	if err != nil {
		return err
	}
	if cmd.Canonical {
		_, err = fmt.Fprintf(s.out, "%s\n", evolve.Canonical(t))
		return err
	}
	f := evolve.Fingerprint(t)
	_, err = fmt.Fprintf(s.out, "CRC-64-AVRO  %016x\nMD5          %x\nSHA-256      %x\n", f.CRC64, f.MD5, f.SHA256)
	return err
}

// schemaName is what a file is the schema of.
func schemaName(path string) string { return strings.TrimSuffix(filepath.Base(path), ".avsc") }

// readSchema reads a file, or a schema of this build by its name.
func readSchema(path string) (*avro.Type, error) {
	source, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if errors.Is(err, os.ErrNotExist) {
		set, loadErr := schemas.Shipped()
		if loadErr != nil {
			return nil, loadErr
		}
		if shipped, ok := set.Schema(path); ok {
			source, err = shipped.Source, nil
		}
	}
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "%s: neither a file that can be read nor a schema of this build", path)
	}
	t, err := avro.Parse(source)
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "%s: %v", path, err)
	}
	return t, nil
}
