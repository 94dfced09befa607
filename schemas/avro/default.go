package avro

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxExpanded bounds the values that a default stands for. A default may omit
// fields that have defaults themselves, so a short schema can stand for values
// without number.
const maxExpanded = 65536

// Fits says whether value, as JSON, is a default of type t, by Avro 1.12: of a
// union the first branch that it fits, bytes and fixed as a string of the code
// points 0 to 255, a record with every field that has no default of its own.
// The error holds the path within the value, and nothing of the value.
func Fits(t *Type, value json.RawMessage) error {
	f := fitter{left: maxScanned}
	return f.check(t, value, "")
}

// maxScanned is how many bytes of defaults are read for one schema, each as
// often as it is tried: unions within unions could otherwise be tried 2 to the
// depth times.
const maxScanned = 4 << 20

type fitter struct{ left int }

func (f *fitter) check(t *Type, value json.RawMessage, path string) error {
	err := f.fit(t, value, path, 0)
	if f.left < 0 {
		return breach(path, RuleLimit, "the defaults of the schema take too long to tell apart")
	}
	return err
}

func (f *fitter) fit(t *Type, value json.RawMessage, path string, depth int) error {
	if f.left -= len(value); f.left < 0 {
		return breach(path, RuleLimit, "too long to tell")
	}
	if depth > maxDepth {
		return breach(path, RuleLimit, "the default is nested deeper than %d", maxDepth)
	}
	value = bytes.TrimSpace(value)
	switch t.Kind {
	case Array:
		return f.array(t, value, path, depth)
	case Map:
		return f.mapping(t, value, path, depth)
	case Record:
		return f.record(t, value, path, depth)
	case Union:
		return f.union(t, value, path, depth)
	case Null, Boolean, Int, Long, Float, Double:
		if !fitsScalar(t.Kind, string(value)) {
			return breach(path, RuleDefault, "the default is no %s", t)
		}
	case Bytes, String, Enum, Fixed:
		if err := fitText(t, value); err != nil {
			return breach(path, RuleDefault, "the default is no %s: %v", t, err)
		}
	}
	return nil
}

func (f *fitter) union(t *Type, value json.RawMessage, path string, depth int) error {
	for _, b := range t.Branches {
		if f.fit(b, value, path, depth+1) == nil {
			return nil
		}
	}
	return breach(path, RuleDefault, "the default fits no branch of the union")
}

func fitsScalar(k Kind, value string) bool {
	var err error
	switch k {
	case Null:
		return value == "null"
	case Boolean:
		return value == "true" || value == "false"
	case Int:
		_, err = strconv.ParseInt(value, 10, 32)
	case Long:
		_, err = strconv.ParseInt(value, 10, 64)
	default:
		return fitsFloat(k, value)
	}
	return err == nil
}

func fitsFloat(k Kind, value string) bool {
	if value == "" || value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return false // strconv reads "Inf" and "NaN", which JSON does not
	}
	v, err := strconv.ParseFloat(value, 64)
	return err == nil && (k != Float || math.Abs(v) <= math.MaxFloat32)
}

var errNotString = errors.New("it is not a string")

func fitText(t *Type, value json.RawMessage) error {
	s, ok := text(value)
	switch {
	case !ok:
		return errNotString
	case t.Kind == Enum && !slices.Contains(t.Symbols, s):
		return errors.New("it is none of the symbols")
	case t.Kind == Bytes || t.Kind == Fixed:
		for _, r := range s {
			if r > 0xff {
				return errors.New("it has code points beyond 255")
			}
		}
		if n := utf8.RuneCountInString(s); t.Kind == Fixed && n != t.Size {
			return fmt.Errorf("it has %d bytes, not %d", n, t.Size)
		}
	}
	return nil
}

func (f *fitter) array(t *Type, value json.RawMessage, path string, depth int) error {
	var items []json.RawMessage
	if len(value) == 0 || value[0] != '[' || json.Unmarshal(value, &items) != nil {
		return breach(path, RuleDefault, "the default is no array")
	}
	for _, item := range items {
		if err := f.fit(t.Items, item, path+"[]", depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (f *fitter) mapping(t *Type, value json.RawMessage, path string, depth int) error {
	m, err := members(value, path)
	if err != nil {
		return breach(path, RuleDefault, "the default is no map")
	}
	for _, v := range m {
		if err := f.fit(t.Values, v, path+"{}", depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (f *fitter) record(t *Type, value json.RawMessage, path string, depth int) error {
	m, err := members(value, path)
	if err != nil {
		return breach(path, RuleDefault, "the default is no record")
	}
	for i := range t.Fields {
		field := &t.Fields[i]
		v, ok := m[field.Name]
		if !ok {
			if field.Default == nil {
				return breach(path, RuleDefault, "the default lacks the field %q of %s", field.Name, t.Name)
			}
			continue // its own default is checked where it stands
		}
		if err := f.fit(field.Type, v, path+"."+field.Name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// defaulted is a field with a default.
type defaulted struct {
	field *Field
	path  string
}

func (p *parser) checkDefaults() error {
	e := expansion{sizes: map[*Field]int{}, fits: fitter{left: maxScanned}}
	for _, d := range p.pending {
		if err := e.fits.check(d.field.Type, d.field.Default, d.path); err != nil {
			return err
		}
	}
	for _, d := range p.pending {
		switch n := e.field(d.field); {
		case n == endless:
			return breach(d.path, RuleDefault, "the default contains itself: a field that it omits has a default that omits it again")
		case n > maxExpanded:
			return breach(d.path, RuleLimit, "the default stands for more than %d values", maxExpanded)
		}
	}
	return nil
}

// expansion counts the values that defaults stand for, each field once.
type expansion struct {
	sizes map[*Field]int // endless while it is being counted
	fits  fitter
}

const endless = math.MaxInt32

func (e *expansion) field(f *Field) int {
	if n, ok := e.sizes[f]; ok {
		return n
	}
	e.sizes[f] = endless
	n := e.value(f.Type, f.Default)
	e.sizes[f] = n
	return n
}

// value counts what a default that fits its type stands for. The sum stays
// at endless once it is there.
func (e *expansion) value(t *Type, value json.RawMessage) int {
	total := 1
	add := func(n int) {
		if n == endless || total == endless {
			total = endless
		} else {
			total = min(total+n, endless-1)
		}
	}
	switch t.Kind {
	case Union:
		for _, b := range t.Branches {
			if e.fits.check(b, value, "") == nil {
				return e.value(b, value)
			}
		}
	case Array:
		var items []json.RawMessage
		_ = json.Unmarshal(value, &items) // it fitted
		for _, item := range items {
			add(e.value(t.Items, item))
		}
	case Map:
		m, _ := members(value, "")
		for _, v := range m {
			add(e.value(t.Values, v))
		}
	case Record:
		e.record(t, value, add)
	}
	if e.fits.left < 0 {
		return endless - 1
	}
	return total
}

func (e *expansion) record(t *Type, value json.RawMessage, add func(int)) {
	m, _ := members(value, "")
	for i := range t.Fields {
		f := &t.Fields[i]
		if v, ok := m[f.Name]; ok {
			add(e.value(f.Type, v))
		} else {
			add(e.field(f))
		}
	}
}
