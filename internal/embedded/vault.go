package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	startTimeout = 60 * time.Second // from the child's start to an unsealed server
	healthPoll   = 25 * time.Millisecond
)

// The files of a data directory.
const (
	storageDir    = "storage"
	configFile    = "devvault.hcl"
	sealKeyFile   = "seal.key"
	tokenFile     = "root.token"
	recoveryFile  = "recovery.key"
	initMarker    = "initialising" // there while the root token is not yet written down
	vaultLogFile  = "devvault.log"
	sealKeyID     = "devvault-1"
	vaultLogLevel = "warn"
)

// VaultOptions say how to start a devvault.
type VaultOptions struct {
	Binary    string       // a devvault; empty: it is built from SourceDir
	SourceDir string       // deploy/devvault of the repository
	CacheDir  string       // where the binary is kept; empty: the user's cache directory
	DataDir   string       // closed to others; it holds the root token and the seal key
	Port      int          // on loopback; 0 or one in use: another is taken
	Progress  func(string) // told how the build goes; nil: nobody
	Logger    *slog.Logger // nil: nothing is logged
}

// Vault is a running devvault.
type Vault struct {
	child *child
	lock  *os.File
	token string
}

// StartVault starts a devvault as a child process, initialises it the first
// time and waits until it is unsealed. Its storage is kept in DataDir, sealed
// with a key that lies beside it, so that it opens by itself on the next
// start. ctx bounds the start, not the server's life.
//
// The child ends when its standard input does, so also when this process is
// killed. Until it has ended it holds the lock on DataDir; StartVault waits
// for that.
func StartVault(ctx context.Context, o VaultOptions) (*Vault, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	binary, err := o.binary(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := privateDir(o.DataDir)
	if err != nil {
		return nil, fmt.Errorf("devvault: %w", err)
	}
	lock, err := lockPath(ctx, filepath.Join(dir, lockFile), lockWait)
	if err != nil {
		return nil, fmt.Errorf("devvault: %w", err)
	}
	v := &Vault{lock: lock}
	if err := v.start(ctx, binary, dir, o); err != nil {
		return nil, errors.Join(fmt.Errorf("devvault in %s: %w", dir, err), v.Close())
	}
	return v, nil
}

func (o VaultOptions) binary(ctx context.Context) (string, error) {
	if o.Binary != "" {
		return filepath.Abs(o.Binary)
	}
	cache := o.CacheDir
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a cache directory for devvault: %w", err)
		}
		cache = filepath.Join(user, "chuanyu-hub")
	}
	return BuildDevvault(ctx, o.SourceDir, cache, o.Progress)
}

func (v *Vault) start(ctx context.Context, binary, dir string, o VaultOptions) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := prepare(dir); err != nil {
		return err
	}
	var err error
	if v.child, err = v.launch(ctx, binary, dir, o.Port, o.Logger); err != nil {
		return err
	}
	s := serverAPI("http://" + v.child.address)
	initialised, err := s.initialised(ctx)
	if err != nil {
		return err
	}
	if !initialised {
		if err := initialise(ctx, s, dir); err != nil {
			return err
		}
	}
	token, err := os.ReadFile(filepath.Join(dir, tokenFile)) //nolint:gosec // below the data directory
	if err != nil {
		return fmt.Errorf("the server is initialised but its root token cannot be read; restore the file, or remove the whole directory to start anew: %w", err)
	}
	v.token = string(token)
	return s.awaitUnsealed(ctx)
}

// launch starts the child on the port, or on another one if that is taken.
func (v *Vault) launch(ctx context.Context, binary, dir string, port int, logger *slog.Logger) (*child, error) {
	config := filepath.Join(dir, configFile)
	start := func(port int) (*child, error) {
		if err := writeSecret(config, serverConfig(dir, port)); err != nil {
			return nil, fmt.Errorf("write the configuration: %w", err)
		}
		return startChild(ctx, binary, config, filepath.Join(dir, vaultLogFile), v.lock, logger)
	}
	c, err := start(port)
	if port != 0 && errors.Is(err, errAddressUsed) {
		logger.LogAttrs(ctx, slog.LevelInfo, "devvault: the port is in use; taking another", slog.Int("port", port))
		c, err = start(0)
	}
	return c, err
}

// serverConfig is OpenBao's configuration. It names the key's file, not the
// key.
func serverConfig(dir string, port int) string {
	quote := func(name string) string { return strconv.Quote(filepath.Join(dir, name)) }
	return "# Written anew at every start.\n" +
		"storage \"file\" {\n  path = " + quote(storageDir) + "\n}\n" +
		"listener \"tcp\" {\n  address = \"127.0.0.1:" + strconv.Itoa(port) + "\"\n  tls_disable = true\n}\n" +
		"seal \"static\" {\n  current_key_id = \"" + sealKeyID + "\"\n" +
		"  current_key = " + strconv.Quote("file://"+filepath.Join(dir, sealKeyFile)) + "\n}\n" +
		"log_level = \"" + vaultLogLevel + "\"\n"
}

// prepare makes the seal key, after clearing away what a kill broke off.
func prepare(dir string) error {
	if err := clearBrokenInit(dir); err != nil {
		return fmt.Errorf("clear away a broken-off initialisation: %w", err)
	}
	stored, storedErr := exists(filepath.Join(dir, storageDir))
	sealed, sealedErr := exists(filepath.Join(dir, sealKeyFile))
	if err := errors.Join(storedErr, sealedErr); err != nil {
		return err
	}
	if stored && !sealed {
		return fmt.Errorf("%s is gone, and without it nothing in %s can be opened; restore it, or remove the whole directory to start anew", sealKeyFile, storageDir)
	}
	if sealed {
		return nil
	}
	if err := makeSecret(filepath.Join(dir, sealKeyFile)); err != nil {
		return fmt.Errorf("seal key: %w", err)
	}
	return nil
}

// clearBrokenInit removes the storage of a server that was initialised, or
// about to be, when a kill came before its root token was written down: nobody
// can have used that server, because nobody had its token.
func clearBrokenInit(dir string) error {
	begun, begunErr := exists(filepath.Join(dir, initMarker))
	known, knownErr := exists(filepath.Join(dir, tokenFile))
	if err := errors.Join(begunErr, knownErr); err != nil || !begun {
		return err
	}
	if !known {
		if err := os.RemoveAll(filepath.Join(dir, storageDir)); err != nil {
			return err
		}
	}
	return os.Remove(filepath.Join(dir, initMarker))
}

// initialise initialises the server and writes its root token down. The marker
// stands while the one is done and the other is not.
func initialise(ctx context.Context, s serverAPI, dir string) error {
	marker := filepath.Join(dir, initMarker)
	if err := writeSecret(marker, ""); err != nil {
		return fmt.Errorf("mark the initialisation: %w", err)
	}
	keys, err := s.initialise(ctx)
	if err != nil {
		return err
	}
	if err := writeSecret(filepath.Join(dir, recoveryFile), keys.recovery); err != nil {
		return fmt.Errorf("write the recovery key down: %w", err)
	}
	if err := writeSecret(filepath.Join(dir, tokenFile), keys.root); err != nil {
		return fmt.Errorf("write the root token down: %w", err)
	}
	return os.Remove(marker)
}

// Address is where the server answers: http://127.0.0.1:PORT.
func (v *Vault) Address() string { return "http://" + v.child.address }

// RootToken may do everything on the server: for provisioning alone.
func (v *Vault) RootToken() string { return v.token }

// Close ends the server and waits until it has ended.
func (v *Vault) Close() error {
	var err error
	if v.child != nil {
		err = v.child.stop()
	}
	if v.lock != nil {
		err = errors.Join(err, v.lock.Close())
		v.lock = nil
	}
	return err
}
