package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/openbao/openbao/audit"
	auditfile "github.com/openbao/openbao/builtin/audit/file"
	"github.com/openbao/openbao/builtin/credential/approle"
	"github.com/openbao/openbao/builtin/credential/cert"
	jwt "github.com/openbao/openbao/builtin/credential/jwt"
	"github.com/openbao/openbao/builtin/logical/kv"
	"github.com/openbao/openbao/builtin/logical/pki"
	"github.com/openbao/openbao/builtin/logical/transit"
	"github.com/openbao/openbao/command/server"
	"github.com/openbao/openbao/physical/raft"
	"github.com/openbao/openbao/sdk/v2/helper/consts"
	"github.com/openbao/openbao/sdk/v2/logical"
	"github.com/openbao/openbao/sdk/v2/physical"
	"github.com/openbao/openbao/sdk/v2/physical/file"
	"github.com/openbao/openbao/sdk/v2/physical/inmem"
)

func logicalBackends() map[string]logical.Factory {
	return map[string]logical.Factory{"kv": kv.Factory, "pki": pki.Factory, "transit": transit.Factory}
}

func credentialBackends() map[string]logical.Factory {
	return map[string]logical.Factory{
		"approle": approle.Factory, "cert": cert.Factory, "jwt": jwt.Factory, "oidc": jwt.Factory,
	}
}

func auditBackends() map[string]audit.Factory {
	return map[string]audit.Factory{"file": auditfile.Factory}
}

// openStorage opens the storage that the configuration names.
func openStorage(s *server.Storage, logger hclog.Logger) (physical.Backend, error) {
	factories := map[string]physical.Factory{
		"inmem": inmem.NewInmem, "file": file.NewFileBackend, "raft": raft.NewRaftBackend,
	}
	known := strings.Join(slices.Sorted(maps.Keys(factories)), ", ")
	if s == nil {
		return nil, fmt.Errorf("the configuration has no storage block: add one of %s", known)
	}
	open, ok := factories[s.Type]
	if !ok {
		return nil, fmt.Errorf("storage %q is not in this build: use one of %s", s.Type, known)
	}
	backend, err := open(s.Config, logger)
	if err != nil {
		return nil, fmt.Errorf("open storage %q: %w", s.Type, err)
	}
	return backend, nil
}

// plugins is the catalogue of external plug-ins: there are none.
type plugins struct{}

func (plugins) Contains(string, consts.PluginType) bool                   { return false }
func (plugins) Get(string, consts.PluginType) (func() (any, error), bool) { return nil, false }
func (plugins) Keys(consts.PluginType) []string                           { return nil }
func (plugins) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, true
}
