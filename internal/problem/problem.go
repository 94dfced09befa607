package problem

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is an error with a stable code. The zero value is an internal
// problem without detail.
type Problem struct {
	Code Code
	// Detail says where and with which limits, in English, free of record
	// content; it is shown to whoever receives the problem.
	Detail string
	// Err is the cause for the log of the process. It is never shown outside.
	Err error
}

// New returns a problem with the given detail, formatted as fmt.Sprintf does.
func New(code Code, format string, args ...any) *Problem {
	return &Problem{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Wrap returns a problem whose cause is err; the detail is shown, err is not.
func Wrap(code Code, err error, format string, args ...any) *Problem {
	return &Problem{Code: code, Detail: fmt.Sprintf(format, args...), Err: err}
}

// From finds the problem in err's chain. An error without one becomes
// [Internal] and keeps its text for the log only. From(nil) is nil.
func From(err error) *Problem {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	return &Problem{Code: Internal, Err: err}
}

// CodeOf is the code of the problem in err's chain, or [Internal]; "" of nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return From(err).Code
}

// Error gives the code, the English sentence and the detail, never the cause.
func (p *Problem) Error() string {
	s := string(p.Code) + ": " + p.Code.Entry().EN
	if p.Detail != "" {
		s += " (" + p.Detail + ")"
	}
	return s
}

// Unwrap returns the cause, for errors.Is and for the log.
func (p *Problem) Unwrap() error { return p.Err }

// LogText is Error with the cause: for the operator's own log.
func (p *Problem) LogText() string {
	if p.Err == nil {
		return p.Error()
	}
	return p.Error() + ": " + p.Err.Error()
}

// Document is the body of an RFC 9457 answer (application/problem+json).
type Document struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	TitleZH  string `json:"title_zh"`
	Status   int    `json:"status"`
	Code     Code   `json:"code"`
	Detail   string `json:"detail,omitempty"`
	Fix      string `json:"fix"`
	FixZH    string `json:"fix_zh"`
	Instance string `json:"instance,omitempty"`
}

// Document renders the problem for a caller; instance is the id of the request
// that the ledger and the log also hold.
func (p *Problem) Document(instance string) Document {
	e := p.Code.Entry()
	return Document{
		Type:  "urn:chuanyu-hub:problem:" + string(e.Code),
		Title: e.EN, TitleZH: e.ZH, Status: e.Status, Code: e.Code,
		Detail: p.Detail, Fix: e.FixEN, FixZH: e.FixZH, Instance: instance,
	}
}

// Terminal is the problem for a person at a command line, in both languages:
// what happened, where, and what to do. It holds the cause, because whoever
// runs the command is its operator.
func (p *Problem) Terminal() string {
	e := p.Code.Entry()
	s := fmt.Sprintf("error [%s] %s · %s\n", e.Code, e.EN, e.ZH)
	switch {
	case p.Detail != "":
		s += "  " + strings.ReplaceAll(strings.TrimSpace(p.Detail), "\n", "\n  ") + "\n"
	case p.Err != nil:
		s += "  " + p.Err.Error() + "\n"
	}
	return s + fmt.Sprintf("  → %s\n  → %s\n", e.FixEN, e.FixZH)
}
