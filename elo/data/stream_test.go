package data

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
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
			b.IDs[i] = int32(int64(i*i*2654435761) % (int64(top) + 1))
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

func TestResume(t *testing.T) {
	for _, o := range []Options{
		{SeqLen: 16, Seed: 5},
		{SeqLen: 50, Seed: 6, Unit: Bytes},
		{SeqLen: 7, Seed: 7, Epochs: 2},
		{SeqLen: 32, Seed: 8, Tokens: 30_000},
		{SeqLen: 32, InOrder: true},
	} {
		whole := mixed(t, o)
		want := read(t, whole, 3)
		for _, k := range []int64{0, 1, 2, whole.Rows() / 2, whole.Rows() - 1, whole.Rows()} {
			first := mixed(t, o)
			first.SetEnd(k)
			head := read(t, first, 2)
			js, err := json.Marshal(first.Cursor())
			if err != nil {
				t.Fatal(err)
			}
			var cur Cursor
			if err := json.Unmarshal(js, &cur); err != nil {
				t.Fatal(err)
			}
			second := mixed(t, o)
			if err := second.Seek(cur); err != nil {
				t.Fatalf("%+v: at row %d: %v", o, k, err)
			}
			tail := read(t, second, 5)
			got := slices.Concat(head.IDs, tail.IDs)
			targets := slices.Concat(head.Targets, tail.Targets)
			index := slices.Concat(head.Index, tail.Index)
			if !slices.Equal(got, want.IDs) || !slices.Equal(targets, want.Targets) || !slices.Equal(index, want.Index) {
				t.Errorf("%+v: %d rows and then the rest differ from all at once", o, k)
			}
			if !reflect.DeepEqual(second.Usage(), whole.Usage()) {
				t.Errorf("%+v: got usage %+v after resuming, want %+v", o, second.Usage(), whole.Usage())
			}
		}
	}
}

// TestResumedBatchIsIdentical compares every field, counts included.
func TestResumedBatchIsIdentical(t *testing.T) {
	o := Options{SeqLen: 24, Seed: 9}
	a := mixed(t, o)
	b := a.NewBatch(4)
	for range 7 {
		if err := a.Next(b); err != nil {
			t.Fatal(err)
		}
	}
	cur := a.Cursor()
	c := mixed(t, o)
	if err := c.Seek(cur); err != nil {
		t.Fatal(err)
	}
	got := c.NewBatch(4)
	for n := 0; ; n++ {
		errA, errC := a.Next(b), c.Next(got)
		if errA != errC {
			t.Fatalf("batch %d: got %v, want %v", n, errC, errA)
		}
		if errA == io.EOF {
			break
		}
		b.keys, got.keys = nil, nil
		if !reflect.DeepEqual(got, b) {
			t.Fatalf("batch %d differs", n)
		}
		b.keys, got.keys = make([]int32, 4*24), make([]int32, 4*24)
	}
}

// TestStages reads nine tenths and then the rest, as the two stages of a run
// do, against the same stream in one go.
func TestStages(t *testing.T) {
	o := Options{SeqLen: 20, Seed: 11}
	s := mixed(t, o)
	cut := s.ShareRows(0.9, 8)
	if cut%8 != 0 || math.Abs(float64(cut)-0.9*float64(s.Rows())) > 4 {
		t.Fatalf("got %d of %d rows, want the multiple of 8 nearest to 0.9", cut, s.Rows())
	}
	s.SetEnd(cut)
	one := read(t, s, 8)
	s.SetEnd(s.Rows())
	two := read(t, s, 2)
	all := read(t, mixed(t, o), 4)
	if got := slices.Concat(one.IDs, two.IDs); !slices.Equal(got, all.IDs) {
		t.Errorf("two stages differ from one pass")
	}
	if one.B != int(cut) || slices.Contains(one.Targets, -1) {
		t.Errorf("stage one: got %d rows, want %d without padding", one.B, cut)
	}
}

func TestSeekRefuses(t *testing.T) {
	o := Options{SeqLen: 16, Seed: 5}
	s := mixed(t, o)
	b := s.NewBatch(4)
	for range 5 {
		s.Next(b)
	}
	for _, tt := range []struct {
		name, want string
		change     func(*Cursor)
	}{
		{"version", "version", func(c *Cursor) { c.Version++ }},
		{"seed", "seed: expected 6 as in the run to continue, found 5", func(c *Cursor) { c.Seed = 6 }},
		{"length", "sequence length", func(c *Cursor) { c.SeqLen = 17 }},
		{"unit", "mix unit", func(c *Cursor) { c.Unit = Bytes }},
		{"corpora", "corpora", func(c *Cursor) { c.Corpora = c.Corpora[:1] }},
		{"tokens of a corpus", "fingerprint", func(c *Cursor) { c.Corpora[1].Fingerprint = "0" }},
		{"weight", "weight", func(c *Cursor) { c.Corpora[1].Weight = 0.5 }},
		{"target", "target", func(c *Cursor) { c.Corpora[1].Target = false }},
		{"row", "row", func(c *Cursor) { c.Row = 1 << 40 }},
		{"negative row", "row", func(c *Cursor) { c.Row = -1 }},
		{"other row", "tokens", func(c *Cursor) { c.Row++ }},
		{"document", "place", func(c *Cursor) { c.Corpora[1].Document = 1 << 30 }},
		{"negative document", "place", func(c *Cursor) { c.Corpora[1].Document = -1 }},
		{"offset", "offset", func(c *Cursor) { c.Corpora[1].Offset = 1 << 20 }},
		{"count", "tokens", func(c *Cursor) { c.Corpora[1].Tokens++ }},
		{"epoch", "tokens", func(c *Cursor) { c.Corpora[0].Epoch++ }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.Cursor()
			tt.change(&c)
			if err := mixed(t, o).Seek(c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a message with %q", err, tt.want)
			}
		})
	}
}

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
		{"unit", `found "words"`, []Part{{Corpus: c}}, Options{SeqLen: 4, Unit: "words"}},
	} {
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
