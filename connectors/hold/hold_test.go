package hold_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/chuanyu-exchange/hub/connectors/hold"
	"github.com/chuanyu-exchange/hub/internal/problem"
)

// bound stands for a sealer: it hides what it holds from a search and binds it
// to its place. The real one is tested in package sealed.
type bound struct{}

func (bound) Seal(dst, plain, additional []byte) ([]byte, error) {
	for _, c := range plain {
		dst = append(dst, c^0x5a)
	}
	return append(append(dst, 0), additional...), nil
}

func (bound) Open(dst, block, additional []byte) ([]byte, error) {
	hidden, ok := bytes.CutSuffix(block, append([]byte{0}, additional...))
	if !ok {
		return dst, errors.New("of another place")
	}
	for _, c := range hidden {
		dst = append(dst, c^0x5a)
	}
	return dst, nil
}

func open(t *testing.T, dir string, committed map[string]int64) *hold.Store {
	t.Helper()
	s, orphans, err := hold.Open(dir, bound{}, committed)
	if err != nil || len(orphans) > 0 {
		t.Fatalf("%v, %v", orphans, err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func add(t *testing.T, s *hold.Store, batch string, row, due int64, text string) {
	t.Helper()
	if added, err := s.Add(batch, row, due, []byte(text)); err != nil || !added {
		t.Fatalf("row %d: %v, %v", row, added, err)
	}
}

func texts(t *testing.T, s *hold.Store, batch string, released, now int64) (out string, then int64) {
	t.Helper()
	rows, then := s.Next(batch, released, now, 100)
	for _, r := range rows {
		text, err := s.Read(batch, r, bound{})
		if err != nil {
			t.Fatal(err)
		}
		out += string(text)
	}
	return out, then
}

func TestRowsGoOutWhenDue(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, nil)
	for row, due := range []int64{30, 10, 20, 10} {
		add(t, s, "b", int64(row+1), due, string(rune('a'+row)))
	}
	if got, _ := texts(t, s, "b", 0, 100); got != "" {
		t.Errorf("%q counts before it is committed", got)
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	s.Commit()
	for _, again := range []*hold.Store{s, open(t, dir, map[string]int64{"b": 4})} {
		for now, want := range map[int64]string{9: "", 10: "bd", 20: "bdc", 30: "bdca"} {
			if got, _ := texts(t, again, "b", 0, now); got != want {
				t.Errorf("at %d: %q, want %q", now, got, want)
			}
		}
		if got, then := texts(t, again, "b", 2, 15); got != "" || then != 20 {
			t.Errorf("behind the first two at 15: %q, then %d", got, then)
		}
	}
	if added, err := s.Add("b", 3, 20, []byte("c")); added || err != nil {
		t.Errorf("the same row again: %v, %v", added, err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "b.held"))
	if err != nil || bytes.Contains(content, []byte(`"sealed":"YQ`)) || len(content) == 0 {
		t.Errorf("%s, %v", content, err)
	}
	if err := s.Drop("b"); err != nil {
		t.Fatal(err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

// What a crash or a failed transaction leaves behind does not count.
func TestOnlyWhatIsCommittedCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, nil)
	add(t, s, "b", 1, 10, "a")
	s.Commit()
	add(t, s, "b", 2, 10, "b")
	if err := s.Rollback(); err != nil {
		t.Fatal(err)
	}
	add(t, s, "b", 3, 10, "c")
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	add(t, s, "other", 1, 10, "x")

	after, orphans, err := hold.Open(dir, bound{}, map[string]int64{"b": 1})
	if err != nil || len(orphans) != 1 || filepath.Base(orphans[0]) != "other.held.orphan" {
		t.Fatalf("%v, %v", orphans, err)
	}
	defer func() { _ = after.Close() }()
	add(t, after, "b", 2, 5, "B")
	after.Commit()
	if got, _ := texts(t, after, "b", 0, 10); got != "Ba" {
		t.Errorf("%q", got)
	}
}

func TestMissingRowsAreAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, _, err := hold.Open(dir, bound{}, map[string]int64{"gone": 1}); problem.CodeOf(err) != problem.HeldRowsMissing {
		t.Errorf("a missing file: %v", err)
	}
	for content := range map[string]bool{"": true, `{"row":1`: true, "{}\n{\n": true} {
		if err := os.WriteFile(filepath.Join(dir, "b.held"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := hold.Open(dir, bound{}, map[string]int64{"b": 2}); problem.CodeOf(err) != problem.HeldRowsMissing {
			t.Errorf("%q: %v", content, err)
		}
	}
}
