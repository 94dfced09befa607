//go:build e2e

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/chuanyu-exchange/hub/gateway/client"
)

// The terms of the shipped files, read here with nothing of the hub: who may
// have which field of which product for which purpose, and how.
type (
	productTerms struct {
		ID         string `yaml:"id"`
		Schema     string `yaml:"schema"`
		ShareClass string `yaml:"shareClass"`
		Purposes   []struct{ ID string }
		Providers  map[string]string `yaml:"providers"`
	}
	agreementTerms struct {
		Region, Product, Consumer string
		Purposes                  []string
		Fields                    map[string]string
	}
	ruleTerms struct {
		ID, Effect, When, Rows string
		Obligations            struct{ Classes, Fields map[string]string }
	}
	participantTerms struct {
		ID, Region, Kind string
		ValidTo          string `yaml:"validTo"`
	}
)

type terms struct {
	products     []productTerms
	participants []participantTerms
	agreements   []agreementTerms
	rules        map[string][]ruleTerms       // by product
	classes      map[string]map[string]string // schema → leaf → class
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func readTerms(t *testing.T) *terms {
	t.Helper()
	w := &terms{rules: map[string][]ruleTerms{}, classes: map[string]map[string]string{}}
	root := filepath.Join("..", "..")
	var catalogue struct{ Products []productTerms }
	var all struct{ Participants []participantTerms }
	readYAML(t, filepath.Join(root, "schemas", "catalogue", "data", "products.yaml"), &catalogue)
	readYAML(t, filepath.Join(root, "schemas", "catalogue", "data", "participants.yaml"), &all)
	w.products = catalogue.Products
	for _, p := range all.Participants {
		// Who is no longer admitted has no certificate.
		if p.ValidTo == "" || p.ValidTo >= time.Now().Format(time.DateOnly) {
			w.participants = append(w.participants, p)
		}
	}
	for _, path := range shippedPolicyFiles(t, "agreements") {
		var a agreementTerms
		readYAML(t, path, &a)
		w.agreements = append(w.agreements, a)
	}
	for _, path := range shippedPolicyFiles(t, "rules") {
		var r struct {
			Product string
			Rules   []ruleTerms
		}
		readYAML(t, path, &r)
		w.rules[r.Product] = append(w.rules[r.Product], r.Rules...)
	}
	for _, p := range w.products {
		text, err := os.ReadFile(filepath.Join(root, "schemas", p.Schema+".avsc"))
		var schema map[string]any
		if err != nil || json.Unmarshal(text, &schema) != nil {
			t.Fatalf("%s: %v", p.Schema, err)
		}
		w.classes[p.Schema] = map[string]string{}
		leavesOf(schema, "", "public", w.classes[p.Schema])
	}
	return w
}

func shippedPolicyFiles(t *testing.T, kind string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "policies", "shipped", kind, "*.yaml"))
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.yaml") })
	if err != nil || len(files) < 4 {
		t.Fatalf("%v, %v", files, err)
	}
	return files
}

var classOrder = []string{"public", "internal", "personal", "sensitive", "secret"}

// leavesOf enters the class of every leaf of a record: the tighter of its own
// and of what is around it.
func leavesOf(record map[string]any, prefix, around string, into map[string]string) {
	for _, f := range record["fields"].([]any) {
		field := f.(map[string]any)
		path, class := prefix+field["name"].(string), around
		if own := field["sensitivity"].(string); slices.Index(classOrder, own) > slices.Index(classOrder, class) {
			class = own
		}
		inner, ok := field["sealed"].(map[string]any)
		if !ok {
			inner, ok = field["type"].(map[string]any)
			ok = ok && inner["type"] == "record"
		}
		if ok {
			leavesOf(inner, path+".", class, into)
		} else {
			into[path] = class
		}
	}
}

var (
	kindIs    = regexp.MustCompile(`^caller\.kind == "([a-z_]+)"$`)
	kindIn    = regexp.MustCompile(`^caller\.kind in \[([^\]]*)\]$`)
	kindNotIn = regexp.MustCompile(`^!\(caller\.kind in \[([^\]]*)\]\)$`)
	purposeIs = regexp.MustCompile(`^purpose == "([a-z_]+)"$`)
)

// applies reads the few conditions that the shipped rules are written in. A
// rule in other words ends the test: it must not pass unread.
func (r *ruleTerms) applies(t *testing.T, caller participantTerms, region, purpose string) bool {
	t.Helper()
	if r.Rows != "" {
		t.Fatalf("rule %s lets out some rows only: teach this test", r.ID)
	}
	for part := range strings.SplitSeq(strings.TrimSpace(r.When), "&&") {
		part = strings.TrimSpace(part)
		ok := false
		switch m := kindIs.FindStringSubmatch(part); {
		case m != nil:
			ok = caller.Kind == m[1]
		case part == "caller.region != product.region":
			ok = caller.Region != region
		case purposeIs.MatchString(part):
			ok = purpose == purposeIs.FindStringSubmatch(part)[1]
		case kindIn.MatchString(part):
			ok = strings.Contains(kindIn.FindStringSubmatch(part)[1], `"`+caller.Kind+`"`)
		case kindNotIn.MatchString(part):
			ok = !strings.Contains(kindNotIn.FindStringSubmatch(part)[1], `"`+caller.Kind+`"`)
		default:
			t.Fatalf("rule %s: condition %q: teach this test", r.ID, part)
		}
		if !ok {
			return false
		}
	}
	return true
}

// allowed is what a caller may have of a product: leaf → action, without those
// that it may not have; nil if it may have nothing at all.
func (w *terms) allowed(t *testing.T, caller participantTerms, p *productTerms, region, purpose string) map[string]string {
	t.Helper()
	var layers []map[string]string
	for i := range w.rules[p.ID] {
		r := &w.rules[p.ID][i]
		if !r.applies(t, caller, region, purpose) {
			continue
		}
		if r.Effect == "deny" {
			return nil
		}
		layer := map[string]string{}
		for leaf, class := range w.classes[p.Schema] {
			layer[leaf] = r.Obligations.Classes[class]
		}
		maps.Copy(layer, r.Obligations.Fields)
		layers = append(layers, layer)
	}
	if len(layers) == 0 {
		return nil
	}
	agreed := p.ShareClass == "unconditional"
	for _, a := range w.agreements {
		if a.Product != p.ID || a.Region != region || a.Consumer != caller.ID || !slices.Contains(a.Purposes, purpose) {
			continue
		}
		agreed = true
		layer := map[string]string{}
		for leaf, class := range w.classes[p.Schema] {
			if class == "public" || class == "internal" {
				layer[leaf] = a.Fields["*"]
			}
		}
		maps.Copy(layer, a.Fields)
		layers = append(layers, layer)
	}
	if !agreed {
		return nil
	}
	out := map[string]string{}
	for leaf := range w.classes[p.Schema] {
		out[leaf] = "keep"
		for _, layer := range layers {
			switch action := layer[leaf]; {
			case action == "" || action == "drop":
				delete(out, leaf)
			case action != "keep" && out[leaf] != "":
				out[leaf] = action
			}
			if out[leaf] == "" {
				break
			}
		}
	}
	return out
}

// view is what a consumer has of a product: event → leaf → value.
type view map[string]map[string]string

func flatten(t *testing.T, records []client.Record) view {
	t.Helper()
	v := view{}
	for _, r := range records {
		var doc map[string]any
		d := json.NewDecoder(bytes.NewReader(r.Record))
		d.UseNumber()
		if err := d.Decode(&doc); err != nil {
			t.Fatal(err)
		}
		if v[r.EventID] != nil {
			t.Errorf("event %s came twice", r.EventID)
		}
		v[r.EventID] = map[string]string{}
		flattenInto(v[r.EventID], "", doc)
	}
	return v
}

func flattenInto(into map[string]string, prefix string, doc map[string]any) {
	for name, value := range doc {
		if inner, ok := value.(map[string]any); ok {
			flattenInto(into, prefix+name+".", inner)
		} else {
			into[prefix+name] = fmt.Sprint(value)
		}
	}
}

const null = "<nil>"

// coarse is what a value looks like that was made coarser as agreed.
var coarse = map[string]*regexp.Regexp{
	"hash":                 regexp.MustCompile(`^[0-9a-f]{32}$`),
	"generalise:month":     regexp.MustCompile(`^20[0-9]{2}-(0[1-9]|1[0-2])$`),
	"generalise:province":  regexp.MustCompile(`^[1-9][0-9]0000$`),
	"generalise:band":      regexp.MustCompile(`^\[(0,1000|10*,10*|10*,)\)$`),
	"generalise:fine_band": regexp.MustCompile(`^\[(0|(0\.0?)?[125]0*),((0\.0?)?[125]0*)?\)$`),
}

// TestEveryConsumerGetsWhatIsAgreed: everybody asks for everything of the other
// side. Who may have nothing is refused; everybody else gets every published
// record, of it exactly the fields that rule and agreement allow, in clear or
// not as they say.
func TestEveryConsumerGetsWhatIsAgreed(t *testing.T) {
	w, data := readTerms(t), t.TempDir()
	s := once(t, "--data", data, "--rows", "51")
	hub := live(t, "--data", data)
	defer hub.stop(t)
	clients := map[string]*client.Client{}
	ask := func(caller participantTerms, region, product, purpose string) ([]client.Record, error) {
		if clients[caller.ID] == nil {
			profile, err := client.LoadProfile(filepath.Join(data, caller.Region, "participants", caller.ID, "profile.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			if clients[caller.ID], err = profile.Client(region, time.Now); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(clients[caller.ID].Close)
		}
		var all []client.Record
		err := clients[caller.ID].Follow(t.Context(), client.Query{Product: product, Purpose: purpose}, 0, 30*time.Second, func(p *client.Page) error {
			all = append(all, p.Records...)
			if p.Receipt != nil && len(p.Receipt.Withheld) > 0 {
				t.Errorf("%s asking %s/%s for %s: withheld %v", caller.ID, region, product, purpose, p.Receipt.Withheld)
			}
			return nil
		})
		return all, err
	}
	permitted, refused, transformed := 0, 0, 0
	for i := range w.products {
		p := &w.products[i]
		for region := range p.Providers {
			published := s.Regions[region][p.ID].Published
			open := view{} // what somebody has in clear
			views := map[string]view{}
			wants := map[string]map[string]string{}
			for _, caller := range w.participants {
				for _, purpose := range p.Purposes {
					if caller.Region == region {
						continue // a client is for the other side's gateway
					}
					want := w.allowed(t, caller, p, region, purpose.ID)
					records, err := ask(caller, region, p.ID, purpose.ID)
					who := fmt.Sprintf("%s asking %s/%s for %s", caller.ID, region, p.ID, purpose.ID)
					switch {
					case len(want) == 0 && err == nil:
						t.Errorf("%s: it may have nothing and was given %d records", who, len(records))
					case len(want) == 0:
						refused++
					case err != nil || int64(len(records)) != published:
						t.Errorf("%s: %d records of %d published, %v", who, len(records), published, err)
					default:
						permitted++
						views[who], wants[who] = flatten(t, records), want
						keepClear(t, open, views[who], want)
					}
				}
			}
			for who, v := range views {
				transformed += compareView(t, who, v, open, wants[who])
			}
		}
	}
	t.Logf("%d permitted, %d refused, %d values transformed", permitted, refused, transformed)
	if permitted < 60 || refused < 200 || transformed < 1000 {
		t.Error("too few for the test to prove anything")
	}
}

// keepClear enters what a consumer has in clear; all that do must have the same.
func keepClear(t *testing.T, open, v view, want map[string]string) {
	t.Helper()
	for event, values := range v {
		if open[event] == nil {
			open[event] = map[string]string{}
		}
		for leaf, value := range values {
			if known, ok := open[event][leaf]; want[leaf] == "keep" && ok && known != value {
				t.Errorf("%s of one record is different for two consumers that have it in clear", leaf)
			} else if want[leaf] == "keep" {
				open[event][leaf] = value
			}
		}
	}
}

// compareView holds the fields of every record against what is allowed, and
// returns how many values were transformed.
func compareView(t *testing.T, who string, v, open view, want map[string]string) (transformed int) {
	t.Helper()
	for event, values := range v {
		if got, allowed := slices.Sorted(maps.Keys(values)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, allowed) {
			t.Errorf("%s: a record has the fields\n%v, allowed are\n%v", who, got, allowed)
			return transformed
		}
		for leaf, action := range want {
			known, ok := open[event][leaf]
			switch {
			case action == "keep" || !ok || known == null || known == "[]":
			case values[leaf] == known:
				t.Errorf("%s: %s is in clear, agreed was %s", who, leaf, action)
			case coarse[action] != nil && !coarse[action].MatchString(values[leaf]):
				t.Errorf("%s: %s is not what %s makes of a value", who, leaf, action)
			default:
				transformed++
			}
		}
	}
	return transformed
}
