package httpapi

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

const (
	ordersPath    = "/v1/control/orders"
	maxOrderBytes = 64 << 10 // a trust bundle fits
)

// control is GET /v1/control: what the operators ordered, for operators.
func (a *API) control(c *gin.Context) error {
	s, err := a.Gateway.ControlState(c.Request.Context(), credentials(c))
	if err != nil {
		return err
	}
	view := s.View()
	view.Region = a.Gateway.Region
	return writeJSON(c, view)
}

// accepted is the answer to an order that took effect.
type accepted struct {
	Order  string    `json:"order"`
	Offset int64     `json:"offset"` // in the control log
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// order is POST /v1/control/orders. The answer is what the fold decided, not
// that the order was taken up.
func (a *API) order(c *gin.Context) error {
	body, err := io.ReadAll(c.Request.Body)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return a.noted(c, problem.New(problem.RequestTooLarge, "an order has at most %d bytes", tooLarge.Limit))
	}
	if err != nil {
		return problem.New(problem.RequestInvalid, "the body cannot be read")
	}
	out, err := a.Gateway.Order(c.Request.Context(), credentials(c), strings.TrimSpace(string(body)))
	if err != nil {
		return err
	}
	return writeJSON(c, accepted{Order: out.Order.ID, Offset: out.Offset, By: out.By, At: out.Order.At})
}
