// Package discover is a stand-in: this build has no raft cloud auto-join.
package discover

import (
	"errors"
	"log"
)

// Provider is the real package's interface of a cloud.
type Provider interface {
	Addrs(args map[string]string, l *log.Logger) ([]string, error)
	Help() string
}

// Providers is empty.
var Providers = map[string]Provider{}

// Discover finds nothing.
type Discover struct{}

// Option is the real package's option.
type Option func(*Discover) error

// New returns a Discover.
func New(...Option) (*Discover, error) { return &Discover{}, nil }

// WithProviders is ignored.
func WithProviders(map[string]Provider) Option { return func(*Discover) error { return nil } }

// Addrs fails.
func (*Discover) Addrs(string, *log.Logger) ([]string, error) {
	return nil, errors.New("go-discover: not in this build")
}
