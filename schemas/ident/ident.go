package ident

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// What can be wrong with an identifier.
var (
	ErrLength    = errors.New("wrong number of characters")
	ErrAlphabet  = errors.New("a character outside the code's alphabet")
	ErrCheck     = errors.New("the check character is wrong")
	ErrOrgCheck  = errors.New("the check character of the organisation code in it is wrong")
	ErrBirthDate = errors.New("the birth date in it does not exist or lies in the future")
	ErrProvince  = errors.New("no province has this prefix")
)

const (
	usccAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY" // without I, O, S, V, Z
	orgAlphabet  = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	idChecks     = "10X98765432"
)

var (
	usccWeights = [17]int{1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28}
	orgWeights  = [8]int{3, 7, 9, 10, 5, 8, 4, 2}
	idWeights   = [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
)

// USCC checks a unified social credit code (统一社会信用代码) and the
// organisation code at its characters 9 to 17. Letters must be upper case.
func USCC(s string) error {
	if len(s) != 18 {
		return fmt.Errorf("%w: 18 are required", ErrLength)
	}
	check, err := USCCCheck(s[:17])
	if err != nil {
		return err
	}
	if s[17] != check {
		return ErrCheck
	}
	org, err := OrgCheck(s[8:16])
	if err != nil {
		return err
	}
	if s[16] != org {
		return ErrOrgCheck
	}
	return nil
}

// USCCCheck computes the 18th character from the first 17: weights 3^(i-1) mod
// 31, GB 32100-2015.
func USCCCheck(s string) (byte, error) {
	if len(s) != 17 {
		return 0, fmt.Errorf("%w: 17 are required", ErrLength)
	}
	sum := 0
	for i := range 17 {
		v := strings.IndexByte(usccAlphabet, s[i])
		if v < 0 {
			return 0, fmt.Errorf("%w, at position %d", ErrAlphabet, i+1)
		}
		sum += v * usccWeights[i]
	}
	return usccAlphabet[(31-sum%31)%31], nil
}

// OrgCheck computes the 9th character of an organisation code from its first
// 8, GB 11714-1997.
func OrgCheck(s string) (byte, error) {
	if len(s) != 8 {
		return 0, fmt.Errorf("%w: 8 are required", ErrLength)
	}
	sum := 0
	for i := range 8 {
		v := strings.IndexByte(orgAlphabet, s[i])
		if v < 0 {
			return 0, fmt.Errorf("%w, at position %d of the organisation code", ErrAlphabet, i+1)
		}
		sum += v * orgWeights[i]
	}
	switch c := 11 - sum%11; c {
	case 10:
		return 'X', nil
	case 11:
		return '0', nil
	default:
		return '0' + byte(c), nil
	}
}

// OrgCode checks an organisation code (组织机构代码) of 9 characters, without
// the hyphen that is printed before the last.
func OrgCode(s string) error {
	if len(s) != 9 {
		return fmt.Errorf("%w: 9 are required", ErrLength)
	}
	check, err := OrgCheck(s[:8])
	if err != nil {
		return err
	}
	if s[8] != check {
		return ErrCheck
	}
	return nil
}

// ResidentID checks a resident identity number (公民身份号码): 17 digits, a
// birth date that is not after now, and ISO 7064 MOD 11-2.
func ResidentID(s string, now time.Time) error {
	if len(s) != 18 {
		return fmt.Errorf("%w: 18 are required", ErrLength)
	}
	check, err := ResidentIDCheck(s[:17])
	if err != nil {
		return err
	}
	born, err := time.Parse("20060102", s[6:14])
	if err != nil || born.After(now) {
		return ErrBirthDate
	}
	if s[17] != check {
		return ErrCheck
	}
	return nil
}

// ResidentIDCheck computes the 18th character from the first 17.
func ResidentIDCheck(s string) (byte, error) {
	if len(s) != 17 {
		return 0, fmt.Errorf("%w: 17 are required", ErrLength)
	}
	sum := 0
	for i := range 17 {
		if s[i] < '0' || s[i] > '9' {
			return 0, fmt.Errorf("%w, at position %d", ErrAlphabet, i+1)
		}
		sum += int(s[i]-'0') * idWeights[i]
	}
	return idChecks[sum%11], nil
}

// The two-digit prefixes of GB/T 2260 that stand for a province, autonomous
// region, municipality or special administrative region.
const provinces = "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82"

// Region checks the structure of an administrative division code (行政区划代码):
// six digits with a province's prefix. Whether a code is in force on a day
// [Regions.Check] says.
func Region(s string) error {
	if len(s) != 6 {
		return fmt.Errorf("%w: 6 are required", ErrLength)
	}
	for i := range 6 {
		if s[i] < '0' || s[i] > '9' {
			return fmt.Errorf("%w, at position %d", ErrAlphabet, i+1)
		}
	}
	if !strings.Contains(provinces, s[:2]) {
		return ErrProvince
	}
	return nil
}
