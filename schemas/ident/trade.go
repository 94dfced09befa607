package ident

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// What can be wrong with the codes of public resource trading.
var (
	ErrStructure = errors.New("the parts of the code are not where they belong")
	ErrPrefix    = errors.New("the code does not begin with the code that it belongs to")
)

// DealCheckError says that only the check character of a unified deal code does
// not verify. It is a warning: codes that real systems issue do not all follow
// GB/T 17710, and no public source says what they follow.
type DealCheckError struct{ Want byte }

func (e *DealCheckError) Error() string {
	return fmt.Sprintf("the check character is not that of GB/T 17710 (MOD 37-2), which is %c; accepted with a warning", e.Want)
}

// DealCode checks a unified deal code (统一交易标识码), 40 characters:
//
//	D01-12350100MB02709751-20260401-000123-J
//	class-USCC of the platform-day-serial-check
//
// Structure, day and the USCC are strict; when nothing but the check character
// is wrong the error is a [*DealCheckError].
func DealCode(s string) error {
	if len(s) != 40 {
		return fmt.Errorf("%w: 40 are required", ErrLength)
	}
	if s[3] != '-' || s[22] != '-' || s[31] != '-' || s[38] != '-' || !digits(s[32:38]) {
		return ErrStructure
	}
	if err := DealClass(s[:3]); err != nil {
		return err
	}
	if err := USCC(s[4:22]); err != nil {
		return fmt.Errorf("the credit code in it: %w", err)
	}
	if _, err := time.Parse("20060102", s[23:31]); err != nil {
		return fmt.Errorf("%w: the day in it does not exist", ErrStructure)
	}
	check, err := DealCheck(s[:38])
	if err != nil {
		return err
	}
	if s[39] != check {
		return &DealCheckError{Want: check}
	}
	return nil
}

const mod37Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"

// DealCheck computes the check character of a deal code from what stands
// before it, hyphens aside: ISO 7064 MOD 37-2 (GB/T 17710).
func DealCheck(s string) (byte, error) {
	p := 0
	for i := range len(s) {
		if s[i] == '-' {
			continue
		}
		v := strings.IndexByte(mod37Alphabet[:36], s[i])
		if v < 0 {
			return 0, fmt.Errorf("%w, at position %d", ErrAlphabet, i+1)
		}
		p = (p + v) * 2 % 37
	}
	return mod37Alphabet[(38-p)%37], nil
}

// DealClass checks a trade class (交易分类): a letter and two digits, A01 to
// the last of A construction, B land, C property, D procurement and what else a
// province numbers.
func DealClass(s string) error {
	if len(s) != 3 {
		return fmt.Errorf("%w: 3 are required", ErrLength)
	}
	if s[0] < 'A' || s[0] > 'Z' || !digits(s[1:]) {
		return ErrStructure
	}
	return nil
}

// Industry checks a code of GB/T 4754-2017 as trading platforms write it:
// section A to T and the two digits of its division.
func Industry(s string) error {
	if err := DealClass(s); err != nil {
		return err
	}
	if s[0] > 'T' {
		return fmt.Errorf("%w: sections go from A to T", ErrAlphabet)
	}
	return nil
}

// The lengths of the codes of a project, its tender project and its sections:
// each begins with the one before.
const (
	projectLength       = 17 // class, region, 8 digits or letters
	tenderProjectLength = 20
	bidSectionLength    = 23
)

// ProjectCode checks a project code (项目编号), C17.
func ProjectCode(s string) error { return bidCode(s, projectLength) }

// TenderProjectCode checks a tender project code (招标项目编号), C20.
func TenderProjectCode(s string) error { return bidCode(s, tenderProjectLength) }

// BidSectionCode checks a section code (标段编号), C23.
func BidSectionCode(s string) error { return bidCode(s, bidSectionLength) }

func bidCode(s string, length int) error {
	if len(s) != length {
		return fmt.Errorf("%w: %d are required", ErrLength, length)
	}
	if err := DealClass(s[:3]); err != nil {
		return err
	}
	if err := Region(s[3:9]); err != nil {
		return fmt.Errorf("the region in it: %w", err)
	}
	for i := 9; i < length; i++ {
		if strings.IndexByte(orgAlphabet, s[i]) < 0 {
			return fmt.Errorf("%w, at position %d", ErrAlphabet, i+1)
		}
	}
	return nil
}

// Chained checks that a code begins with the code of what it is a part of: a
// section with its tender project, a tender project with its project.
func Chained(whole, part string) error {
	if len(part) <= len(whole) || !strings.HasPrefix(part, whole) {
		return ErrPrefix
	}
	return nil
}

// EAN13 checks a commodity bar code (商品条码), GB 12904.
func EAN13(s string) error {
	if len(s) != 13 {
		return fmt.Errorf("%w: 13 are required", ErrLength)
	}
	check, err := EAN13Check(s[:12])
	if err != nil {
		return err
	}
	if s[12] != check {
		return ErrCheck
	}
	return nil
}

// EAN13Check computes the 13th digit from the first 12: weights 1, 3.
func EAN13Check(s string) (byte, error) {
	if len(s) != 12 {
		return 0, fmt.Errorf("%w: 12 are required", ErrLength)
	}
	sum := 0
	for i := range 12 {
		if s[i] < '0' || s[i] > '9' {
			return 0, fmt.Errorf("%w, at position %d", ErrAlphabet, i+1)
		}
		sum += int(s[i]-'0') * (1 + i%2*2)
	}
	return '0' + byte((10-sum%10)%10), nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
