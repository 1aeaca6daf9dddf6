package demo

import (
	"io/fs"
	"math"
	"slices"
	"testing"

	"graft/elo/data"
	"graft/model/safetensors"
	"graft/model/tokenizer"
)

// TestNoByteTokens counts byte-fallback tokens, whose embeddings the base
// never learned.
func TestNoByteTokens(t *testing.T) {
	b, err := fs.ReadFile(Base(), "tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse("tokenizer.json", b)
	if err != nil {
		t.Fatal(err)
	}
	train, held, err := Spanish()
	if err != nil {
		t.Fatal(err)
	}
	c := data.NewCorpus("es", "es")
	for _, s := range slices.Concat(train, held) {
		if err := c.AddText(tok, data.Policy{AddSpecial: true, AppendEOS: true, EOS: 2}, s); err != nil {
			t.Fatal(err)
		}
	}
	if got := data.Spell(c, tok.IsByte); got.Dead != 0 || got.Tokens < c.Bytes()/4 {
		t.Errorf("got %+v for %d bytes, want no byte tokens", got, c.Bytes())
	}
	if ids := c.IDs(0); ids[0] != 1 || ids[len(ids)-1] != 2 {
		t.Errorf("got a document from %d to %d, want BOS and EOS around it", ids[0], ids[len(ids)-1])
	}
	// The same count on unfolded text must not be 0, or the test could not fail.
	raw := data.NewCorpus("raw", "es")
	if err := raw.AddText(tok, data.Policy{}, "¿Dónde está?"); err != nil {
		t.Fatal(err)
	}
	if got := data.Spell(raw, tok.IsByte); got.Dead != 6 {
		t.Errorf("unfolded: got %+v, want the six bytes of ¿ ó á", got)
	}
	t.Logf("%d documents, %d bytes, %d tokens", c.Len(), c.Bytes(), c.Tokens())
}

// TestBaseUntrained finds the rows of the base's embedding that only ever
// decayed: two special tokens and most bytes, those of rare scripts and emoji
// excepted, which training touched now and then, and the line feed.
func TestBaseUntrained(t *testing.T) {
	b, err := fs.ReadFile(Base(), "model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Parse("model.safetensors", b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const vocab, width = 512, 64
	rows := make([]float32, vocab*width)
	if err := f.ReadF32(rows, "model.embed_tokens.weight"); err != nil {
		t.Fatal(err)
	}
	norms := make([]float32, vocab)
	for i := range norms {
		sum := 0.0
		for _, x := range rows[i*width : (i+1)*width] {
			sum += float64(x) * float64(x)
		}
		norms[i] = float32(math.Sqrt(sum))
	}
	dead := data.Untrained(norms)
	const bytesFrom, bytesTo = 3, 259
	bytes, others := 0, []int{}
	for id, d := range dead {
		switch {
		case d && id >= bytesFrom && id < bytesTo:
			bytes++
		case d:
			others = append(others, id)
		}
	}
	if bytes < 150 || dead[bytesFrom+'\n'] || !slices.Equal(others, []int{0, 2}) {
		t.Errorf("got %d byte tokens (line feed: %v) and %v untrained, want most of 256 without it, <unk> and </s>", bytes, dead[bytesFrom+'\n'], others)
	}
	t.Logf("%d of 256 byte tokens look untrained", bytes)
}
