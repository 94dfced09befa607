package avro

import (
	"fmt"
	"strings"
)

const nameRule = "a name begins with a letter or _ and goes on with letters, digits and _ (ASCII)"

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// qualify makes a name full: one with a dot is full already.
func qualify(name, namespace string) string {
	if namespace == "" || strings.Contains(name, ".") {
		return name
	}
	return namespace + "." + name
}

func namespaceOf(full string) string {
	if i := strings.LastIndexByte(full, '.'); i >= 0 {
		return full[:i]
	}
	return ""
}

// checkFullName is "" for a full name that may be defined, else the reason.
func checkFullName(full string) string {
	for part := range strings.SplitSeq(full, ".") {
		if !isName(part) {
			return fmt.Sprintf("%q: %s", full, nameRule)
		}
	}
	if _, ok := primitives[full[strings.LastIndexByte(full, '.')+1:]]; ok {
		return fmt.Sprintf("%q is the name of a primitive type, which is not defined anew", full)
	}
	return ""
}

func checkName(name string) string {
	if !isName(name) {
		return fmt.Sprintf("%q: %s", name, nameRule)
	}
	return ""
}
