package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/client"
)

// pageRecords is the size of a page on all sides: what the gateway takes when
// a consumer does not say.
const pageRecords = 1000

// errEnded says that a side came to the end before it had all records.
var errEnded = errors.New("the pages end before all records were there")

// localPass calls the road of a request in process, page after page.
func (h *hub) localPass(ctx context.Context) (pass, error) {
	who, err := h.credentials(ctx)
	if err != nil {
		return pass{}, err
	}
	return pass{close: nothingToClose, run: func(ctx context.Context) (int, error) {
		req := gateway.Request{Credentials: who, Product: productID, Purpose: purpose, Limit: pageRecords, Format: gateway.NDJSON}
		n := 0
		for n < h.rows {
			release, err := h.gateway.Exchange(ctx, req)
			switch {
			case err != nil:
				return n, err
			case release.Records == 0:
				return n, errEnded
			}
			n += int(release.Records)
			req.Cursor = release.Next
		}
		return n, nil
	}}, nil
}

// verifiedPass pulls with the consumers' own client, which verifies all that
// it hands on. A new client each time: connection and grant are part of it.
func (h *hub) verifiedPass(context.Context) (pass, error) {
	certificate := h.caller.tls()
	c, err := client.New(client.Config{
		URL: h.url, Region: region, Participant: consumer, Roots: h.local.pool(), Schemas: h.schemas, Timeout: callTimeout, Now: time.Now,
		Certificate: func() *tls.Certificate { return certificate },
	})
	if err != nil {
		return pass{}, err
	}
	run := func(ctx context.Context) (int, error) {
		q := client.Query{Product: productID, Purpose: purpose, Limit: pageRecords}
		n := 0
		for n < h.rows {
			page, err := c.Records(ctx, q)
			switch {
			case err != nil:
				return n, err
			case len(page.Records) == 0:
				return n, errEnded
			}
			n += len(page.Records)
			q.Cursor = page.Next
		}
		return n, nil
	}
	return pass{run: run, close: func() error { c.Close(); return nil }}, nil
}

// countedPass pulls with a client that counts lines and verifies nothing.
func (h *hub) countedPass(ctx context.Context) (pass, error) {
	who, err := h.credentials(ctx)
	if err != nil {
		return pass{}, err
	}
	c := newLineCounter(h.caller.tls(), h.local.pool())
	c.header = http.Header{"Accept": {gateway.NDJSON}, "Authorization": {"Bearer " + who.Token}}
	const nextCursor = "Hub-Next-Cursor"
	run := func(ctx context.Context) (int, error) {
		query := url.Values{"purpose": {purpose}, "limit": {strconv.Itoa(pageRecords)}}
		n := 0
		for n < h.rows {
			lines, header, err := c.get(ctx, h.url+"/v1/products/"+productID+"/records?"+query.Encode())
			switch {
			case err != nil:
				return n, err
			case lines == 0:
				return n, errEnded
			}
			n += lines
			query.Set("cursor", header.Get(nextCursor))
		}
		return n, nil
	}
	return pass{run: run, close: c.close}, nil
}

func nothingToClose() error { return nil }

// lineCounter is a consumer that costs as little as one can.
type lineCounter struct {
	http   *http.Client
	header http.Header
	body   bytes.Buffer
}

// The largest page that is read.
const maxPage = 16 << 20

func newLineCounter(certificate *tls.Certificate, roots *x509.CertPool) *lineCounter {
	return &lineCounter{http: &http.Client{Timeout: callTimeout, Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{*certificate}},
	}}}
}

// get reads one page whole and counts its lines.
func (c *lineCounter) get(ctx context.Context, address string) (lines int, _ http.Header, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	req.Header = c.header.Clone()
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	c.body.Reset()
	if _, err := c.body.ReadFrom(io.LimitReader(res.Body, maxPage)); err != nil {
		return 0, nil, fmt.Errorf("page: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return 0, nil, fmt.Errorf("the endpoint answered %s: %.300s", res.Status, c.body.Bytes())
	}
	return bytes.Count(c.body.Bytes(), []byte("\n")), res.Header, nil
}

func (c *lineCounter) close() error {
	c.http.CloseIdleConnections()
	return nil
}
