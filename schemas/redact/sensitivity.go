package redact

import (
	"fmt"
	"slices"
)

// Sensitivity classes a field by the harm of seeing it. A schema sets it for
// every field, the catalogue may only tighten it. The zero value is Secret, so
// that a field without a class is treated as the worst.
type Sensitivity uint8

// The classes, worst first.
const (
	Secret    Sensitivity = iota // identity of reporters, experts before opening: 不予共享 by default
	Sensitive                    // identity numbers, free text: GB/T 35273 sensitive personal information
	Personal                     // names, telephone numbers, addresses of natural persons
	Internal                     // facts about legal persons and procedures: 有条件共享
	Public                       // publishable: 无条件共享
)

var sensitivityNames = [...]string{
	Secret: "secret", Sensitive: "sensitive", Personal: "personal", Internal: "internal", Public: "public",
}

// String is the class as schemas and the catalogue write it.
func (s Sensitivity) String() string {
	if int(s) < len(sensitivityNames) {
		return sensitivityNames[s]
	}
	return "secret"
}

// ParseSensitivity reads what String writes.
func ParseSensitivity(name string) (Sensitivity, error) {
	i := slices.Index(sensitivityNames[:], name)
	if i < 0 {
		return Secret, fmt.Errorf("unknown sensitivity %q: use public, internal, personal, sensitive or secret", name)
	}
	return Sensitivity(i), nil
}

// MustSeal says whether a field of this class may lie in Kafka only inside a
// sealed block.
func (s Sensitivity) MustSeal() bool { return s <= Personal }

// Tighter is the worse of two classes.
func Tighter(a, b Sensitivity) Sensitivity { return min(a, b) }
