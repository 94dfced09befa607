package connectors

import (
	"errors"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/ident"
)

// clockTolerance is how far a source's clock may be ahead of ours.
const clockTolerance = 5 * time.Minute

// fieldCheck checks a field that has a value.
type fieldCheck func(*schemas.Value, schemas.Kind, time.Time) *Fault

// fieldChecks are the checks that a schema may name.
func fieldChecks(regions *ident.Regions) map[string]fieldCheck {
	return map[string]fieldCheck{
		"uscc":     identifiers(ident.USCC),
		"org_code": identifiers(ident.OrgCode),
		"region": func(v *schemas.Value, _ schemas.Kind, now time.Time) *Fault {
			return eachText(v, func(s string) error { return regions.Check(s, now.UTC().Add(8*time.Hour)) })
		},
		"ean13":               identifiers(ident.EAN13),
		"industry":            identifiers(ident.Industry),
		"deal_class":          identifiers(ident.DealClass),
		"deal_code":           identifiers(ident.DealCode),
		"project_code":        identifiers(ident.ProjectCode),
		"tender_project_code": identifiers(ident.TenderProjectCode),
		"bid_section_code":    identifiers(ident.BidSectionCode),
		"currency": func(v *schemas.Value, _ schemas.Kind, _ time.Time) *Fault {
			if string(v.Bytes) != "CNY" {
				return &Fault{Code: problem.CodeUnknown, Detail: "only CNY is used"}
			}
			return nil
		},
		"positive": func(v *schemas.Value, _ schemas.Kind, _ time.Time) *Fault {
			if v.Int < 1 {
				return &Fault{Code: problem.NumberOutOfRange, Detail: "it begins at 1"}
			}
			return nil
		},
		"not_future": func(v *schemas.Value, kind schemas.Kind, now time.Time) *Fault {
			limit := now.Add(clockTolerance).UnixMilli()
			if kind == schemas.Date { // the day in UTC+8, where it was written down
				limit = (now.Unix() + 8*60*60) / 86400
			}
			if v.Int > limit {
				return &Fault{Code: problem.DateInFuture}
			}
			return nil
		},
	}
}

func identifiers(valid func(string) error) fieldCheck {
	return func(v *schemas.Value, _ schemas.Kind, _ time.Time) *Fault { return eachText(v, valid) }
}

// eachText checks a text, or each of a repeated field: what keeps the row back
// goes before what only warns.
func eachText(v *schemas.Value, valid func(string) error) *Fault {
	if v.Texts == nil {
		return identifier(valid(string(v.Bytes)))
	}
	var warning *Fault
	for _, text := range v.Texts {
		f := identifier(valid(string(text)))
		if f != nil && !f.Warning {
			return f
		}
		if f != nil {
			warning = f
		}
	}
	return warning
}

// identifier is the fault that a validator's error stands for. Two errors only
// warn: the check character of a deal code, which real systems do not all
// compute by the standard, and a division that was abolished, under which
// older records still stand.
func identifier(err error) *Fault {
	switch _, check := errors.AsType[*ident.DealCheckError](err); {
	case err == nil:
		return nil
	case check:
		return &Fault{Code: problem.CheckDoubtful, Detail: err.Error(), Warning: true}
	case errors.Is(err, ident.ErrRegionAbolished):
		return &Fault{Code: problem.RegionAbolished, Detail: err.Error(), Warning: true}
	}
	return &Fault{Code: problem.IdentifierInvalid, Detail: err.Error()}
}
