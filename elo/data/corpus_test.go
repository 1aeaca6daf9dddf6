package data

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	path := write(t, "a.jsonl", "{\"text\":\"ab\"}\n{\"text\":\"é\"}")
	c, err := Load(t.Context(), path, "es", letters{}, LoadOptions{Policy: bosEOS})
	if err != nil {
		t.Fatal(err)
	}
	if c.Len() != 2 || c.Tokens() != 8 || c.Bytes() != 4 || c.Pairs() != 6 || c.DocBytes(1) != 2 {
		t.Errorf("got %d documents, %d tokens, %d bytes, %d pairs, %d bytes in the second", c.Len(), c.Tokens(), c.Bytes(), c.Pairs(), c.DocBytes(1))
	}
	if got, want := c.IDs(1), []int32{1, 3 + 0xc3, 3 + 0xa9, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Load(ctx, path, "es", letters{}, LoadOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, err := Load(t.Context(), path, "es", broken{}, LoadOptions{}); err == nil || !strings.Contains(err.Error(), "a.jsonl:2: no é") {
		t.Errorf("got %v, want the encoder's error with file and line", err)
	}
}

// TestLoadInOrder loads more text than is tokenised at a time, by any number
// of workers.
func TestLoadInOrder(t *testing.T) {
	docs := numbered("d", 900, 2000)
	path := write(t, "a.txt.gz", strings.Join(docs, "\n"))
	want := corpus(t, "en", bosEOS, docs...)
	for _, workers := range []int{0, 1, 5} {
		calls := 0
		c, err := Load(t.Context(), path, "en", letters{}, LoadOptions{
			Policy: bosEOS, Workers: workers, Read: ReadOptions{Text: Line},
			Progress: func(docs int, bytes int64) { calls++ },
		})
		if err != nil || c.Fingerprint() != want.Fingerprint() || calls < 2 {
			t.Errorf("%d workers: got %v, %d calls, or another order", workers, err, calls)
		}
	}
}

// TestLoadFirstError has errors of both kinds at several places.
func TestLoadFirstError(t *testing.T) {
	text := strings.Repeat("x", 100_000) + "\n"
	for _, tt := range []struct{ name, content, want string }{
		{"encoder first", strings.Repeat(text, 5) + "é\n" + strings.Repeat(text, 20) + "\xff", ":6: no é"},
		{"reader first", strings.Repeat(text, 5) + "\xff\n" + strings.Repeat(text, 20) + "é", ":6: byte offset 500005"},
		{"two of the encoder", strings.Repeat(text, 9) + "é\n" + strings.Repeat(text, 5) + "é", ":10: no é"},
		{"same batch", "é\n\xff", ":1: no é"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, "a.txt", tt.content)
			_, err := Load(t.Context(), path, "en", broken{}, LoadOptions{Workers: 4, Read: ReadOptions{Text: Line}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a message with %q", err, tt.want)
			}
		})
	}
}

// broken cannot encode é.
type broken struct{}

func (broken) AppendIDs(dst []int32, text string, _ bool) ([]int32, error) {
	if strings.Contains(text, "é") {
		return dst, errors.New("no é")
	}
	return append(dst, 5, 6), nil
}

// hostile returns an id that is none.
type hostile struct{}

func (hostile) AppendIDs(dst []int32, _ string, _ bool) ([]int32, error) {
	return append(dst, 5, -1), nil
}

func TestBadIDs(t *testing.T) {
	path := write(t, "a.txt", "a")
	if _, err := Load(t.Context(), path, "en", hostile{}, LoadOptions{}); err == nil || !strings.Contains(err.Error(), "a.txt:1: document 1: token 1: expected an id of at least 0, found -1") {
		t.Errorf("got %v, want the place of the bad id", err)
	}
	if err := NewCorpus("c", "en").AddText(hostile{}, Policy{}, "a"); err == nil {
		t.Errorf("got no error")
	}
}

// closing is an encoder whose post-processor adds EOS by itself.
type closing struct{}

func (closing) AppendIDs(dst []int32, _ string, _ bool) ([]int32, error) {
	return append(dst, 7, 2), nil
}

func TestPolicy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		enc    Encoder
		policy Policy
		want   []int32
	}{
		{"bare", letters{}, Policy{}, []int32{3 + 'a'}},
		{"special", letters{}, Policy{AddSpecial: true}, []int32{1, 3 + 'a'}},
		{"end", letters{}, Policy{AppendEOS: true, EOS: 0}, []int32{3 + 'a', 0}},
		{"end not doubled", closing{}, Policy{AppendEOS: true, EOS: 2}, []int32{7, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := single(t, tt.enc, tt.policy).IDs(0); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func single(t *testing.T, enc Encoder, p Policy) *Corpus {
	t.Helper()
	c := NewCorpus("c", "en")
	if err := c.AddText(enc, p, "a"); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestChunks crosses the borders of the store's chunks, with one document
// larger than a chunk.
func TestChunks(t *testing.T) {
	var want []string
	for i := range 40 {
		want = append(want, strings.Repeat(string(rune('a'+i%26)), 100_000+i))
	}
	want[20] = strings.Repeat("z", 2*chunkTokens+1)
	c := corpus(t, "en", Policy{}, want...)
	if len(c.store.chunks) < 3 {
		t.Fatalf("got %d chunks, want several", len(c.store.chunks))
	}
	for i, s := range want {
		ids, _ := letters{}.AppendIDs(nil, s, false)
		if !slices.Equal(c.IDs(i), ids) {
			t.Errorf("document %d differs", i)
		}
	}
}

func TestSplit(t *testing.T) {
	c := corpus(t, "en", Policy{}, "aa", "bb", "cc", "dd", "ee")
	list := func(c *Corpus) (s string) {
		for i := range c.Len() {
			s += string(rune(c.IDs(i)[0] - 3))
		}
		return s
	}
	for _, tt := range []struct {
		name        string
		h           HoldOut
		train, held string
		err         string
	}{
		{"every second", HoldOut{Every: 2}, "ace", "bd", ""},
		{"every fifth", HoldOut{Every: 5}, "abcd", "e", ""},
		{"last two fifths", HoldOut{Last: 0.4}, "abc", "de", ""},
		{"a little", HoldOut{Last: 0.01}, "abcd", "e", ""},
		{"too few", HoldOut{Every: 6}, "", "", "found 5 for training and 0 held out"},
		{"all", HoldOut{Every: 1}, "", "", "found 0 for training and 5 held out"},
		{"neither", HoldOut{}, "", "", "either"},
		{"both", HoldOut{Every: 2, Last: 0.5}, "", "", "either"},
		{"negative", HoldOut{Every: -2}, "", "", "positive"},
		{"no number", HoldOut{Last: math.NaN()}, "", "", "positive"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			train, held, err := c.Split(tt.h)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want a message with %q", err, tt.err)
				}
				return
			}
			if err != nil || list(train) != tt.train || list(held) != tt.held {
				t.Errorf("got %v, want %q and %q", err, tt.train, tt.held)
			}
			if train.Bytes()+held.Bytes() != c.Bytes() || train.Tokens()+held.Tokens() != c.Tokens() {
				t.Errorf("bytes or tokens were lost")
			}
		})
	}
}

func TestFingerprint(t *testing.T) {
	base := corpus(t, "en", Policy{}, "ab", "cd").Fingerprint()
	for _, tt := range []struct {
		name string
		c    *Corpus
		same bool
	}{
		{"equal", corpus(t, "en", Policy{}, "ab", "cd"), true},
		{"language", corpus(t, "es", Policy{}, "ab", "cd"), false},
		{"border", corpus(t, "en", Policy{}, "abc", "d"), false},
		{"order", corpus(t, "en", Policy{}, "cd", "ab"), false},
		{"letter", corpus(t, "en", Policy{}, "ab", "ce"), false},
		{"more", corpus(t, "en", Policy{}, "ab", "cd", "e"), false},
	} {
		if same := tt.c.Fingerprint() == base; same != tt.same {
			t.Errorf("%s: got equal %v, want %v", tt.name, same, tt.same)
		}
	}
	one, two := NewCorpus("c", "en"), NewCorpus("c", "en")
	if err := errors.Join(one.AddText(closing{}, Policy{}, "a"), two.AddText(closing{}, Policy{}, "ab")); err != nil {
		t.Fatal(err)
	}
	if one.Fingerprint() == two.Fingerprint() {
		t.Errorf("texts of different lengths with the same ids do not differ")
	}
	c := corpus(t, "en", Policy{}, "ab", "cd")
	c.Fingerprint()
	if err := c.AddText(letters{}, Policy{}, "e"); err != nil || c.Fingerprint() == base {
		t.Errorf("a document added later does not show")
	}
}

func TestSpell(t *testing.T) {
	c := corpus(t, "en", Policy{AddSpecial: true}, "aab", "bac")
	got := Spell(c, func(id int32) bool { return id >= 3+'a' && id <= 3+'b' })
	if got.Tokens != 8 || got.Dead != 5 || got.Share != 5.0/8 || !slices.Equal(got.Worst, []IDCount{{3 + 'a', 3}, {3 + 'b', 2}}) {
		t.Errorf("got %+v, want 5 of 8 tokens, a before b", got)
	}
	if got := Spell(c, func(int32) bool { return false }); got.Share != 0 || len(got.Worst) != 0 {
		t.Errorf("got %+v, want none", got)
	}
}

func TestUntrained(t *testing.T) {
	// Trained rows: norms spread by a tenth around 1, as dense as in a real
	// vocabulary of 128 thousand.
	r := rand.New(rand.NewPCG(1, 2))
	var norms []float32
	for range 128_000 {
		norms = append(norms, float32(1+0.1*r.NormFloat64()))
	}
	marked := func(norms []float32) (n int) {
		for _, d := range Untrained(norms) {
			if d {
				n++
			}
		}
		return n
	}
	if got := marked(norms); got != 0 {
		t.Errorf("smooth norms: got %d untrained rows, want 0", got)
	}
	for range 250 {
		norms = append(norms, float32(1.4*(1+2e-5*r.NormFloat64())))
	}
	norms = append(norms, 0)
	dead := Untrained(norms)
	if got := marked(norms); got < 251 || got > 260 || !dead[len(dead)-1] || !dead[128_000] {
		t.Errorf("with 250 equal and a zero: got %d untrained rows, want 251", got)
	}
	if got := marked([]float32{1, 1, 1, 2, 3}); got != 0 {
		t.Errorf("three alike: got %d, want 0", got)
	}
	if got := Untrained(nil); len(got) != 0 {
		t.Errorf("no rows: got %v", got)
	}
}
