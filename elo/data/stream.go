package data

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// Options says how corpora become rows.
type Options struct {
	SeqLen int    // T, positions of a row
	Seed   uint64 // of the documents' order
	Unit   Unit   // what weights count; "" is Tokens
	// Epochs is how often the target corpora are read before the stream ends;
	// 0 is once. Other corpora repeat or stop short as the weights ask. Unused
	// when Tokens is set.
	Epochs int
	// Tokens ends the stream after so many targets, rounded up to whole rows,
	// whatever the corpora hold.
	Tokens int64
	// InOrder leaves the documents in the order of their corpus, as evaluation
	// wants them.
	InOrder bool
	// Whole cuts no document that fits into a row: a row that has no room for
	// the next one ends in padding. What a model makes of a document then does
	// not depend on its neighbours, as evaluation wants it. It goes with Epochs,
	// not with Tokens.
	Whole bool
	Pad   int32 // id of padding positions
	// TargetShare is the part of the stream that target corpora get when no
	// weights are given and there are others too; 0 is DefaultTargetShare.
	TargetShare float64
}

// Stream is an endless-looking but finite sequence of rows made of documents
// of several corpora. See the package comment for what a row is.
//
// The next piece always comes from the corpus that has given least for its
// weight, the first one listed when several have: the mix keeps its ratio from
// row to row, also when a document is longer than a row, and needs no random
// numbers. Within a corpus documents come in the order of a shuffle seeded by
// seed, corpus and epoch. So a row depends only on the rows before it.
type Stream struct {
	opt   Options
	feeds []feed
	langs []string
	row   int64 // rows given
	rows  int64 // rows in all
	end   int64 // row to stop before
}

// NewStream mixes the parts. It reads through the documents' lengths once to
// know how many rows there are.
func NewStream(parts []Part, o Options) (*Stream, error) {
	if o.Unit == "" {
		o.Unit = Tokens
	}
	if o.Unit != Tokens && o.Unit != Bytes {
		return nil, fmt.Errorf("data: mix unit: expected %q or %q, found %q", Tokens, Bytes, o.Unit)
	}
	if o.TargetShare == 0 {
		o.TargetShare = DefaultTargetShare
	}
	if o.Epochs == 0 {
		o.Epochs = 1
	}
	if o.SeqLen < 1 || o.SeqLen > math.MaxInt32 || o.Epochs < 0 || o.Tokens < 0 || o.Pad < 0 {
		return nil, fmt.Errorf("data: stream: expected positive sizes, found sequence length %d, epochs %d, tokens %d, padding id %d", o.SeqLen, o.Epochs, o.Tokens, o.Pad)
	}
	if o.Whole && o.Tokens > 0 {
		return nil, fmt.Errorf("data: stream: expected an end after epochs for whole documents, found one after %d tokens", o.Tokens)
	}
	parts, err := weights(parts, o.Unit, o.TargetShare)
	if err != nil {
		return nil, err
	}
	if n := estimate(parts, o); o.Tokens == 0 && n > maxTokens {
		return nil, fmt.Errorf("data: mix: expected weights and epochs that ask for at most %.0e %s, found %.0e", float64(maxTokens), o.Unit, n)
	}
	s := &Stream{opt: o}
	for _, p := range parts {
		lang := slices.Index(s.langs, p.Corpus.lang)
		if lang < 0 {
			lang = len(s.langs)
			s.langs = append(s.langs, p.Corpus.lang)
		}
		if lang >= NoLang {
			return nil, fmt.Errorf("data: mix: expected fewer than %d languages, found more", NoLang)
		}
		s.feeds = append(s.feeds, feed{
			corpus: p.Corpus, weight: p.Weight, target: p.Target, lang: uint8(lang),
			order: make([]int32, p.Corpus.Len()),
		})
	}
	s.rewind()
	if o.Tokens > 0 {
		s.rows = (o.Tokens-1)/int64(o.SeqLen) + 1
	} else {
		for s.fill(nil, 0) {
			s.rows++
		}
		s.rewind()
	}
	s.end = s.rows
	return s, nil
}

// maxTokens is more than anyone trains on; a stream beyond it is a slip in the
// weights, and counting its rows would take forever.
const maxTokens = 1 << 42

// estimate is about how much, in the mix's unit, the stream gives until every
// target is read as often as asked.
func estimate(parts []Part, o Options) float64 {
	sum, most := 0.0, 0.0
	for _, p := range parts {
		sum += p.Weight
		if p.Target {
			most = max(most, float64(o.Epochs)*p.size(o.Unit)/p.Weight)
		}
	}
	return most * sum
}

func (s *Stream) rewind() {
	s.row = 0
	for i := range s.feeds {
		s.feeds[i].seek(Position{}, !s.opt.InOrder, s.opt.Seed, i)
	}
}

// Langs are the languages of the corpora, in the order of their first part.
func (s *Stream) Langs() []string { return s.langs }

// SeqLen is T, the positions of a row.
func (s *Stream) SeqLen() int { return s.opt.SeqLen }

// Rows is the number of rows of the whole stream.
func (s *Stream) Rows() int64 { return s.rows }

// Row is the number of rows given so far.
func (s *Stream) Row() int64 { return s.row }

// SetEnd lets [Stream.Next] stop before the given row, or at the end of the
// whole stream if that comes first. A stage of a longer run reads so far, and
// the next stage goes on from its cursor with another end.
func (s *Stream) SetEnd(row int64) { s.end = min(max(row, 0), s.rows) }

// ShareRows returns how many rows a share of the stream is, rounded to the
// nearest multiple, such as the rows of an optimizer step, but within the
// stream and, for a share above 0, at least one multiple.
func (s *Stream) ShareRows(share float64, multiple int) int64 {
	if share <= 0 {
		return 0
	}
	if share >= 1 {
		return s.rows
	}
	m := int64(max(multiple, 1))
	n := int64(math.Round(share*float64(s.rows)/float64(m))) * m
	return min(max(n, m), s.rows)
}

// NewBatch returns a batch of b rows for this stream. All its memory is
// allocated here: about 40 bytes a token.
func (s *Stream) NewBatch(b int) *Batch {
	return newBatch(max(b, 1), s.opt.SeqLen, len(s.langs))
}

// Next fills the batch with the following rows, the rest with padding, and
// returns io.EOF when none are left. It allocates nothing.
func (s *Stream) Next(b *Batch) error {
	if b.T != s.opt.SeqLen || len(b.LangTokens) != len(s.langs) {
		return fmt.Errorf("data: stream: expected a batch of its own with %d positions, found one with %d", s.opt.SeqLen, b.T)
	}
	if s.row >= s.end {
		return io.EOF
	}
	b.reset()
	for b.Rows < b.B && s.row < s.end && s.fill(b, b.Rows) {
		s.row++
		b.Rows++
	}
	for r := b.Rows; r < b.B; r++ {
		b.pad(r, 0, s.opt.Pad)
	}
	b.sort()
	return nil
}

// fill writes row r of b, or only counts it when b is nil, and returns false
// when the stream is over.
func (s *Stream) fill(b *Batch, r int) bool {
	t := 0
	for t < s.opt.SeqLen && !s.over() {
		i := s.pick()
		f := &s.feeds[i]
		if s.opt.Whole && t > 0 && f.left() > s.opt.SeqLen-t {
			break
		}
		doc, from, n, bytes, done := f.take(s.opt.SeqLen - t)
		if b != nil {
			b.piece(r, t, f.corpus.IDs(doc)[from:from+n+1], f.lang, doc, bytes)
			if marks := f.corpus.Marks(doc); marks != nil {
				b.unmarked(r, t, marks[from+1:from+n+1], f.lang)
			}
		}
		if done {
			f.skip(!s.opt.InOrder, s.opt.Seed, i)
		}
		t += n
	}
	if t > 0 && t < s.opt.SeqLen && b != nil {
		b.pad(r, t, s.opt.Pad)
	}
	return t > 0
}

// over reports whether every target corpus was read as often as asked.
func (s *Stream) over() bool {
	if s.opt.Tokens > 0 {
		return false
	}
	for i := range s.feeds {
		if f := &s.feeds[i]; f.target && f.Epoch < int64(s.opt.Epochs) {
			return false
		}
	}
	return true
}

// pick returns the feed that is furthest behind its weight.
func (s *Stream) pick() int {
	best, least := 0, math.Inf(1)
	for i := range s.feeds {
		if x := s.feeds[i].share(s.opt.Unit); x < least {
			best, least = i, x
		}
	}
	return best
}

// Usage is what a stream has given of one corpus so far.
type Usage struct {
	Path   string  `json:"path"`
	Lang   string  `json:"lang"`
	Target bool    `json:"target"`
	Weight float64 `json:"weight"` // share of all parts' weights
	Tokens int64   `json:"tokens"` // targets
	Bytes  int64   `json:"bytes"`
	Epochs float64 `json:"epochs"` // how often the corpus was read; above 1 it was repeated
}

// Usage reports the realised mix, corpus by corpus. A stream resumed from a
// cursor counts from the beginning of the run.
func (s *Stream) Usage() []Usage {
	sum := 0.0
	for i := range s.feeds {
		sum += s.feeds[i].weight
	}
	var us []Usage
	for i := range s.feeds {
		f := &s.feeds[i]
		us = append(us, Usage{
			Path: f.corpus.path, Lang: f.corpus.lang, Target: f.target, Weight: f.weight / sum,
			Tokens: f.Tokens, Bytes: f.Bytes, Epochs: float64(f.Tokens) / float64(f.corpus.pairs),
		})
	}
	return us
}
