package gateway

import (
	"container/list"
	"sync"

	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

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
	writer, reader string
	scope          string // canonical
	format         schemas.Format
}

type cachedView struct {
	key  viewKey
	view *schemas.View
}

const maxViews = 512

// get compiles what a View is to do, or finds it; canonical stands for
// obligations and predicate.
func (c *viewCache) get(spec schemas.ViewSpec, canonical string) (*schemas.View, error) {
	key := viewKey{spec.Writer.Name, spec.Reader.Name, canonical, spec.Format}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.views[key]; ok {
		c.order.MoveToFront(e)
		return e.Value.(*cachedView).view, nil
	}
	view, err := schemas.CompileView(spec)
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
