package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/chuanyu-exchange/hub/gateway/client"
	"github.com/chuanyu-exchange/hub/gateway/control"
	"github.com/chuanyu-exchange/hub/gateway/signing"
	"github.com/chuanyu-exchange/hub/internal/jws"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

type controlCommand struct {
	Status controlStatusCommand `cmd:"" help:"Show who and what is suspended, revoked, adopted, by whom and why."`
	Order  controlOrderCommand  `cmd:"" help:"Give an order, signed with the operator's certificate."`
}

// operator says as whom to order, and where.
type operator struct {
	Region  string        `default:"500000" placeholder:"CODE" help:"Whose gateway: 500000 Chongqing, 510000 Sichuan (${default})."`
	Profile string        `placeholder:"FILE" help:"The operator's profile. Default: one of the demo under --data, see --as."`
	As      string        `default:"zhou" placeholder:"NAME" help:"Of the demo's operators, act as this one: wu (administration), liang or zheng (security), zhou (audit) (${default})."`
	Data    string        `default:".hub-dev" placeholder:"DIR" help:"State directory of the demo (${default})."`
	Timeout time.Duration `default:"15s" help:"How long to wait for the answer (${default})."`
}

// session is an operator's key and the way to the gateway.
type session struct {
	operator
	url   string
	http  *http.Client
	key   crypto.Signer
	chain []*x509.Certificate
}

func (o *operator) open() (*session, error) {
	file := o.Profile
	if file == "" {
		file = filepath.Join(o.Data, o.Region, "operators", o.As, "profile.yaml")
		if _, err := os.Stat(file); err != nil {
			return nil, problem.New(problem.ConfigInvalid,
				"there is no operator %s under %s: start the demo with `make run`, or name a profile with --profile", o.As, filepath.Join(o.Data, o.Region))
		}
	}
	p, err := client.LoadProfile(file)
	if err != nil {
		return nil, err
	}
	roots, err := p.Roots(o.Region)
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "certificate of %s: %v", p.Participant, err)
	}
	s := &session{operator: *o}
	for _, der := range pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, problem.Wrap(problem.ConfigInvalid, err, "%s: %v", p.Certificate, err)
		}
		s.chain = append(s.chain, c)
	}
	s.key, _ = pair.PrivateKey.(crypto.Signer) // what is none is refused when it is to sign
	at := slices.IndexFunc(p.Gateways, func(g client.ProfileGateway) bool { return g.Region == o.Region })
	s.url = p.Gateways[at].URL // there is one: its roots were found
	s.http = &http.Client{Timeout: o.Timeout, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}, ForceAttemptHTTP2: true,
	}}
	return s, nil
}

// call asks the gateway and reads its answer into out, or its problem.
func (s *session) call(ctx context.Context, method, path string, body io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return err
	}
	res, err := s.http.Do(req)
	if err != nil {
		return problem.Wrap(problem.GatewayUnreachable, err, "%v", err)
	}
	defer func() { _ = res.Body.Close() }()
	const most = 64 << 20
	text, err := io.ReadAll(io.LimitReader(res.Body, most))
	if err != nil {
		return problem.Wrap(problem.GatewayUnreachable, err, "%v", err)
	}
	if res.StatusCode != http.StatusOK {
		var d problem.Document
		if err := json.Unmarshal(text, &d); err != nil || d.Code == "" {
			return problem.New(problem.AnswerInvalid, "status %d without a problem document", res.StatusCode)
		}
		return problem.New(d.Code, "%s", d.Detail)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return problem.Wrap(problem.AnswerInvalid, err, "%v", err)
	}
	return nil
}

type controlStatusCommand struct {
	operator
	JSON bool `name:"json" help:"Print it as one JSON object."`
}

func (cmd *controlStatusCommand) Run(s *streams) error {
	o, err := cmd.open()
	if err != nil {
		return err
	}
	var v control.View
	if err := o.call(s.ctx, http.MethodGet, "/v1/control", nil, &v); err != nil {
		return err
	}
	if cmd.JSON {
		return json.NewEncoder(s.out).Encode(v)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintln(w, strings.Join(cells, "\t")) }
	row("WHAT", "SUBJECT", "IS", "SINCE", "BY", "WHY")
	for _, list := range []struct {
		what string
		of   []control.Standing
	}{{"participant", v.Participants}, {"agreement", v.Agreements}, {"certificate", v.Certificates}} {
		for _, x := range list.of {
			row(list.what, x.Subject, x.Effect.String(), shownTime(x.Since), shortName(x.By), x.Reason)
		}
	}
	for _, list := range []struct {
		what, is string
		of       []control.Admission
	}{{"participant", "admitted", v.Admitted}, {"agreement", "admitted", v.Agreed}, {"agreement", "proposed", v.Drafts}} {
		for _, a := range list.of {
			by := shortName(a.By)
			if a.ApprovedBy != "" {
				by += ", " + shortName(a.ApprovedBy)
			}
			row(list.what, a.Subject, list.is+" as "+a.Order, shownTime(a.Since), by, a.Reason)
		}
	}
	for _, b := range v.Bundles {
		row("trust bundle", b.Region, fmt.Sprintf("version %d", b.Version), shownTime(b.Since), shortName(b.By), "")
	}
	for _, p := range v.Proposals {
		row("policies", p.Policy, "proposed as "+p.Order, shownTime(p.At), shortName(p.By), p.Reason)
	}
	if v.Policy.Policy != "" {
		row("policies", v.Policy.Policy, "adopted", shownTime(v.Policy.Since), shortName(v.Policy.ProposedBy)+", "+shortName(v.Policy.ApprovedBy), "")
	}
	return w.Flush()
}

// shownTime is a time as people of both provinces read it.
func shownTime(t time.Time) string {
	return t.In(time.FixedZone("+08:00", 8*60*60)).Format("2006-01-02 15:04:05")
}

// shortName is the duty and the name of an operator.
func shortName(id string) string {
	if _, path, ok := strings.Cut(id, "/operator/"); ok {
		return path
	}
	return id
}

type controlOrderCommand struct {
	operator
	Kind     string `arg:"" help:"${orders}"`
	Subject  string `arg:"" optional:"" help:"The participant, the agreement, the certificate (its thumbprint or a PEM file), the region of a bundle, the version of policies (default: of those given with --policies or of this build), or the order to approve."`
	Reason   string `required:"" help:"Why, for whoever asks later."`
	Bundle   string `placeholder:"FILE" help:"The signed trust bundle to adopt."`
	Document string `placeholder:"FILE" help:"The entry of the participant to admit, or the agreement to propose, in YAML as in the catalogue or under agreements/."`
	Dir      string `name:"policies" placeholder:"DIR" help:"Propose the rules and agreements of this directory."`
	Yes      bool   `help:"Give an order that is for good. Without it such an order is only shown."`
}

// Run signs and submits. What cannot be undone is only shown until --yes.
func (cmd *controlOrderCommand) Run(s *streams) error {
	at := slices.IndexFunc(control.Kinds(), func(k control.KindDuty) bool { return string(k.Kind) == cmd.Kind })
	if at < 0 {
		return problem.New(problem.OrderInvalid, "kind %q: %s", cmd.Kind, orderKinds())
	}
	kind := control.Kinds()[at]
	o, err := cmd.open()
	if err != nil {
		return err
	}
	order, err := cmd.order(kind.Kind)
	if err != nil {
		return err
	}
	now := time.Now()
	if order.ID, err = signing.NewID(now); err != nil {
		return err
	}
	signed, err := order.Sign(now, o.key, o.chain)
	if err != nil {
		return err
	}
	if kind.ForGood && !cmd.Yes {
		s.say("%s %s is for good. Nothing was ordered; add --yes to order it.\n%s 不可撤销，未下达；确认请加 --yes", order.Kind, order.Subject, order.Kind)
		return nil
	}
	var done struct {
		Order  string `json:"order"`
		Offset int64  `json:"offset"`
		By     string `json:"by"`
	}
	if err := o.call(s.ctx, http.MethodPost, "/v1/control/orders", strings.NewReader(signed), &done); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s %s took effect, as order %s by %s (control log, offset %d)\n", order.Kind, order.Subject, done.Order, shortName(done.By), done.Offset)
	return err
}

// order is the order without id and time.
func (cmd *controlOrderCommand) order(kind control.Kind) (control.Order, error) {
	o := control.Order{Kind: kind, Region: cmd.Region, Subject: cmd.Subject, Reason: cmd.Reason}
	switch {
	case kind == control.AdoptBundle || kind == control.AdmitParticipant || kind == control.ProposeAgreement:
		err := cmd.attach(&o)
		return o, err
	case kind == control.ProposePolicy && cmd.Subject == "":
		set, err := loadPolicySet(cmd.Dir)
		if err != nil {
			return o, err
		}
		o.Subject = set.Version()
	case kind == control.RevokeCertificate:
		text, err := os.ReadFile(cmd.Subject)
		if err != nil {
			return o, nil //nolint:nilerr // no file: a thumbprint, which is checked as one
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return o, problem.New(problem.ConfigInvalid, "%s holds no PEM certificate", cmd.Subject)
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return o, problem.Wrap(problem.ConfigInvalid, err, "%s: %v", cmd.Subject, err)
		}
		o.Subject = jws.KeyID(leaf)
	}
	return o, nil
}

// attach reads what the order carries.
func (cmd *controlOrderCommand) attach(o *control.Order) error {
	flag, file := "--document", cmd.Document
	if o.Kind == control.AdoptBundle {
		flag, file = "--bundle", cmd.Bundle
	}
	text, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return problem.Wrap(problem.ConfigInvalid, err, "%s: %v", flag, err)
	}
	if o.Kind == control.AdoptBundle {
		o.Bundle = string(bytes.TrimSpace(text))
	} else {
		o.Document = string(text)
	}
	return nil
}

// orderKinds lists the kinds for people.
func orderKinds() string {
	var all []string
	for _, k := range control.Kinds() {
		all = append(all, fmt.Sprintf("%s (%s)", k.Kind, k.Duty))
	}
	return strings.Join(all, ", ")
}
