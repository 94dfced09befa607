package main

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

type receiptCommand struct {
	Verify verifyCommand `cmd:"" help:"Verify a receipt offline: signature, chain, name and time; with its body also what was released."`
	Get    getCommand    `cmd:"" help:"Fetch a receipt again from the gateway that issued it, as one of its two parties."`
}

type verifyCommand struct {
	File  string `arg:"" help:"The receipt (JWS). A file of the same name that ends in .body is taken for its body."`
	Body  string `placeholder:"FILE" help:"The body that was released."`
	Roots string `placeholder:"FILE" help:"Certificates of the authorities of the issuing province, PEM. Default: the demo's under --data."`
	Data  string `default:".hub-dev" placeholder:"DIR" help:"State directory of the demo (${default})."`
}

func (cmd *verifyCommand) Run(s *streams) error {
	compact, err := os.ReadFile(cmd.File)
	if err != nil {
		return problem.Wrap(problem.ConfigInvalid, err, "%v", err)
	}
	var rootsErr error
	r, err := receipt.Verify(strings.TrimSpace(string(compact)), func(region string) *x509.CertPool {
		path := cmd.Roots
		if path == "" && fs.ValidPath(region) { // the receipt is not believed yet
			path = filepath.Join(cmd.Data, region, "root.pem")
		}
		pool, err := client.ReadRoots(path)
		rootsErr = err
		return pool
	})
	if rootsErr != nil {
		return rootsErr
	}
	if err != nil {
		return err
	}
	what, err := cmd.checkBody(r)
	if err != nil {
		return err
	}
	doc, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s\nVERIFIED: %s\n验证通过\n", doc, what)
	return err
}

// checkBody holds the body against the receipt, if there is one, and says what
// is then known.
func (cmd *verifyCommand) checkBody(r *receipt.Receipt) (string, error) {
	body := cmd.Body
	if beside := strings.TrimSuffix(cmd.File, ".jws") + ".body"; body == "" && beside != cmd.File {
		if _, err := os.Stat(beside); err == nil {
			body = beside
		}
	}
	if body == "" {
		return "signature, chain, name and time hold; the body was not checked (name it with --body)", nil
	}
	content, err := os.ReadFile(body) //nolint:gosec // the user names the file
	if err != nil {
		return "", problem.Wrap(problem.ConfigInvalid, err, "%v", err)
	}
	return "signature, chain, name and time hold, and the body is the one that was released", r.Matches(content)
}

type getCommand struct {
	who
	ID string `arg:"" help:"Id of the receipt."`
}

func (cmd *getCommand) Run(s *streams) error {
	profile, err := cmd.profile(func() (string, error) { return agreedConsumer(cmd.Region, "price_quote", "price_monitoring") })
	if err != nil {
		return err
	}
	c, err := profile.Client(cmd.Region, time.Now)
	if err != nil {
		return err
	}
	defer c.Close()
	signed, r, err := c.Receipt(s.ctx, cmd.ID)
	if err != nil {
		return err
	}
	s.say("receipt %s of %s for %s: verified", r.ID, r.Product, r.Consumer)
	_, err = fmt.Fprintln(s.out, signed)
	return err
}
