package gateway

import (
	"bytes"
	"container/list"
	"strconv"
	"sync"

	"github.com/chuanyu-exchange/hub/gateway/feed"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// The media types of an answer.
const (
	NDJSON = "application/x-ndjson"
	JSON   = "application/json"
)

// body is the page in a format: NDJSON as it is, JSON as one object.
//
//	{"records":[…],"next":"cursor"}
func body(format string, page *feed.Page, next string) []byte {
	if format != JSON {
		return page.Lines
	}
	out := make([]byte, 0, len(page.Lines)+len(next)+32)
	out = append(out, `{"records":[`...)
	out = append(out, bytes.ReplaceAll(bytes.TrimSuffix(page.Lines, []byte("\n")), []byte("\n"), []byte(",\n"))...)
	out = append(out, `],"next":`...)
	return append(strconv.AppendQuote(out, next), '}', '\n') // a cursor is base64url
}

// viewCache keeps compiled Views: the least recently used one goes.
type viewCache struct {
	mu    sync.Mutex
	views map[viewKey]*list.Element
	order list.List // of *cachedView, most recently used first
}

// scope is what of which records a decision lets out.
type scope struct {
	obligations redact.Obligations
	rows        *redact.Predicate // nil: all
}

// canonical is equal for equal scopes.
func (s *scope) canonical() string {
	if s.rows == nil {
		return s.obligations.Canonical()
	}
	return s.obligations.Canonical() + s.rows.String()
}

type viewKey struct {
	schema uint32
	scope  string // canonical
}

type cachedView struct {
	key  viewKey
	view *schemas.View
}

const maxViews = 512

func (c *viewCache) get(s *schemas.Schema, canonical string, of scope) (*schemas.View, error) {
	key := viewKey{s.ID, canonical}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.views[key]; ok {
		c.order.MoveToFront(e)
		return e.Value.(*cachedView).view, nil
	}
	view, err := schemas.CompileView(schemas.ViewSpec{Writer: s, Obligations: of.obligations, Predicate: of.rows})
	if err != nil {
		return nil, err
	}
	if c.views == nil {
		c.views = map[viewKey]*list.Element{}
	}
	c.views[key] = c.order.PushFront(&cachedView{key, view})
	if c.order.Len() > maxViews {
		oldest := c.order.Back()
		c.order.Remove(oldest)
		delete(c.views, oldest.Value.(*cachedView).key)
	}
	return view, nil
}
