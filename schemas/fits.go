package schemas

import (
	"fmt"

	"github.com/chuanyu-exchange/hub/schemas/redact"
)

// Fits says whether the records of a schema can be asked a predicate: its
// fields exist, hold one value, and compare with its literals. It is what
// policies are loaded with.
func (s *Set) Fits(schema string, p *redact.Predicate) error {
	writer, ok := s.Schema(schema)
	if !ok {
		return fmt.Errorf("there is no schema %s", schema)
	}
	_, err := CompileView(ViewSpec{Writer: writer, Predicate: p})
	return err
}
