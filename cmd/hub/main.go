package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

type commandLine struct {
	Dev devCommand `cmd:"" help:"Run both provinces in one process, each with its own embedded Kafka, gateway, ledger and connectors. For trying things out, on loopback only."`
}

// streams is where a command reads from and writes to.
type streams struct {
	ctx  context.Context //nolint:containedctx // lives as long as the command
	out  io.Writer
	errs io.Writer
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its arguments and streams: 0 if all is well, 1 if not, 2 if
// the command line is wrong.
func run(args []string, out, errs io.Writer) int {
	var line commandLine
	exit := -1
	parser, err := kong.New(&line, kong.Name("hub"), kong.UsageOnError(), kong.Writers(out, errs),
		kong.Description("The cross-province data-sharing exchange hub of Sichuan and Chongqing. 川渝跨省数据共享交换枢纽。"),
		kong.Exit(func(code int) { exit = code }))
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
	if err := parsed.Run(&streams{ctx: ctx, out: out, errs: errs}); err != nil {
		_, _ = fmt.Fprint(errs, problem.From(err).Terminal())
		return 1
	}
	return 0
}
