package revocation

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// What an authority's server may take, whoever wrote its address down.
const (
	fetchTimeout = 10 * time.Second
	maxCRL       = 32 << 20
	maxOCSP      = 64 << 10
)

// newHTTP is a client of its own: no proxy of the environment, no cookies, no
// redirects to where nobody listed.
func newHTTP() *http.Client {
	return &http.Client{
		Timeout:       fetchTimeout,
		Transport:     &http.Transport{MaxIdleConns: 8, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: fetchTimeout, MaxResponseHeaderBytes: 16 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ask gets what is at a URL; with a body it posts an OCSP question.
func ask(ctx context.Context, client *http.Client, url string, body []byte, most int64) ([]byte, error) {
	method, content := http.MethodGet, io.Reader(http.NoBody)
	if body != nil {
		method, content = http.MethodPost, bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/ocsp-request")
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d", url, res.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("%s answered with more than %d bytes", url, most)
	}
	return raw, err
}
