package catalogue

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// ShareClass is the class of Order 809, articles 14 and 15. The zero value is
// Withheld.
type ShareClass uint8

// The share classes, strictest first.
const (
	Withheld      ShareClass = iota // 不予共享: needs a law, an administrative regulation or a State Council decision
	Conditional                     // 有条件共享: only under an agreement
	Unconditional                   // 无条件共享: for every participant that names a purpose
)

var shareClassNames = [...]string{Withheld: "withheld", Conditional: "conditional", Unconditional: "unconditional"}

// String is the class as the catalogue writes it.
func (c ShareClass) String() string {
	if int(c) < len(shareClassNames) {
		return shareClassNames[c]
	}
	return "withheld"
}

func parseShareClass(s string) (ShareClass, error) {
	i := slices.Index(shareClassNames[:], s)
	if i < 0 {
		return Withheld, fmt.Errorf("unknown share class %q: use unconditional, conditional or withheld", s)
	}
	return ShareClass(i), nil
}

// Visibility says who may know that a product exists. The zero value is Parties.
type Visibility uint8

// The visibilities, strictest first.
const (
	Parties      Visibility = iota // its provider, and who has or had an agreement
	Participants                   // every admitted participant
)

var visibilityNames = [...]string{Parties: "parties", Participants: "participants"}

// String is the visibility as the catalogue writes it.
func (v Visibility) String() string {
	if int(v) < len(visibilityNames) {
		return visibilityNames[v]
	}
	return "parties"
}

func parseVisibility(s string) (Visibility, error) {
	i := slices.Index(visibilityNames[:], s)
	if i < 0 {
		return Parties, fmt.Errorf("unknown visibility %q: use participants or parties", s)
	}
	return Visibility(i), nil
}

// Product is an entry of the catalogue (目录条目).
type Product struct {
	ID             string     `yaml:"id"`                      // "price_quote"; part of topic names
	Major          int        `yaml:"major"`                   // major version of its schema
	Schema         string     `yaml:"schema"`                  // "price_quote.v1"
	NameZH         string     `yaml:"nameZH"`                  //
	NameEN         string     `yaml:"nameEN"`                  //
	SummaryZH      string     `yaml:"summaryZH"`               //
	ShareClass     ShareClass `yaml:"shareClass"`              //
	WithheldReason string     `yaml:"withheldReason,optional"` // 不予共享: why; LegalBasis then names the law
	LegalBasis     []string   `yaml:"legalBasis"`              //
	Scope          string     `yaml:"scope,optional"`          // 共享范围
	Conditions     []string   `yaml:"conditions,optional"`     // 使用条件
	Purposes       []Purpose  `yaml:"purposes,optional"`       // 使用用途: what agreements may be made for

	UpdateCycle     string         `yaml:"updateCycle"`         // one of updateCycles
	Formats         []string       `yaml:"formats"`             // of formats
	DeliveryMethods []string       `yaml:"deliveryMethods"`     // of deliveryMethods
	Classification  Classification `yaml:"classification"`      //
	Visibility      Visibility     `yaml:"visibility,optional"` //

	Providers    map[string]string   `yaml:"providers"`         // region → participant id
	Rows         map[string][]string `yaml:"rows,optional"`     // leaf path of an enum → the symbols that a row of this product may have
	Key          []string            `yaml:"key"`               // leaf paths of the business key, in its order
	DecisionTime string              `yaml:"decisionTime"`      // leaf path that orders the records of one key; equal ones go by version
	Version      string              `yaml:"version,optional"`  // leaf path of the provider's own version; without one the connector counts
	Removals     map[string][]string `yaml:"removals,optional"` // leaf path of an enum → the symbols that make a record a removal
	// Acknowledgement is the leaf path of the time until which a consumer must
	// acknowledge a record; without one the product takes no acknowledgements.
	Acknowledgement string                        `yaml:"acknowledgement,optional"`
	Embargo         string                        `yaml:"embargo,optional"`     // leaf path of the time before which no row leaves the connector
	Sensitivity     map[string]redact.Sensitivity `yaml:"sensitivity,optional"` // leaf path → a tighter class
	Partitions      int                           `yaml:"partitions"`           // of its topic
	RetentionDays   int                           `yaml:"retentionDays"`        // of its topic
}

// HasPurpose says whether agreements may be made for a purpose.
func (p *Product) HasPurpose(id string) bool {
	return slices.ContainsFunc(p.Purposes, func(q Purpose) bool { return q.ID == id })
}

// Purpose is a use for which a product is shared (使用用途).
type Purpose struct {
	ID     string `yaml:"id"` // "price_monitoring"; what a request names
	NameZH string `yaml:"nameZH"`
}

// Classification is the category and grade of the data (分类分级).
type Classification struct {
	Category string `yaml:"category"` // 分类, in Chinese
	Level    string `yaml:"level"`    // 分级: general, important or core data (数据安全法, article 21)
}

// What a catalogue entry may say: the update cycles and data formats of the
// national compilation guide, the delivery methods of Order 809, article 22.
var (
	updateCycles    = []string{"real_time", "daily", "weekly", "monthly", "quarterly", "half_yearly", "yearly"}
	formats         = []string{"json", "ndjson", "csv", "avro"}
	deliveryMethods = []string{"service", "batch", "file"} // 服务接口, 批量交换, 文件下载
	levels          = []string{"general", "important", "core"}
)

// Limits of a topic.
const (
	maxMajor         = 999
	maxPartitions    = 64
	maxRetentionDays = 36_500
)

var (
	productID     = regexp.MustCompile(`^[a-z][a-z0-9_]{1,62}$`)
	participantID = regexp.MustCompile(`^[a-z][a-z0-9-]{1,62}$`)
	regionCode    = regexp.MustCompile(`^[1-9][0-9]{5}$`)
	revision      = regexp.MustCompile(`(\.v[0-9]+)\.[0-9]+$`) // "price_quote.v1.2" is a revision of "price_quote.v1"
)

// productCheck holds one product against the rules of the package comment.
type productCheck struct {
	*loader
	doc *yamlfile.Document
	at  []any
	p   *Product
}

func (c *productCheck) fault(text string, path ...any) {
	c.faults = append(c.faults, c.doc.Fault(c.p.ID+": "+text, slices.Concat(c.at, path)...))
}

func (c *productCheck) check() {
	c.names()
	c.sharing()
	c.vocabulary()
	c.providers()
	c.topic()
	leaves, ok := c.fields(c.p.Schema)
	if !ok {
		c.fault(fmt.Sprintf("there is no schema %q", c.p.Schema), "schema")
		return
	}
	c.paths(leaves)
	c.classes(leaves)
	c.cat.sensitivities[c.p.ID] = tightened(leaves, c.p.Sensitivity)
}

func (c *productCheck) names() {
	if !productID.MatchString(c.p.ID) {
		c.fault("an id is 2 to 63 of a-z, 0-9 and _, and begins with a letter", "id")
	}
	if c.p.Major < 1 || c.p.Major > maxMajor {
		c.fault(fmt.Sprintf("major goes from 1 to %d", maxMajor), "major")
	}
	if want := ".v" + strconv.Itoa(c.p.Major); !strings.HasSuffix(revision.ReplaceAllString(c.p.Schema, "$1"), want) {
		c.fault(fmt.Sprintf("the schema's name must end in %q or a revision of it (%s.2), as major is %d", want, want, c.p.Major), "schema")
	}
}

// sharing is what articles 14 and 15 ask for each share class.
func (c *productCheck) sharing() {
	if len(c.p.LegalBasis) == 0 {
		c.fault("legalBasis names no law", "legalBasis")
	}
	switch c.p.ShareClass {
	case Withheld:
		if c.p.WithheldReason == "" {
			c.fault("a withheld product needs withheldReason (Order 809, article 15)", "shareClass")
		}
	case Conditional:
		if c.p.Scope == "" || len(c.p.Conditions) == 0 || len(c.p.Purposes) == 0 {
			c.fault("a conditional product needs scope, conditions and purposes (Order 809, articles 13 and 15)", "shareClass")
		}
	case Unconditional:
	}
	if c.p.ShareClass != Withheld && c.p.WithheldReason != "" {
		c.fault("withheldReason belongs to a withheld product only", "withheldReason")
	}
	c.purposes()
}

func (c *productCheck) purposes() {
	seen := map[string]bool{}
	for i, purpose := range c.p.Purposes {
		if !productID.MatchString(purpose.ID) {
			c.fault("a purpose is 2 to 63 of a-z, 0-9 and _, and begins with a letter", "purposes", i, "id")
		}
		if seen[purpose.ID] {
			c.fault("this purpose stands above", "purposes", i, "id")
		}
		seen[purpose.ID] = true
	}
}

func (c *productCheck) vocabulary() {
	one := func(value string, of []string, path ...any) {
		if !slices.Contains(of, value) {
			c.fault(fmt.Sprintf("%q is not one of %s", value, strings.Join(of, ", ")), path...)
		}
	}
	some := func(values, of []string, key string) {
		if len(values) == 0 {
			c.fault(key+" is empty", key)
		}
		for i, v := range values {
			one(v, of, key, i)
		}
	}
	one(c.p.UpdateCycle, updateCycles, "updateCycle")
	one(c.p.Classification.Level, levels, "classification", "level")
	some(c.p.Formats, formats, "formats")
	some(c.p.DeliveryMethods, deliveryMethods, "deliveryMethods")
}

func (c *productCheck) providers() {
	if len(c.p.Providers) == 0 {
		c.fault("nobody provides it", "providers")
	}
	for _, region := range slices.Sorted(maps.Keys(c.p.Providers)) {
		id := c.p.Providers[region]
		of, ok := c.cat.byParticipant[id]
		switch {
		case !regionCode.MatchString(region):
			c.fault(fmt.Sprintf("%q is not a six-digit region of GB/T 2260", region), "providers", region)
		case !ok:
			c.fault(fmt.Sprintf("the provider %q is not in %s", id, participantsFile), "providers", region)
		case of.Region != region:
			c.fault(fmt.Sprintf("the provider %q belongs to region %s", id, of.Region), "providers", region)
		}
	}
}

func (c *productCheck) topic() {
	if c.p.Partitions < 1 || c.p.Partitions > maxPartitions {
		c.fault(fmt.Sprintf("partitions go from 1 to %d", maxPartitions), "partitions")
	}
	if c.p.RetentionDays < 1 || c.p.RetentionDays > maxRetentionDays {
		c.fault(fmt.Sprintf("retentionDays go from 1 to %d", maxRetentionDays), "retentionDays")
	}
}

func (c *productCheck) paths(leaves map[string]redact.Sensitivity) {
	if len(c.p.Key) == 0 {
		c.fault("the business key names no field", "key")
	}
	for i, path := range c.p.Key {
		if _, ok := leaves[path]; !ok {
			c.fault(fmt.Sprintf("%s has no field %q", c.p.Schema, path), "key", i)
		}
		if slices.Contains(c.p.Key[:i], path) {
			c.fault(fmt.Sprintf("%q stands twice in the key", path), "key", i)
		}
	}
	exists := func(path string, at ...any) {
		if _, ok := leaves[path]; !ok {
			c.fault(fmt.Sprintf("%s has no field %q", c.p.Schema, path), at...)
		}
	}
	exists(c.p.DecisionTime, "decisionTime")
	if c.p.Version != "" {
		exists(c.p.Version, "version")
	}
	if c.p.Embargo != "" {
		exists(c.p.Embargo, "embargo")
	}
	if c.p.Acknowledgement != "" {
		exists(c.p.Acknowledgement, "acknowledgement")
	}
	for _, path := range slices.Sorted(maps.Keys(c.p.Rows)) {
		exists(path, "rows", path)
	}
	for _, path := range slices.Sorted(maps.Keys(c.p.Removals)) {
		exists(path, "removals", path)
	}
	if c.codes != nil {
		c.symbols(leaves, c.p.Rows, "rows")
		c.symbols(leaves, c.p.Removals, "removals")
	}
}

// symbols holds codes by their field against the schema's code lists. A field
// that does not exist is a fault already.
func (c *productCheck) symbols(leaves map[string]redact.Sensitivity, of map[string][]string, key string) {
	lists := c.codes(c.p.Schema)
	for _, path := range slices.Sorted(maps.Keys(of)) {
		list, ok := lists[path]
		if _, exists := leaves[path]; !ok && exists {
			c.fault(fmt.Sprintf("%s: %q is no code list", c.p.Schema, path), key, path)
			continue
		}
		for i, code := range of[path] {
			switch {
			case ok && !slices.Contains(list, code):
				c.fault(fmt.Sprintf("%q is none of the codes of %s: %s", code, path, strings.Join(list, ", ")), key, path, i)
			case slices.Contains(of[path][:i], code):
				c.fault(fmt.Sprintf("%q stands twice", code), key, path, i)
			}
		}
	}
}

func (c *productCheck) classes(leaves map[string]redact.Sensitivity) {
	for _, path := range slices.Sorted(maps.Keys(c.p.Sensitivity)) {
		class := c.p.Sensitivity[path]
		of, ok := leaves[path]
		switch {
		case !ok:
			c.fault(fmt.Sprintf("%s has no field %q", c.p.Schema, path), "sensitivity", path)
		case class > of:
			c.fault(fmt.Sprintf("%q is %s in the schema: the catalogue may only tighten it, not make it %s", path, of, class),
				"sensitivity", path)
		case class.MustSeal() && !of.MustSeal():
			c.fault(fmt.Sprintf("%q cannot become %s, because %s does not seal it: publish a version that does", path, class, c.p.Schema),
				"sensitivity", path)
		}
	}
}
