package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/record"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
	"github.com/chuanyu-exchange/hub/schemas/subject"
)

// Limits of an answer.
const (
	maxAnswer = 4 << 20
	timeout   = 10 * time.Second
)

const mediaType = "application/vnd.schemaregistry.v1+json"

// Client asks one registry.
type Client struct {
	base *url.URL
	user *url.Userinfo // for Basic; it is in no error
	http *http.Client
}

// Open takes the registry's address; a user and password in it are sent as
// Basic.
func Open(address string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return nil, problem.New(problem.ConfigInvalid, "SCHEMA_REGISTRY_URL is not the address of a registry, such as https://registry.example:8081")
	}
	c := &Client{base: u, user: u.User, http: &http.Client{Timeout: timeout}}
	u.User = nil
	return c, nil
}

// Reconcile returns the set with the ids of the registry for every revision
// that products of the regions write or wrote: looked up by content, registered
// where it is missing, and read back. Other schemas are left without an id, so
// that no record is read as one of them.
func (c *Client) Reconcile(ctx context.Context, set *schemas.Set, products []*catalogue.Product, regions ...string) (*schemas.Set, error) {
	lines, err := subject.Load(schemas.Files(), set)
	if err != nil {
		return nil, err
	}
	ids := map[string]uint32{}
	for _, p := range products {
		line, ok := lines.Line(p.Schema)
		if !ok {
			return nil, problem.New(problem.ConfigInvalid, "there is no schema %s", p.Schema)
		}
		for _, region := range regions {
			if p.Providers[region] == "" {
				continue
			}
			if err := c.subject(ctx, record.Topic(region, p.ID, p.Major)+"-value", line.Until(p.Schema), ids); err != nil {
				return nil, err
			}
		}
	}
	return set.WithIDs(ids)
}

// subject finds the ids of a subject's revisions, oldest first, as they must be
// registered.
func (c *Client) subject(ctx context.Context, name string, revisions []subject.Revision, ids map[string]uint32) error {
	for _, r := range revisions {
		id, err := c.id(ctx, name, r.Schema)
		if err != nil {
			return err
		}
		if other, known := ids[r.Schema.Name]; known && other != id {
			return c.fault(nil, "%s has the ids %d and %d there; one schema must have one id", r.Schema.Name, other, id)
		}
		ids[r.Schema.Name] = id
	}
	return nil
}

// id is the id of a schema under a subject, checked.
func (c *Client) id(ctx context.Context, subject string, s *schemas.Schema) (uint32, error) {
	var found struct {
		ID uint32 `json:"id"`
	}
	body := map[string]string{"schema": string(s.Source)}
	err := c.call(ctx, http.MethodPost, "/subjects/"+url.PathEscape(subject), body, &found)
	if refusal, ok := errors.AsType[*refusal](err); ok && refusal.status == http.StatusNotFound {
		err = c.call(ctx, http.MethodPost, "/subjects/"+url.PathEscape(subject)+"/versions", body, &found)
	}
	if err != nil {
		return 0, c.fault(err, "subject %s: %v", subject, err)
	}
	var there struct {
		Schema string `json:"schema"`
	}
	if err := c.call(ctx, http.MethodGet, fmt.Sprintf("/schemas/ids/%d", found.ID), nil, &there); err != nil {
		return 0, c.fault(err, "schema %d: %v", found.ID, err)
	}
	t, err := avro.Parse([]byte(there.Schema))
	if err != nil {
		return 0, c.fault(err, "schema %d there is not Avro: %v", found.ID, err)
	}
	if changes := evolve.Diff(s.Type, t); found.ID == 0 || len(changes) > 0 {
		return 0, c.fault(nil, "schema %d there is not %s: %d differences", found.ID, s.Name, len(changes))
	}
	return found.ID, nil
}

func (c *Client) fault(err error, format string, args ...any) error {
	return problem.Wrap(problem.RegistryUnusable, err, "%s: %s", c.base.Host, fmt.Sprintf(format, args...))
}

// refusal is an answer that is none of 2xx.
type refusal struct {
	status int
	Code   int    `json:"error_code"`
	Text   string `json:"message"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("it answers %d (%d): %.200s", r.status, r.Code, r.Text)
}

var errAnswer = errors.New("its answer is not that of a schema registry")

func (c *Client) call(ctx context.Context, method, path string, body, out any) error {
	in, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(path).String(), bytes.NewReader(in))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", mediaType)
	req.Header.Set("Accept", mediaType+", application/json")
	if c.user != nil {
		password, _ := c.user.Password()
		req.SetBasicAuth(c.user.Username(), password)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return errors.New("it cannot be reached: " + plainCause(err))
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return errors.New("its answer breaks off")
	case len(raw) > maxAnswer:
		return fmt.Errorf("%w: it has more than %d bytes", errAnswer, maxAnswer)
	case res.StatusCode/100 != 2:
		r := &refusal{status: res.StatusCode}
		_ = json.Unmarshal(raw, r) // a proxy's answer has no message
		return r
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return errAnswer
	}
	return nil
}

// plainCause is the cause without the address, which the caller names.
func plainCause(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return err.Error()
}
