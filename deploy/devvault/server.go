package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/openbao/openbao/command/server"
	baohttp "github.com/openbao/openbao/http"
	"github.com/openbao/openbao/internalshared/configutil"
	"github.com/openbao/openbao/sdk/v2/physical"
	"github.com/openbao/openbao/vault"
	"github.com/openbao/openbao/vault/seal"
)

const (
	headerTimeout   = 10 * time.Second       // for a client to send its request's headers
	unsealInterval  = 500 * time.Millisecond // between two attempts to unseal with the stored key
	shutdownTimeout = 5 * time.Second        // for requests under way, and for the core to seal
)

// devServer is one running server: a core behind its listeners.
type devServer struct {
	core      *vault.Core
	logger    hclog.Logger
	listeners []net.Listener
	servers   []*http.Server
	failed    chan error // a listener that stopped serving
}

// newServer builds a server from an OpenBao configuration file. It binds the
// listeners and serves nothing yet.
func newServer(path string) (*devServer, error) {
	config, err := server.LoadConfigFile(path, nil)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	if len(config.Listeners) == 0 {
		return nil, fmt.Errorf("configuration %s has no listener block: nothing would be served", path)
	}
	level := hclog.LevelFromString(config.LogLevel)
	if level == hclog.NoLevel {
		level = hclog.Info
	}
	s := &devServer{
		logger: hclog.New(&hclog.LoggerOptions{Level: level}),
		failed: make(chan error, len(config.Listeners)),
	}
	// Listeners come first: a second server started by mistake on the same
	// address then ends before it has touched the storage of the first.
	if err := s.listen(config.Listeners); err != nil {
		return nil, errors.Join(err, s.closeListeners())
	}
	if s.core, err = newCore(config, s.logger); err != nil {
		return nil, errors.Join(err, s.closeListeners())
	}
	for _, l := range config.Listeners {
		s.servers = append(s.servers, &http.Server{
			Handler:           baohttp.Handler.Handler(&vault.HandlerProperties{Core: s.core, ListenerConfig: l}),
			ReadHeaderTimeout: headerTimeout,
		})
	}
	return s, nil
}

func (s *devServer) listen(configs []*configutil.Listener) error {
	for _, c := range configs {
		l, _, _, err := server.NewListener(c, s.logger, io.Discard, nil)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", c.Address, err)
		}
		s.listeners = append(s.listeners, l)
	}
	return nil
}

func (s *devServer) closeListeners() error {
	var all error
	for _, l := range s.listeners {
		all = errors.Join(all, l.Close())
	}
	return all
}

// newCore builds the core: storage, seal and engines.
func newCore(config *server.Config, logger hclog.Logger) (*vault.Core, error) {
	storage, err := openStorage(config.Storage, logger)
	if err != nil {
		return nil, err
	}
	c := &vault.CoreConfig{
		Physical: storage, StorageType: config.Storage.Type, Logger: logger, RawConfig: config,
		BuiltinRegistry: plugins{}, LogicalBackends: logicalBackends(),
		CredentialBackends: credentialBackends(), AuditBackends: auditBackends(),
		RedirectAddr: config.APIAddr, ClusterAddr: config.ClusterAddr,
		DefaultLeaseTTL: config.DefaultLeaseTTL, MaxLeaseTTL: config.MaxLeaseTTL,
	}
	if ha, ok := storage.(physical.HABackend); ok && ha.HAEnabled() {
		c.HAPhysical = ha
	} else {
		c.ClusterAddr = "" // without such a storage it would be refused
	}
	if c.Seal, err = newSeal(config.Seals, logger); err != nil {
		return nil, err
	}
	core, err := vault.NewCore(c)
	if err != nil {
		return nil, fmt.Errorf("build the core: %w", err)
	}
	return core, nil
}

// newSeal returns the seal that unseals by itself, or nil for shamir.
func newSeal(configs []*configutil.KMS, logger hclog.Logger) (vault.Seal, error) {
	for _, c := range configs {
		var infoKeys []string
		wrapper, err := configutil.ConfigureWrapper(c, &infoKeys, &map[string]string{}, logger)
		if err != nil {
			return nil, fmt.Errorf("configure seal %q: %w", c.Type, err)
		}
		if wrapper == nil {
			continue
		}
		auto, err := vault.NewAutoSeal(seal.NewAccess(wrapper))
		if err != nil {
			return nil, fmt.Errorf("open seal %q: %w", c.Type, err)
		}
		return auto, nil
	}
	return nil, nil //nolint:nilnil // no seal configured is a state, not a failure
}

// start serves every listener, tells out which, and unseals when it can.
func (s *devServer) start(ctx context.Context, out io.Writer) error {
	if err := s.joinCluster(ctx); err != nil {
		return err
	}
	if s.core.SealAccess().StoredKeysSupported() == seal.StoredKeysSupportedGeneric {
		go s.unseal(ctx)
	}
	for i, l := range s.listeners {
		go func() {
			if err := s.servers[i].Serve(l); !errors.Is(err, http.ErrServerClosed) {
				s.failed <- fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
		}()
		if _, err := fmt.Fprintln(out, "serving", l.Addr()); err != nil {
			return fmt.Errorf("announce %s: %w", l.Addr(), err)
		}
	}
	return nil
}

// joinCluster opens the cluster ports of a raft storage: each listener's port
// plus one.
func (s *devServer) joinCluster(ctx context.Context) error {
	if !s.core.HAEnabled() {
		return nil
	}
	var cluster []*net.TCPAddr
	for _, l := range s.listeners {
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			cluster = append(cluster, &net.TCPAddr{IP: a.IP, Port: a.Port + 1})
		}
	}
	s.core.SetClusterListenerAddrs(cluster)
	s.core.SetClusterHandler(baohttp.Handler.Handler(&vault.HandlerProperties{Core: s.core, ListenerConfig: &configutil.Listener{}}))
	if err := s.core.InitiateRetryJoin(ctx); err != nil {
		return fmt.Errorf("join the raft cluster: %w", err)
	}
	return nil
}

// unseal tries the stored key until the core is open: at the start, and after
// the initialisation or a raft join that comes later. It says once why not,
// unless the server simply is not initialised.
func (s *devServer) unseal(ctx context.Context) {
	said := false
	for s.core.Sealed() {
		if err := s.core.UnsealWithStoredKeys(ctx); err != nil && !said {
			if ready, initErr := s.core.Initialized(ctx); ready || initErr != nil {
				s.logger.Warn("cannot unseal with the stored key; trying on", "error", err)
				said = true
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(unsealInterval):
		}
	}
}

// stop ends the listeners, then seals the core, so that no request meets a
// core that is half closed.
func (s *devServer) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	var all error
	for _, h := range s.servers {
		if err := h.Shutdown(ctx); err != nil {
			all = errors.Join(all, fmt.Errorf("end requests: %w", err), h.Close())
		}
	}
	sealed := make(chan error, 1)
	go func() { sealed <- s.core.Shutdown() }()
	select {
	case err := <-sealed:
		return errors.Join(all, err)
	case <-ctx.Done():
		return errors.Join(all, errors.New("the core did not seal in time"))
	}
}
