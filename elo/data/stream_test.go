package data

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// letters is an Encoder with an id a byte, BOS 1 before the text.
type letters struct{}

func (letters) AppendIDs(dst []int32, text string, addSpecial bool) ([]int32, error) {
	if addSpecial {
		dst = append(dst, 1)
	}
	for _, c := range []byte(text) {
		dst = append(dst, 3+int32(c))
	}
	return dst, nil
}

var bosEOS = Policy{AddSpecial: true, AppendEOS: true, EOS: 2}

func corpus(t testing.TB, lang string, p Policy, texts ...string) *Corpus {
	t.Helper()
	c := NewCorpus(lang+".txt", lang)
	for _, s := range texts {
		if err := c.AddText(letters{}, p, s); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// numbered returns n documents that differ from one another, of 1 to 2*mean
// letters.
func numbered(lang string, n, mean int) []string {
	var all []string
	for i := range n {
		s := fmt.Sprintf("%s%d:", lang, i)
		all = append(all, s+strings.Repeat("x", i*7919%(2*mean)))
	}
	return all
}

func stream(t testing.TB, o Options, parts ...Part) *Stream {
	t.Helper()
	s, err := NewStream(parts, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// read drains the stream in batches of b rows and returns all rows' fields
// one after another.
func read(t testing.TB, s *Stream, b int) (all Batch) {
	t.Helper()
	batch := s.NewBatch(b)
	for {
		err := s.Next(batch)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		n := batch.Rows * batch.T
		all.B += batch.Rows
		all.T = batch.T
		all.IDs = append(all.IDs, batch.IDs[:n]...)
		all.Targets = append(all.Targets, batch.Targets[:n]...)
		all.Positions = append(all.Positions, batch.Positions[:n]...)
		all.Langs = append(all.Langs, batch.Langs[:n]...)
		all.Index = append(all.Index, batch.Index[:n]...)
		for half := range 2 {
			all.Documents = append(all.Documents, batch.Documents[half*b*batch.T:][:n]...)
		}
		all.NumTargets += batch.NumTargets
		all.Bytes += batch.Bytes
		all.Pairs += batch.Pairs
	}
}

func mixed(t testing.TB, o Options) *Stream {
	return stream(t, o,
		Part{Corpus: corpus(t, "en", bosEOS, numbered("en", 30, 20)...)},
		Part{Corpus: corpus(t, "es", bosEOS, numbered("es", 200, 40)...), Target: true})
}

// TestWhole: a document is cut only when it is longer than a row, and then into
// as few pieces as can be, so its pieces are the same whatever lies around it.
func TestWhole(t *testing.T) {
	c := corpus(t, "es", bosEOS, "ab", "c", "defgh", "i", "jk", "l") // 3, 2, 6, 2, 3 and 2 targets
	s := stream(t, Options{SeqLen: 4, InOrder: true, Whole: true}, Part{Corpus: c})
	b := s.NewBatch(6)
	if err := s.Next(b); err != nil {
		t.Fatal(err)
	}
	want := []int32{0, 0, 0, -1, 1, 1, -1, -1, 2, 2, 2, 2, 2, 2, 3, 3, 4, 4, 4, -1, 5, 5, -1, -1}
	if !slices.Equal(b.Index, want) || s.Rows() != 6 {
		t.Errorf("got documents %v in %d rows, want %v in 6", b.Index, s.Rows(), want)
	}
	if b.NumTargets != c.Pairs() {
		t.Errorf("got %d targets, want %d", b.NumTargets, c.Pairs())
	}
	if _, err := NewStream([]Part{{Corpus: c}}, Options{SeqLen: 4, Whole: true, Tokens: 9}); err == nil {
		t.Error("whole documents up to a number of tokens: got no error")
	}
}

func TestPackByHand(t *testing.T) {
	c := corpus(t, "es", bosEOS, "ab", "c", "defgh") // 1 a b 2 | 1 c 2 | 1 d e f g h 2
	id := func(s string) (ids []int32) {
		for _, r := range s {
			switch {
			case r >= 'a':
				ids = append(ids, 3+r)
			case r == '-':
				ids = append(ids, -1)
			default:
				ids = append(ids, r-'0')
			}
		}
		return ids
	}
	s := stream(t, Options{SeqLen: 4, InOrder: true}, Part{Corpus: c})
	if got := s.Rows(); got != 3 {
		t.Fatalf("got %d rows, want 3", got)
	}
	b := s.NewBatch(4)
	if err := s.Next(b); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name      string
		got, want []int32
	}{
		{"ids", b.IDs, id("1ab1" + "c1de" + "fgh0" + "0000")},
		{"targets", b.Targets, id("ab2c" + "2def" + "gh2-" + "----")},
		{"positions", b.Positions, id("0120" + "0012" + "0120" + "0123")},
		{"documents", b.Documents, id("0003" + "0111" + "0003" + "0000" + "3334" + "1444" + "3334" + "4444")},
		{"index", b.Index, id("0001" + "1222" + "222-" + "----")},
		{"order", b.Order, []int32{11, 12, 13, 14, 15, 0, 3, 5, 1, 2, 4, 6, 7, 8, 9, 10}},
		{"starts", b.Starts, []int32{0, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 16, 16, 16, 16, 16}},
	} {
		if !slices.Equal(f.got, f.want) {
			t.Errorf("%s: got %v, want %v", f.name, f.got, f.want)
		}
	}
	if got, want := [...]int64{int64(b.Rows), b.NumTargets, b.Bytes, b.Pairs, b.PairsWithin(2)}, [...]int64{3, 11, 8, 6 + 1 + 1 + 6 + 6, 5 + 1 + 1 + 5 + 5}; got != want {
		t.Errorf("rows, targets, bytes, pairs, pairs within 2: got %v, want %v", got, want)
	}
	if err := s.Next(b); err != io.EOF {
		t.Errorf("got %v behind the last batch, want EOF", err)
	}
}

// TestPackLosesNothing puts the pieces of every document together again.
func TestPackLosesNothing(t *testing.T) {
	for _, T := range []int{1, 2, 7, 64, 1000} {
		c := corpus(t, "es", bosEOS, numbered("d", 50, 30)...)
		all := read(t, stream(t, Options{SeqLen: T, Seed: 3}, Part{Corpus: c}), 3)
		got := make([][]int32, c.Len())
		for i, d := range all.Index {
			if d < 0 {
				continue
			}
			if all.Targets[i] < 0 {
				t.Fatalf("T=%d: position %d has no target", T, i)
			}
			if len(got[d]) == 0 {
				got[d] = append(got[d], all.IDs[i])
			}
			if last := got[d][len(got[d])-1]; last != all.IDs[i] {
				t.Fatalf("T=%d: document %d: input %d follows target %d", T, d, all.IDs[i], last)
			}
			got[d] = append(got[d], all.Targets[i])
		}
		for d := range got {
			if !slices.Equal(got[d], c.IDs(d)) {
				t.Errorf("T=%d: document %d: got %v, want %v", T, d, got[d], c.IDs(d))
			}
		}
		if all.NumTargets != c.Pairs() || all.Bytes != c.Bytes() {
			t.Errorf("T=%d: got %d targets, %d bytes, want %d, %d", T, all.NumTargets, all.Bytes, c.Pairs(), c.Bytes())
		}
	}
}

func TestOrderAndStarts(t *testing.T) {
	s := mixed(t, Options{SeqLen: 33, Seed: 1})
	for _, top := range []int32{0, 1, 255, 256, 70_000, 1 << 24, math.MaxInt32} {
		b := s.NewBatch(4)
		for i := range b.IDs {
			b.IDs[i] = int32(int64(i) * int64(i) * 2654435761 % (int64(top) + 1))
		}
		b.IDs[5] = top
		b.sort()
		n := int32(len(b.IDs))
		want := make([]int32, n)
		for i := range want {
			want[i] = int32(i)
		}
		slices.SortStableFunc(want, func(x, y int32) int { return int(b.IDs[x]) - int(b.IDs[y]) })
		if !slices.Equal(b.Order, want) {
			t.Errorf("ids to %d: order is not the stable one", top)
		}
		seen := int32(0)
		for r := 0; r < int(n) && b.Starts[r] < n; r++ {
			run := b.Order[b.Starts[r]:b.Starts[r+1]]
			for _, i := range run {
				if b.IDs[i] != b.IDs[run[0]] {
					t.Fatalf("ids to %d: run %d holds ids %d and %d", top, r, b.IDs[i], b.IDs[run[0]])
				}
			}
			if r > 0 && b.IDs[run[0]] == b.IDs[b.Order[b.Starts[r]-1]] {
				t.Fatalf("ids to %d: id %d has two runs", top, b.IDs[run[0]])
			}
			seen += int32(len(run))
		}
		if seen != n || b.Starts[n] != n {
			t.Errorf("ids to %d: runs hold %d tokens, want %d", top, seen, n)
		}
	}
}

func TestMixKeepsItsRatio(t *testing.T) {
	en := corpus(t, "en", bosEOS, numbered("en", 300, 20)...)
	es := corpus(t, "es", bosEOS, numbered("es", 900, 40)...)
	book := corpus(t, "en", bosEOS, strings.Repeat("a long book ", 5000))
	for _, tt := range []struct {
		name  string
		parts []Part
		unit  Unit
		want  []float64
	}{
		{"default 1:9", []Part{{Corpus: en}, {Corpus: es, Target: true}}, "", []float64{0.1, 0.9}},
		{"default by bytes", []Part{{Corpus: en}, {Corpus: es, Target: true}}, Bytes, []float64{0.1, 0.9}},
		{"weights", []Part{{Corpus: es, Weight: 3, Target: true}, {Corpus: en, Weight: 1}}, Tokens, []float64{0.75, 0.25}},
		{"one long document", []Part{{Corpus: book}, {Corpus: es, Target: true}}, "", []float64{0.1, 0.9}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := stream(t, Options{SeqLen: 128, Unit: tt.unit, Seed: 7}, tt.parts...)
			b := s.NewBatch(8)
			for s.Next(b) == nil {
				us := s.Usage()
				sum := 0.0
				amount := func(u Usage) float64 {
					if tt.unit == Bytes {
						return float64(u.Bytes)
					}
					return float64(u.Tokens)
				}
				for _, u := range us {
					sum += amount(u)
				}
				for i, u := range us {
					// A feed may be ahead by one piece, which is at most a row.
					if off := math.Abs(amount(u) - tt.want[i]*sum); off > 128 {
						t.Fatalf("row %d: %s: got %v of %v, want a share of %v", s.Row(), u.Lang, amount(u), sum, tt.want[i])
					}
				}
			}
			for _, u := range s.Usage() {
				if u.Target && u.Epochs != 1 {
					t.Errorf("%s: got %v epochs of the target, want 1", u.Lang, u.Epochs)
				}
			}
		})
	}
}

// pairs is an Encoder with one id for two bytes.
type pairs struct{}

func (pairs) AppendIDs(dst []int32, text string, _ bool) ([]int32, error) {
	for i := 0; i < len(text); i += 2 {
		dst = append(dst, int32(text[i]))
	}
	return dst, nil
}

// TestMixUnits mixes equal shares of two languages whose tokens differ in
// length: equal in the unit asked for, one to two in the other.
func TestMixUnits(t *testing.T) {
	en, ko := NewCorpus("en", "en"), NewCorpus("ko", "ko")
	for _, s := range numbered("x", 400, 60) {
		if err := errors.Join(en.AddText(letters{}, Policy{}, s), ko.AddText(pairs{}, Policy{}, s)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		unit          Unit
		tokens, bytes float64 // en / ko
	}{{Tokens, 1, 0.5}, {Bytes, 2, 1}} {
		s := stream(t, Options{SeqLen: 32, Unit: tt.unit, Tokens: 20_000}, Part{Corpus: en, Weight: 1}, Part{Corpus: ko, Weight: 1})
		read(t, s, 4)
		u := s.Usage()
		tokens, bytes := float64(u[0].Tokens)/float64(u[1].Tokens), float64(u[0].Bytes)/float64(u[1].Bytes)
		if math.Abs(tokens/tt.tokens-1) > 0.05 || math.Abs(bytes/tt.bytes-1) > 0.05 {
			t.Errorf("by %s: got %.2f tokens and %.2f bytes of en for one of ko, want %v and %v", tt.unit, tokens, bytes, tt.tokens, tt.bytes)
		}
	}
}

// TestLanguageCounts counts again what a batch says of its languages.
func TestLanguageCounts(t *testing.T) {
	s := mixed(t, Options{SeqLen: 40, Seed: 4})
	b := s.NewBatch(3)
	var all, bytes [2]int64
	for s.Next(b) == nil {
		var n [2]int64
		for i, l := range b.Langs {
			if (l == NoLang) != (b.Targets[i] < 0) {
				t.Fatalf("position %d: got language %d for target %d", i, l, b.Targets[i])
			}
			if l != NoLang {
				n[l]++
			}
		}
		if n != [2]int64(b.LangTokens) || n[0]+n[1] != b.NumTargets || b.LangBytes[0]+b.LangBytes[1] != b.Bytes {
			t.Fatalf("got %v targets, %v bytes by language, want %v targets, %d bytes together", b.LangTokens, b.LangBytes, n, b.Bytes)
		}
		for l := range all {
			all[l] += n[l]
			bytes[l] += b.LangBytes[l]
		}
	}
	for i, u := range s.Usage() {
		if u.Tokens != all[i] || u.Bytes != bytes[i] || u.Lang != s.Langs()[i] {
			t.Errorf("got %+v, want %d tokens, %d bytes of %s", u, all[i], bytes[i], s.Langs()[i])
		}
	}
}

// TestPartsDiffer mixes a corpus with itself: the first listed comes first, and
// the two are shuffled differently.
func TestPartsDiffer(t *testing.T) {
	c := corpus(t, "en", bosEOS, numbered("x", 60, 20)...)
	twin := corpus(t, "es", bosEOS, numbered("x", 60, 20)...)
	all := read(t, stream(t, Options{SeqLen: 64, Seed: 1}, Part{Corpus: c}, Part{Corpus: twin}), 1)
	if all.Langs[0] != 0 {
		t.Errorf("got part %d first, want 0", all.Langs[0])
	}
	var order [2][]int32
	for i, p := range all.Positions {
		if l := all.Langs[i]; p == 0 && l != NoLang && !slices.Contains(order[l], all.Index[i]) {
			order[l] = append(order[l], all.Index[i])
		}
	}
	if slices.Equal(order[0][:20], order[1][:20]) {
		t.Errorf("two parts come in the same order")
	}
}

// TestShortDocuments has documents without a single target.
func TestShortDocuments(t *testing.T) {
	c := corpus(t, "en", Policy{}, "", "a", "abc", "", "b", "de", "")
	all := read(t, stream(t, Options{SeqLen: 4, InOrder: true, Epochs: 2}, Part{Corpus: c}), 2)
	if got, want := all.Index, []int32{2, 2, 5, 2, 2, 5, -1, -1}; !slices.Equal(got, want) {
		t.Errorf("got documents %v, want %v", got, want)
	}
}

func TestForeignBatch(t *testing.T) {
	s := mixed(t, Options{SeqLen: 8})
	if err := s.Next(mixed(t, Options{SeqLen: 9}).NewBatch(1)); err == nil || err == io.EOF {
		t.Errorf("got %v, want an error", err)
	}
}

func TestEpochs(t *testing.T) {
	small := corpus(t, "en", bosEOS, "a", "b", "c", "d", "e", "f", "g", "h")
	s := stream(t, Options{SeqLen: 4, Epochs: 3, Seed: 1}, Part{Corpus: small})
	all := read(t, s, 2)
	var orders []string
	for e := range 3 {
		seen := ""
		for i := range 16 {
			if all.Positions[16*e+i] == 0 {
				seen += fmt.Sprint(all.Index[16*e+i])
			}
		}
		sorted := []byte(seen)
		slices.Sort(sorted)
		if string(sorted) != "01234567" {
			t.Errorf("epoch %d: got documents %s, want each once", e, seen)
		}
		orders = append(orders, seen)
	}
	if orders[0] == orders[1] || orders[1] == orders[2] || orders[0] == "01234567" {
		t.Errorf("got the orders %v, want three shuffles", orders)
	}
	other := read(t, stream(t, Options{SeqLen: 4, Epochs: 3, Seed: 2}, Part{Corpus: small}), 2)
	if slices.Equal(all.Index, other.Index) {
		t.Errorf("seeds 1 and 2 give the same order")
	}
	s = stream(t, Options{SeqLen: 4, Tokens: 50}, Part{Corpus: small})
	if all := read(t, s, 2); all.NumTargets != 52 {
		t.Errorf("got %d targets, want 50 rounded up to whole rows of 4", all.NumTargets)
	}
	if u := s.Usage()[0]; u.Epochs != 52.0/16 || u.Tokens != 52 {
		t.Errorf("got %+v, want 52 tokens in 3.25 epochs", u)
	}
}

// TestOrderIsFixed pins the shuffle: a change here would change every run.
func TestOrderIsFixed(t *testing.T) {
	s := stream(t, Options{SeqLen: 1, Seed: 42}, Part{Corpus: corpus(t, "en", Policy{AddSpecial: true}, strings.Split("abcdefghijklmnop", "")...)})
	all := read(t, s, 1)
	if want := []int32{0, 8, 1, 13, 10, 15, 6, 14, 11, 5, 4, 3, 2, 12, 9, 7}; !slices.Equal(all.Index, want) {
		t.Errorf("got %v, want %v", all.Index, want)
	}
}

// TestNewStreamRefuses lists settings that make no stream.
func TestNewStreamRefuses(t *testing.T) {
	c := corpus(t, "es", bosEOS, "a")
	ok := Options{SeqLen: 4}
	for _, tt := range []struct {
		name, want string
		parts      []Part
		opt        Options
	}{
		{"nothing", "at least one corpus", nil, ok},
		{"no corpus", "nil", []Part{{}}, ok},
		{"no pairs", "x.txt", []Part{{Corpus: corpus(t, "x", Policy{}, "a", "b")}}, ok},
		{"negative weight", "found -1", []Part{{Corpus: c, Weight: -1}}, ok},
		{"weight that is no number", "NaN", []Part{{Corpus: c, Weight: math.NaN()}}, ok},
		{"some weights", "found 1 for 2 corpora", []Part{{Corpus: c, Weight: 1}, {Corpus: c}}, ok},
		{"no length", "sequence length 0", []Part{{Corpus: c}}, Options{}},
		{"a slip in the weights", "at most 4e+12 tokens", []Part{{Corpus: c, Weight: 1, Target: true}, {Corpus: c, Weight: 1e13}}, ok},
		{"epochs without end", "at most 4e+12 tokens", []Part{{Corpus: c}}, Options{SeqLen: 4, Epochs: math.MaxInt / 8}},
		{"unit", `found "words"`, []Part{{Corpus: c}}, Options{SeqLen: 4, Unit: "words"}},
	} {
		if strconv.IntSize == 32 && tt.opt.Epochs > 1 {
			continue // an int holds no such number of epochs there
		}
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewStream(tt.parts, tt.opt); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a message with %q", err, tt.want)
			}
		})
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	s := mixed(t, Options{SeqLen: 64, Tokens: 1 << 20, Seed: 1}) // through many epochs of both
	b := s.NewBatch(4)
	if n := testing.AllocsPerRun(1000, func() {
		if err := s.Next(b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations a batch, want 0", n)
	}
}

func BenchmarkNext(b *testing.B) {
	c := corpus(b, "es", bosEOS, numbered("es", 2000, 400)...)
	s := stream(b, Options{SeqLen: 2048, Tokens: 1 << 50}, Part{Corpus: c})
	batch := s.NewBatch(4)
	b.SetBytes(4 * 2048)
	for b.Loop() {
		if err := s.Next(batch); err != nil {
			b.Fatal(err)
		}
	}
}
