// Package k8s is a stand-in: this build has no raft cloud auto-join.
package k8s

import (
	"errors"
	"log"
)

// Provider finds nothing.
type Provider struct{}

// Addrs fails.
func (*Provider) Addrs(map[string]string, *log.Logger) ([]string, error) {
	return nil, errors.New("go-discover: not in this build")
}

// Help is empty.
func (*Provider) Help() string { return "" }
