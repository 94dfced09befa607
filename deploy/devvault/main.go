package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit statuses. A parent tells a taken port from other failures by 3, and
// may then try another one.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitAddressUsed = 3
)

const usage = `Usage: devvault [server] -config FILE [-exit-with-stdin]

A small Vault-compatible server (OpenBao 2.4.0 as a library) for demos and
tests. Production runs a current Vault or OpenBao instead.

  -config FILE       OpenBao's HCL configuration
  -exit-with-stdin   end when standard input reaches its end, so that a killed
                     parent that held the other end leaves nothing behind
  -help              this text

For each listener it prints the line "serving ADDRESS". The log goes to
standard error. SIGTERM and SIGINT end it.

Exit status: 0 ended as asked, 1 failed, 2 wrong arguments, 3 an address is in
use by another process.
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "server" { // as the real command has it
		args = args[1:]
	}
	flags := flag.NewFlagSet("devvault", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {}
	config := flags.String("config", "", "")
	withStdin := flags.Bool("exit-with-stdin", false, "")
	// What cannot be told on a closed terminal is told by the exit status.
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprint(stdout, usage)
		return 0
	case err != nil, *config == "", flags.NArg() > 0:
		_, _ = fmt.Fprint(stderr, usage)
		return exitUsage
	}
	if !*withStdin {
		stdin = nil
	}
	err := serve(*config, stdin, stdout)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(stderr, "devvault:", err)
	if errors.Is(err, syscall.EADDRINUSE) {
		return exitAddressUsed
	}
	return exitFailed
}

// serve runs a server until a signal, the end of stdin (when it is not nil) or
// a failing listener ends it.
func serve(config string, stdin io.Reader, stdout io.Writer) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	ended := make(chan struct{})
	if stdin != nil {
		// Watched from the first moment: a parent that dies during the start
		// counts too.
		go func() {
			_, _ = io.Copy(io.Discard, stdin) // a broken pipe is an end as well
			close(ended)
		}()
	}
	s, err := newServer(config)
	if err != nil {
		return err
	}
	if err := s.start(ctx, stdout); err != nil {
		return errors.Join(err, s.stop(context.WithoutCancel(ctx)))
	}
	select {
	case <-ctx.Done():
	case <-ended:
	case err = <-s.failed:
	}
	return errors.Join(err, s.stop(context.WithoutCancel(ctx)))
}
