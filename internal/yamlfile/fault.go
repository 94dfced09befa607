package yamlfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxShown bounds the length of a message about a file in which everything is
// wrong.
const maxShown = 50

// Fault is one thing that is wrong with a file.
type Fault struct {
	File         string
	Line, Column int // from 1; 0 when the fault is of the whole file
	Text         string
}

// String is the fault as compilers write theirs, so that editors find the place.
func (f Fault) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Text)
}

// Faults is everything that is wrong with one or several files.
type Faults []Fault

// String lists the faults by file and line, one each line, and says how many it
// left out.
func (f Faults) String() string {
	sorted := slices.Clone(f)
	slices.SortStableFunc(sorted, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	lines := make([]string, 0, maxShown+1)
	for i, fault := range sorted {
		if i == maxShown {
			lines = append(lines, fmt.Sprintf("and %d more", len(sorted)-maxShown))
			break
		}
		lines = append(lines, fault.String())
	}
	return strings.Join(lines, "\n")
}

// Err is f as an error, or nil if nothing is wrong.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return &faultsError{f}
}

type faultsError struct{ faults Faults }

func (e *faultsError) Error() string { return e.faults.String() }
