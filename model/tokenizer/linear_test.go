package tokenizer

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// The tests of this file hold the work on hard texts to their length: steps of the patterns,
// of the search for added tokens, of merging and of sorting marks, and bytes allocated, for a
// text and for one four times as long.

// growth is how much more work four times the text may be. Heaps and sorts of n take n log n.
const growth = 4.8

// bytesBPE is a byte-level vocabulary: all bytes, then the merges.
func bytesBPE(t *testing.T, fields string, merges ...string) string {
	t.Helper()
	vocab := map[string]int{}
	for b := range 256 {
		vocab[string(byteChars[b])] = b
	}
	return vocabulary(t, fields, vocab, merges)
}

// sentenceBPE is a vocabulary of characters that falls back to bytes.
func sentenceBPE(t *testing.T, fields string, merges ...string) string {
	t.Helper()
	vocab := map[string]int{"<unk>": 0}
	for b := range 256 {
		vocab[fmt.Sprintf("<0x%02X>", b)] = 1 + b
	}
	for c := 'a'; c <= 'z'; c++ {
		vocab[string(c)] = len(vocab)
	}
	vocab["▁"] = len(vocab)
	return vocabulary(t, `,"byte_fallback":true,"unk_token":"<unk>","fuse_unk":true`+fields, vocab, merges)
}

func vocabulary(t *testing.T, fields string, vocab map[string]int, merges []string) string {
	t.Helper()
	for _, m := range merges {
		a, b, _ := strings.Cut(m, " ")
		if _, ok := vocab[a+b]; !ok {
			vocab[a+b] = len(vocab)
		}
	}
	v, err := json.Marshal(vocab)
	if err != nil {
		t.Fatal(err)
	}
	m, err := json.Marshal(append([]string{}, merges...))
	if err != nil {
		t.Fatal(err)
	}
	return `"type":"BPE","vocab":` + string(v) + `,"merges":` + string(m) + fields
}

// letters are merges of runs of one letter, doubling, and of all pairs of letters.
func letters(space string) (merges []string) {
	for _, c := range []string{"a", space} {
		for n := 1; n <= 32; n *= 2 {
			merges = append(merges, strings.Repeat(c, n)+" "+strings.Repeat(c, n))
		}
	}
	for a := 'a'; a <= 'z'; a++ {
		for b := 'a'; b <= 'z'; b++ {
			merges = append(merges, string(a)+" "+string(b))
		}
	}
	for a := 'b'; a <= 'z'; a++ {
		for b := 'b'; b <= 'z'; b++ {
			merges = append(merges, string([]rune{a, b})+" "+string(b), string([]rune{a, b})+" "+string([]rune{b, a}))
		}
	}
	return merges
}

// deep is a token that texts begin again and again and never complete.
var deep = strings.Repeat("<s>", 300) + "<end>"

// hardFamilies are the components of the families' files, with vocabularies made here.
func hardFamilies(t *testing.T) map[string]*Tokenizer {
	const (
		gpt4  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
		cased = `[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
	)
	split := func(pattern string) string {
		return `"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"` + pattern + `"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false}]}`
	}
	added := `"added_tokens":[{"id":0,"content":"<s>","special":true,"normalized":false},{"id":0,"content":" <p>","lstrip":true,"rstrip":true},{"id":0,"content":"<w>","single_word":true},{"id":0,"content":"` + deep + `"}]`
	spaced := `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`
	out := map[string]*Tokenizer{}
	storm := `"pre_tokenizer":{"type":"ByteLevel"},"added_tokens":[{"id":0,"content":" ","normalized":false,"STRIP":true},{"id":0,"content":"a","single_word":true}]`
	for name, file := range map[string][2]string{
		"strips before": {bytesBPE(t, ""), strings.Replace(storm, "STRIP", "lstrip", 1)},
		"strips after":  {bytesBPE(t, ""), strings.Replace(storm, "STRIP", "rstrip", 1)},
		"gpt2":          {bytesBPE(t, "", letters("Ġ")...), `"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true}`},
		"smollm2":       {bytesBPE(t, "", letters("Ġ")...), `"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel"}]}`},
		"llama3":        {bytesBPE(t, `,"ignore_merges":true`, letters("Ġ")...), split(gpt4)},
		"qwen":          {bytesBPE(t, "", letters("Ġ")...), `"normalizer":{"type":"NFC"},` + split(gpt4)},
		"cased":         {bytesBPE(t, "", letters("Ġ")...), split(cased)},
		"llama2":        {sentenceBPE(t, "", letters("▁")...), `"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},` + spaced + `]}`},
		"mistral":       {sentenceBPE(t, "", letters("▁")...), `"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}`},
		"metaspace":     {sentenceBPE(t, "", letters("▁")...), `"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}`},
		"gemma":         {sentenceBPE(t, "", letters("▁")...), `"normalizer":` + spaced + `,"pre_tokenizer":{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false}`},
		"compatible":    {bytesBPE(t, "", letters("Ġ")...), `"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKD"},{"type":"StripAccents"},{"type":"Lowercase"},{"type":"Strip","strip_left":true,"strip_right":true},{"type":"NFKC"}]},"pre_tokenizer":{"type":"ByteLevel"}`},
	} {
		if !strings.Contains(file[1], "added_tokens") {
			file[1] += "," + added
		}
		tok, err := Parse(name, []byte(`{"version":"1.0","model":{`+file[0]+`},`+file[1]+`}`))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = tok
	}
	return out
}

// hardTexts are texts of about n bytes.
func hardTexts(n int) map[string]string {
	random := func(from, to rune) string {
		r := rand.New(rand.NewPCG(1, 2))
		var b strings.Builder
		for b.Len() < n {
			b.WriteRune(from + r.Int32N(to-from))
		}
		return b.String()
	}
	repeat := func(s string) string { return strings.Repeat(s, n/len(s)+1) }
	invalid := make([]byte, n)
	for r, i := rand.New(rand.NewPCG(3, 4)), 0; i < n; i++ {
		invalid[i] = byte(0x80 + r.IntN(0x80))
	}
	return map[string]string{
		"one letter":                 repeat("a"),
		"one capital":                repeat("A"),
		"random letters":             random('a', 'z'+1),
		"one digit":                  repeat("7"),
		"spaces":                     repeat(" "),
		"line ends":                  repeat("\n"),
		"spaces and line ends":       repeat(" \n  \r\n\t "),
		"apostrophes":                repeat("'"),
		"marks of one class":         "a" + repeat("\u0301"),
		"marks out of order":         "a" + repeat("\u0301\u0323\u05B0\u0300\u0327"),
		"one emoji and ZWJ":          repeat("👨\u200D"),
		"Hangul":                     random(hangulBase, hangulBase+hangulCount),
		"letters of Hangul":          repeat("\u1112\u1161\u11AB"),
		"Han without a break":        random(0x4E00, 0x9FFF),
		"invalid, replaced":          Lossy(string(invalid)),
		"cut characters, replaced":   Lossy(repeat("\xE3\x81\xF0\x9F\x91")),
		"added tokens":               repeat("<s>"),
		"added tokens of all kinds":  repeat("<s> <p>  <w>a<w> "),
		"added tokens that strip":    repeat("  <p>"),
		"white space, not stripped":  repeat("   x") + strings.Repeat("\u3000", n/3),
		"beginnings of added tokens": repeat("<s"),
		"almost the deep token":      repeat(deep[:len(deep)-1] + "!"),
	}
}

// workOf is what a text costs: steps and bytes allocated.
func workOf(t *testing.T, tok *Tokenizer, text string) (steps, bytes int64, ids []int32) {
	t.Helper()
	s := newScratch(tok)
	tok.scratchs.Put(s)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	pieces, err := tok.pieces(s, text, tok.aligned)
	if err == nil {
		ids, err = tok.appendPieces(s, nil, pieces)
	}
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range s.matchers {
		if m != nil {
			s.work += m.Work()
		}
	}
	return s.work, int64(after.TotalAlloc - before.TotalAlloc), ids
}

func TestLinearWork(t *testing.T) {
	const n = 1 << 13
	small, large := hardTexts(n), hardTexts(4*n)
	for family, tok := range hardFamilies(t) {
		for name, text := range small {
			steps, bytes, ids := workOf(t, tok, text)
			steps4, bytes4, ids4 := workOf(t, tok, large[name])
			size := float64(len(large[name])) / float64(len(text)) / 4
			if got := float64(steps4) / float64(steps) / size; got > growth {
				t.Errorf("%s, %s: got %d steps, then %d for four times the text: %.2f as many, want at most %.2f", family, name, steps, steps4, got, growth)
			}
			// Slices grow by steps of a quarter, so that their sum may fall short at first.
			if got := float64(bytes4) / float64(bytes) / size; got > 1.5*growth {
				t.Errorf("%s, %s: got %d bytes allocated, then %d for four times the text: %.2f as many, want at most %.2f", family, name, bytes, bytes4, got, 1.5*growth)
			}
			// No word of any of these costs more than this many steps a byte.
			if limit := int64(30 * len(text)); steps > limit {
				t.Errorf("%s, %s: got %d steps for %d bytes, want at most %d", family, name, steps, len(text), limit)
			}
			if len(ids4) < len(ids) {
				t.Errorf("%s, %s: got %d ids, then %d for four times the text", family, name, len(ids), len(ids4))
			}
		}
	}
}

// TestLinearDecode wants what a stream decodes, all in all, to grow with the ids alone, also
// when they give no text for long.
func TestLinearDecode(t *testing.T) {
	decoded := func(tok *Tokenizer, ids []int32) int {
		s, sum := tok.NewStream(true), 0
		for _, id := range ids {
			s.Next(id)
			sum += len(s.ids)
		}
		s.Flush()
		return sum
	}
	empty := sentenceBPE(t, "")
	empty = strings.Replace(empty, `"vocab":{`, `"vocab":{"":400,`, 1)
	for name, c := range map[string]struct {
		model string
		id    int32
	}{
		"special tokens":       {bytesBPE(t, ""), 256},
		"bytes without an end": {bytesBPE(t, ""), 0x80},
		"fallback bytes":       {sentenceBPE(t, ""), 1 + 0xE3},
		"letters":              {bytesBPE(t, ""), 'a'},
		"tokens without text":  {empty, 400},
		"ids without tokens":   {bytesBPE(t, ""), 5000},
	} {
		decoder := `"decoder":{"type":"ByteLevel"}`
		if strings.Contains(c.model, "byte_fallback") {
			decoder = `"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]}`
		}
		tok, err := Parse(name, []byte(`{"version":"1.0","model":{`+c.model+`},`+decoder+`,"added_tokens":[{"id":0,"content":"<s>","special":true}]}`))
		if err != nil {
			t.Fatal(err)
		}
		const n = 2000
		ids := slices.Repeat([]int32{c.id}, 4*n)
		if small, large := decoded(tok, ids[:n]), decoded(tok, ids); float64(large) > growth*float64(small)+64 {
			t.Errorf("%s: a stream decoded %d ids, then %d for four times as many", name, small, large)
		}
	}
}

// TestFinder compares with looking for every string at every place.
func TestFinder(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	word := func(most int) string {
		b := make([]byte, r.IntN(most+1))
		for i := range b {
			b[i] = "ab\xE3"[r.IntN(3)]
		}
		return string(b)
	}
	for range 300 {
		words := make([]string, 1+r.IntN(12))
		for i := range words {
			words[i] = word(6)
		}
		text := word(60)
		var want []found
		for i := len(text) - 1; i >= 0; i-- {
			best := noToken
			for k, w := range words {
				if w != "" && strings.HasPrefix(text[i:], w) && (best < 0 || len(w) > len(words[best])) {
					best = k
				}
			}
			if best >= 0 {
				want = append(want, found{int32(i), int32(best)})
			}
		}
		if got := newFinder(words).find(&scratch{}, text, nil); !slices.Equal(got, want) {
			t.Fatalf("%q in %q: got %v, want %v", words, text, got, want)
		}
	}
}

// TestMergeLong compares the queue with looking for the best pair at every step, on merges
// in any order: many make pairs that come before the one just merged.
func TestMergeLong(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for round := range 30 {
		symbols := 3 + r.Int32N(20)
		table := newPairTable(6000)
		for _, rank := range r.Perm(6000)[:2*symbols] {
			a, b := r.Int32N(symbols), r.Int32N(symbols)
			if _, ok := table.get(a, b); !ok {
				table.set(a, b, pairValue{int32(rank), r.Int32N(symbols)})
			}
		}
		n := longWord + r.IntN(300)
		if round%2 == 0 {
			n = 1 + r.IntN(longWord-1)
		}
		word := make([]symbol, n)
		for i := range word {
			word[i] = symbol{id: r.Int32N(symbols), size: 1}
		}
		s := &scratch{}
		want := table.mergeShort(s, slices.Clone(word))
		got := table.mergeLong(s, word)
		same := func(a, b symbol) bool { return a.id == b.id && a.size == b.size }
		if !slices.EqualFunc(got, want, same) {
			t.Fatalf("%d symbols became %d, want %d, or other ones", n, len(got), len(want))
		}
	}
}

// TestJoinsInAnyOrder wants the same cuts of a word from a file that lists its merges backwards.
func TestJoinsInAnyOrder(t *testing.T) {
	var merges []string
	for n := 1; n < 400; n++ {
		merges = append(merges, strings.Repeat("a", n)+" b")
		merges = append(merges, "a "+strings.Repeat("a", n))
	}
	joins := func() *pairTable {
		tok, err := Parse("merges", []byte(`{"version":"1.0","model":{`+sentenceBPE(t, "", merges...)+`}}`))
		if err != nil {
			t.Fatal(err)
		}
		if tok.model.joins == nil {
			t.Fatal("got no cuts")
		}
		return tok.model.joins
	}
	want := joins()
	slices.Reverse(merges)
	got := joins()
	for a := range int32(300) {
		for b := range int32(300) {
			_, g := got.get(a, b)
			if _, w := want.get(a, b); g != w {
				t.Fatalf("symbols %d and %d: got joined %v, want %v", a, b, g, w)
			}
		}
	}
}

// TestSortMarks wants marks in order of class, and equals as they were.
func TestSortMarks(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	marks := []rune("\u0301\u0323\u05B0\u0327\u0300\u3099a")
	for range 200 {
		text := make([]rune, r.IntN(40))
		for i := range text {
			text[i] = marks[r.IntN(len(marks))]
		}
		got := decompose(&scratch{}, nil, string(text), false)
		want := make([]edit, len(text))
		for i, c := range text {
			want[i] = edit{c, 0}
		}
		for i := 0; i < len(want); i++ { // one by one towards the front
			for k := i; k > 0 && combiningClass(want[k].char) != 0 && combiningClass(want[k-1].char) > combiningClass(want[k].char); k-- {
				want[k], want[k-1] = want[k-1], want[k]
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+q: got %v, want %v", string(text), got, want)
		}
	}
}
