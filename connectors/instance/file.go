package instance

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/chuanyu-exchange/hub/connectors"
	"github.com/chuanyu-exchange/hub/connectors/csvfile"
	"github.com/chuanyu-exchange/hub/connectors/dropdir"
	"github.com/chuanyu-exchange/hub/connectors/jsonfile"
	"github.com/chuanyu-exchange/hub/connectors/source"
	"github.com/chuanyu-exchange/hub/connectors/xlsxfile"
	"github.com/chuanyu-exchange/hub/connectors/xmlfile"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/catalogue"
)

// File is a connector's configuration. Paths in it are relative to its own
// directory. It holds no secret (invariant 8): SecretIDFile names one.
type File struct {
	Region     string  `yaml:"region"`     // GB/T 2260: 500000 or 510000
	Provider   string  `yaml:"provider"`   // participant id
	Product    string  `yaml:"product"`    // catalogue id
	Mapping    string  `yaml:"mapping"`    // file: columns → fields
	Quarantine string  `yaml:"quarantine"` // directory of rows that could not be carried
	Source     Sources `yaml:"source"`
	Kafka      Kafka   `yaml:"kafka"`
	Vault      Vault   `yaml:"vault"`

	ChunkRows        int `yaml:"chunkRows,optional"`        // rows of one transaction; default 1000
	MaxRowsPerSecond int `yaml:"maxRowsPerSecond,optional"` // default: no limit

	// CertificateLife is that of the connector's certificate, which is exchanged
	// at half of it; default: what Vault's role says.
	CertificateLife time.Duration `yaml:"certificateLife,optional"`

	schemas   *schemas.Set
	catalogue *catalogue.Catalogue
}

// Use spares reading the schemas and the catalogue of this build again: whoever
// runs many connectors has them.
func (f *File) Use(set *schemas.Set, cat *catalogue.Catalogue) { f.schemas, f.catalogue = set, cat }

// Sources is the kinds of sources, of which a configuration names one.
type Sources struct {
	CSVFile  *csvfile.Config  `yaml:"csvfile,optional"`
	JSONFile *jsonfile.Config `yaml:"jsonfile,optional"`
	XLSXFile *xlsxfile.Config `yaml:"xlsxfile,optional"`
	XMLFile  *xmlfile.Config  `yaml:"xmlfile,optional"`
}

// Kafka is the province's cluster.
type Kafka struct {
	Brokers []string `yaml:"brokers"`
	// TLS, with the connector's own certificate from Vault, which is exchanged
	// while the connection stays. None: plaintext, for a broker on loopback.
	TLS *KafkaTLS `yaml:"tls,optional"`
}

// KafkaTLS is how the brokers are known.
type KafkaTLS struct {
	CAFile string `yaml:"caFile,optional"` // PEM: who signed the brokers' certificates; default: the province's authorities, from Vault
}

// Vault is the province's Vault or OpenBao.
type Vault struct {
	Address      string `yaml:"address"`
	CAFile       string `yaml:"caFile,optional"` // PEM; default: the system's authorities
	RoleID       string `yaml:"roleID"`
	SecretIDFile string `yaml:"secretIDFile"` // read at each login
	// WrappedSecretIDFile holds a wrapping token of `hubctl vault secret`. The
	// first start exchanges it for the secret id, in SecretIDFile.
	WrappedSecretIDFile string   `yaml:"wrappedSecretIDFile,optional"`
	Standby             []string `yaml:"standby,optional"` // other nodes of the cluster, asked when address does not answer
}

// Load reads a configuration and checks what can be checked without a network.
// Every fault is reported, with its line.
func Load(path string) (*File, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "%v", err)
	}
	var f File
	doc, faults := yamlfile.Decode(path, text, &f, yamlfile.Text(duration))
	if len(f.Source.named()) != 1 && len(faults) == 0 {
		faults = append(faults, doc.Fault("name one kind of source: csvfile, jsonfile, xlsxfile or xmlfile", "source"))
	}
	if err := faults.Err(); err != nil {
		return nil, problem.New(problem.ConfigInvalid, "\n%v", err)
	}
	dir := filepath.Dir(path)
	paths := []*string{&f.Mapping, &f.Quarantine, &f.Vault.CAFile, &f.Vault.SecretIDFile, &f.Vault.WrappedSecretIDFile, f.Source.dir()}
	if f.Kafka.TLS != nil {
		paths = append(paths, &f.Kafka.TLS.CAFile)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	return &f, nil
}

func duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration: write 500ms, 2s or 1m", s)
	}
	return d, nil
}

// kind is what every kind of source can do.
type kind interface {
	Open(columns []string) (*dropdir.Source, error)
	Read(file io.Reader, columns []string) (source.Reader, error)
}

// named is a kind that the configuration names, with what is common to all.
type named struct {
	kind
	drop *dropdir.Config
}

// named are the kinds that the configuration names: one, if it is sound.
func (s *Sources) named() []named {
	var out []named
	if c := s.CSVFile; c != nil {
		out = append(out, named{c, &c.Config})
	}
	if c := s.JSONFile; c != nil {
		out = append(out, named{c, &c.Config})
	}
	if c := s.XLSXFile; c != nil {
		out = append(out, named{c, &c.Config})
	}
	if c := s.XMLFile; c != nil {
		out = append(out, named{c, &c.Config})
	}
	return out
}

// dir is the drop directory of the kind that is named.
func (s *Sources) dir() *string { return &s.named()[0].drop.Dir }

// SourceDir is the drop directory.
func (f *File) SourceDir() string { return *f.Source.dir() }

// open opens the source of the kind that is named.
func (s *Sources) open(columns []string, now func() time.Time) (*dropdir.Source, error) {
	one := s.named()[0]
	one.drop.Now = now
	return one.Open(columns)
}

// Read opens a single file of the kind that is named, wherever it lies: for a
// preview.
func (s *Sources) Read(path string, columns []string) (source.Reader, func() error, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, nil, problem.Wrap(problem.FileUnreadable, err, "%v", err)
	}
	rows, err := s.named()[0].Read(file, columns)
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return rows, func() error { return errors.Join(rows.Close(), file.Close()) }, nil
}

// Offline is what a configuration says without asking anyone.
type Offline struct {
	Product *catalogue.Product
	Schema  *schemas.Schema
	Mapping *connectors.Mapping
}

// Offline holds the configuration against the catalogue, the schema and the
// mapping.
func (f *File) Offline() (*Offline, error) {
	set, cat, err := f.build()
	if err != nil {
		return nil, err
	}
	product, ok := cat.Product(f.Product)
	if !ok {
		return nil, problem.New(problem.ConfigInvalid, "the catalogue has no product %s", f.Product)
	}
	if provider := product.Providers[f.Region]; provider != f.Provider {
		return nil, problem.New(problem.ConfigInvalid, "the provider of %s in %s is %s by the catalogue, not %s", f.Product, f.Region, provider, f.Provider)
	}
	schema, ok := set.Schema(product.Schema)
	if !ok {
		return nil, problem.New(problem.ConfigInvalid, "there is no schema %s", product.Schema)
	}
	text, err := os.ReadFile(f.Mapping)
	if err != nil {
		return nil, problem.Wrap(problem.ConfigInvalid, err, "mapping: %v", err)
	}
	mapping, err := connectors.ParseMapping(f.Mapping, text, schema)
	if err != nil {
		return nil, err
	}
	if mapping.Product != f.Product {
		return nil, problem.New(problem.ConfigInvalid, "%s is a mapping for %s, the connector is for %s", f.Mapping, mapping.Product, f.Product)
	}
	return &Offline{Product: product, Schema: schema, Mapping: mapping}, nil
}

// build is the schemas and the catalogue of this build.
func (f *File) build() (*schemas.Set, *catalogue.Catalogue, error) {
	if f.schemas != nil && f.catalogue != nil {
		return f.schemas, f.catalogue, nil
	}
	set, err := schemas.Shipped()
	if err != nil {
		return nil, nil, err
	}
	cat, err := catalogue.Load(catalogue.Shipped(), set.Sensitivities, catalogue.WithCodes(set.Codes))
	return set, cat, err
}
