package problem_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

func TestTableIsWhole(t *testing.T) {
	seen := map[problem.Code]bool{}
	for _, e := range problem.Table() {
		if seen[e.Code] {
			t.Errorf("%s stands twice", e.Code)
		}
		seen[e.Code] = true
		if !regexp.MustCompile(`^[a-z][a-z_]*$`).MatchString(string(e.Code)) {
			t.Errorf("%s is not snake_case", e.Code)
		}
		for _, s := range []string{e.EN, e.ZH, e.FixEN, e.FixZH} {
			if s == "" {
				t.Errorf("%s lacks a sentence", e.Code)
			}
		}
		if !strings.ContainsFunc(e.ZH, isHan) || !strings.ContainsFunc(e.FixZH, isHan) {
			t.Errorf("%s: the Chinese sentences are not Chinese", e.Code)
		}
	}
	// Every constant of codes.go is in the table: Entry of a code that is not
	// reads as internal.
	src, err := os.ReadFile("codes.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`Code = "([a-z_]+)"`).FindAllStringSubmatch(string(src), -1) {
		if got := problem.Code(m[1]).Entry().Code; got != problem.Code(m[1]) {
			t.Errorf("constant %q has no line in the table", m[1])
		}
	}
}

func isHan(r rune) bool { return unicode.Is(unicode.Han, r) }

func TestFromHidesForeignText(t *testing.T) {
	p := problem.From(errors.New("select * from people where id = 110105"))
	if p.Code != problem.Internal || p.Detail != "" || strings.Contains(p.Error(), "110105") {
		t.Errorf("a foreign error leaked: %v", p)
	}
	if !strings.Contains(p.LogText(), "110105") {
		t.Error("the operator's log lost the cause")
	}
	if problem.From(nil) != nil {
		t.Error("From(nil) is not nil")
	}
}

func TestFromFindsWrapped(t *testing.T) {
	cause := errors.New("connection refused")
	err := fmt.Errorf("append: %w", problem.Wrap(problem.LedgerUnavailable, cause, "topic %s", "500000.ledger"))
	p := problem.From(err)
	if p.Code != problem.LedgerUnavailable || !errors.Is(err, cause) {
		t.Fatalf("got %v", p)
	}
	d := p.Document("r1")
	if d.Status != 503 || d.Detail != "topic 500000.ledger" || d.TitleZH == "" || d.Instance != "r1" {
		t.Errorf("document: %+v", d)
	}
	if strings.Contains(fmt.Sprint(d), "refused") {
		t.Error("the cause is in the document")
	}
}

func TestUnknownCodeReadsAsInternal(t *testing.T) {
	if got := problem.Code("no_such_code").Entry().Code; got != problem.Internal {
		t.Errorf("got %s", got)
	}
}
