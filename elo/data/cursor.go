package data

import (
	"fmt"
)

// Cursor says where in a stream one is. It marshals to JSON and belongs into
// every checkpoint.
type Cursor struct {
	Version int        `json:"version"`
	Seed    uint64     `json:"seed"`
	SeqLen  int        `json:"seq_len"`
	Unit    Unit       `json:"mix_unit"`
	InOrder bool       `json:"in_order,omitempty"`
	Whole   bool       `json:"whole,omitempty"`
	Row     int64      `json:"row"` // rows given
	Corpora []Progress `json:"corpora"`
}

// Progress is the cursor's part for one corpus.
type Progress struct {
	Path        string  `json:"path"` // for messages only; the files may have moved
	Fingerprint string  `json:"fingerprint"`
	Weight      float64 `json:"weight"`
	Target      bool    `json:"target"`
	Position
}

const cursorVersion = 1

// Cursor returns the current place. The first call hashes the corpora.
func (s *Stream) Cursor() Cursor {
	c := Cursor{Version: cursorVersion, Seed: s.opt.Seed, SeqLen: s.opt.SeqLen, Unit: s.opt.Unit, InOrder: s.opt.InOrder, Whole: s.opt.Whole, Row: s.row}
	for i := range s.feeds {
		f := &s.feeds[i]
		c.Corpora = append(c.Corpora, Progress{f.corpus.path, f.corpus.Fingerprint(), f.weight, f.target, f.Position})
	}
	return c
}

// Seek continues at a cursor taken from a stream over the same corpora with
// the same settings; how long the stream is (Epochs, Tokens) may differ. It
// costs one shuffle a corpus, however far the cursor is. On an error the
// stream stays where it was.
func (s *Stream) Seek(c Cursor) error {
	if err := s.fits(c); err != nil {
		return fmt.Errorf("data: cursor: %w", err)
	}
	s.row = c.Row
	for i := range s.feeds {
		s.feeds[i].seek(c.Corpora[i].Position, !s.opt.InOrder, s.opt.Seed, i)
	}
	return nil
}

func differ(what string, got, want any) error {
	return fmt.Errorf("%s: expected %v as in the run to continue, found %v", what, want, got)
}

func (s *Stream) fits(c Cursor) error {
	o := s.opt
	switch {
	case c.Version != cursorVersion:
		return fmt.Errorf("version: expected %d, found %d", cursorVersion, c.Version)
	case c.Seed != o.Seed:
		return differ("seed", o.Seed, c.Seed)
	case c.SeqLen != o.SeqLen:
		return differ("sequence length", o.SeqLen, c.SeqLen)
	case c.Unit != o.Unit:
		return differ("mix unit", o.Unit, c.Unit)
	case c.InOrder != o.InOrder:
		return differ("in order", o.InOrder, c.InOrder)
	case c.Whole != o.Whole:
		return differ("whole documents", o.Whole, c.Whole)
	case len(c.Corpora) != len(s.feeds):
		return differ("corpora", len(s.feeds), len(c.Corpora))
	case c.Row < 0 || c.Row > s.rows:
		return fmt.Errorf("row: expected 0 to %d, found %d", s.rows, c.Row)
	}
	tokens := int64(0)
	for i := range s.feeds {
		f, p := &s.feeds[i], c.Corpora[i]
		name := fmt.Sprintf("corpus %d (%s)", i, f.corpus.path)
		if h := f.corpus.Fingerprint(); p.Fingerprint != h {
			return differ(name+": fingerprint of its tokens", h, p.Fingerprint)
		}
		if p.Weight != f.weight {
			return differ(name+": weight", f.weight, p.Weight)
		}
		if p.Target != f.target {
			return differ(name+": target", f.target, p.Target)
		}
		if p.Epoch < 0 || p.Document < 0 || p.Document >= f.corpus.Len() || p.Offset < 0 || p.Tokens < 0 || p.Bytes < 0 {
			return fmt.Errorf("%s: expected a place in %d documents, found %+v", name, f.corpus.Len(), p.Position)
		}
		if err := f.inside(p.Position, !o.InOrder, o.Seed, i); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		tokens += p.Tokens
	}
	if most := c.Row * int64(o.SeqLen); tokens > most || tokens < most && c.Row < s.rows && !o.Whole {
		return fmt.Errorf("tokens: expected %d in %d rows, found %d", most, c.Row, tokens)
	}
	return nil
}

// inside checks a position's offset and count against the documents.
func (f *feed) inside(p Position, shuffle bool, seed uint64, part int) error {
	g := feed{corpus: f.corpus, order: make([]int32, len(f.order))}
	g.Position = p
	g.arrange(shuffle, seed, part)
	d := f.corpus.docs[g.order[p.Document]]
	if p.Offset > 0 && p.Offset >= int(d.tokens)-1 {
		return fmt.Errorf("offset: expected less than %d, found %d", d.tokens-1, p.Offset)
	}
	tokens := p.Epoch*f.corpus.pairs + int64(p.Offset)
	for _, i := range g.order[:p.Document] {
		tokens += int64(max(f.corpus.docs[i].tokens-1, 0))
	}
	if tokens != p.Tokens {
		return fmt.Errorf("tokens: expected %d at that place, found %d", tokens, p.Tokens)
	}
	return nil
}
