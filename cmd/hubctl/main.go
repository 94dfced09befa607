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
	Pull        pullCommand        `cmd:"" help:"Pull records page by page, verify every receipt, print one JSON object a line."`
	Query       queryCommand       `cmd:"" help:"Fetch the one record of a business key, with its receipt."`
	Verify      verifyClaimCommand `cmd:"" help:"Ask whether what is claimed of a record is true: yes or no, no value."`
	Products    productsCommand    `cmd:"" help:"Show the products that a gateway lets this participant know of."`
	Receipt     receiptCommand     `cmd:"" help:"Fetch or verify receipts."`
	Policy      policyCommand      `cmd:"" help:"Test, explain and compare rules and agreements."`
	Sample      sampleCommand      `cmd:"" help:"Write fictional rows of a product as a file that its connector carries."`
	Schema      schemaCommand      `cmd:"" help:"Check, compare and identify Avro schemas."`
	Control     controlCommand     `cmd:"" help:"Order: suspend, revoke, adopt; and show what was ordered."`
	Bench       benchCommand       `cmd:"" help:"Compare speed with references, in one run on this machine."`
	BenchBroker benchBrokerCommand `cmd:"" name:"bench-broker" hidden:""`

	Acknowledge      acknowledgeCommand      `cmd:"" help:"Acknowledge a bulletin to its issuer."`
	Acknowledgements acknowledgementsCommand `cmd:"" help:"List who acknowledged our own bulletins, and when."`

	Participant participantCommand `cmd:"" help:"Admit, enrol, renew, suspend, remove participants."`
	Trust       trustCommand       `cmd:"" help:"Write and sign trust bundles: roots, external authorities, registered keys."`
	Vault       vaultCommand       `cmd:"" help:"Set Vault up, rotate, hand out connectors' secrets."`
	Credentials credentialsCommand `cmd:"" help:"Show every certificate, token, secret id and key version with its end; red before it, not after."`
}

// streams is where a command reads from and writes to.
type streams struct {
	ctx  context.Context //nolint:containedctx // lives as long as the command
	out  io.Writer       // the result
	errs io.Writer       // what a person is told meanwhile
}

func (s *streams) say(format string, args ...any) { _, _ = fmt.Fprintf(s.errs, format+"\n", args...) }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its arguments and streams: 0 if all is well, 1 if not, 2 if
// the command line is wrong.
func run(args []string, out, errs io.Writer) int {
	var line commandLine
	exit := -1
	parser, err := kong.New(&line, kong.Name("hubctl"), kong.UsageOnError(), kong.Vars{"orders": orderKinds()}, kong.Writers(out, errs),
		kong.Description("The hand tool of the exchange hub. 共享交换枢纽命令行工具。"), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
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
