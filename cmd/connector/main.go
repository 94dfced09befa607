package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/chuanyu-exchange/hub/connectors/instance"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

type commandLine struct {
	Config  string        `short:"c" default:"connector.yaml" placeholder:"FILE" help:"The connector's configuration (${default})."`
	Timeout time.Duration `default:"10s" placeholder:"TIME" help:"How long a command that only asks waits for Vault and Kafka (${default})."`

	Run        runCommand        `cmd:"" help:"Carry files until interrupted."`
	Check      checkCommand      `cmd:"" help:"Check configuration, directories, Vault and Kafka, without carrying anything."`
	Preview    previewCommand    `cmd:"" help:"Map and validate one file and show what would be published and what quarantined. Nothing is published."`
	Quarantine quarantineCommand `cmd:"" help:"List or show the rows that could not be carried."`
	Status     statusCommand     `cmd:"" help:"Show how far the connector got."`
}

// world is what a command may touch.
type world struct {
	ctx    context.Context //nolint:containedctx // lives as long as the command
	out    io.Writer
	logger *slog.Logger
	file   func() (*instance.File, error)

	timeout time.Duration // of a command that only asks
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its arguments and streams: 0 if all is well, 1 if not, 2 if
// the command line is wrong.
func run(args []string, out, errs io.Writer) int {
	var line commandLine
	exit := -1
	parser, err := kong.New(&line, kong.Name("connector"), kong.UsageOnError(), kong.Writers(out, errs),
		kong.Description("Carries rows of a system into its province's exchange hub. 将系统数据接入本省（市）共享交换枢纽。"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.Exit(func(code int) { exit = code }))
	if err != nil {
		_, _ = fmt.Fprintln(errs, err)
		return 2
	}
	parsed, err := parser.Parse(args)
	if exit >= 0 { // --help
		return exit
	}
	if err != nil {
		_, _ = fmt.Fprintln(errs, "error:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	w := &world{
		ctx: ctx, out: out, timeout: line.Timeout, logger: slog.New(slog.NewTextHandler(errs, nil)),
		file: func() (*instance.File, error) { return instance.Load(line.Config) },
	}
	if err := parsed.Run(w); err != nil {
		_, _ = fmt.Fprint(errs, problem.From(err).Terminal())
		return 1
	}
	return 0
}
