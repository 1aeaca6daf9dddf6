package demo

import (
	"io/fs"
	"slices"
	"testing"

	"graft/elo/data"
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
