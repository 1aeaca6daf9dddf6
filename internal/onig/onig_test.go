package onig

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// spans returns the non-empty matches, and the parts into which all matches
// cut the text, as flat lists of code point offsets. An empty match right
// after a match does not count.
func spans(t *testing.T, re *Regexp, text string) (hits, cuts []int) {
	t.Helper()
	char := func(b int) int { return utf8.RuneCountInString(text[:b]) }
	add := func(to *[]int, lo, hi int) {
		if lo < hi {
			*to = append(*to, char(lo), char(hi))
		}
	}
	m := re.NewMatcher()
	last, at, end := 0, 0, -1
	for at <= len(text) {
		lo, hi, ok, err := m.Find(text, at)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		if lo == hi && hi == end {
			_, n := utf8.DecodeRuneInString(text[at:])
			at += max(n, 1)
			continue
		}
		at, end = hi, hi
		add(&hits, lo, hi)
		add(&cuts, last, lo)
		add(&cuts, lo, hi)
		last = hi
	}
	add(&cuts, last, len(text))
	return hits, cuts
}

// TestMatches compares with Oniguruma itself. The golden is made by
// testdata/matches.py; ONIG_MATCHES names another output of it.
func TestMatches(t *testing.T) {
	path := "testdata/matches.golden.json.gz"
	if p := os.Getenv("ONIG_MATCHES"); p != "" {
		path = p
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Texts []string `json:"texts"`
		Cases []struct {
			Pattern string  `json:"pattern"`
			Error   string  `json:"error"`
			Hits    [][]int `json:"hits"`
			Cuts    [][]int `json:"cuts"`
		} `json:"cases"`
	}
	if err := json.NewDecoder(z).Decode(&golden); err != nil {
		t.Fatal(err)
	}
	for _, c := range golden.Cases {
		t.Run(c.Pattern, func(t *testing.T) {
			re, err := Compile(c.Pattern)
			if c.Error != "" {
				if err == nil {
					t.Fatalf("compiled; Oniguruma says %s", c.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range golden.Texts {
				hits, cuts := spans(t, re, text)
				if want := c.Hits[i]; len(hits)+len(want) > 0 && !reflect.DeepEqual(hits, want) {
					t.Errorf("%q: hits: got %v, want %v", text, hits, want)
				}
				if want := c.Cuts[i]; len(cuts)+len(want) > 0 && !reflect.DeepEqual(cuts, want) {
					t.Errorf("%q: cuts: got %v, want %v", text, cuts, want)
				}
			}
		})
	}
}

func TestCompileErrors(t *testing.T) {
	for pattern, want := range map[string]string{
		"(":                      "not closed",
		")":                      "unmatched )",
		"[a":                     "not closed",
		"*a":                     "nothing to repeat",
		`a\`:                     "ends in a backslash",
		`\1`:                     "not supported",
		`(a)\k<1>`:               "not supported",
		`\p{Nope}`:               "unknown character property",
		`\pL`:                    "name in braces",
		`a{3,2}`:                 "upside down",
		`a{5000}`:                "repeat count",
		`[z-a]`:                  "empty range",
		`(?<=a+)b`:               "no fixed length",
		`(?(1)a|b)`:              "not supported",
		`\x{110000}`:             "bad code point",
		"\xff":                   "not valid UTF-8",
		`(((ab){99}){99}){99}`:   "too large",
		strings.Repeat("(", 999): "deeper",
	} {
		_, err := Compile(pattern)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want an error with %q", pattern, err, want)
		}
	}
}

func TestTooManySteps(t *testing.T) {
	re, err := Compile(`(?:a|a)*b`)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, err = re.NewMatcher().Find(strings.Repeat("a", 60), 0)
	if !errors.Is(err, ErrTooManySteps) {
		t.Errorf("got %v, want ErrTooManySteps", err)
	}
}

// TestLongRuns holds the patterns in use to linear time: a megabyte of one
// character takes milliseconds, where a quadratic walk would take hours.
func TestLongRuns(t *testing.T) {
	for _, pattern := range []string{
		`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}{1,3}|\s*[\r\n]+|\s+(?!\S)|\s+`,
	} {
		re, err := Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		m := re.NewMatcher()
		for _, c := range []string{"a", "A", "\u4e00", "1", " ", "\n", "\u0301", "-"} {
			text := strings.Repeat(c, 1<<20)
			begin := time.Now()
			for at := 0; at < len(text); {
				_, hi, ok, err := m.Find(text, at)
				if err != nil {
					t.Fatal(err)
				}
				if !ok || hi == at {
					break
				}
				at = hi
			}
			if d := time.Since(begin); d > 20*time.Second {
				t.Errorf("%q on a megabyte of %q: %v", pattern[:20], c, d)
			}
		}
	}
}

// FuzzCompile looks for panics and runaway patterns.
func FuzzCompile(f *testing.F) {
	for _, p := range []string{`a|b`, `(?i:'s)|[^\s\p{L}]+(?!\S)`, `[a-z&&[^b]]{2,}?`, `(?<=ab|c)x*+`, `(?x) a # b`} {
		f.Add(p, "ab 'S x\n")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		re, err := Compile(pattern)
		if err != nil || !utf8.ValidString(text) || len(text) > 64 {
			return
		}
		lo, hi, ok, err := re.NewMatcher().Find(text, 0)
		if err == nil && ok && (lo < 0 || hi < lo || hi > len(text)) {
			t.Errorf("%q in %q: match %d to %d", pattern, text, lo, hi)
		}
	})
}

// FuzzAgainstRegexp2 compares with another engine where the dialects agree:
// on ASCII text and patterns without classes of Unicode.
func FuzzAgainstRegexp2(f *testing.F) {
	patterns := []string{
		`'s|'t|'re|'ve|'m|'ll|'d| ?[a-zA-Z]+| ?[0-9]+| ?[^\sa-zA-Z0-9]+|\s+(?!\S)|\s+`,
		`(?i:'s|'t|'re)|[^\r\na-z0-9]?[a-z]+|[0-9]{1,3}| ?[^\sa-z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
		`(?>a+)b|(?:a|b)*?c|(?<=a)b{2,3}|(?<!a)b`, `(a|ab)(c|bcd)*`, `(?:a*)*b|(?:a?b?)*c`,
	}
	for i := range patterns {
		f.Add(i, "it's a  test 123abc\n\n aab abcd")
	}
	f.Fuzz(func(t *testing.T, i int, text string) {
		for k := range len(text) {
			if text[k] >= utf8.RuneSelf {
				return
			}
		}
		p := patterns[(i%len(patterns)+len(patterns))%len(patterns)]
		re, err := Compile(p)
		if err != nil {
			t.Fatal(err)
		}
		other := regexp2.MustCompile(p, regexp2.None)
		lo, hi, ok, err := re.NewMatcher().Find(text, 0)
		if err != nil {
			return
		}
		m, err := other.FindStringMatch(text)
		if err != nil {
			t.Fatal(err)
		}
		if ok != (m != nil) || ok && (m.Index != lo || m.Length != hi-lo) {
			t.Errorf("%q in %q: got %d to %d (%v), regexp2 has %v", p, text, lo, hi, ok, m)
		}
	})
}
