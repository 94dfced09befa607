package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/gateway/receipt"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// acknowledgement is the body of POST /v1/products/{product}/acknowledgements.
type acknowledgement struct {
	Purpose  string            `json:"purpose"`
	Receipt  string            `json:"receipt"`  // id of the receipt that came with the record
	EventID  string            `json:"event_id"` // of the record
	TakenAt  time.Time         `json:"taken_at"`
	Measures []receipt.Measure `json:"measures"`
}

// acknowledge is POST /v1/products/{product}/acknowledgements.
func (a *API) acknowledge(c *gin.Context) error {
	var in acknowledgement
	if err := readObject(c.Request.Body, &in); err != nil {
		return bodyProblem(err, "purpose, receipt, event_id, taken_at, measures")
	}
	id, signed, err := a.Gateway.Acknowledge(c.Request.Context(), gateway.AckRequest{
		Credentials: credentials(c), ID: c.GetString(keyInstance), Product: c.Param("product"), Purpose: in.Purpose,
		Release: in.Receipt, EventID: in.EventID, TakenAt: in.TakenAt, Measures: in.Measures,
	})
	if err != nil {
		return err
	}
	c.Header(HeaderReceiptID, id)
	c.Data(http.StatusCreated, "application/jose", []byte(signed))
	return nil
}

// acknowledgements is GET /v1/products/{product}/acknowledgements.
func (a *API) acknowledgements(c *gin.Context) error {
	q, err := ackQuery(c, a.Gateway.Now())
	if err != nil {
		return err
	}
	page, err := a.Gateway.Acknowledgements(c.Request.Context(), credentials(c), q)
	if err != nil {
		return err
	}
	return writeJSON(c, struct {
		Acknowledgements []string `json:"acknowledgements"` // JWS, oldest first
		Next             int64    `json:"next"`
		AtEnd            bool     `json:"at_end"`
	}{append([]string{}, page.Signed...), page.Next, page.AtEnd})
}

// defaultSince is how far back a listing begins that does not say.
const defaultSince = 30 * 24 * time.Hour

func ackQuery(c *gin.Context, now time.Time) (gateway.AckQuery, error) {
	q := gateway.AckQuery{Product: c.Param("product"), Since: now.Add(-defaultSince), Limit: gateway.MaxAcks}
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return q, problem.New(problem.RequestInvalid, "the query cannot be read")
	}
	for parameter, values := range query {
		if !slices.Contains([]string{"since", "from", "limit"}, parameter) || len(values) != 1 {
			return q, problem.New(problem.RequestInvalid, "parameters, each at most once: since, from, limit")
		}
	}
	if query.Has("since") {
		if q.Since, err = time.Parse(time.RFC3339, query.Get("since")); err != nil {
			return q, problem.New(problem.RequestInvalid, "since is not a time: write it as 2026-01-31T09:00:00+08:00")
		}
	}
	if query.Has("from") {
		if q.From, err = strconv.ParseInt(query.Get("from"), 10, 64); err != nil || q.From < 0 {
			return q, problem.New(problem.RequestInvalid, "from is the next of a page before")
		}
	}
	if query.Has("limit") {
		if q.Limit, err = strconv.Atoi(query.Get("limit")); err != nil {
			return q, problem.New(problem.LimitOutOfRange, "limit is not a number")
		}
	}
	return q, nil
}
